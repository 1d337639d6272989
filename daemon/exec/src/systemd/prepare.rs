//! What can be checked before a start: the account, the limits, the output file. Directory and program are for the main process of
//! the unit to try, as the run's user and inside its sandbox: slothd itself may not even see them (`ProtectHome=`).

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use sloth_core::Sandbox;
use sloth_core::launch::Launch;
use sloth_core::run::{StartFailure, StartFailureKind};

use crate::account::{Account, Accounts};
use crate::fail;
use crate::inspect::Frames;
use crate::limits::Capabilities;
use crate::output_place::open_output;

/// An attempt that is checked and not started.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) launch: Launch,
    pub(super) account: Account,
    pub(super) output: File,
}

/// What the checks found.
#[derive(Debug)]
pub(super) enum Prepared {
    /// All is well.
    Held(Box<Held>),
    /// It began before: either its unit is there, or it is a mistake.
    Began,
    /// It cannot be started.
    Refused(StartFailure),
}

/// Checks; blocks.
pub(super) fn prepare(
    data: &Path,
    capabilities: &Capabilities,
    accounts: &Mutex<Accounts>,
    launch: Launch,
) -> Prepared {
    // What is damaged, foreign or newer is told by name when it is opened for writing.
    if Frames::read(data, &launch.output, launch.key.attempt).is_ok_and(|frames| frames.start.is_some()) {
        return Prepared::Began;
    }
    match try_prepare(data, capabilities, accounts, launch) {
        Ok(held) => Prepared::Held(Box::new(held)),
        Err(failure) => Prepared::Refused(failure),
    }
}

fn try_prepare(
    data: &Path,
    capabilities: &Capabilities,
    accounts: &Mutex<Accounts>,
    launch: Launch,
) -> Result<Held, StartFailure> {
    if let Some(refusal) = capabilities.refuse(&launch.limits) {
        return Err(fail(StartFailureKind::Limit, refusal));
    }
    if launch.sandbox != Sandbox::None && !capabilities.sandbox {
        let why = "a per-user systemd cannot enforce a sandbox".to_owned();
        return Err(fail(StartFailureKind::Other, why));
    }
    let account = {
        let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.find(&launch.user, launch.group.as_deref())?
    };
    let directory = open(data, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| fail(StartFailureKind::Output, format!("data directory {}: {errno}", data.display())))?;
    let output = open_output(&directory, &launch.output)?;
    Ok(Held { launch, account, output })
}
