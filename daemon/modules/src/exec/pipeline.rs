//! Commands whose outputs are the inputs of the next.

use std::io::pipe;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use sloth_lua::Ctx;

use super::attempt::{Bounds, follow};
use super::result::ExecResult;
use super::spec::{CommandSpec, Stdin};
use super::start::{Given, NotStarted, Started, start};
use super::stop::Guard;

/// Runs them together. The result is that of the last one, with the codes of all.
pub async fn pipeline(commands: Vec<CommandSpec>, ctx: Arc<Ctx>) -> ExecResult {
    let text = commands.iter().map(CommandSpec::display).collect::<Vec<_>>().join(" | ");
    if let Some(result) = commands.last().and_then(|last| super::run::skip(last, &ctx)) {
        return ExecResult { command: text, ..result };
    }
    let began = Instant::now();
    let started = match start_all(&commands, &ctx) {
        Ok(started) => started,
        Err(NotStarted { code, message }) => return ExecResult::not_started(text, code, message),
    };
    let running = started.into_iter().zip(&commands).map(|(started, spec)| {
        let bounds = Bounds::of(spec, &ctx, began);
        follow(started, spec, &ctx, bounds, began)
    });
    let mut results = join_all(running).await;
    let codes = results.iter().map(|result| result.exit_code).collect();
    let last = results.pop().unwrap_or_default();
    ExecResult { codes, command: text, duration: began.elapsed(), ..last }
}

/// All or none: when one cannot be started, those before it are ended.
fn start_all(commands: &[CommandSpec], ctx: &Ctx) -> Result<Vec<Started>, NotStarted> {
    let mut all: Vec<Started> = Vec::new();
    let mut input: Option<Stdio> = None;
    for (at, spec) in commands.iter().enumerate() {
        let mut given = Given { stdin: input.take(), stdout: None };
        if at + 1 < commands.len() {
            let (reader, writer) = pipe().map_err(|error| NotStarted { code: 125, message: error.to_string() })?;
            given.stdout = Some(writer.into());
            input = Some(reader.into());
        }
        // Only the first reads what the caller gave.
        let quiet = CommandSpec { stdin: if at == 0 { spec.stdin.clone() } else { Stdin::Empty }, ..spec.clone() };
        match start(&quiet, ctx, given) {
            Ok(started) => all.push(started),
            Err(reason) => {
                all.iter().for_each(|started| drop(Guard::new(started.pid, started.mark.clone())));
                return Err(reason);
            }
        }
    }
    Ok(all)
}
