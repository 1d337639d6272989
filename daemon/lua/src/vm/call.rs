//! A call of a module's function: arguments, mode, definition journal, body.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{MultiValue, Value};
use serde_json::json;

use super::Inner;
use super::args::bind;
use super::ops::{Finish, OpId, Record, Work};
use super::registry::Native;
use super::results::{answer, raised};
use crate::data::Data;
use crate::host::{Ctx, LogLevel, Stream};
use crate::module::{Body, Call, Failure, Reply};

/// Host calls of the definition phase: those of an earlier evaluation, which are not repeated, and whether new ones
/// are recorded.
#[derive(Default)]
pub(crate) struct DefinitionJournal {
    /// In order.
    pub(crate) recorded: VecDeque<RecordedCall>,
    /// The definition phase goes on.
    pub(crate) active: bool,
    /// The order has differed once: nothing is taken from the journal any more.
    diverged: bool,
}

/// One call of an earlier evaluation.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// `exec.run`.
    pub function: String,
    /// Of its arguments.
    pub arguments: String,
    /// What `reply_json` made of its reply.
    pub results: serde_json::Value,
}

/// Modules whose calls have no result to record.
const UNRECORDED: &[&str] = &["log", "goroutine", "async", "flow", "perf"];

impl Inner {
    /// `0, values…`, `1, error` or `2, operation`.
    pub(crate) fn invoke(self: &Rc<Inner>, native: Native, values: &MultiValue) -> mlua::Result<MultiValue> {
        let Native { module, function } = native;
        let ctx = self.ctx()?;
        let bound = match bind(function, values) {
            Ok(bound) => bound,
            Err(wrong) => {
                let text =
                    format!("bad argument '{}' to '{}.{}' ({})", wrong.name, module.name, function.name, wrong.problem);
                return raised(&self.lua, None, Failure::new(text));
            }
        };
        for name in &bound.unknown {
            let known = function.params.iter().chain(function.options).map(|param| param.name);
            let hint = sloth_core::workflow::suggest(name, known).map(|near| format!(" (did you mean \"{near}\"?)"));
            let text = format!(
                "W112: unknown option \"{name}\" of {}.{}{}",
                module.name,
                function.name,
                hint.unwrap_or_default()
            );
            ctx.say(LogLevel::Warn, Stream::Log, text);
        }
        let finish = Finish::Family { module, function, raise: bound.raise };
        let call = Call { args: bound.args, ctx: Arc::clone(&ctx) };
        let record = match self.replay(&native, &call, &ctx) {
            Replay::Known(reply) => return answer(&self.lua, &self.kernel().metas, finish, reply),
            Replay::Record(record) => Some(record),
            Replay::No => None,
        };
        let work = match function.body {
            Body::Pure(body) => return self.at_once(&native, finish, body(&call.args)),
            Body::Now(body) if record.is_none() => return self.at_once(&native, finish, body(&call)),
            Body::Now(body) => {
                let reply = body(&call);
                Work::Io(Box::pin(async move { reply }))
            }
            Body::Blocking(body) => Work::Blocking(Box::new(move || body(call))),
            Body::Async(body) => Work::Io(body(call)),
            Body::Luau => return raised(&self.lua, None, Failure::new(missing_body(&native))),
        };
        let label = format!("{}.{}", module.name, function.name);
        Ok(self.suspend(label, work, finish, record))
    }

    fn at_once(&self, native: &Native, finish: Finish, reply: Reply) -> mlua::Result<MultiValue> {
        if native.function.mutates
            && let Some(fiber) = self.fiber()
        {
            self.note_change(&fiber, finish, &reply);
        }
        answer(&self.lua, &self.kernel().metas, finish, reply)
    }

    /// `2, operation`.
    pub(crate) fn suspend(
        &self,
        label: impl Into<String>,
        work: Work,
        finish: Finish,
        record: Option<Record>,
    ) -> MultiValue {
        let mut ops = self.ops.borrow_mut();
        let id = ops.add(label, work, finish);
        if let Some(op) = ops.get_mut(id) {
            op.recorded = record;
        }
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        MultiValue::from_vec(vec![Value::Number(2.0), Value::Number(id as f64)])
    }

