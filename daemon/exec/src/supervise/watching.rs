//! Reads what processes tell and write.

use super::attempt::{Attempt, Stage};
use super::event_loop::{Pipe, Supervisor};
use crate::clock::wall_now;
use crate::output::Stream;
use crate::spawn::{Status, StatusKind};
use nix::errno::Errno;
use nix::unistd::read;

/// What reading a pipe gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// Some bytes.
    Bytes,
    /// Nothing now.
    Nothing,
    /// Its end.
    End,
}

impl Supervisor {
    /// A pipe of an attempt is ready.
    pub(super) fn read_pipe(&mut self, serial: u64, pipe: Pipe) {
        match pipe {
            Pipe::Status => self.read_status(serial),
            Pipe::Stdout | Pipe::Stderr => {
                if self.read_output(serial, pipe) == Got::End {
                    self.finish_when_drained(serial);
                }
            }
        }
    }

    /// Reads one buffer of output.
    pub(super) fn read_output(&mut self, serial: u64, pipe: Pipe) -> Got {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return Got::End;
        };
        let (end, stream) = match pipe {
            Pipe::Stderr => (&mut live.stderr, Stream::Stderr),
            _ => (&mut live.stdout, Stream::Stdout),
        };
        let Some(fd) = end else { return Got::End };
        match read(&*fd, &mut self.buffer) {
            Ok(count @ 1..) => {
                let bytes = &self.buffer[..count];
                live.writer.append(stream, wall_now(), bytes);
                if stream == Stream::Stderr {
                    live.keep_stderr(bytes);
                }
                Got::Bytes
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Got::Nothing,
            Ok(_) | Err(_) => {
                let closed = end.take();
                self.unwatch(closed);
                Got::End
            }
        }
    }

    /// Reads what the child tells about its way to the program.
    pub(super) fn read_status(&mut self, serial: u64) {
        loop {
            let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
                return;
            };
            let Some(fd) = &live.status else { return };
            let mut record = [0; Status::BYTES];
            match read(fd, &mut record) {
                Ok(Status::BYTES) => self.take_status(serial, &record),
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Ok(_) | Err(_) => {
                    let closed = live.status.take();
                    let began = live.stage == Stage::Running && live.failure.is_none();
                    let since = live.since;
                    self.unwatch(closed);
                    // Closed by exec, or by an early death: that it was let go is all that can be said, and enough.
                    if began {
                        self.tell(serial, |news| news.started = Some(since));
                    }
                    return;
                }
            }
        }
    }

    fn take_status(&mut self, serial: u64, record: &[u8; Status::BYTES]) {
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        let Some(status) = Status::decode(record) else { return };
        let failure = match status.kind {
            StatusKind::Held => {
                if live.stage == Stage::Preparing && !live.is_discarded {
                    live.stage = Stage::Held;
                    let release = std::mem::take(&mut live.release_asked) && live.stopped_as.is_none();
                    self.tell(serial, |news| news.prepared = true);
                    if release {
                        self.release(serial);
                    }
                }
                return;
            }
            _ => status.failure(&live.program, &live.directory.display().to_string()),
        };
        live.failure = Some(failure);
    }
}
