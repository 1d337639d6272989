//! One private instance: slothd below a temporary directory, and everything that it started ends with it.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::{Reply, Request};
use crate::paths::program;
use crate::process;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// See the module.
pub struct Instance {
    directory: tempfile::TempDir,
    root: PathBuf,
    socket: PathBuf,
    child: Option<Child>,
    notices: UnixDatagram,
    /// Further variables for slothd.
    pub env: Vec<(String, String)>,
}

impl Instance {
    /// A running instance with the default settings.
    pub fn start() -> Instance {
        let mut instance = Instance::prepare();
        instance.up();
        instance
    }

    /// A directory without a daemon.
    pub fn prepare() -> Instance {
        let directory = tempfile::Builder::new().prefix("sloth-").tempdir().expect("a temporary directory");
        let root = directory.path().join("root");
        Instance::at(directory, root)
    }

    /// A daemon whose root is somewhere else, such as a small file system.
    pub fn at(directory: tempfile::TempDir, root: PathBuf) -> Instance {
        let notices = UnixDatagram::bind(directory.path().join("notify.sock")).expect("a socket for notices");
        notices.set_nonblocking(true).expect("a socket that does not block");
        let socket = root.join("slothd.sock");
        Instance { directory, root, socket, child: None, notices, env: Vec::new() }
    }

    /// Writes `slothd.toml` for the next start or reload.
    pub fn config(&self, text: &str) {
        self.make_root();
        fs::write(self.root.join("slothd.toml"), text).expect("writable");
    }

    /// Makes the root as slothd would.
    pub fn make_root(&self) {
        if !self.root.exists() {
            fs::create_dir(&self.root).expect("writable");
            fs::set_permissions(&self.root, Permissions::from_mode(0o700)).expect("ours");
        }
    }

    /// Lets everybody reach the socket: it moves beside the root, which stays closed.
    pub fn open_to_all(&mut self) {
        let public = self.dir().join("public");
        fs::create_dir(&public).expect("writable");
        fs::set_permissions(self.dir(), Permissions::from_mode(0o755)).expect("ours");
        fs::set_permissions(&public, Permissions::from_mode(0o755)).expect("ours");
        for name in ["sloth-ask", "sloth-mark", "slothctl"] {
            fs::copy(program(name), public.join(name)).expect("copied");
        }
        self.socket = public.join("slothd.sock");
        self.config(&format!("[socket]\nmode = \"0666\"\npath = {:?}\n", self.socket.display().to_string()));
    }

