//! A private instance below a temporary directory, and words to tell stories with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use sloth_core::launch::{Finding, Known, Launch, Order, Report, Traces};
use sloth_core::run::{AttemptEnd, ProcessId, StartFailure};
use sloth_core::{AttemptKey, Limits, Moment, RunId};
use sloth_exec::output::{Entry, FrameKind, OutputReader};
use sloth_exec::{Options, ProcessExecutor};
use tokio::sync::mpsc::Receiver;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sloth-exec");
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub directory: tempfile::TempDir,
    pub arguments: Vec<String>,
    pub executor: Option<ProcessExecutor>,
    pub reports: Option<Receiver<Report>>,
}

impl World {
    pub async fn new() -> World {
        World::with(&[]).await
    }

    /// With further arguments for the supervisor.
    pub async fn with(arguments: &[&str]) -> World {
        let mut world = World::idle(arguments);
        assert_eq!(world.connect().await, []);
        world
    }

    /// Without an executor.
    pub fn idle(arguments: &[&str]) -> World {
        let directory = tempfile::Builder::new().prefix("sloth-exec-").tempdir().unwrap();
        let arguments = arguments.iter().map(|text| text.to_string()).collect();
        World { directory, arguments, executor: None, reports: None }
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("exec.sock")
    }

    /// Starts an executor in place of the one before; returns what is known.
    pub async fn connect(&mut self) -> Vec<Known> {
        self.disconnect();
        let mut options =
            Options { data: self.data(), socket: self.socket(), program: PROGRAM.into(), arguments: Vec::new() };
        options.arguments = self.arguments.iter().map(Into::into).collect();
        let (executor, reports) = ProcessExecutor::start_with(options);
        self.executor = Some(executor);
        self.reports = Some(reports);
        match self.report().await {
            Report::Connected(known) => known,
            other => panic!("expected Connected, got {other:?}"),
        }
    }

    pub fn disconnect(&mut self) {
        self.executor = None;
        self.reports = None;
    }

    pub async fn order(&self, order: Order) {
        self.executor.as_ref().unwrap().order(order).await.unwrap();
    }

    pub async fn report(&mut self) -> Report {
        let next = self.reports.as_mut().unwrap().recv();
        tokio::time::timeout(PATIENCE, next).await.expect("no report in time").expect("the executor has ended")
    }

    pub async fn no_report_for(&mut self, wait: Duration) {
        if let Ok(report) = tokio::time::timeout(wait, self.reports.as_mut().unwrap().recv()).await {
            panic!("unexpected {report:?}");
        }
    }

    pub async fn prepared(&mut self, launch: &Launch) -> ProcessId {
        self.order(Order::Prepare(Box::new(launch.clone()))).await;
        match self.report().await {
            Report::Prepared { key, process } if key == launch.key => process,
            other => panic!("expected Prepared, got {other:?}"),
        }
    }

    pub async fn refused(&mut self, launch: &Launch) -> StartFailure {
        self.order(Order::Prepare(Box::new(launch.clone()))).await;
        match self.report().await {
            Report::Refused { key, failure } if key == launch.key => failure,
            other => panic!("expected Refused, got {other:?}"),
        }
    }

    /// Prepares and releases, and waits until the program began.
    pub async fn started(&mut self, launch: &Launch) -> ProcessId {
        let process = self.prepared(launch).await;
        self.order(Order::Release(launch.key)).await;
        match self.report().await {
            Report::Started { key, .. } if key == launch.key => process,
            other => panic!("expected Started, got {other:?}"),
        }
    }

    pub async fn ended(&mut self, wanted: AttemptKey) -> AttemptEnd {
        loop {
            match self.report().await {
                Report::Ended { key, end } if key == wanted => return end,
                Report::Prepared { .. } | Report::Started { .. } => {}
                other => panic!("expected Ended, got {other:?}"),
            }
        }
    }

    /// From beginning to end.
    pub async fn run(&mut self, launch: &Launch) -> AttemptEnd {
        self.order(Order::Prepare(Box::new(launch.clone()))).await;
        self.order(Order::Release(launch.key)).await;
        let end = self.ended(launch.key).await;
        self.order(Order::Forget(launch.key)).await;
        end
    }

    pub async fn inspected(&mut self, launch: &Launch, process: Option<ProcessId>) -> Finding {
        let traces = Traces { key: launch.key, output: launch.output.clone(), process };
        self.order(Order::Inspect(Box::new(traces))).await;
        match self.report().await {
            Report::Inspected { key, finding } if key == launch.key => finding,
            other => panic!("expected Inspected, got {other:?}"),
        }
    }

    pub fn supervisor(&self) -> Option<i32> {
        let mut lock = self.socket().into_os_string();
        lock.push(".lock");
        std::fs::read_to_string(lock).ok()?.trim().parse().ok()
    }

    pub async fn kill_supervisor(&self) {
        let pid = self.supervisor().expect("a supervisor");
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        wait_until(|| !is_alive(pid)).await;
    }

    /// What a run wrote, by stream.
    pub fn output(&self, launch: &Launch) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for entry in OutputReader::open(&self.data().join(&launch.output)).unwrap() {
            match entry.unwrap() {
                Entry::Frame(frame) if frame.kind == FrameKind::Stdout => out.extend(frame.bytes),
                Entry::Frame(frame) if frame.kind == FrameKind::Stderr => err.extend(frame.bytes),
                _ => {}
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
    }

    pub async fn output_of(&mut self, launch: &Launch) -> String {
        self.run(launch).await;
        self.output(launch).0
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.disconnect();
        let Some(pid) = self.supervisor() else { return };
        // Only if that is still our supervisor.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let socket = self.socket().into_os_string().into_encoded_bytes();
        if command.windows(socket.len()).any(|part| part == socket) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A launch of `/bin/sh -c`, as the user of the test.
pub fn shell(script: &str) -> Launch {
    launch(&["/bin/sh", "-c", script])
}

pub fn launch(argv: &[&str]) -> Launch {
    let run = new_run();
    let key = AttemptKey { run, attempt: 1 };
    let user = User::from_uid(geteuid()).unwrap().unwrap().name;
    let env = BTreeMap::from([
        ("SLOTH_RUN_ID".to_owned(), run.to_string()),
        ("SLOTH_ATTEMPT".to_owned(), key.attempt.to_string()),
    ]);
    Launch {
        key,
        argv: argv.iter().map(|text| text.to_string()).collect(),
        user,
        group: None,
        cwd: Some("/".into()),
        env,
        umask: 0o022,
        stdin: None,
        limits: Limits::default(),
        timeout: None,
        kill_grace: Duration::from_millis(300),
        output: format!("runs/2031-03/{run}/output").into(),
        output_limit: 10 << 20,
        sandbox: Default::default(),
        journal: false,
    }
}

fn new_run() -> RunId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let random = u128::from(std::process::id()) << 64 | now.as_nanos() << 20 & 0xFFFF_FFFF_FFFF | u128::from(count);
    RunId::v7(Moment::from_micros(now.as_micros() as i64), random)
}

pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X'])
}

pub async fn wait_until(mut condition: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < until, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn is_root() -> bool {
    geteuid().is_root()
}
