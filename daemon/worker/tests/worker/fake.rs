//! A slothd that keeps its journal in memory and can lose connections, acknowledgements and workers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sloth_api::worker::{Assignment, Bundle, Errand, Numbered, Record, RunEnd, TaskEnd, ToSlothd, ToWorker};

const PATIENCE: Duration = Duration::from_secs(30);

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The worker is killed when the journal has this many records, before the last of them is acknowledged.
    pub kill_at: Option<usize>,
    /// The connection is closed whenever the journal has grown by this many records, without an acknowledgement.
    pub cut_every: Option<usize>,
    /// Records of a batch are acknowledged only this much later.
    pub slow_ms: u64,
}

#[derive(Default)]
struct State {
    journal: Vec<Numbered>,
    to_worker: Option<UnixStream>,
    pid: Option<u32>,
    killed: bool,
    cut: usize,
}

pub struct Fake {
    pub dir: tempfile::TempDir,
    pub job: Assignment,
    pub faults: Faults,
    shared: Arc<(Mutex<State>, Condvar)>,
    worker: u32,
}

pub struct Ended {
    pub log: Vec<Value>,
    pub stderr: String,
    pub success: bool,
}

impl Fake {
    /// A run of this file.
    pub fn new(file: &str) -> Fake {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        std::fs::create_dir_all(dir.path().join("work")).expect("a directory");
        let main = path("work/main.sloth");
        let job = Assignment {
            user: "root".to_owned(),
            started_at: "2026-11-24T12:00:00Z".to_owned(),
            mode: "normal".to_owned(),
            invocation_dir: path("work"),
            temp_dir: path("tmp"),
            run_dir: path("run"),
            bundle: Bundle { files: BTreeMap::from([(main.clone(), file.to_owned())]), main },
            next_seq: 1,
            ..Assignment::default()
        };
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        Fake { dir, job, faults: Faults::default(), shared, worker: 0 }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("work").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs one worker to its end.
    pub fn run(&mut self) -> Ended {
        self.start().wait()
    }

    /// Starts a worker, with the journal so far.
    pub fn start(&mut self) -> Running {
        self.worker += 1;
        let socket = self.dir.path().join(format!("s{}", self.worker));
        let listener = UnixListener::bind(&socket).expect("a socket");
        {
            let mut state = self.shared.0.lock().expect("not poisoned");
            self.job.journal = state.journal.clone();
            self.job.next_seq = state.journal.last().map_or(1, |last| last.seq + 1);
            state.killed = false;
        }
        let errand = Errand {
            socket: socket.to_string_lossy().into_owned(),
            run: "0192aaaa-0000-7000-8000-000000000001".to_owned(),
            worker: self.worker,
            token: "secret".to_owned(),
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_sloth-worker"))
            .arg("run")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(serde_json::to_string(&errand).expect("json").as_bytes()).expect("written");
        drop(stdin);
        self.shared.0.lock().expect("not poisoned").pid = Some(child.id());
        let (shared, job, faults) = (Arc::clone(&self.shared), self.job.clone(), self.faults);
        thread::spawn(move || serve(&listener, &shared, &job, faults));
        Running { child, shared: Arc::clone(&self.shared) }
    }

    pub fn journal(&self) -> Vec<Record> {
        self.shared.0.lock().expect("not poisoned").journal.iter().map(|numbered| numbered.record.clone()).collect()
    }

    pub fn end(&self) -> RunEnd {
        let found = self.journal().into_iter().rev().find_map(|record| match record {
            Record::RunFinished { end } => Some(*end),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no end in {:#?}", self.journal()))
    }

    pub fn tasks(&self) -> Vec<TaskEnd> {
        let ends = self.journal().into_iter().filter_map(|record| match record {
            Record::TaskFinished { end } => Some(*end),
            _ => None,
        });
        ends.collect()
    }

    pub fn task(&self, name: &str) -> TaskEnd {
        let found = self.tasks().into_iter().rev().find(|task| task.name == name);
        found.unwrap_or_else(|| panic!("no end of {name} in {:#?}", self.journal()))
    }

    /// `name=status`, in the order in which they ended.
    pub fn words(&self) -> Vec<String> {
        self.tasks().iter().map(|task| format!("{}={}", task.name, task.status)).collect()
    }
}

pub struct Running {
    pub child: Child,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Running {
    /// Waits until the journal holds something.
    pub fn until(&self, is: impl Fn(&Record) -> bool) {
        let (lock, changed) = &*self.shared;
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock.lock().expect("not poisoned");
        while !state.journal.iter().any(|numbered| is(&numbered.record)) {
            assert!(Instant::now() < deadline, "it does not come: {:#?}", state.journal);
            state = changed.wait_timeout(state, Duration::from_millis(100)).expect("not poisoned").0;
        }
    }

    /// Sends an order.
    pub fn tell(&self, order: &ToWorker) {
        let mut state = self.shared.0.lock().expect("not poisoned");
        send(state.to_worker.as_mut().expect("connected"), order);
    }

    pub fn cancel(&self, force: bool) {
        self.tell(&ToWorker::Cancel { reason: "user".to_owned(), task: None, force, compensate: true });
    }

    pub fn wait(mut self) -> Ended {
        let mut stdout = self.child.stdout.take().expect("a pipe");
        let mut stderr = self.child.stderr.take().expect("a pipe");
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        });
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        let status = self.child.wait().expect("waited");
        let log = text.lines().map(|line| serde_json::from_str(line).expect("a line of the log is JSON")).collect();
        Ended { log, stderr: errors.join().expect("read"), success: status.success() }
    }
}

fn serve(listener: &UnixListener, shared: &(Mutex<State>, Condvar), job: &Assignment, faults: Faults) {
    while let Ok((stream, _)) = listener.accept() {
        // A connection that breaks is part of the game.
        let _ = connection(stream, shared, job, faults);
    }
}

fn connection(
    mut stream: UnixStream,
    (lock, changed): &(Mutex<State>, Condvar),
    job: &Assignment,
    faults: Faults,
) -> std::io::Result<()> {
    let hello = receive(&mut stream)?;
    let ToSlothd::Hello { fresh, token, .. } = hello else { panic!("not a hello: {hello:?}") };
    assert_eq!(token, "secret");
    {
        let mut state = lock.lock().expect("not poisoned");
        let upto = state.journal.last().map_or(0, |last| last.seq);
        let answer =
            if fresh { ToWorker::Begin { assignment: Box::new(job.clone()) } } else { ToWorker::Welcome { upto } };
        send(&mut stream, &answer);
        state.to_worker = Some(stream.try_clone()?);
    }
    loop {
        match receive(&mut stream)? {
            ToSlothd::Hello { .. } => panic!("a second hello"),
            ToSlothd::Ask { id, what, .. } => {
                let ok = Some(answer(&what));
                send(&mut stream, &ToWorker::Answer { id, ok, refused: None });
            }
            ToSlothd::Records { records } => {
                thread::sleep(Duration::from_millis(faults.slow_ms));
                let mut state = lock.lock().expect("not poisoned");
                for numbered in records {
                    let last = state.journal.last().map_or(0, |last| last.seq);
                    if numbered.seq <= last {
                        continue;
                    }
                    assert_eq!(numbered.seq, last + 1, "numbers have no gap");
                    if state.killed {
                        return Ok(());
                    }
                    state.journal.push(numbered);
                    if faults.kill_at == Some(state.journal.len()) {
                        state.killed = true;
                        let pid = state.pid.expect("started");
                        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
                        changed.notify_all();
                        return Ok(());
                    }
                }
                changed.notify_all();
                let length = state.journal.len();
                if faults.cut_every.is_some_and(|every| length >= state.cut + every) {
                    state.cut = length;
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                let upto = state.journal.last().map_or(0, |last| last.seq);
                drop(state);
                send(&mut stream, &ToWorker::Ack { upto });
            }
        }
    }
}

fn answer(what: &str) -> Value {
    match what {
        "circuit.enter" => json!({ "granted": true, "state": "closed" }),
        "rate.take" => json!({ "wait_ms": 0 }),
        "throttle.take" => json!({ "granted": true }),
        _ => json!({}),
    }
}

fn receive(stream: &mut UnixStream) -> std::io::Result<ToSlothd> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut message)?;
    Ok(serde_json::from_slice(&message).expect("a message"))
}

fn send(stream: &mut UnixStream, message: &ToWorker) {
    let text = serde_json::to_vec(message).expect("json");
    let length = u32::try_from(text.len()).expect("short");
    // The worker may have gone.
    let _ = stream.write_all(&length.to_le_bytes()).and_then(|()| stream.write_all(&text));
}
