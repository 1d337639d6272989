//! A whole command: skipped, simulated, run, and run again.

use std::sync::Arc;
use std::time::Instant;

use sloth_lua::{Ctx, LogLevel, Mode, Stream};

use super::attempt::attempt;
use super::result::ExecResult;
use super::spec::CommandSpec;

/// Runs a command to its end. Dropping the future kills its processes. Needs a tokio runtime with I/O and time.
pub async fn run(spec: CommandSpec, ctx: Arc<Ctx>) -> ExecResult {
    if let Some(skipped) = skip(&spec, &ctx) {
        return skipped;
    }
    let began = Instant::now();
    let mut made = 0;
    loop {
        let mut result = attempt(&spec, &ctx).await;
        made += 1;
        result.attempts = made;
        result.duration = began.elapsed();
        let over = result.success || result.cancelled || made > spec.retries || ctx.cancel.kind().is_some();
        if over || ctx.deadline.is_some_and(|deadline| Instant::now() + spec.delay >= deadline) {
            return result;
        }
        if spec.stream {
            let why = result.error.as_deref().unwrap_or("failed");
            let message = format!("{}: {why}; again in {:?} ({made} of {})", spec.display(), spec.delay, spec.retries);
            ctx.say(LogLevel::Warn, Stream::Log, message);
        }
        tokio::select! {
            () = tokio::time::sleep(spec.delay) => {}
            _ = ctx.cancel.cancelled() => return result,
        }
    }
}

/// The result of a command that is not run.
pub(super) fn skip(spec: &CommandSpec, ctx: &Ctx) -> Option<ExecResult> {
    let quiet = |changed, simulated| ExecResult {
        success: true,
        changed,
        simulated,
        command: spec.display(),
        ..ExecResult::default()
    };
    let there = |path: &String| ctx.resolve(path).symlink_metadata().is_ok();
    if spec.creates.as_ref().is_some_and(there) || spec.removes.as_ref().is_some_and(|path| !there(path)) {
        return Some(quiet(Some(false), false));
    }
    let harmless = (spec.check_safe || ctx.check_safe) && ctx.run.mode != Mode::Validate;
    (ctx.is_simulated() && !harmless).then(|| quiet(None, true))
}
