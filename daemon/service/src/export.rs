//! Writes schedules in the forms that others read: the declarative TOML of `schedules.d`, which loses nothing, and
//! crontab(5), which can say little, so that each schedule it cannot hold is named with the reason.

use std::fmt::Write;

use serde_json::{Map, Value};
use sloth_api::ScheduleSpec;

use crate::import::crontab_accepts;
use crate::import::words::{is_variable, join, quote};

/// The declarative form: a table `schedule.NAME` for each, in the given order, with the fields that the specs set, in
/// the order of [`ScheduleSpec`]. Reads back as the same specs; numbers that TOML lacks (NaN, above 2^63) are left out.
pub fn to_toml(schedules: &[(String, ScheduleSpec)]) -> String {
    let mut text = String::new();
    for (name, spec) in schedules {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "[schedule.{}]", toml_key(name));
        let Ok(Value::Object(fields)) = serde_json::to_value(spec) else {
            continue;
        };
        for (field, value) in &fields {
            if let Some(value) = toml_value(value) {
                let _ = writeln!(text, "{} = {value}", toml_key(field));
            }
        }
    }
    text
}

fn toml_value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_u64() => {
            number.as_u64().filter(|n| i64::try_from(*n).is_ok()).map(|n| n.to_string())
        }
        Value::Number(number) if number.is_i64() => Some(number.to_string()),
        Value::Number(number) => number.as_f64().map(|number| format!("{number:?}")),
        Value::String(text) => Some(toml_string(text)),
        Value::Array(items) => {
            Some(format!("[{}]", items.iter().filter_map(toml_value).collect::<Vec<_>>().join(", ")))
        }
        Value::Object(fields) => Some(toml_table(fields)),
    }
}

fn toml_table(fields: &Map<String, Value>) -> String {
    let field = |(name, value): (&String, &Value)| Some(format!("{} = {}", toml_key(name), toml_value(value)?));
    match fields.iter().filter_map(field).collect::<Vec<_>>().join(", ").as_str() {
        "" => "{}".to_owned(),
        fields => format!("{{ {fields} }}"),
    }
}

fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { toml_string(name) }
}

/// A basic string of TOML.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A user's crontab with a line for each schedule that one can hold, grouped by time zone (`CRON_TZ`, which cronie reads
/// and cron of Debian does not), and a comment for each other and for what a line leaves out.
pub fn to_crontab(schedules: &[(String, ScheduleSpec)]) -> String {
    let mut lines: Vec<(Option<&str>, String)> = Vec::new();
    let mut refused = String::new();
    for (name, spec) in schedules {
        let name = comment(name);
        match crontab_line(spec) {
            Ok(line) => {
                let lost = lost_in_crontab(spec);
                let remark = if lost.is_empty() { String::new() } else { format!("; cron has no {}", lost.join(", ")) };
                let paused = spec.enabled == Some(false);
                let (state, sign) = if paused { (" (paused)", "#") } else { ("", "") };
                lines.push((spec.timezone.as_deref(), format!("# {name}{state}{remark}\n{sign}{line}\n")));
            }
            Err(reason) => {
                let _ = writeln!(refused, "# {name}: not expressible in a crontab: {reason}");
            }
        }
    }
    // A zone holds for all lines below it and cannot be taken back: those without one come first.
    lines.sort_by_key(|(zone, _)| *zone);
    let mut text = String::new();
    let mut current = None;
    for (zone, line) in &lines {
        if let (true, Some(zone)) = (*zone != current, zone) {
            let _ = writeln!(text, "CRON_TZ={zone}");
        }
        current = *zone;
        text.push_str(line);
    }
    text + &refused
}

/// Text that cannot break out of a comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn crontab_line(spec: &ScheduleSpec) -> Result<String, String> {
    let trigger = spec.trigger.as_deref().unwrap_or("manual").trim_ascii();
    let refuse = |reason: &str| Err(reason.to_owned());
    if matches!(trigger, "manual" | "@manual" | "none") {
        return refuse("it has no time of its own");
    }
    if !crontab_accepts(trigger) {
        return Err(format!("cron does not read the time {trigger:?}"));
    }
    if let Some(user) = &spec.user {
        // The line is right in that user's crontab only; whose crontab this is the caller knows.
        if !crate::import::words::is_login(user) {
            return refuse("its user is no login name");
        }
    }
    if spec.timezone.as_deref().is_some_and(|zone| !crate::import::words::is_zone(zone)) {
        return refuse("its time zone has no IANA name");
    }
    let command = command(spec)?;
    let input = match &spec.stdin {
        None => String::new(),
        Some(text) if text == "\n" => "%%".to_owned(),
        Some(text) if text.is_empty() => "%".to_owned(),
        Some(text) => input(text)?,
    };
    if command.contains(['\n', '\r', '\0']) {
        return refuse("its command has several lines: put them into a script");
    }
    Ok(format!("{trigger} {}{input}", escape_percent(&command)?))
}

