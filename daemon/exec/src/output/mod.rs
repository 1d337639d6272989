//! The framed output file of a run: one file, all attempts, both streams, each piece with its time. It exists so that output
//! survives every crash of every program but the job, stays bounded on disk however much is written, and can be followed.
//!
//! # Format, version 1
//!
//! All integers are little endian. The file begins with a header of 256 bytes:
//!
//! | Offset | Bytes | What |
//! |---|---|---|
//! | 0 | 8 | magic `SLOTHOUT` |
//! | 8 | 4 | version |
//! | 12 | 4 | length of the header, 256 |
//! | 16 | 8 | output limit in bytes |
//! | 64 and 128 | 40 each | two copies of the [`Gap`]; the valid one with the higher generation counts |
//!
//! Frames follow, one behind the other: a head of 24 bytes, then the payload.
//!
//! | Offset | Bytes | What |
//! |---|---|---|
//! | 0 | 1 | kind: 1 start, 2 stdout, 3 stderr, 4 end, 5 note |
//! | 1 | 3 | zero |
//! | 4 | 4 | length of the payload |
//! | 8 | 4 | attempt |
//! | 12 | 4 | CRC-32 (IEEE) of bytes 0–11, bytes 16–23 and the payload |
//! | 16 | 8 | microseconds since 1970 |
//!
//! The payload of `start` is empty, of `end` JSON (how the attempt ended), of `note` UTF-8 text, else what the job wrote.
//! Frames never move, so an offset is a position for ever. A frame that is cut short, or whose check fails, ends the file.
//!
//! # Bounds
//!
//! The first half of the limit is the head. What comes then is the tail: it is appended too, and when it exceeds the other half
//! its oldest frames become the *gap*: first the gap in the header grows over them, then their blocks are given back to the
//! file system (a punched hole, fallocate(2)). A reader that runs into the hole reads the header again and jumps.
//! Where holes are not supported the tail is kept in memory (at most [`MEMORY_TAIL_BYTES_MAX`]) and written when the attempt ends.
//! Frame heads are not counted in the limit, but head and tail end early when frame heads would quadruple them.
//!
//! The order within a stream is exact; between the streams it is that of arrival, as two pipes cannot tell more.

mod memory_tail;
mod reader;
mod writer;

pub(crate) use reader::decode_tail;
pub use reader::{Entry, Frame, FrameKind, OutputError, OutputReader, stderr_tail};
pub use writer::{OutputWriter, Stream};

/// Most bytes of tail held in memory per attempt where the file system has no holes.
pub const MEMORY_TAIL_BYTES_MAX: u64 = 256 << 10;
/// Longest payload that a writer makes, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"SLOTHOUT";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 256;
const GAP_OFFSETS: [u64; 2] = [64, 128];
const GAP_BYTES: usize = 40;
const FRAME_HEAD_BYTES: usize = 24;

/// What is missing in the middle of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Gap {
    /// Counts the changes.
    pub generation: u64,
    /// Offset of the first frame that is gone; 0 while the head is not full.
    pub start: u64,
    /// Offset of the first frame of the tail.
    pub end: u64,
    /// Bytes of payload that are missing in the whole file.
    pub dropped_bytes: u64,
    /// Highest attempt whose start frame lies in the gap.
    pub started_through: u32,
}

impl Gap {
    fn encode(&self) -> [u8; GAP_BYTES] {
        let mut bytes = [0; GAP_BYTES];
        bytes[0..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.start.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.end.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.dropped_bytes.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.started_through.to_le_bytes());
        let check = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Gap> {
        let check = u32_at(bytes, 36)?;
        let gap = Gap {
            generation: u64_at(bytes, 0)?,
            start: u64_at(bytes, 8)?,
            end: u64_at(bytes, 16)?,
            dropped_bytes: u64_at(bytes, 24)?,
            started_through: u32_at(bytes, 32)?,
        };
        (crc32fast::hash(&bytes[..36]) == check && gap.start <= gap.end).then_some(gap)
    }

    /// The copy that counts among those of a whole header.
    fn newest(header: &[u8]) -> Gap {
        let copies =
            GAP_OFFSETS.iter().filter_map(|at| Gap::decode(header.get(*at as usize..*at as usize + GAP_BYTES)?));
        copies.max_by_key(|gap| gap.generation).unwrap_or_default()
    }
}

fn frame_head(kind: FrameKind, attempt: u32, at_us: i64, payload: &[u8]) -> [u8; FRAME_HEAD_BYTES] {
    let mut head = [0; FRAME_HEAD_BYTES];
    head[0] = kind as u8;
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&attempt.to_le_bytes());
    head[16..24].copy_from_slice(&at_us.to_le_bytes());
    let check = frame_check(&head, payload);
    head[12..16].copy_from_slice(&check.to_le_bytes());
    head
}

fn frame_check(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..12]);
    hasher.update(&head[16..FRAME_HEAD_BYTES]);
    hasher.update(payload);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
