//! What slothd hands to the main process of a unit: one JSON text in a sealed file of memory, as standard input of the unit.
//!
//! Not in the properties of the unit, because every user of the machine may read those (`systemctl show`), because they expand
//! `$` and are bounded in length, and because PID 1 need not carry what only the job needs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek};
use serde::{Deserialize, Serialize};
use sloth_core::launch::Launch;

use crate::account::Account;
use crate::wire::LaunchItem;

/// Version of the text. An update may replace the program between `Prepare` and the start.
const VERSION: u32 = 1;
/// Longest text in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// The order.
#[derive(Debug, Serialize, Deserialize)]
pub struct AttemptOrder {
    version: u32,
    /// What to run.
    pub launch: LaunchItem,
    /// Home directory of its user.
    pub home: PathBuf,
    /// Login shell of its user.
    pub shell: PathBuf,
    /// Whether the manager counts the packets of the unit, so that it is worth asking.
    #[serde(default)]
    pub ip_accounting: bool,
}

impl AttemptOrder {
    /// For an account that was looked up outside, where the sandbox of the unit hides nothing.
    pub fn new(launch: Launch, account: &Account, ip_accounting: bool) -> AttemptOrder {
        AttemptOrder {
            version: VERSION,
            launch: LaunchItem(launch),
            home: account.home.clone(),
            shell: account.shell.clone(),
            ip_accounting,
        }
    }

    /// Writes it.
    pub fn seal(&self) -> io::Result<OwnedFd> {
        let memory = memfd_create(c"sloth-order", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(memory);
        file.write_all(&serde_json::to_vec(self)?)?;
        lseek(&file, 0, Whence::SeekSet)?;
        let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(file.into())
    }

    /// Reads it.
    pub fn read(from: impl Read) -> Result<AttemptOrder, String> {
        let mut text = Vec::new();
        from.take(BYTES_MAX).read_to_end(&mut text).map_err(|error| format!("the order cannot be read: {error}"))?;
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head =
            serde_json::from_slice(&text).map_err(|error| format!("standard input is no order: {error}"))?;
        if head.version != VERSION {
            return Err(format!("the order has version {}, this program reads {VERSION}", head.version));
        }
        serde_json::from_slice(&text).map_err(|error| format!("the order cannot be understood: {error}"))
    }
}
