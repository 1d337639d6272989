//! Copies lines of output into the journal, with the fields that name run and schedule
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>). The output file is the record; the journal is a copy that never holds the job up.

use std::os::unix::net::UnixDatagram;

use sloth_core::launch::Launch;

use crate::output::Stream;

const SOCKET: &str = "/run/systemd/journal/socket";
/// Longer lines are cut into several, as journald does with the lines of services (`LineMax=`).
const LINE_BYTES_MAX: usize = 48 << 10;

/// The copy.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    /// The fields that each line carries.
    fields: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    lost: u64,
}

impl Journal {
    /// For a launch that wants it.
    pub fn open(launch: &Launch) -> std::io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        // A journald that is slow or gone costs lines, not the job.
        socket.set_nonblocking(true)?;
        let schedule = launch.env.get("SLOTH_SCHEDULE").map_or("", String::as_str);
        let mut fields = Vec::new();
        for (name, value) in [
            ("SLOTH_SCHEDULE", schedule),
            ("SLOTH_RUN", &launch.key.run.to_string()),
            ("SLOTH_ATTEMPT", &launch.key.attempt.to_string()),
            ("SYSLOG_IDENTIFIER", if schedule.is_empty() { "sloth" } else { schedule }),
        ] {
            put(&mut fields, name, value.as_bytes());
        }
        Ok(Journal { socket, fields, stdout: Vec::new(), stderr: Vec::new(), lost: 0 })
    }

    /// Takes a piece of output; whole lines go out.
    pub fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let mut pending = std::mem::take(self.pending(stream));
        pending.extend_from_slice(bytes);
        let mut rest = &pending[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.send(stream, &rest[..end]);
            rest = &rest[end + 1..];
        }
        while rest.len() > LINE_BYTES_MAX {
            let (line, more) = rest.split_at(LINE_BYTES_MAX);
            self.send(stream, line);
            rest = more;
        }
        *self.pending(stream) = rest.to_vec();
    }

    /// Sends what has no end of line yet; returns how many lines could not be copied.
    pub fn finish(&mut self) -> u64 {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(self.pending(stream));
            if !rest.is_empty() {
                self.send(stream, &rest);
            }
        }
        self.lost
    }

    fn pending(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn send(&mut self, stream: Stream, line: &[u8]) {
        for part in line.chunks(LINE_BYTES_MAX) {
            let mut entry = self.fields.clone();
            let priority: &[u8] = if stream == Stream::Stdout { b"6" } else { b"5" };
            put(&mut entry, "PRIORITY", priority);
            put(&mut entry, "MESSAGE", part);
            if self.socket.send(&entry).is_err() {
                self.lost += 1;
            }
        }
    }
}

/// The form of a field that may hold any byte.
fn put(entry: &mut Vec<u8>, name: &str, value: &[u8]) {
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    entry.extend_from_slice(value);
    entry.push(b'\n');
}
