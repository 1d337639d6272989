//! `run --standalone`: a private slothd lives for this command, below `--root DIR` or a temporary directory that goes with it.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::globals::Globals;
use crate::failure::Failure;

/// How long its start may take.
const START: Duration = Duration::from_secs(60);

/// How long its stop may take before it is killed; what it knows is on disk at any moment.
const STOP: Duration = Duration::from_secs(30);

/// The daemon and what it lives in.
pub(crate) struct Private {
    root: PathBuf,
    /// None: one was there already, and stays.
    daemon: Option<Child>,
    /// Removed at the end.
    temporary: Option<PathBuf>,
}

/// Starts it, or takes the one that lives below `--root` already.
pub(crate) async fn start(globals: &Globals) -> Result<Private, Failure> {
    if globals.socket.is_some() || globals.context.is_some() || globals.host.is_some() {
        return Err(Failure::usage(
            "--standalone has a daemon of its own; name its directory with --root DIR, or nothing",
        ));
    }
    let (root, temporary) = match &globals.root {
        Some(root) => (PathBuf::from(root), None),
        None => {
            let directory = temporary_directory()?;
            (directory.join("root"), Some(directory))
        }
    };
    let socket = root.join("slothd.sock");
    let mut private = Private { root, daemon: None, temporary };
    if UnixStream::connect(&socket).is_ok() {
        return Ok(private);
    }
    let started = launch(&private.root)?;
    let daemon = private.daemon.insert(started);
    match ready(daemon, &socket).await {
        Ok(()) => Ok(private),
        Err(failure) => {
            private.stop().await;
            Err(failure)
        }
    }
}

impl Private {
    /// Globals that mean this daemon.
    pub(crate) fn globals(&self, globals: Globals) -> Globals {
        Globals { root: Some(self.root.display().to_string()), ..globals }
    }

    /// Ends it in good order and takes its directory away.
    pub(crate) async fn stop(mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // Only a program can send TERM here; without it KILL does, and nothing is lost by that.
            let told = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).stderr(Stdio::null()).status();
            let until = Instant::now() + STOP;
            let told = told.is_ok_and(|status| status.success());
            while told && Instant::now() < until && matches!(daemon.try_wait(), Ok(None)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let _ = daemon.kill(); // it has ended already, most often
            let _ = daemon.wait();
        }
        if let Some(directory) = self.temporary.take() {
            let _ = std::fs::remove_dir_all(directory); // a temporary directory that stays harms nobody
        }
    }
}

fn launch(root: &Path) -> Result<Child, Failure> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|dir| dir.join("slothd")).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from("slothd"));
    let mut command = Command::new(&program);
    command.arg("--root").arg(root).env("SLOTHD_LOG__TARGET", "stderr").env("SLOTHD_LOG__LEVEL", "warn");
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Ctrl-C of the terminal is meant for the run, not for its daemon.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(|error| {
        Failure::failed(format!("--standalone: {}: {error}", program.display())).hint("install slothd beside slothctl")
    })
}

async fn ready(daemon: &mut Child, socket: &Path) -> Result<(), Failure> {
    let until = Instant::now() + START;
    loop {
        if UnixStream::connect(socket).is_ok() {
            pass_on(daemon);
            return Ok(());
        }
        let ended = daemon.try_wait()?;
        if let Some(status) = ended {
            let mut said = String::new();
            if let Some(stderr) = daemon.stderr.as_mut() {
                let _ = stderr.take(64 << 10).read_to_string(&mut said); // what can be read is shown
            }
            return Err(Failure::failed(format!("the private slothd ended at once ({status}): {}", said.trim())));
        }
        if Instant::now() >= until {
            return Err(Failure::timed_out("the private slothd did not become ready"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What it says later goes to standard error; a pipe that nobody empties would hold it up.
fn pass_on(daemon: &mut Child) {
    if let Some(mut stderr) = daemon.stderr.take() {
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
    }
}

fn temporary_directory() -> Result<PathBuf, Failure> {
    let directory = std::env::temp_dir().join(format!("slothctl-{}", crate::commands::runs::random_key()?));
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory).map_err(|error| Failure::failed(format!("{}: {error}", directory.display())))?;
    Ok(directory)
}
