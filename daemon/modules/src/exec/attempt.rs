//! One attempt of a command: from its start to its end, with its output, its time limit and its cancellation.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use sloth_lua::{CancelKind, Ctx, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep, timeout};

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

/// Runs it once.
pub async fn attempt(spec: &CommandSpec, ctx: &Ctx) -> ExecResult {
    let began = Instant::now();
    let mut result = match start(spec, ctx, Given::default()) {
        Ok(started) => follow(started, spec, ctx, began).await,
        Err(NotStarted { code, message }) => ExecResult::not_started(spec.display(), code, message),
    };
    result.duration = began.elapsed();
    result
}

/// What a child left behind, whoever started it.
pub async fn follow(started: Started, spec: &CommandSpec, ctx: &Ctx, began: Instant) -> ExecResult {
    let Started { mut child, pid, mark } = started;
    let mut guard = Guard::new(pid, mark);
    let log = spec.stream.then_some(ctx);
    let max = if spec.capture { spec.max_output } else { 0 };
    let mut out = Taker::new(max, log, Stream::Stdout, &spec.mask);
    let mut err = Taker::new(max, log, Stream::Stderr, &spec.mask);
    let limit = time_limit(spec, ctx, began);
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (status, ended) = {
        let io = async {
            tokio::join!(feed(streams.0, &spec.stdin), read(streams.1, &mut out), read(streams.2, &mut err));
        };
        let grace = spec.kill_grace.unwrap_or(super::settings::settings().kill_grace);
        supervise(&mut child, io, &mut guard, limit, grace, ctx).await
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

/// Time that is left for it.
fn time_limit(spec: &CommandSpec, ctx: &Ctx, began: Instant) -> Option<Duration> {
    let remaining = ctx.deadline.map(|deadline| deadline.saturating_duration_since(began));
    match (spec.timeout, remaining) {
        (Some(own), Some(remaining)) => Some(own.min(remaining)),
        (own, remaining) => own.or(remaining),
    }
}

async fn supervise(
    child: &mut Child,
    io: impl Future<Output = ()>,
    guard: &mut Guard,
    limit: Option<Duration>,
    grace: Duration,
    ctx: &Ctx,
) -> (io::Result<ExitStatus>, Option<CancelKind>) {
    let mut io = pin!(io);
    let mut io_done = false;
    let mut expiry = pin!(async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    });
    let mut cancelled = pin!(ctx.cancel.cancelled());
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
pub async fn read(stream: Option<impl AsyncRead + Unpin>, taker: &mut Taker<'_>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => taker.take(&chunk[..length]),
        }
    }
}
