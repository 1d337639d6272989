//! File descriptors that callers get: the inhibitor, which lasts as long as somebody holds it, and the output of a run.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sloth_api::{ErrorCode, LogChunk};
use sloth_service::{LogWish, RunRecord, Service, ServiceError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::pipe;
use zbus::Fd;

use super::call::{Answer, Known};

/// Outputs being read at once.
const LOGS_MAX: usize = 64;
/// Text read at once, bytes.
const PIECE: usize = 64 * 1024;
/// How often a growing output is looked at.
const LOOK: Duration = Duration::from_millis(50);

fn no_pipe(error: io::Error) -> ServiceError {
    ServiceError::new(ErrorCode::Internal, format!("no pipe: {error}"))
}

/// Keeps schedules from firing for as long as the answer, or a copy of it, is open.
pub(super) async fn inhibit(known: &Known<'_>) -> Answer {
    let (what, who, why): (String, String, String) = known.call.arguments()?;
    let (ours, theirs) = io::pipe().map_err(no_pipe)?;
    let mut ours = pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).map_err(no_pipe)?;
    let service = known.call.service().clone();
    let number = service.inhibit(&known.who, &what, &who, &why).await?;
    let watched = service.clone();
    let watch = async move {
        // Nobody writes into it; the end of the pipe is the end of its last holder. What somebody writes all the same is thrown away.
        let mut void = [0; 64];
        while matches!(ours.read(&mut void).await, Ok(n) if n > 0) {}
        watched.release(number).await;
    };
    if let Err(error) = known.call.lasting.take_over(watch).await {
        service.release(number).await;
        return Err(error.into());
    }
    known.call.reply(&Fd::from(OwnedFd::from(theirs)))
}

/// Outputs that are being read.
static LOGS: AtomicUsize = AtomicUsize::new(0);

struct LogPlace;

impl LogPlace {
    fn take() -> Option<LogPlace> {
        let taken = LOGS.fetch_add(1, Ordering::AcqRel);
        // Dropped at once when there is no room, which gives the place back.
        Some(LogPlace).filter(|_| taken < LOGS_MAX)
    }
}

impl Drop for LogPlace {
    fn drop(&mut self) {
        LOGS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The output of a run from its beginning to its end, as it is written.
pub(super) async fn open_log(known: &Known<'_>, id: &str) -> Answer {
    let run = known.call.service().run_record(&known.who, id).await?;
    let place = LogPlace::take().ok_or_else(|| {
        ServiceError::new(ErrorCode::QuotaExceeded, format!("{LOGS_MAX} outputs are being read already"))
            .hint("close some, or use slothctl runs logs")
    })?;
    let (theirs, ours) = io::pipe().map_err(no_pipe)?;
    let mut ours = pipe::Sender::from_owned_fd(OwnedFd::from(ours)).map_err(no_pipe)?;
    let service = known.call.service().clone();
    let copy = async move {
        let _place = place;
        if let Err(error) = follow(&service, &run, &mut ours).await {
            tracing::debug!(SLOTH_RUN = %run.id, error, "an output is no longer read");
        }
    };
    known.call.lasting.take_over(copy).await?;
    known.call.reply(&Fd::from(OwnedFd::from(theirs)))
}

async fn follow(service: &Service, run: &RunRecord, to: &mut pipe::Sender) -> Result<(), String> {
    let mut wish = LogWish { bytes_max: PIECE, ..LogWish::default() };
    loop {
        let page = service.logs_of(run, &wish).map_err(|error| error.to_string())?;
        wish.offset = page.next_offset;
        for chunk in page.chunks.iter().filter(|chunk| chunk.stream != "note") {
            to.write_all(&bytes(chunk)).await.map_err(|error| error.to_string())?;
        }
        if page.complete {
            return Ok(());
        }
        if page.chunks.is_empty() {
            tokio::time::sleep(LOOK).await;
            // Who no longer reads is noticed also when nothing is written.
            let ready = to.ready(Interest::WRITABLE).await.map_err(|error| error.to_string())?;
            if ready.is_write_closed() {
                return Err("its reader has closed it".to_owned());
            }
        }
    }
}

/// The bytes exactly as the run wrote them.
fn bytes(chunk: &LogChunk) -> Vec<u8> {
    let exact = chunk.bytes.as_deref().and_then(|text| STANDARD.decode(text).ok());
    exact.unwrap_or_else(|| chunk.text.clone().into_bytes())
}
