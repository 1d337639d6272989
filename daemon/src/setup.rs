//! What has to be there before the daemon can serve: directories, the socket, the state of the store, the supervisor's program.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Group, chown};
use sloth_core::Moment;
use sloth_core::machine::Recovered;
use sloth_store::{Store, StoreError};
use tokio::net::UnixListener;

use crate::clock;
use crate::places::Places;
use crate::settings::Settings;

/// After so long the clock of a booted host counts as right, synchronised or not.
const CLOCK_TRUSTED: Duration = Duration::from_secs(90);

/// Makes a directory that only we may enter, and its parents.
pub fn private_dir(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Binds the socket. Whoever calls holds the lock of the database, so a socket that is there belongs to nobody.
pub fn bind(places: &Places, settings: &Settings) -> Result<(UnixListener, PathBuf), String> {
    let path = settings.socket_path.clone().unwrap_or_else(|| places.socket.clone());
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{}: {what}: {error}", path.display());
    if let Some(parent) = path.parent() {
        let mode = if places.system { 0o755 } else { 0o700 };
        private_dir(parent, mode).map_err(|error| failed("cannot make its directory", &error))?;
    }
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.file_type().is_socket() => {
            fs::remove_file(&path).map_err(|error| failed("cannot remove the old socket", &error))?;
        }
        Ok(_) => return Err(format!("{}: is there and no socket; remove it", path.display())),
        Err(_) => {}
    }
    // Made under another name with the right owner and mode, then renamed: at no moment may somebody else connect.
    let fresh = path.with_extension("sock.new");
    let _ = fs::remove_file(&fresh);
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(&fresh);
    nix::sys::stat::umask(old);
    let listener = bound.map_err(|error| failed("cannot bind", &error))?;
    if let Some(group) = socket_group(places, settings)? {
        chown(&fresh, None, Some(group.gid)).map_err(|error| failed("cannot set its group", &error))?;
    }
    let mode = settings.socket_mode.unwrap_or(if places.system { 0o660 } else { 0o600 });
    fs::set_permissions(&fresh, Permissions::from_mode(mode)).map_err(|error| failed("cannot set its mode", &error))?;
    fs::rename(&fresh, &path).map_err(|error| failed("cannot rename", &error))?;
    Ok((listener, path))
}

fn socket_group(places: &Places, settings: &Settings) -> Result<Option<Group>, String> {
    let find = |name: &str| Group::from_name(name).ok().flatten();
    match &settings.socket_group {
        Some(name) => find(name).map(Some).ok_or_else(|| format!("socket.group: there is no group {name:?}")),
        None if places.system => Ok(find("sloth")),
        None => Ok(None),
    }
}

/// The supervisor's program: beside this one, or where packages put it.
pub fn exec_program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("sloth-exec")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "/usr/libexec/slothd/sloth-exec".into())
}

/// `/proc/sys/kernel/random/boot_id`.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
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

/// When the host booted.
pub fn booted_at() -> Moment {
    clock::now() - clock::uptime()
}

/// Name of the host.
pub fn hostname() -> Arc<str> {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
        .into()
}
