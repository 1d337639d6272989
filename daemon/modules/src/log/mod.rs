//! `log`: lines of a run's log.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Map, Value};
use sloth_lua::{
    Body, Call, Data, Failure, Family, Function, LogLevel, LogLine, Module, Param, Reply, Stream, Tier, Type,
};

use crate::describe::{also, luau, may, need, value};

/// Lines of the log.
pub static MODULE: Module = Module {
    name: "log",
    aliases: &[],
    tier: Tier::Here,
    about: "Writes to the log of the run",
    functions: FUNCTIONS,
    prelude: include_str!("log.luau"),
};

/// The least level of the run that is written: one worker is one run.
static LEAST: AtomicU8 = AtomicU8::new(0);
/// Longest line, bytes; longer ones are split.
const LINE_MAX: usize = 64 << 10;

const MSG: Param = may("msg", Type::Any, "");
const FIELDS: Param = may("fields", Type::Any, "");
const SAID: &[Param] = &[MSG, FIELDS];
const FORMAT: &[Param] = &[need("format", Type::Str)];

const FUNCTIONS: &[Function] = &[
    luau("debug", SAID, "()", "A line for whoever looks closely"),
    luau("info", SAID, "()", "A line"),
    also(luau("warn", SAID, "()", "A warning"), &["warning"]),
    luau("error", SAID, "()", "An error"),
    luau("success", SAID, "()", "A line about something that went well"),
    luau("print", &[MSG], "()", "The bare text"),
    luau("fatal", SAID, "never", "An error line, and the error is raised"),
    luau("table", &[need("value", Type::Any), may("title", Type::Str, "")], "()", "A value over several lines"),
    luau("with", &[need("fields", Type::Map)], "Logger", "A logger whose lines carry these fields"),
    luau("debugf", FORMAT, "()", "A formatted line, as string.format has it"),
    luau("infof", FORMAT, "()", "A formatted line"),
    luau("warnf", FORMAT, "()", "A formatted line"),
    luau("errorf", FORMAT, "()", "A formatted line"),
    luau("successf", FORMAT, "()", "A formatted line"),
    luau("printf", FORMAT, "()", "A formatted line"),
    Function {
        family: Family::Raw,
        ..value("set_level", &[need("level", Type::Str)], "()", "The least level that is written", Body::Now(set_level))
    },
    Function {
        family: Family::Raw,
        ..value(
            "_line",
            &[need("level", Type::Str), need("msg", Type::Str), may("fields", Type::Any, "")],
            "()",
            "",
            Body::Now(line),
        )
    },
    Function {
        family: Family::Raw,
        ..value(
            "_json",
            &[need("value", Type::Any), may("pretty", Type::Bool, "false")],
            "string",
            "",
            Body::Pure(json),
        )
    },
];

fn level(name: &str) -> Result<LogLevel, Failure> {
    match name {
        "debug" => Ok(LogLevel::Debug),
        "info" | "success" | "print" => Ok(LogLevel::Info),
        "warn" | "warning" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        other => {
            let message = format!("\"debug\", \"info\", \"warn\" or \"error\" expected, got {other:?}");
            Err(Failure::argument("level", message))
        }
    }
}

fn set_level(call: &Call) -> Reply {
    LEAST.store(level(&call.args.text("level")?)? as u8, Ordering::Relaxed);
    Ok(Vec::new())
}

fn line(call: &Call) -> Reply {
    let name = call.args.text("level")?;
    let level = level(&name)?;
    if (level as u8) < LEAST.load(Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let text = hide(call, call.args.text("msg")?);
    let fields = fields(call);
    let stream = if name == "print" { Stream::Stdout } else { Stream::Log };
    for piece in pieces(&text) {
        call.ctx.log.line(LogLine {
            workflow: call.ctx.workflow.clone(),
            task: call.ctx.task.clone(),
            attempt: call.ctx.attempt,
            level,
            stream,
            message: piece.to_owned(),
            fields: fields.clone(),
        });
    }
    Ok(Vec::new())
}

/// The text in pieces of at most [`LINE_MAX`] bytes, cut between characters.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > LINE_MAX {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(LINE_MAX));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn fields(call: &Call) -> Map<String, Value> {
    let Some(Data::Map(entries)) = call.args.get("fields") else { return Map::new() };
    let value = |(key, value): &(String, Data)| {
        let value = match (is_secret(key), value.to_json()) {
            (true, Value::String(_)) => Value::String("***".to_owned()),
            (_, Value::String(text)) => Value::String(hide(call, text)),
            (_, other) => other,
        };
        (key.clone(), value)
    };
    entries.iter().map(value).collect()
}

/// Names whose values are secret: `*password* *secret* *token* *_key`.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("password") || name.contains("secret") || name.contains("token") || name.ends_with("_key")
}

/// "known secret values are replaced by `***`": those of the environment and of the values of the run, by their names. Short
/// ones are left: they would tear every text apart.
fn hide(call: &Call, text: String) -> String {
    let mut secrets: Vec<String> = Vec::new();
    {
        let env = call.ctx.env.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.extend(env.iter().filter(|(name, _)| is_secret(name)).filter_map(|(_, value)| value.clone()));
    }
    collect(&call.ctx.run.values, &mut secrets);
    secrets.iter().filter(|secret| secret.len() >= 6).fold(text, |text, secret| text.replace(secret.as_str(), "***"))
}

fn collect(values: &Map<String, Value>, secrets: &mut Vec<String>) {
    for (name, value) in values {
        match value {
            Value::String(text) if is_secret(name) => secrets.push(text.clone()),
            Value::Object(inner) => collect(inner, secrets),
            _ => {}
        }
    }
}

fn json(args: &sloth_lua::Args) -> Reply {
    let value = args.get("value").map(Data::to_json).unwrap_or_default();
    let text = if args.flag("pretty") { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
    text.map(|text| vec![text.into()]).map_err(|error| Failure::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use sloth_lua::{Args, Mode};

    use super::*;
    use crate::testing::{Caller, call as invoke};

    /// "Lines carry run, stack, workflow, task, attempt; known secret values are replaced by `***`."
    #[test]
    fn lines_carry_their_task_and_no_secrets() {
        let caller = Caller::with(Mode::Normal, |ctx| {
            ctx.env.lock().unwrap().insert("DB_PASSWORD".into(), Some("hunter22".into()));
        });
        let fields = Data::map([("api_token", Data::from("abcdef")), ("n", 3.0.into())]);
        let args = Args::default().with("level", "warn").with("msg", "it is hunter22").with("fields", fields);
        invoke(&MODULE, &caller, "_line", args).unwrap();
        let lines = caller.log.0.lock().unwrap();
        assert_eq!(lines[0].message, "it is ***");
        assert_eq!((lines[0].task.as_deref(), lines[0].attempt, lines[0].level), (Some("ship"), 2, LogLevel::Warn));
        assert_eq!(Value::Object(lines[0].fields.clone()).to_string(), r#"{"api_token":"***","n":3}"#);
    }

    #[test]
    fn long_lines_are_split_between_characters() {
        let text = "é".repeat(LINE_MAX);
        let pieces = pieces(&text);
        assert_eq!(pieces.concat(), text);
        assert!(pieces.len() == 2 && pieces.iter().all(|piece| piece.len() <= LINE_MAX));
    }

    #[test]
    fn levels_have_names() {
        let caller = Caller::new();
        assert!(invoke(&MODULE, &caller, "set_level", Args::default().with("level", "loud")).unwrap_err().raise);
    }
}
