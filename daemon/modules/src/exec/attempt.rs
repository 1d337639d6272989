//! One attempt of a command: from its start to its end, with its output, its time limit and its cancellation.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_lua::{Cancel, CancelKind, Ctx, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep_until, timeout};

use super::background::Background;
use super::output::Taker;
use super::result::ExecResult;
use super::spec::{CommandSpec, Stdin};
use super::start::{Given, NotStarted, Started, start};
use super::stop::Guard;
use super::{children, output};

/// How long output of processes that a command left behind is awaited after its end.
const LINGER: Duration = Duration::from_millis(300);
/// Bytes read at once.
const CHUNK: usize = 16 << 10;

/// What ends a command besides itself, and who listens.
pub struct Bounds {
    /// Ends it.
    pub cancel: Cancel,
    /// When its time is over.
    pub deadline: Option<Instant>,
    /// To whom its output goes, besides result and log.
    pub background: Option<Arc<Background>>,
}

impl Bounds {
    /// Those of a command for which its caller waits: its own limit, within that of the caller.
    pub fn of(spec: &CommandSpec, ctx: &Ctx, began: Instant) -> Bounds {
        let own = spec.timeout.map(|limit| began + limit);
        let deadline = match (own, ctx.deadline) {
            (Some(own), Some(whole)) => Some(own.min(whole)),
            (own, whole) => own.or(whole),
        };
        Bounds { cancel: ctx.cancel.clone(), deadline, background: None }
    }
}

/// Runs it once.
pub async fn attempt(spec: &CommandSpec, ctx: &Ctx) -> ExecResult {
    let began = Instant::now();
    let mut result = match start(spec, ctx, Given::default()) {
        Ok(started) => follow(started, spec, ctx, Bounds::of(spec, ctx, began), began).await,
        Err(NotStarted { code, message }) => ExecResult::not_started(spec.display(), code, message),
    };
    result.duration = began.elapsed();
    result
}

/// What a child left behind, whoever started it.
pub async fn follow(started: Started, spec: &CommandSpec, ctx: &Ctx, bounds: Bounds, began: Instant) -> ExecResult {
    let Started { mut child, pid, mark } = started;
    let mut guard = Guard::new(pid, mark);
    let log = spec.stream.then_some(ctx);
    let max = if spec.capture { spec.max_output } else { 0 };
    let mut out = Taker::new(max, log, Stream::Stdout, &spec.mask);
    let mut err = Taker::new(max, log, Stream::Stderr, &spec.mask);
    let limit = bounds.deadline.map(|deadline| deadline.saturating_duration_since(began));
    let listener = bounds.background.as_deref();
    if listener.is_some_and(|listener| listener.lines.is_open()) {
        out.keep_lines();
        err.keep_lines();
    }
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (status, ended) = {
        let io = async {
            tokio::join!(
                feed(streams.0, &spec.stdin),
                read(streams.1, &mut out, listener),
                read(streams.2, &mut err, listener)
            );
        };
        let grace = spec.kill_grace.unwrap_or(super::settings::settings().kill_grace);
        supervise(&mut child, io, &mut guard, &bounds, grace).await
    };
    children::forget(pid);
    out.finish();
    err.finish();
    let mut result = ExecResult {
        truncated: out.truncated || err.truncated,
        stdout: output::masked_bytes(out.kept, &spec.mask),
        stderr: output::masked_bytes(err.kept, &spec.mask),
        pid: Some(pid),
        command: spec.display(),
        attempts: 1,
        ..ExecResult::default()
    };
    judge(&mut result, status, ended.as_ref(), spec, limit);
    result
}

async fn supervise(
    child: &mut Child,
    io: impl Future<Output = ()>,
    guard: &mut Guard,
    bounds: &Bounds,
    grace: Duration,
) -> (io::Result<ExitStatus>, Option<CancelKind>) {
    let mut io = pin!(io);
    let mut io_done = false;
    let mut expiry = pin!(async {
        match bounds.deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    });
    let mut cancelled = pin!(bounds.cancel.cancelled());
    let ended = loop {
        tokio::select! {
            biased;
            () = &mut io, if !io_done => io_done = true,
            status = child.wait() => {
                guard.disarm();
                if !io_done {
                    let _ = timeout(LINGER, &mut io).await;
                }
                return (status, None);
            }
            kind = &mut cancelled => break kind,
            () = &mut expiry => break CancelKind::Timeout,
        }
    };
    // Its output is read while it ends, too, or it could not say why.
    let ending = guard.end(child, grace);
    let mut ending = pin!(ending);
    let status = loop {
        tokio::select! {
            biased;
            () = &mut io, if !io_done => io_done = true,
            status = &mut ending => break status,
        }
    };
    if !io_done {
        let _ = timeout(LINGER, &mut io).await;
    }
    (status, Some(ended))
}

fn judge(
    result: &mut ExecResult,
    status: io::Result<ExitStatus>,
    ended: Option<&CancelKind>,
    spec: &CommandSpec,
    limit: Option<Duration>,
) {
    match status {
        Ok(status) => {
            result.signal = status.signal();
            result.exit_code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125);
        }
        Err(error) => {
            result.exit_code = 125;
            result.stderr.extend_from_slice(format!("waiting for it failed: {error}").as_bytes());
        }
    }
    match ended {
        Some(CancelKind::Timeout) => {
            result.timed_out = true;
            result.exit_code = 124;
        }
        Some(CancelKind::Cancelled(_)) => result.cancelled = true,
        None => {}
    }
    result.success = ended.is_none() && spec.expect_codes.contains(&result.exit_code);
    result.explain(ended, limit);
}

async fn feed(pipe: Option<ChildStdin>, stdin: &Stdin) {
    if let (Some(mut pipe), Stdin::Bytes(bytes)) = (pipe, stdin) {
        // A program need not read what it is given.
        let _ = pipe.write_all(bytes).await;
    }
}

/// Reads a stream to its end.
async fn read(stream: Option<impl AsyncRead + Unpin>, taker: &mut Taker<'_>, listener: Option<&Background>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        taker.take(&chunk[..length]);
        if let Some(listener) = listener {
            hand_on(taker, listener, &chunk[..length]).await;
        }
    }
    taker.finish();
    if let Some(listener) = listener {
        hand_on(taker, listener, &[]).await;
    }
}

async fn hand_on(taker: &mut Taker<'_>, listener: &Background, bytes: &[u8]) {
    if taker.stream() == Stream::Stdout && !bytes.is_empty() {
        listener.arrived(bytes);
    }
    for line in taker.whole() {
        listener.lines.send(line, taker.stream()).await;
    }
}
