//! Writes output files. Never fails for the job's sake: what cannot be written is counted, and said in a note once writing works
//! again. Only the start of an attempt reports its failure, as nothing may run without that proof on disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwritev;
use sloth_core::Moment;

use super::memory_tail::MemoryTail;
use super::reader::{Entry, Frame, FrameKind, OutputReader};
use super::{
    FRAME_HEAD_BYTES, GAP_OFFSETS, Gap, HEADER_BYTES, MAGIC, MEMORY_TAIL_BYTES_MAX, PAYLOAD_BYTES_MAX, VERSION,
    frame_head,
};

/// The tail is given back to the file system in so many steps per limit.
const TAIL_STEPS: u64 = 32;
/// Frames may make a half so many times as long as its payload …
const OVERHEAD_FACTOR: u64 = 4;
/// … and this much more, so that small limits hold some short lines.
const OVERHEAD_BYTES: u64 = 64 << 10;

/// One of the streams of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The writing end of an output file, for one attempt.
#[derive(Debug)]
pub struct OutputWriter {
    file: File,
    attempt: u32,
    head: Half,
    tail: Half,
    head_full: bool,
    /// Where the next frame goes.
    end: u64,
    gap: Gap,
    segments: VecDeque<Segment>,
    given_back: u64,
    memory: Option<MemoryTail>,
    total_bytes: u64,
    dropped_bytes: u64,
    dropped_on_disk: u64,
    unwritten: Option<(io::Error, u64)>,
    started_before: bool,
}

/// One half of the limit and its use.
#[derive(Debug)]
struct Half {
    limit: u64,
    used: u64,
}

/// A part of the tail that is dropped as a whole; holds output of one attempt only.
#[derive(Debug)]
struct Segment {
    start: u64,
    payload: u64,
    attempt: u32,
    has_start_frame: bool,
}

impl OutputWriter {
    /// Takes over a file, new or with earlier attempts in it. What a crash left incomplete at its end is cut off.
    pub fn new(file: File, attempt: u32, limit: u64) -> io::Result<OutputWriter> {
        let half = limit / 2;
        let mut writer = OutputWriter {
            file,
            attempt,
            head: Half { limit: limit - half, used: 0 },
            tail: Half { limit: half, used: 0 },
            head_full: false,
            end: HEADER_BYTES,
            gap: Gap::default(),
            segments: VecDeque::new(),
            given_back: 0,
            memory: None,
            total_bytes: 0,
            dropped_bytes: 0,
            dropped_on_disk: 0,
            unwritten: None,
            started_before: false,
        };
        if writer.file.metadata()?.len() < HEADER_BYTES {
            writer.write_header(limit)?;
        } else {
            writer.restore()?;
        }
        Ok(writer)
    }

    /// Whether the file says that this very attempt began before.
    pub fn has_started_before(&self) -> bool {
        self.started_before
    }

    /// Bytes of this attempt: all, and of those the dropped ones.
    pub fn counts(&self) -> (u64, u64) {
        (self.total_bytes, self.dropped_bytes)
    }

    /// Writes that the attempt begins. Nothing may run when this fails.
    pub fn start(&mut self, at: Moment) -> io::Result<()> {
        self.begin_segment(true);
        self.write_frame(FrameKind::Start, at, &[])
    }

    /// Writes a remark, if possible.
    pub fn note(&mut self, at: Moment, text: &str) {
        let _ = self.write_frame(FrameKind::Note, at, text.as_bytes());
    }

    /// Keeps what the job wrote, as far as the limit allows.
    pub fn append(&mut self, stream: Stream, at: Moment, bytes: &[u8]) {
        let kind = match stream {
            Stream::Stdout => FrameKind::Stdout,
            Stream::Stderr => FrameKind::Stderr,
        };
        self.total_bytes += bytes.len() as u64;
        self.tell_unwritten(at);
        let rest = if self.head_full { bytes } else { self.append_head(kind, at, bytes) };
        if !rest.is_empty() {
            self.append_tail(kind, at, rest);
        }
    }

