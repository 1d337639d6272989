//! The socket: one controlling connection at a time, from our own user or root. A new one replaces the old one, whose slothd
//! is dead or about to be.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

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

/// Binds the socket; only its owner may connect. The caller has the lock, so a file in its place is a dead one.
pub fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Mode 0600, as the supervisor's umask is 077.
    let listener = UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
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
