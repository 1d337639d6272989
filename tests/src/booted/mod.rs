//! A Debian system booted with its own systemd as PID 1, in a namespace: what the package does on a real machine is seen here.
//!
//! ```no_run
//! # use sloth_tests::booted::Booted;
//! let Some(machine) = Booted::installed() else { return };
//! machine.ok(&["systemctl", "is-active", "slothd"]);
//! ```

mod ask;
mod launch;
pub mod list;
mod tree;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process;
use crate::skips::skip;
pub use launch::able;
pub use launch::{is_there, packages, rpm_package};
pub use tree::Tree;

/// How long a boot may take on a busy machine.
const BOOT: Duration = Duration::from_secs(120);

/// See the module.
pub struct Booted {
    /// Where its disk is mounted, for its own eyes; removed at the end.
    _directory: tempfile::TempDir,
    name: String,
    launcher: Child,
}

impl Booted {
    /// A booted system without slothd. `None`: it cannot be had here, and that was said loudly.
    pub fn boot(tree: Tree) -> Option<Booted> {
        let test = std::thread::current().name().unwrap_or("booted system").to_owned();
        match launch::able().and_then(|()| tree.directory()) {
            Ok(tree) => Some(Booted::of(&tree)),
            Err(reason) => {
                skip(&test, &reason);
                None
            }
        }
    }

    /// A booted system in which the package of this build was installed.
    pub fn installed() -> Option<Booted> {
        Booted::installed_on(Tree::Plain)
    }

    /// The same on another tree.
    pub fn installed_on(tree: Tree) -> Option<Booted> {
        let package = match packages() {
            Ok(packages) => packages.current,
            Err(reason) => {
                skip(std::thread::current().name().unwrap_or("booted system"), &reason);
                return None;
            }
        };
        let machine = Booted::boot(tree)?;
        machine.install(&package);
        Some(machine)
    }

    fn of(tree: &Path) -> Booted {
        let directory = tempfile::Builder::new().prefix("sloth-booted-").tempdir().expect("a temporary directory");
        let name: String =
            directory.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "x").to_lowercase();
        let log = std::fs::File::create(std::env::temp_dir().join(format!("{name}.console"))).expect("a log");
        // Dies with this thread, and with it the first process of its namespace and so all that is inside: a test that is killed
        // leaves no machine behind.
        let launcher = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc", "sh", "-c"])
            .arg(include_str!("boot.sh"))
            .arg("boot.sh")
            .arg(directory.path())
            .arg(tree)
            .arg(&name)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("setpriv(1) can be started");
        let mut machine = Booted { _directory: directory, name, launcher };
        machine.wait_booted();
        machine
    }

    /// Waits until systemd has nothing more to start.
    fn wait_booted(&mut self) {
        let up = process::holds_within(BOOT, || {
            assert!(self.launcher.try_wait().ok().flatten().is_none(), "the machine did not boot:\n{}", self.console());
            let Some(output) = self.try_run(&["systemctl", "is-system-running"]) else { return false };
            matches!(String::from_utf8_lossy(&output.stdout).trim(), "running" | "degraded")
        });
        assert!(up, "the machine was not up within {BOOT:?}:\n{}", self.console());
    }

    /// What the machine printed.
    fn console(&self) -> String {
        let text = std::fs::read(self.console_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn console_path(&self) -> PathBuf {
        std::env::temp_dir().join(format!("{}.console", self.name))
    }

    /// PID 1 of the machine, as a process of the host.
    pub fn leader(&self) -> Option<i32> {
        let launcher = self.launcher.id() as i32;
        children(launcher).into_iter().flat_map(children).flat_map(children).find(|pid| is_first(*pid))
    }

    /// A path inside as a path of the host.
    #[track_caller]
    pub fn path(&self, inside: &str) -> PathBuf {
        let leader = self.leader().expect("the machine runs");
        PathBuf::from(format!("/proc/{leader}/root")).join(inside.trim_start_matches('/'))
    }

    /// Turns it off and on again; memory and `/run` are lost, the disk stays.
    pub fn reboot(&mut self) {
        let before = self.leader();
        // The answer may be cut off by what it asks for.
        let _ = self.try_run(&["systemctl", "reboot"]);
        process::wait_for("the machine goes down", || self.leader() != before);
        self.wait_booted();
    }

    /// As if the power had failed: nothing inside hears of it.
    pub fn crash(&mut self) {
        let before = self.leader();
        // Inside, SIGINT to PID 1 would be a wish; `reboot -ff` asks the kernel at once.
        let _ = self.try_run(&["systemctl", "reboot", "--force", "--force"]);
        process::wait_for("the machine goes down", || self.leader() != before);
        self.wait_booted();
    }
}

/// Of the first thread: launcher and nspawn have no other.
fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether it is PID 1 of the machine: its numbers are ours, that of the launcher's namespace, and 1 (`NSpid`, proc_pid_status(5)).
fn is_first(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("NSpid:")).unwrap_or_default();
    let numbers: Vec<&str> = line.split_whitespace().skip(1).collect();
    numbers.len() > 2 && numbers.last() == Some(&"1")
}

impl Drop for Booted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run(&["journalctl", "-b", "--no-pager", "-n", "60"]);
            let journal =
                journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            eprintln!("--- the end of the journal\n{journal}\n--- the console\n{}", self.console());
        }
        // Everything else is below the launcher.
        let leader = self.leader();
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
        if let Some(leader) = leader {
            process::holds_within(Duration::from_secs(10), || !process::is_alive(leader));
        }
        let _ = std::fs::remove_file(self.console_path());
        launch::remove_cgroups(&self.name);
    }
}