    fn replay(&self, native: &Native, call: &Call, ctx: &Ctx) -> Replay {
        let Native { module, function } = native;
        let mut journal = self.journal.borrow_mut();
        let skipped = matches!(function.body, Body::Pure(_) | Body::Luau) || UNRECORDED.contains(&module.name);
        if !journal.active || ctx.task.is_some() || skipped || ctx.is_simulated() {
            return Replay::No;
        }
        let record = Record { function: format!("{}.{}", module.name, function.name), arguments: call.args.digest() };
        match journal.recorded.pop_front() {
            Some(old) if old.function == record.function && old.arguments == record.arguments => {
                Replay::Known(reply_from_json(&old.results))
            }
            Some(old) => {
                journal.recorded.clear();
                if !journal.diverged {
                    journal.diverged = true;
                    let text = format!(
                        "W301: the definition calls {} where it called {} before: executed again from here on",
                        record.function, old.function
                    );
                    ctx.say(LogLevel::Warn, Stream::Log, text);
                }
                Replay::Record(record)
            }
            None => Replay::Record(record),
        }
    }

    /// Gives a reply back when it need not be recorded (any more); else records it first.
    pub(crate) fn record(&self, id: OpId, reply: Reply) -> Option<Reply> {
        let mut ops = self.ops.borrow_mut();
        let op = ops.get_mut(id)?;
        if let Some(kept) = op.kept.take() {
            // The answer of the journal has come; where it failed, the script goes on: slothd is asked again by a
            // later record, and a resumed run repeats this call.
            return Some(kept);
        }
        let Some(record) = op.recorded.take() else { return Some(reply) };
        let Some(fiber) = op.fiber.clone() else { return Some(reply) };
        let body = json!({"function": record.function, "arguments": record.arguments, "results": reply_json(&reply)});
        op.kept = Some(reply);
        drop(ops);
        let written = fiber.ctx().daemon.journal("definition_call", body);
        let inbox = Arc::clone(&self.inbox);
        self.spawner.spawn(Box::pin(async move {
            let written = written.await;
            inbox.push(id, written.map(|()| Vec::new()).map_err(|trouble| Failure::new(trouble.message)));
        }));
        None
    }
}

enum Replay {
    Known(Reply),
    Record(Record),
    No,
}

fn missing_body(native: &Native) -> String {
    format!("{}.{} has no body", native.module.name, native.function.name)
}

/// A reply as the journal keeps it; bytes that are no text are kept in hexadecimal.
pub fn reply_json(reply: &Reply) -> serde_json::Value {
    match reply {
        Ok(values) => json!({"ok": values.iter().map(exact).collect::<Vec<_>>()}),
        Err(failure) => json!({"err": failure.message, "info": exact(&failure.info), "raise": failure.raise}),
    }
}

fn exact(data: &Data) -> serde_json::Value {
    match data {
        Data::Nil => json!({"nil": true}),
        Data::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!({"s": text}),
            Err(_) => json!({"x": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()}),
        },
        Data::List(items) => json!({"l": items.iter().map(exact).collect::<Vec<_>>()}),
        Data::Map(entries) => {
            json!({"m": entries.iter().map(|(key, value)| json!([key, exact(value)])).collect::<Vec<_>>()})
        }
        Data::Num(number) if !number.is_finite() => json!({"n": number.to_string()}),
        other => other.to_json(),
    }
}

/// Back from [`reply_json`].
pub fn reply_from_json(value: &serde_json::Value) -> Reply {
    match value.get("ok").and_then(serde_json::Value::as_array) {
        Some(values) => Ok(values.iter().map(inexact).collect()),
        None => Err(Failure {
            message: value["err"].as_str().unwrap_or("unknown").to_owned(),
            info: inexact(&value["info"]),
            kind: None,
            raise: value["raise"].as_bool().unwrap_or(false),
        }),
    }
}

fn inexact(value: &serde_json::Value) -> Data {
    use serde_json::Value as Json;
    match value {
        Json::Null => Data::Null,
        Json::Object(object) => match object.iter().next().map(|(key, value)| (key.as_str(), value)) {
            Some(("s", Json::String(text))) => Data::text(text.as_str()),
            Some(("x", Json::String(hex))) => Data::Str(unhex(hex)),
            Some(("l", Json::Array(items))) => Data::List(items.iter().map(inexact).collect()),
            Some(("m", Json::Array(entries))) => Data::Map(
                entries
                    .iter()
                    .map(|entry| (entry[0].as_str().unwrap_or_default().to_owned(), inexact(&entry[1])))
                    .collect(),
            ),
            Some(("n", Json::String(number))) => Data::Num(number.parse().unwrap_or(f64::NAN)),
            _ => Data::Nil,
        },
        other => Data::from_json(other),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
