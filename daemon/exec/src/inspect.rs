//! Finds out what became of an attempt whose supervisor is gone, from what it left behind: its output file and its processes.
//!
//! The rule, in this order: an end frame tells the end. Without a start frame it never began, unless the machine has booted since:
//! frames are not forced to disk, so a lost start frame proves nothing then. Otherwise it began, and as its supervisor is gone
//! nobody can learn how it ends: whatever is left of it is killed and it is lost.

use std::path::Path;
use std::time::{Duration, Instant};

use sloth_core::Moment;
use sloth_core::launch::{Finding, Traces};
use sloth_core::run::{AttemptEnd, ProcessId};

use crate::cgroup::Hierarchy;
use crate::output::{Entry, FrameKind, OutputError, OutputReader};
use crate::proc;
use crate::tree::Family;
use crate::wire::EndRecord;

/// How long killing the remains is tried.
const KILL_FOR: Duration = Duration::from_secs(5);
/// Between two looks at the remains.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks at the traces; blocks for as long as killing takes. Must not be asked about an attempt that a living supervisor knows.
pub fn inspect(data: &Path, traces: &Traces) -> Finding {
    let frames = match Frames::read(data, &traces.output, traces.key.attempt) {
        Ok(frames) => frames,
        Err(error) => {
            let remains = end_remains(traces);
            return Finding::Lost(format!("its output file cannot be read: {error}; {remains}"));
        }
    };
    if let Some(end) = frames.end {
        end_remains(traces);
        return Finding::Ended(end);
    }
    let other_boot = traces.process.as_ref().is_some_and(|process| process.boot_id != proc::boot_id());
    if frames.start.is_none() && !other_boot {
        return Finding::NeverStarted;
    }
    if other_boot {
        return Finding::Lost("the machine was started anew and no end was recorded".to_owned());
    }
    let remains = end_remains(traces);
    Finding::Lost(format!("its supervisor was gone, so nobody could see how it ended; {remains}"))
}

/// What the output file holds of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// When it began. [`Moment::MIN`] when that frame was among those that had to go.
    pub(crate) start: Option<Moment>,
    /// How it ended.
    pub(crate) end: Option<AttemptEnd>,
    /// Bytes of output that are there.
    pub(crate) output_bytes: u64,
}

impl Frames {
    /// Reads all of the file.
    pub(crate) fn read(data: &Path, output: &Path, attempt: u32) -> Result<Frames, OutputError> {
        let path = data.join(output);
        let mut frames = Frames::default();
        let mut reader = match OutputReader::open(&path) {
            // Neither exists before the first start: nothing, or an empty file whose header was about to be written.
            Err(OutputError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(frames),
            Err(OutputError::Empty(_)) => return Ok(frames),
            other => other?,
        };
        frames.start = (reader.gap()?.started_through >= attempt).then_some(Moment::MIN);
        for entry in reader {
            let Entry::Frame(frame) = entry? else { continue };
            if frame.attempt != attempt {
                continue;
            }
            match frame.kind {
                FrameKind::Start => frames.start = Some(frame.at),
                FrameKind::Stdout | FrameKind::Stderr => frames.output_bytes += frame.bytes.len() as u64,
                FrameKind::End => {
                    frames.end = serde_json::from_slice(&frame.bytes).ok().map(|EndRecord(end)| end);
                }
                FrameKind::Note => {}
            }
        }
        Ok(frames)
    }
}

/// When an attempt began, as far as its output file says; reads no further than that.
pub(crate) fn began(data: &Path, output: &Path, attempt: u32) -> Option<Moment> {
    let reader = OutputReader::open(&data.join(output)).ok()?;
    let frames = reader.map_while(Result::ok).filter_map(|entry| match entry {
        Entry::Frame(frame) => Some(frame),
        Entry::Missing { .. } => None,
    });
    let mut starts = frames.filter(|frame| frame.kind == FrameKind::Start && frame.attempt == attempt);
    starts.next().map(|frame| frame.at)
}

/// Kills what is left, and says in words what that was.
fn end_remains(traces: &Traces) -> String {
    let groups = Hierarchy::find().map(|hierarchy| hierarchy.leftovers(traces.key)).unwrap_or_default();
    let nobody = ProcessId { pid: 0, start_ticks: u64::MAX, boot_id: String::new() };
    let main = traces.process.clone().filter(|process| process.boot_id == proc::boot_id());
    let was_running = main.as_ref().is_some_and(proc::is_running);
    let family = Family {
        // Without a known process only the mark can tell; any start time will do then.
        main: main.unwrap_or(ProcessId { start_ticks: 0, ..nobody }),
        mark: Some(format!("SLOTH_RUN_ID={}", traces.key.run)),
        attempt_mark: Some(format!("SLOTH_ATTEMPT={}", traces.key.attempt)),
        session_is_sure: false,
        adopted: Default::default(),
    };
    let until = Instant::now() + KILL_FOR;
    let mut any = false;
    loop {
        for group in &groups {
            any |= !group.processes().is_empty();
            group.kill();
        }
        let none_left = family.kill();
        any |= !none_left;
        let busy = groups.iter().filter(|group| !group.remove()).count();
        if none_left && busy == 0 {
            break;
        }
        if Instant::now() >= until {
            return "some of its processes could not be killed".to_owned();
        }
        std::thread::sleep(LOOK_EVERY);
    }
    match (was_running, any) {
        (true, _) => "it was still running and has been killed".to_owned(),
        (false, true) => "what was left of it has been killed".to_owned(),
        (false, false) => "none of its processes was left".to_owned(),
    }
}