    /// Writes how the attempt ended; `record` is JSON. The counts must have been taken before. May be tried again when it fails.
    pub fn finish(&mut self, at: Moment, record: &[u8]) -> io::Result<()> {
        self.tell_unwritten(at);
        if let Some(memory) = self.memory.take() {
            self.gap.start = self.end;
            self.gap.end = self.end;
            self.write_gap();
            for (kind, at, bytes) in &memory.frames {
                self.write_output(*kind, *at, bytes);
            }
        }
        if self.gap.dropped_bytes != self.dropped_on_disk {
            self.write_gap();
        }
        self.write_frame(FrameKind::End, at, record)
    }

    fn append_head<'b>(&mut self, kind: FrameKind, at: Moment, bytes: &'b [u8]) -> &'b [u8] {
        let fits = self.end - HEADER_BYTES < self.head.limit * OVERHEAD_FACTOR + OVERHEAD_BYTES;
        let room = if fits { self.head.limit - self.head.used } else { 0 };
        let (now, rest) = bytes.split_at(bytes.len().min(room as usize));
        for piece in now.chunks(PAYLOAD_BYTES_MAX) {
            self.head.used += piece.len() as u64;
            self.write_output(kind, at, piece);
        }
        if !rest.is_empty() {
            self.head_full = true;
            self.gap.start = self.end;
            self.gap.end = self.end;
            self.given_back = self.end;
            self.write_gap();
            if !self.can_give_back() {
                self.memory = Some(MemoryTail::default());
            }
        }
        rest
    }

    fn append_tail(&mut self, kind: FrameKind, at: Moment, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.tail.limit as usize);
        let bytes = &bytes[skipped..];
        if skipped > 0 {
            self.count_dropped(skipped as u64, self.attempt);
        }
        if let Some(memory) = &mut self.memory {
            let dropped = memory.push(kind, at, bytes, self.tail.limit.min(MEMORY_TAIL_BYTES_MAX));
            if dropped > 0 {
                self.count_dropped(dropped, self.attempt);
            }
            return;
        }
        let step = (self.tail.limit / TAIL_STEPS).clamp(1, u64::MAX);
        let piece_max = (step as usize).clamp(64, PAYLOAD_BYTES_MAX);
        for piece in bytes.chunks(piece_max) {
            let length = piece.len() as u64;
            let full = self.segments.back().is_none_or(|s| {
                s.payload + length > step || self.end - s.start > step * OVERHEAD_FACTOR + OVERHEAD_BYTES / TAIL_STEPS
            });
            if full {
                self.begin_segment(false);
            }
            if self.write_output(kind, at, piece) {
                self.tail.used += length;
                if let Some(segment) = self.segments.back_mut() {
                    segment.payload += length;
                }
            }
        }
        self.trim();
    }

    /// Lets the gap grow until the tail is within its half.
    fn trim(&mut self) {
        let before = self.gap.end;
        let length_max = self.tail.limit * OVERHEAD_FACTOR + OVERHEAD_BYTES;
        while self.segments.len() > 1
            && (self.tail.used > self.tail.limit || self.end - self.segments[0].start > length_max)
        {
            let Some(gone) = self.segments.pop_front() else { break };
            self.tail.used -= gone.payload;
            self.gap.end = self.segments.front().map_or(self.end, |next| next.start);
            if gone.has_start_frame {
                self.gap.started_through = self.gap.started_through.max(gone.attempt);
            }
            self.count_dropped(gone.payload, gone.attempt);
        }
        if self.gap.end != before {
            self.write_gap();
            let from = self.given_back & !4095;
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            if fallocate(
                &self.file,
                flags,
                from.max(self.gap.start) as i64,
                (self.gap.end - from.max(self.gap.start)) as i64,
            )
            .is_ok()
            {
                self.given_back = self.gap.end;
            }
        }
    }

    fn begin_segment(&mut self, has_start_frame: bool) {
        if self.head_full && self.memory.is_none() {
            self.segments.push_back(Segment { start: self.end, payload: 0, attempt: self.attempt, has_start_frame });
        }
    }

    /// Whether the file system takes space back; asked behind the end of the file, where it costs nothing.
    fn can_give_back(&self) -> bool {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&self.file, flags, self.end as i64, 1) != Err(Errno::EOPNOTSUPP)
    }

    /// Writes a piece of output, or counts it as dropped.
    fn write_output(&mut self, kind: FrameKind, at: Moment, piece: &[u8]) -> bool {
        let Err(error) = self.write_frame(kind, at, piece) else {
            return true;
        };
        let length = piece.len() as u64;
        self.count_dropped(length, self.attempt);
        let before = self.unwritten.take().map_or(0, |(_, bytes)| bytes);
        self.unwritten = Some((error, before + length));
        false
    }

    fn tell_unwritten(&mut self, at: Moment) {
        let Some((error, bytes)) = &self.unwritten else { return };
        let text = format!("{bytes} bytes of output are missing here: {error}");
        if self.write_frame(FrameKind::Note, at, text.as_bytes()).is_ok() {
            self.unwritten = None;
            self.write_gap();
        }
    }

    fn write_frame(&mut self, kind: FrameKind, at: Moment, payload: &[u8]) -> io::Result<()> {
        let head = frame_head(kind, self.attempt, at.micros(), payload);
        let whole = FRAME_HEAD_BYTES + payload.len();
        let slices = [io::IoSlice::new(&head), io::IoSlice::new(payload)];
        let result = match pwritev(&self.file, &slices, self.end as i64) {
            Ok(written) if written == whole => Ok(()),
            // The rest of a short write tells why it was short.
            Ok(written) => {
                let frame = [&head[..], payload].concat();
                self.file.write_all_at(&frame[written..], self.end + written as u64)
            }
            Err(errno) => Err(errno.into()),
        };
        match result {
            Ok(()) => self.end += whole as u64,
            Err(_) => drop(self.file.set_len(self.end)),
        }
        result
    }

    fn count_dropped(&mut self, bytes: u64, attempt: u32) {
        self.gap.dropped_bytes += bytes;
        if attempt == self.attempt {
            self.dropped_bytes += bytes;
        }
    }

    /// Writes the copy of the gap that does not count now; a failure leaves the other one valid.
    fn write_gap(&mut self) {
        self.gap.generation += 1;
        self.dropped_on_disk = self.gap.dropped_bytes;
        let _ = self.file.write_all_at(&self.gap.encode(), GAP_OFFSETS[(self.gap.generation % 2) as usize]);
    }

    fn write_header(&mut self, limit: u64) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES as usize];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        header[16..24].copy_from_slice(&limit.to_le_bytes());
        self.file.write_all_at(&header, 0)
    }

    /// Learns from the file what earlier attempts used.
    fn restore(&mut self) -> io::Result<()> {
        let mut reader =
            OutputReader::from_file(self.file.try_clone()?, Path::new("output")).map_err(io::Error::other)?;
        self.gap = reader.gap().map_err(io::Error::other)?;
        self.dropped_on_disk = self.gap.dropped_bytes;
        self.head_full = self.gap.start != 0;
        self.given_back = self.gap.end;
        self.started_before = self.gap.started_through >= self.attempt;
        for entry in &mut reader {
            if let Entry::Frame(frame) = entry.map_err(io::Error::other)? {
                self.restore_frame(&frame);
            }
        }
        self.end = reader.offset();
        self.file.set_len(self.end)?;
        if self.head_full && !self.can_give_back() {
            self.memory = Some(MemoryTail::default());
        }
        Ok(())
    }

    fn restore_frame(&mut self, frame: &Frame) {
        let is_start = frame.kind == FrameKind::Start;
        self.started_before |= is_start && frame.attempt == self.attempt;
        let payload = match frame.kind {
            FrameKind::Stdout | FrameKind::Stderr => frame.bytes.len() as u64,
            _ => 0,
        };
        if !self.head_full || frame.offset < self.gap.start {
            self.head.used = (self.head.used + payload).min(self.head.limit);
            return;
        }
        self.tail.used += payload;
        let step = self.tail.limit / TAIL_STEPS;
        match self.segments.back_mut() {
            Some(last) if last.attempt == frame.attempt && !is_start && last.payload + payload <= step => {
                last.payload += payload;
            }
            _ => self.segments.push_back(Segment {
                start: frame.offset,
                payload,
                attempt: frame.attempt,
                has_start_frame: is_start,
            }),
        }
    }
}
