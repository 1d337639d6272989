//! `run`: an errand on standard input, a run, an exit code.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sloth_api::worker::Errand;
use tokio::runtime::{Builder, Handle};
use tokio::task::LocalSet;

use crate::io::Io;
use crate::link::{Link, Opened};
use crate::log::Log;
use crate::run;

/// Longest errand, bytes.
const ERRAND_MAX: u64 = 64 << 10;

/// How often orphans are buried.
const REAP: Duration = Duration::from_secs(5);

/// Threads for blocking work.
const BLOCKING_MAX: usize = 16;

/// 0 after the last record is durable; 1: the run was given up, and slothd resumes it or not; 2: a wrong call.
pub fn serve() -> ExitCode {
    let errand = match read() {
        Ok(errand) => errand,
        Err(message) => {
            eprintln!("sloth-worker: {message}");
            return ExitCode::from(2);
        }
    };
    match carry_out(errand) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("sloth-worker: {message}");
            ExitCode::FAILURE
        }
    }
}

fn read() -> Result<Errand, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(ERRAND_MAX).read_to_string(&mut text);
    read.map_err(|error| format!("standard input: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("standard input is not an errand: {error}"))
}

fn carry_out(errand: Errand) -> Result<(), String> {
    sloth_exec::command::become_subreaper().map_err(|error| format!("subreaper: {error}"))?;
    let (link, keeper, opened) = Link::new(errand.clone());
    let io = io_thread(keeper)?;
    let opened: Opened = opened.blocking_recv().unwrap_or_else(|_| Err("the connection ended".to_owned()))?;
    let options = &opened.assignment.options;
    let log = Log::new(opened.assignment.limits.log_max, options.debug).map_err(|error| format!("log: {error}"))?;
    let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| format!("runtime: {error}"))?;
    let local = LocalSet::new();
    // Everything of the run ends with this call: the local set is dropped with what it holds.
    local.block_on(&runtime, run::execute(&errand, opened, link, io, Arc::new(log)))
}

/// Starts the thread for I/O; it ends with the process.
pub fn io_thread(keeper: impl Future<Output = ()> + Send + 'static) -> Result<Io, String> {
    let (sender, handle) = mpsc::channel::<Result<Handle, String>>();
    let body = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_MAX)
            .thread_keep_alive(Duration::from_secs(2))
            .build();
        match runtime {
            Err(error) => drop(sender.send(Err(format!("runtime: {error}")))),
            Ok(runtime) => {
                drop(sender.send(Ok(runtime.handle().clone())));
                runtime.block_on(async {
                    let reaper = async {
                        loop {
                            tokio::time::sleep(REAP).await;
                            sloth_modules::exec::reap_orphans();
                        }
                    };
                    tokio::select! {
                        () = keeper => {}
                        () = reaper => {}
                    }
                    // The run's thread learns that the link is lost, and ends the process; until then its commands live.
                    std::future::pending::<()>().await;
                });
            }
        }
    };
    thread::Builder::new().name("io".to_owned()).spawn(body).map_err(|error| format!("I/O thread: {error}"))?;
    handle.recv().map_err(|_| "I/O thread: it ended".to_owned())?.map(Io)
}
