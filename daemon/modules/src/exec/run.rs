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

/// A program that a module uses, from a thread that may block: not logged, its messages in English, run in check mode, too.
pub fn run_quietly(spec: CommandSpec, ctx: &Arc<Ctx>) -> ExecResult {
    let command = spec.display();
    let running = run(quiet(spec), Arc::clone(ctx));
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.block_on(running),
        Err(_) => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(running),
            Err(error) => ExecResult::not_started(command, 125, error.to_string()),
        },
    }
}

/// The command of a module: not logged, its messages in English, run in check mode, too, as it is asked for only where it
/// changes nothing or may.
pub fn quiet(mut spec: CommandSpec) -> CommandSpec {
    spec.env.insert(0, ("LC_ALL".to_owned(), Some("C".to_owned())));
    spec.stream = false;
    spec.check_safe = true;
    spec
}