    /// The temporary directory.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The root of the instance.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The socket of the daemon.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A command of slothd with this root.
    pub fn slothd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("slothd"));
        command.arg("--root").arg(&self.root).args(arguments).stdin(Stdio::null());
        command.env_remove("SLOTHD_ROOT").envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts slothd without waiting for it.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        while self.notice().is_some() {}
        let log = File::options().append(true).create(true).open(self.log_path()).expect("a log");
        // A hostile umask: what slothd creates must be private by itself.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask 000; exec \"$0\" --root \"$1\""]).arg(program("slothd")).arg(&self.root);
        command.stdin(Stdio::null()).env_remove("SLOTHD_ROOT").envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .env("NOTIFY_SOCKET", self.dir().join("notify.sock"))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.child = Some(command.spawn().expect("slothd can be started"));
    }

    /// Starts slothd and waits until it is ready.
    pub fn up(&mut self) {
        self.spawn();
        assert!(self.is_ready_within(START), "slothd was not ready within {START:?}:\n{}", self.log());
    }

    /// Whether it says in time that it is ready. False at once when it ends.
    pub fn is_ready_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            while let Some(notice) = self.notice() {
                if notice.lines().any(|line| line == "READY=1") {
                    return true;
                }
            }
            if self.ended().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        false
    }

    /// The next word to systemd, if there is one.
    pub fn notice(&self) -> Option<String> {
        let mut buffer = [0; 8192];
        let length = self.notices.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// How slothd ended, when it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// The process number of slothd.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.id() as i32)
    }

    /// Kills slothd and nothing else.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops slothd in good order; its exit code.
    pub fn term(&mut self) -> Option<i32> {
        process::signal(self.pid(), Signal::SIGTERM);
        self.wait()
    }

    /// Waits for the end of slothd; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let ended = process::holds_within(START, || self.ended().is_some());
        assert!(ended, "slothd did not end:\n{}", self.log());
        self.child.take().and_then(|mut child| child.wait().ok()).and_then(|status| status.code())
    }

    /// Kills slothd and starts it again.
    pub fn restart(&mut self) {
        self.kill9();
        self.up();
    }

    /// Starts slothd where it must refuse; exit code and what it said.
    pub fn refused(&self) -> (Option<i32>, String) {
        let output = self.slothd(&[]).env("SLOTHD_LOG__TARGET", "stderr").output().expect("slothd can be started");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The supervisor, when it runs.
    pub fn supervisor(&self) -> Option<i32> {
        let pid = fs::read_to_string(self.root.join("exec.sock.lock")).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&*self.root.to_string_lossy());
        (ours && process::is_alive(pid)).then_some(pid)
    }

    /// Kills the supervisor; its number.
    pub fn kill_supervisor(&self) -> Option<i32> {
        let pid = self.supervisor()?;
        process::signal(pid, Signal::SIGKILL);
        process::holds_within(Duration::from_secs(5), || !process::is_alive(pid));
        Some(pid)
    }

    /// Runs slothctl.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        self.ctl_command(arguments).output().expect("slothctl can be started")
    }

    /// A command of slothctl for this instance.
    pub fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("slothctl"));
        command.arg("--socket").arg(&self.socket).args(arguments).stdin(Stdio::null());
        command.env_remove("SLOTHD_ROOT").env("NO_COLOR", "1").env("HOME", self.dir());
        command
    }

    /// Runs slothctl, which must succeed; what it printed.
    #[track_caller]
    pub fn ctl_ok(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "slothctl {arguments:?}: {:?}\n{out}{err}", output.status.code());
        out
    }

    /// One request; status and JSON.
    #[track_caller]
    pub fn http(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let reply = self.send(&Request::new(method, path).json(&body));
        (reply.status, reply.json())
    }

    /// One request that must be answered.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Reply {
        match request.send(&self.socket) {
            Ok(reply) => reply,
            Err(error) => panic!("{} {}: no answer: {error}", request.method, request.target),
        }
    }

    /// One request that must succeed.
    #[track_caller]
    pub fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.http(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {json}");
        json
    }

    /// Requests of another user, in order; each answer as status (0: none) and content.
    #[track_caller]
    pub fn as_user(&self, uid: u32, asked: &[(&str, String, Value)]) -> Vec<(u16, Value)> {
        let ask = self.dir().join("public/sloth-ask");
        let mut command = Command::new(if ask.exists() { ask } else { program("sloth-ask") });
        command.arg(&self.socket).uid(uid).gid(uid).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sloth-ask can be started");
        let mut input = child.stdin.take().expect("piped");
        let text: String =
            asked.iter().map(|(method, path, body)| format!("{}\n", json!([method, path, body]))).collect();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().expect("sloth-ask ends");
        writer.join().expect("no panic").expect("sloth-ask reads");
        let answers: Vec<(u16, Value)> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str::<(Option<u16>, Value)>(line).expect("JSON"))
            .map(|(status, body)| (status.unwrap_or(0), body))
            .collect();
        assert_eq!(answers.len(), asked.len(), "sloth-ask answered not everything");
        answers
    }

    /// Rows of a query on the database.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let reply = self.ok("POST", "/db/query", json!({ "sql": sql }));
        assert_eq!(reply["truncated"], false, "{sql}: more rows than one answer holds");
        serde_json::from_value(reply["rows"].clone()).expect("rows")
    }

    /// The first value of a query.
    #[track_caller]
    pub fn value(&self, sql: &str) -> Value {
        self.rows(sql).first().and_then(|row| row.first()).cloned().unwrap_or(Value::Null)
    }

    /// Adds a schedule; what the daemon answered.
    #[track_caller]
    pub fn add(&self, name: &str, spec: Value) -> Value {
        let mut body = spec;
        body["name"] = json!(name);
        self.ok("POST", "/schedules", body)
    }

    /// Adds a schedule that runs by hand.
    #[track_caller]
    pub fn add_shell(&self, name: &str, text: &str) -> Value {
        self.add(name, json!({ "trigger": "manual", "shell": text }))
    }

    /// Starts a run; its id.
    #[track_caller]
    pub fn trigger(&self, name: &str) -> String {
        let reply = self.ok("POST", &format!("/schedules/{name}/trigger"), json!({}));
        reply["run_id"].as_str().unwrap_or_default().to_owned()
    }

    /// A run when it has ended.
    #[track_caller]
    pub fn finished(&self, run: &str) -> Value {
        let view = self.ok("GET", &format!("/runs/{run}?wait=25s"), Value::Null);
        assert!(!view["ended_at"].is_null(), "run {run} did not end: {view}");
        view
    }

    /// A run in this state.
    #[track_caller]
    pub fn reaches(&self, run: &str, status: &str) -> Value {
        let mut view = Value::Null;
        process::wait_for(&format!("run {run} {status}"), || {
            view = self.ok("GET", &format!("/runs/{run}"), Value::Null);
            view["status"] == status
        });
        view
    }

    /// Triggers a schedule and waits for the end.
    #[track_caller]
    pub fn run(&self, name: &str) -> Value {
        self.finished(&self.trigger(name))
    }

    /// What a run wrote to a stream.
    #[track_caller]
    pub fn output(&self, run: &str, stream: &str) -> String {
        let (mut text, mut offset) = (String::new(), 0);
        loop {
            let page = self.ok("GET", &format!("/runs/{run}/logs?stream={stream}&offset={offset}"), Value::Null);
            for chunk in page["chunks"].as_array().into_iter().flatten() {
                text.push_str(chunk["text"].as_str().unwrap_or_default());
            }
            offset = page["next_offset"].as_u64().unwrap_or(0);
            if page["chunks"].as_array().is_none_or(Vec::is_empty) {
                return text;
            }
        }
    }

    /// Where slothd logs.
    pub fn log_path(&self) -> PathBuf {
        self.dir().join("slothd.log")
    }

    /// What slothd logged.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Ends everything of this instance.
    pub fn end(&mut self) {
        self.kill9();
        let mut left = Vec::new();
        if let Some(pid) = self.supervisor() {
            left = process::descendants(pid);
            left.push(pid);
        }
        for pid in left {
            process::signal(pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the last lines of slothd\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// What a program printed.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
