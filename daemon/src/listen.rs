//! The sockets of the door: those that systemd passed (slothd.socket), else one of our own.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use nix::unistd::{Group, chown};
use tokio::net::UnixListener;

use crate::notify;
use crate::places::Places;
use crate::settings::Settings;
use crate::setup::private_dir;

/// Descriptors that systemd passed, with their names. Those of sockets stay open under their numbers, because a restored daemon is
/// this process after exec(2).
static PASSED: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// Takes over what systemd passed. First of all at the start: only now it is sure that nothing else was opened under these numbers.
pub fn adopt() -> Result<(), String> {
    let failed = |error: io::Error| format!("sockets passed by systemd cannot be taken: {error}");
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, name) in sd_notify::listen_fds_with_names().map_err(failed)? {
        passed.push((name, sloth_exec::take_passed(number).map_err(failed)?));
    }
    Ok(())
}

/// What the door listens on.
pub struct Listening {
    /// Bound sockets.
    pub listeners: Vec<UnixListener>,
    /// Where the first one is.
    pub path: PathBuf,
    /// Whether we made it, and so remove it. A socket of systemd stays: the next caller starts the daemon again.
    pub own: bool,
}

/// The sockets to serve. Whoever calls holds the lock of the database and is inside the runtime.
pub fn listen(places: &Places, settings: &Settings) -> Result<Listening, String> {
    let path = settings.socket_path.clone().unwrap_or_else(|| places.socket.clone());
    let passed = doors()?;
    if passed.is_empty() {
        let listener = bind(places, settings, &path)?;
        return Ok(Listening { listeners: vec![listener], path, own: true });
    }
    let at = passed[0].local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
    let at = at.unwrap_or_else(|| "a socket without a name".into());
    let fixed = settings.socket_mode.is_some() || settings.socket_group.is_some();
    if fixed || (settings.socket_path.is_some() && path != at) {
        tracing::warn!(
            socket = %at.display(),
            "socket.path, socket.mode and socket.group have no effect: systemd made the socket; use systemctl edit slothd.socket"
        );
    }
    let mut listeners = Vec::new();
    for listener in passed {
        let ready = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        listeners.push(ready.map_err(|error| format!("{}: cannot listen: {error}", at.display()))?);
    }
    Ok(Listening { listeners, path: at, own: false })
}

/// Listening Unix sockets among what systemd passed. What another version left in the descriptor store and this one does not know
/// is given up, so that it does not fill the store.
fn doors() -> Result<Vec<StdListener>, String> {
    let mut listeners = Vec::new();
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, descriptor) in std::mem::take(&mut *passed) {
        if is_door(&descriptor) {
            let copy = descriptor.try_clone().map_err(|error| format!("{name}: cannot be used: {error}"))?;
            listeners.push(StdListener::from(copy));
            passed.push((name, descriptor));
        } else {
            tracing::warn!(name, "systemd passed a descriptor that is no listening Unix socket; it is given up");
            notify::give_up(&name);
        }
    }
    Ok(listeners)
}

fn is_door(descriptor: &OwnedFd) -> bool {
    let listens = getsockopt(descriptor, sockopt::AcceptConn).unwrap_or(false);
    let stream = getsockopt(descriptor, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let address = getsockname::<UnixAddr>(descriptor.as_raw_fd());
    listens && stream && address.is_ok()
}

/// Lets what systemd passed go through exec(2): the same process, and so `LISTEN_PID`, is the next daemon.
pub fn keep_for_exec() {
    for (_, descriptor) in PASSED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Err(error) = fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())) {
            tracing::error!(%error, "the socket of systemd cannot be kept");
        }
    }
}

/// Binds the socket. Whoever calls holds the lock of the database, so a socket that is there belongs to nobody.
fn bind(places: &Places, settings: &Settings, path: &Path) -> Result<UnixListener, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{}: {what}: {error}", path.display());
    if let Some(parent) = path.parent() {
        let mode = if places.system { 0o755 } else { 0o700 };
        private_dir(parent, mode).map_err(|error| failed("cannot make its directory", &error))?;
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            fs::remove_file(path).map_err(|error| failed("cannot remove the old socket", &error))?;
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
    fs::rename(&fresh, path).map_err(|error| failed("cannot rename", &error))?;
    Ok(listener)
}

fn socket_group(places: &Places, settings: &Settings) -> Result<Option<Group>, String> {
    let find = |name: &str| Group::from_name(name).ok().flatten();
    match &settings.socket_group {
        Some(name) => find(name).map(Some).ok_or_else(|| format!("socket.group: there is no group {name:?}")),
        None if places.system => Ok(find("sloth")),
        None => Ok(None),
    }
}