/// The command with what stands before it: directory, mask and variables.
fn command(spec: &ScheduleSpec) -> Result<String, String> {
    let mut text = String::new();
    if let Some(cwd) = &spec.cwd {
        let _ = write!(text, "cd {} && ", quote(cwd));
    }
    if let Some(mask) = &spec.umask {
        let _ = write!(text, "umask {} && ", quote(mask));
    }
    let env: Vec<(&String, &String)> = spec.env.iter().flatten().collect();
    if env.iter().any(|(name, _)| !is_variable(name)) {
        return Err("a variable has a name that the shell cannot set".to_owned());
    }
    if !env.is_empty() {
        let assignments: Vec<String> = env.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        let _ = write!(text, "export {} && ", assignments.join(" "));
    }
    match (&spec.command, &spec.shell) {
        (Some(argv), None) if !argv.is_empty() => text.push_str(&join(argv)),
        // After `a && b`, text such as `x; y` or `x || y` would be read otherwise: it gets a shell of its own.
        (None, Some(shell)) if text.is_empty() => text.push_str(shell),
        (None, Some(shell)) => text.push_str(&join(&["/bin/sh".to_owned(), "-c".to_owned(), shell.clone()])),
        _ => return Err("it runs no command".to_owned()),
    }
    if text.trim_ascii().is_empty() || text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return Err("its command begins or ends with blanks, which cron drops".to_owned());
    }
    Ok(text)
}

/// Escapes `%`. cron cannot be given an odd number of backslashes before one.
fn escape_percent(command: &str) -> Result<String, String> {
    let mut escaped = String::with_capacity(command.len());
    let mut backslashes = 0;
    for c in command.chars() {
        if c == '%' {
            if backslashes % 2 == 1 {
                return Err("its command has a backslash before a percent sign: put it into a script".to_owned());
            }
            escaped.push('\\');
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        escaped.push(c);
    }
    if backslashes % 2 == 1 {
        return Err("its command ends with a backslash: put it into a script".to_owned());
    }
    Ok(escaped)
}

/// The standard input behind a `%`: cron ends it with a new line.
fn input(text: &str) -> Result<String, String> {
    let Some(body) = text.strip_suffix('\n') else {
        return Err("its standard input does not end with a new line, cron would add one".to_owned());
    };
    if body.contains(['\r', '\0'])
        || body.contains("\\%")
        || body.contains("\\\n")
        || body.contains("\\\\")
        || body.ends_with(['\\', ' ', '\t'])
    {
        return Err("its standard input has characters that cron reads otherwise: put it into a file".to_owned());
    }
    // A last line that is empty has to be written out, new line and all.
    let written = if body.ends_with('\n') { text } else { body };
    let mut input = String::from("%");
    for c in written.chars() {
        match c {
            '\n' => input.push('%'),
            '%' => input.push_str("\\%"),
            c => input.push(c),
        }
    }
    Ok(input)
}

/// The fields of a schedule that its line does not carry and that change what happens.
fn lost_in_crontab(spec: &ScheduleSpec) -> Vec<&'static str> {
    let fields = [
        ("user (put the line into that user's crontab)", spec.user.is_some()),
        ("group", spec.group.is_some()),
        ("overlap", spec.overlap.as_deref().is_some_and(|overlap| overlap != "allow")),
        ("catch_up", spec.catch_up.as_deref().is_some_and(|policy| policy != "none")),
        ("start_deadline", spec.start_deadline.is_some()),
        ("jitter", spec.jitter.is_some()),
        ("timeout", spec.timeout.is_some()),
        ("retries", spec.retries.is_some()),
        ("limits", spec.limits.is_some()),
        ("success_codes", spec.success_codes.is_some()),
        ("pause_after_failures", spec.pause_after_failures.is_some()),
        ("after", spec.after.is_some()),
        ("sandbox", spec.sandbox.as_deref().is_some_and(|sandbox| sandbox != "none")),
    ];
    fields.into_iter().filter(|(_, is_lost)| *is_lost).map(|(name, _)| name).collect()
}
