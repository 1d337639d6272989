//! A private slothd below a temporary directory: started, asked, killed, and cleared away with everything that it started.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::interrupt;

/// A debug build on a busy machine may need so long.
const READY: Duration = Duration::from_secs(30);
/// How long something may take to end before it is killed.
const END: Duration = Duration::from_secs(5);

/// See the module.
pub struct Instance {
    /// Where slothd, slothctl and sloth-exec are.
    pub programs: PathBuf,
    /// Everything of this instance.
    pub root: PathBuf,
    daemon: Option<Child>,
    /// Stays when this goes.
    pub is_kept: bool,
}

impl Instance {
    /// An empty directory; nothing runs yet.
    pub fn new(programs: PathBuf, purpose: &str) -> Result<Instance> {
        let root = std::env::temp_dir().join(format!("slothd-{purpose}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Instance { programs, root, daemon: None, is_kept: false })
    }

    /// Starts slothd and waits until it answers; returns how long that took.
    pub fn start(&mut self) -> Result<Duration> {
        let log = self.root.join("slothd.log");
        let log = File::options().append(true).create(true).open(&log).context("cannot write the log of slothd")?;
        let began = Instant::now();
        let child = Command::new(self.programs.join("slothd"))
            .arg("--root")
            .arg(&self.root)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot write the log of slothd")?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start slothd")?;
        self.daemon = Some(child);
        let socket = self.root.join("slothd.sock");
        loop {
            interrupt::check()?;
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return Ok(began.elapsed());
            }
            if let Some(status) = self.daemon.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("slothd ended at its start ({status}):\n{}", self.log_tail());
            }
            if began.elapsed() > READY {
                bail!("slothd does not answer after {READY:?}:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The process of slothd.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// Kills slothd where it stands.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.daemon.take().context("slothd does not run")?;
        child.kill().context("cannot kill slothd")?;
        child.wait().context("cannot wait for slothd")?;
        Ok(())
    }

    /// Stops slothd in good order.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.daemon.take() else { return Ok(()) };
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        let begin = Instant::now();
        while child.try_wait().context("cannot wait for slothd")?.is_none() {
            if begin.elapsed() > END {
                child.kill().context("cannot kill slothd")?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// slothctl for this instance.
    pub fn ctl(&self) -> Command {
        let mut command = Command::new(self.programs.join("slothctl"));
        command.env("SLOTHD_ROOT", &self.root).env_remove("SLOTHD_SOCKET").stdin(Stdio::null());
        command
    }

    /// What slothctl answers in JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.ctl().args(arguments).args(["-o", "json"]).output().context("cannot run slothctl")?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            format!("slothctl {}: {} {stderr}", arguments.join(" "), output.status)
        })
    }

    /// The supervisor, while it lives.
    pub fn supervisor(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.root.join("exec.sock.lock")).ok()?.trim().parse().ok()?;
        is_alive(pid).then_some(pid)
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.root.join("slothd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Ends everything that belongs to this instance and removes its directory.
    fn clear(&mut self) {
        // With no order: whatever fails here, the rest has still to go.
        let _ = self.stop();
        if let Some(supervisor) = self.supervisor() {
            let jobs = descendants(supervisor);
            for pid in &jobs {
                let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(supervisor as i32), Signal::SIGTERM);
            let begin = Instant::now();
            while is_alive(supervisor) && begin.elapsed() < END {
                std::thread::sleep(Duration::from_millis(5));
            }
            if is_alive(supervisor) {
                let _ = kill(Pid::from_raw(supervisor as i32), Signal::SIGKILL);
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if !self.is_kept {
            self.clear();
        }
    }
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in brackets, proc_pid_stat(5).
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// All processes below one.
fn descendants(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(Path::new("/proc").join(format!("{pid}/task/{pid}/children"))).unwrap_or_default();
    let children: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let deeper: Vec<u32> = children.iter().flat_map(|child| descendants(*child)).collect();
    children.into_iter().chain(deeper).collect()
}
