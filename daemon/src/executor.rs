//! Which executor starts the processes of runs: units of the service manager where there is one and it lets us, else a supervisor of
//! our own. Decided once, at the start, because a running attempt belongs to the executor that started it.

use std::path::Path;

use nix::unistd::geteuid;
use sloth_core::launch::Report;
use sloth_exec::{
    CallError, Capabilities, Executor, Manager, ProcessExecutor, SystemdExecutor, SystemdOptions, may_start_units,
    systemd_capabilities,
};
use tokio::sync::mpsc;

use crate::arguments::{Arguments, ExecutorChoice};
use crate::places::Places;
use crate::setup;

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What it can enforce here.
    pub capabilities: Capabilities,
    /// Why it is not the one that should have been, for people.
    pub instead: Option<String>,
    manager: Option<Manager>,
}

/// Why there is none.
#[derive(Debug)]
pub enum Unusable {
    /// Somebody has to change something first.
    Config(String),
    /// It may work at the next start.
    Failed(String),
}

impl Chosen {
    fn process(instead: Option<String>) -> Chosen {
        Chosen { capabilities: sloth_exec::capabilities(), instead, manager: None }
    }

    fn systemd(manager: Manager) -> Chosen {
        Chosen { capabilities: systemd_capabilities(manager), instead: None, manager: Some(manager) }
    }

    /// Without asking systemd: what these arguments would most likely lead to.
    pub fn likely(arguments: &Arguments, places: &Places) -> Chosen {
        match candidate(arguments, places) {
            Some(manager) => Chosen::systemd(manager),
            None => Chosen::process(None),
        }
    }

    /// Asks systemd.
    pub async fn new(arguments: &Arguments, places: &Places) -> Result<Chosen, Unusable> {
        let Some(manager) = candidate(arguments, places) else {
            return Ok(Chosen::process(None));
        };
        let is_forced = arguments.executor == ExecutorChoice::Systemd;
        match may_start_units(manager).await {
            Ok(()) => Ok(Chosen::systemd(manager)),
            Err(error @ CallError::Denied(_)) if is_forced => {
                let remedy = match manager {
                    Manager::System => {
                        "run slothd as root, or allow org.freedesktop.systemd1.manage-units for its user"
                    }
                    Manager::User => "run slothd as the user of that systemd",
                };
                Err(Unusable::Config(format!("--executor systemd: {error}; {remedy}, or use --executor auto")))
            }
            Err(error) if is_forced => {
                let what = "is the host booted with systemd, and does it answer `systemctl status`?";
                Err(Unusable::Failed(format!("--executor systemd: {error}; {what}")))
            }
            Err(CallError::Denied(why)) => {
                Ok(Chosen::process(Some(format!("systemd does not let this daemon start units: {why}"))))
            }
            // The system's manager is there for sure and comes back; to choose another executor now would lose what it runs.
            Err(error) if manager == Manager::System => {
                tracing::warn!("systemd does not answer yet: {error}");
                Ok(Chosen::systemd(manager))
            }
            Err(error) => Ok(Chosen::process(Some(format!("the user's systemd cannot be reached: {error}")))),
        }
    }

    /// Starts it.
    pub fn start(&self, places: &Places) -> (Executor, mpsc::Receiver<Report>) {
        let (data, program) = (places.data.clone(), setup::exec_program());
        match self.manager {
            Some(manager) => {
                let (executor, reports) = SystemdExecutor::start(SystemdOptions { data, program, manager });
                (Executor::Systemd(executor), reports)
            }
            None => {
                let (executor, reports) = ProcessExecutor::start(data, places.exec_socket.clone(), program);
                (Executor::Process(executor), reports)
            }
        }
    }

    /// For the log and the status.
    pub fn describe(&self) -> String {
        let word = self.capabilities.executor.word();
        self.instead.as_ref().map_or(word.to_owned(), |why| format!("{word} ({why})"))
    }
}

/// The service manager that is wanted, if any.
fn candidate(arguments: &Arguments, places: &Places) -> Option<Manager> {
    let is_booted = Path::new("/run/systemd/system").is_dir();
    let manager = if places.system || geteuid().is_root() && !arguments.user { Manager::System } else { Manager::User };
    match arguments.executor {
        ExecutorChoice::Process => None,
        ExecutorChoice::Systemd => Some(manager),
        // A private instance is for tests and trials, which leave nothing behind.
        ExecutorChoice::Auto => (is_booted && arguments.root.is_none()).then_some(manager),
    }
}
