//! Reads output files, finished or growing. A cursor that can wait: `None` means "nothing more yet", and asking again later
//! goes on from there, which is all that following a run needs.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sloth_core::Moment;

use super::{FRAME_HEAD_BYTES, Gap, HEADER_BYTES, MAGIC, VERSION, frame_check, u32_at, u64_at};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 128 << 10;
/// A frame that claims to be longer is not one.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An attempt is about to begin.
    Start = 1,
    /// Bytes of standard output.
    Stdout = 2,
    /// Bytes of standard error.
    Stderr = 3,
    /// An attempt ended; the payload says how.
    End = 4,
    /// A remark of the writer, in words.
    Note = 5,
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What.
    pub kind: FrameKind,
    /// Of which attempt.
    pub attempt: u32,
    /// When it was written.
    pub at: Moment,
    /// Payload.
    pub bytes: Vec<u8>,
    /// Where it begins in the file.
    pub offset: u64,
}

/// What a reader meets.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A frame.
    Frame(Frame),
    /// Output is missing here.
    Missing {
        /// How many bytes, as far as not told before.
        bytes: u64,
    },
}

/// Why an output file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was just made and nothing is in it, not even a header.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// It is something else.
    #[error("{0} is not an output file")]
    Foreign(PathBuf),
    /// It was written by a newer version.
    #[error("{path} has format version {found}; this program reads up to {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
}

/// A cursor in an output file.
#[derive(Debug)]
pub struct OutputReader {
    file: File,
    path: PathBuf,
    offset: u64,
    window: Vec<u8>,
    window_at: u64,
    gap: Gap,
    told_missing: u64,
}

impl OutputReader {
    /// Opens a file and stands before its first frame.
    pub fn open(path: &Path) -> Result<OutputReader, OutputError> {
        let failed = |source| OutputError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        OutputReader::from_file(file, path)
    }

    /// The same for a file that is already open (positions of `file` are neither used nor changed).
    pub fn from_file(file: File, path: &Path) -> Result<OutputReader, OutputError> {
        let mut reader = OutputReader {
            file,
            path: path.to_owned(),
            offset: HEADER_BYTES,
            window: Vec::new(),
            window_at: 0,
            gap: Gap::default(),
            told_missing: 0,
        };
        reader.load_header()?;
        Ok(reader)
    }

