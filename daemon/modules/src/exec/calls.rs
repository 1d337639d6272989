//! From the arguments of a call to a command.

use std::time::Duration;

use sloth_lua::{Args, Data, Failure};

use super::spec::{CommandSpec, Program, Stdin};

/// The command that a call describes: `cmd` and the options of `exec.run`.
pub fn spec(args: &Args) -> Result<CommandSpec, Failure> {
    let program = match args.get("cmd") {
        Some(cmd) => program(cmd)?,
        None => return Err(Failure::argument("cmd", "string or list expected, got nil")),
    };
    with_options(program, args)
}

/// A text or a list of words.
pub fn program(cmd: &Data) -> Result<Program, Failure> {
    let wrong = |got: &str| Failure::argument("cmd", format_args!("string or list of strings expected, got {got}"));
    let program = match cmd {
        Data::List(items) => {
            let words: Option<Vec<String>> = items.iter().map(Data::to_text).collect();
            Program::Argv(words.filter(|words| !words.is_empty()).ok_or_else(|| wrong("another list"))?)
        }
        other => Program::Shell(other.to_text().ok_or_else(|| wrong(other.type_name()))?),
    };
    let has_zero = match &program {
        Program::Shell(text) => text.contains('\0'),
        Program::Argv(words) => words.iter().any(|word| word.contains('\0')),
    };
    if has_zero { Err(Failure::argument("cmd", "a command cannot contain a zero byte")) } else { Ok(program) }
}

/// This program with the options of a call.
pub fn with_options(program: Program, args: &Args) -> Result<CommandSpec, Failure> {
    let mut spec = CommandSpec::new(program);
    spec.workdir = args.opt_text("workdir");
    spec.env = environment(args.get("env"))?;
    spec.clear_env = args.flag("clear_env");
    spec.timeout = args.num("timeout").map(millis);
    spec.stdin = stdin(args.get("stdin"))?;
    spec.user = args.opt_text("user");
    spec.sudo = matches!(args.get("sudo"), Some(Data::Bool(true)));
    spec.umask = args.get("umask").map(|value| crate::modes::mode("umask", value)).transpose()?;
    spec.nice = args.int("nice").map(|nice| i32::try_from(nice.clamp(-20, 19)).unwrap_or(0));
    spec.shell = args.opt_text("shell");
    spec.stream = args.flag_or("stream", true) && !args.flag("quiet");
    spec.capture = args.flag_or("capture", true);
    if let Some(bytes) = args.num("max_output") {
        spec.max_output = size(bytes);
    }
    spec.retries = args.int("retries").map_or(0, |n| u32::try_from(n.max(0)).unwrap_or(u32::MAX));
    if let Some(delay) = args.num("delay") {
        spec.delay = millis(delay);
    }
    if let Some(codes) = args.get("expect_codes") {
        spec.expect_codes = self::codes(codes)?;
    }
    spec.mask = args.texts("mask");
    spec.check_safe = args.flag("check_safe");
    spec.creates = args.opt_text("creates");
    spec.removes = args.opt_text("removes");
    Ok(spec)
}

/// Milliseconds of a duration argument.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
pub fn millis(number: f64) -> Duration {
    Duration::from_millis(number.max(0.0) as u64)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
fn size(number: f64) -> usize {
    number.max(0.0) as usize
}

fn environment(value: Option<&Data>) -> Result<Vec<(String, Option<String>)>, Failure> {
    let entries = match value {
        None => return Ok(Vec::new()),
        Some(Data::List(items)) if items.is_empty() => return Ok(Vec::new()),
        Some(Data::Map(entries)) => entries,
        Some(other) => return Err(Failure::argument("env", format_args!("table expected, got {}", other.type_name()))),
    };
    entries
        .iter()
        .map(|(name, value)| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Failure::argument("env", format_args!("{name:?} is not a name of a variable")));
            }
            let value = match value {
                Data::Bool(false) => None,
                Data::Bool(true) => Some("true".to_owned()),
                other => Some(other.to_text().ok_or_else(|| {
                    Failure::argument("env", format_args!("{name}: string expected, got {}", other.type_name()))
                })?),
            };
            if value.as_ref().is_some_and(|value| value.contains('\0')) {
                return Err(Failure::argument("env", format_args!("{name}: a variable cannot contain a zero byte")));
            }
            Ok((name.clone(), value))
        })
        .collect()
}

fn stdin(value: Option<&Data>) -> Result<Stdin, Failure> {
    match value {
        None => Ok(Stdin::Empty),
        Some(Data::Str(bytes)) => Ok(Stdin::Bytes(bytes.clone())),
        Some(table @ Data::Map(_)) => match table.get("file").and_then(Data::to_text) {
            Some(file) => Ok(Stdin::File(file)),
            None => Err(Failure::argument("stdin", "string or {file=path} expected")),
        },
        Some(other) => match other.to_text() {
            Some(text) => Ok(Stdin::Bytes(text.into_bytes())),
            None => Err(Failure::argument("stdin", format_args!("string expected, got {}", other.type_name()))),
        },
    }
}

fn codes(value: &Data) -> Result<Vec<i32>, Failure> {
    let items = match value {
        Data::List(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let code = |item: &Data| item.to_text().and_then(|text| text.parse().ok());
    let codes: Option<Vec<i32>> = items.iter().map(code).collect();
    codes.ok_or_else(|| Failure::argument("expect_codes", "list of exit codes expected"))
}
