//! The tail of an output file whose file system takes no space back: kept here until the attempt ends.

use std::collections::VecDeque;

use sloth_core::Moment;

use super::reader::FrameKind;

/// Pieces of output that wait to be written.
#[derive(Debug, Default)]
pub struct MemoryTail {
    /// The pieces, oldest first.
    pub frames: VecDeque<(FrameKind, Moment, Vec<u8>)>,
    bytes: u64,
}

impl MemoryTail {
    /// Takes a piece; returns how many bytes had to go for it.
    pub fn push(&mut self, kind: FrameKind, at: Moment, bytes: &[u8], limit: u64) -> u64 {
        let mut dropped = bytes.len().saturating_sub(limit as usize);
        let bytes = &bytes[dropped..];
        self.bytes += bytes.len() as u64;
        match self.frames.back_mut() {
            // Short pieces join, so that heads of frames do not outweigh them.
            Some((last_kind, _, last)) if *last_kind == kind && last.len() + bytes.len() <= 4096 => {
                last.extend_from_slice(bytes);
            }
            _ => self.frames.push_back((kind, at, bytes.to_vec())),
        }
        while self.bytes > limit {
            let Some((_, _, gone)) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= gone.len() as u64;
            dropped += gone.len();
        }
        dropped as u64
    }
}
