//! What has to be there before the daemon can serve: directories, the state of the store, the supervisor's program.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sloth_core::machine::Recovered;
use sloth_store::{Store, StoreError};

use crate::clock;

/// After so long the clock of a booted host counts as right, synchronised or not.
const CLOCK_TRUSTED: Duration = Duration::from_secs(90);

/// Makes a directory that only we may enter, and its parents.
pub fn private_dir(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// The supervisor's program: beside this one, or where packages put it.
pub fn exec_program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("sloth-exec")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "/usr/libexec/slothd/sloth-exec".into())
}

/// What the store holds, for the engine to go on with.
pub fn recovered(store: &Store, boot_id: &str) -> Result<Recovered, StoreError> {
    let unfinished = store.unfinished_runs()?;
    for (run, problem) in &unfinished.broken {
        tracing::error!(SLOTH_RUN = %run.id, %problem, "an unfinished run cannot be continued");
    }
    let mut deleted = Vec::new();
    for id in unfinished.items.iter().map(|open| open.run.schedule).collect::<BTreeSet<_>>() {
        if store.deleted_at(id)?.is_some() {
            deleted.push(id);
        }
    }
    let uptime = clock::uptime();
    let unsure = uptime < CLOCK_TRUSTED && sloth_exec::clock_is_synchronised() == Some(false);
    Ok(Recovered {
        epochs: store.clock_epochs()?,
        open_runs: unfinished.items,
        deleted,
        followers: store.schedules_with_after()?.items,
        reboots: store.reboot_schedules(boot_id)?.items,
        quiesced: store.meta("quiesced")?,
        highest_mark: store.highest_mark()?,
        catch_up_not_before: unsure.then(|| clock::now() + (CLOCK_TRUSTED - uptime)),
    })
}

/// Name of the host.
pub fn hostname() -> Arc<str> {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
        .into()
}