    /// Where the next frame begins. Kept, and given to [`seek`](Self::seek) of another reader, it resumes there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to an offset that a reader of this file gave. Output that was missing before it is not told again.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset.max(HEADER_BYTES);
        if self.gap.start != 0 && self.offset >= self.gap.end {
            self.told_missing = self.gap.dropped_bytes;
        }
    }

    /// What is missing, as the header says now.
    pub fn gap(&mut self) -> Result<Gap, OutputError> {
        self.load_header()?;
        Ok(self.gap)
    }

    /// The next entry; `None` at the end of what is there: ask again later, or be done when the run has ended.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, OutputError> {
        loop {
            if let Some(missing) = self.pass_gap() {
                return Ok(Some(missing));
            }
            if let Some(frame) = self.parse()? {
                self.offset = frame.offset + (FRAME_HEAD_BYTES + frame.bytes.len()) as u64;
                return Ok(Some(Entry::Frame(frame)));
            }
            // Either the end, or the gap has grown over this place; each further round needs another growth.
            self.window.clear();
            let before = self.gap.generation;
            self.load_header()?;
            if self.gap.generation == before {
                return Ok(None);
            }
        }
    }

    /// Jumps when standing in the gap.
    fn pass_gap(&mut self) -> Option<Entry> {
        let gap = self.gap;
        if gap.start == 0 || self.offset < gap.start || self.offset > gap.end {
            return None;
        }
        self.offset = gap.end;
        let bytes = gap.dropped_bytes.saturating_sub(self.told_missing);
        self.told_missing = gap.dropped_bytes;
        (bytes > 0).then_some(Entry::Missing { bytes })
    }

    /// The complete frame at the cursor.
    fn parse(&mut self) -> Result<Option<Frame>, OutputError> {
        let Some(head) = self.bytes(FRAME_HEAD_BYTES)? else {
            return Ok(None);
        };
        let (Some(length), Some(attempt), Some(check), Some(at)) =
            (u32_at(head, 4), u32_at(head, 8), u32_at(head, 12), u64_at(head, 16))
        else {
            return Ok(None);
        };
        let (kind, length) = (head[0], length as usize);
        if length > FRAME_BYTES_MAX {
            return Ok(None);
        }
        let Some(whole) = self.bytes(FRAME_HEAD_BYTES + length)? else {
            return Ok(None);
        };
        let (head, payload) = whole.split_at(FRAME_HEAD_BYTES);
        let kind = match kind {
            1 => FrameKind::Start,
            2 => FrameKind::Stdout,
            3 => FrameKind::Stderr,
            4 => FrameKind::End,
            5 => FrameKind::Note,
            _ => return Ok(None),
        };
        if frame_check(head, payload) != check {
            self.window.clear();
            return Ok(None);
        }
        let bytes = payload.to_vec();
        Ok(Some(Frame { kind, attempt, at: Moment::from_micros(at as i64), bytes, offset: self.offset }))
    }

    /// So many bytes at the cursor, or `None` when the file does not hold them.
    fn bytes(&mut self, count: usize) -> Result<Option<&[u8]>, OutputError> {
        let inside =
            self.offset >= self.window_at && self.offset + count as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            self.window.resize(count.max(WINDOW_BYTES), 0);
            let mut filled = 0;
            while filled < self.window.len() {
                match self.file.read_at(&mut self.window[filled..], self.offset + filled as u64) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(source) => {
                        self.window.clear();
                        return Err(OutputError::Io { path: self.path.clone(), source });
                    }
                }
            }
            self.window.truncate(filled);
            self.window_at = self.offset;
        }
        let from = (self.offset - self.window_at) as usize;
        Ok(self.window.get(from..from + count))
    }

    fn load_header(&mut self) -> Result<(), OutputError> {
        // Before the header is read, which may be written in between.
        if self.file.metadata().is_ok_and(|facts| facts.len() == 0) {
            return Err(OutputError::Empty(self.path.clone()));
        }
        let mut header = [0; HEADER_BYTES as usize];
        if let Err(source) = self.file.read_exact_at(&mut header, 0) {
            return Err(match source.kind() {
                io::ErrorKind::UnexpectedEof => OutputError::Foreign(self.path.clone()),
                _ => OutputError::Io { path: self.path.clone(), source },
            });
        }
        if &header[..8] != MAGIC {
            return Err(OutputError::Foreign(self.path.clone()));
        }
        let found = u32_at(&header, 8).unwrap_or(0);
        if found == 0 || found > VERSION {
            return Err(OutputError::Version { path: self.path.clone(), found });
        }
        self.gap = Gap::newest(&header);
        Ok(())
    }
}

impl Iterator for OutputReader {
    type Item = Result<Entry, OutputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

/// The last bytes of standard error of one attempt (or of all, with `None`), lossily decoded.
pub fn stderr_tail(path: &Path, attempt: Option<u32>, bytes_max: usize) -> Result<String, OutputError> {
    let mut tail: VecDeque<u8> = VecDeque::new();
    for entry in OutputReader::open(path)? {
        let Entry::Frame(frame) = entry? else { continue };
        if frame.kind == FrameKind::Stderr && attempt.is_none_or(|wanted| wanted == frame.attempt) {
            tail.extend(&frame.bytes);
            let excess = tail.len().saturating_sub(bytes_max);
            tail.drain(..excess);
        }
    }
    Ok(decode_tail(tail.make_contiguous()))
}

/// Decodes a tail that may begin inside a character.
pub(crate) fn decode_tail(bytes: &[u8]) -> String {
    let cut = bytes.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    String::from_utf8_lossy(&bytes[cut..]).into_owned()
}
