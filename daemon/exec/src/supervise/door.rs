//! The socket: one controlling connection at a time, from our own user or root. A new one replaces the old one, whose slothd
//! is dead or about to be.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;

use crate::framing::{FramingError, Inbox, encode};
use crate::wire::FromSupervisor;

/// No more is encoded while so many bytes wait to be sent.
pub const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: UnixStream,
    /// Received, not yet understood.
    pub inbox: Inbox,
    /// Whether it has introduced itself.
    pub is_greeted: bool,
    /// Whether we wait until the socket can be written.
    pub wants_write: bool,
    outbox: Vec<u8>,
    sent: usize,
}

/// Our place in the file system: the lock, and the socket that the lock gives us the right to.
#[derive(Debug)]
pub struct Place {
    lock: File,
    socket: (u64, u64),
}

/// What became of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    /// All is as it was.
    Ours,
    /// Somebody removed the socket; the place is still ours.
    SocketGone,
    /// The lock is gone too: nobody can find us, and another one may be there.
    Lost,
}

impl Place {
    /// Binds the socket; only its owner may connect. With the lock held, a file in its place is a dead one.
    pub fn take(socket: &Path, lock: File) -> io::Result<(UnixListener, Place)> {
        let (listener, identity) = listen(socket)?;
        Ok((listener, Place { lock, socket: identity }))
    }

    /// Binds it once more.
    pub fn listen_again(&mut self, socket: &Path) -> io::Result<UnixListener> {
        let (listener, identity) = listen(socket)?;
        self.socket = identity;
        Ok(listener)
    }

    /// Looks whether it is still ours.
    pub fn state(&self, socket: &Path) -> PlaceState {
        let ours = self.lock.metadata().map(|facts| identity(&facts));
        match (ours, fs::metadata(lock_path(socket)), fs::metadata(socket)) {
            (Ok(ours), Ok(lock), _) if ours != identity(&lock) => PlaceState::Lost,
            (_, Err(_), _) => PlaceState::Lost,
            (_, _, Ok(socket)) if identity(&socket) == self.socket => PlaceState::Ours,
            _ => PlaceState::SocketGone,
        }
    }
}

/// The lock beside a socket.
pub fn lock_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn identity(facts: &fs::Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

fn listen(socket: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The supervisor's umask of 077 keeps others out from the first moment on.
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok((listener, identity(&fs::metadata(socket)?)))
}

/// Takes a connection; `Ok(None)` when it was turned away.
pub fn accept(listener: &UnixListener) -> io::Result<Option<Connection>> {
    let (stream, _) = listener.accept()?;
    let peer = getsockopt(&stream, PeerCredentials)?.uid();
    if peer != 0 && peer != geteuid().as_raw() {
        return Ok(None);
    }
    stream.set_nonblocking(true)?;
    Ok(Some(Connection {
        stream,
        inbox: Inbox::default(),
        is_greeted: false,
        wants_write: false,
        outbox: Vec::new(),
        sent: 0,
    }))
}

impl Connection {
    /// Reads what is there; false at its end.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(false),
            Ok(read) => {
                self.inbox.push(&buffer[..read]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether more may be encoded now.
    pub fn has_room(&self) -> bool {
        self.outbox.len() - self.sent < OUTBOX_BYTES_MAX
    }

    /// Puts a message behind those that wait.
    pub fn put(&mut self, message: &FromSupervisor) -> Result<(), FramingError> {
        encode(message, &mut self.outbox)
    }

    /// Sends what waits; true when all is sent.
    pub fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.outbox.len() {
            match self.stream.write(&self.outbox[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outbox.clear();
        self.outbox.shrink_to(OUTBOX_BYTES_MAX);
        self.sent = 0;
        Ok(true)
    }
}
