//! The children that somebody waits for. Whoever else comes back to this process, as it is the subreaper, is an orphan whose
//! parent is gone, and is buried here.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use sloth_exec::command;
use tokio::process::{Child, Command};

static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts one. It is known before it can be taken for an orphan.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    own.extend(child.id());
    Ok(child)
}

/// One has been waited for.
pub fn forget(pid: u32) {
    OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
}

/// Buries dead orphans. Called by the worker from time to time, and after the processes of a command were ended. Returns how
/// many there were.
pub fn reap_orphans() -> usize {
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    command::reap_orphans(|pid| own.contains(&pid))
}
