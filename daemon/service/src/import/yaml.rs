//! `scheduled_tasks` files. Their tasks are workflows, which are not built yet, so every entry is read, checked and
//! refused with what to do until then.

use serde::Deserialize;
use serde_norway::Value;
use sloth_api::ImportSource;

use super::crontab::quoted;
use super::sink::Sink;

/// Most bytes of a file: it is read into a tree.
const BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scheduled_tasks: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    schedule: String,
    task_file: String,
    task_group: String,
    task_name: Option<String>,
}

pub(super) fn import(source: &ImportSource, sink: &mut Sink) {
    if source.text.len() > BYTES_MAX {
        return sink.refuse(&source.name, 0, "", format!("is larger than {} MiB: import it in parts", BYTES_MAX >> 20));
    }
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let file: File = match serde_norway::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.location().map_or(0, |place| u32::try_from(place.line()).unwrap_or(0));
            let shown = (line as usize).checked_sub(1).and_then(|index| text.lines().nth(index)).unwrap_or_default();
            let form = "expected is `scheduled_tasks:` and a list of name, schedule, task_file, task_group and, optionally, task_name";
            return sink.refuse(
                &source.name,
                line,
                shown,
                format!("cannot be read: {}; {form}", crate::import::text::shorten(&error.to_string())),
            );
        }
    };
    let starts = entry_lines(text, file.scheduled_tasks.len());
    for (index, value) in file.scheduled_tasks.into_iter().enumerate() {
        let (line, shown) = starts.as_ref().and_then(|starts| starts.get(index)).copied().unwrap_or((0, ""));
        let place = format!("entry {} of scheduled_tasks", index + 1);
        sink.refuse(&source.name, line, shown, refusal(&place, value));
    }
}

fn refusal(place: &str, value: Value) -> String {
    let entry: Entry = match serde_norway::from_value(value) {
        Ok(entry) => entry,
        Err(error) => return format!("{place}: {}", crate::import::text::shorten(&error.to_string())),
    };
    if let Err(error) = sloth_core::trigger::Trigger::parse(&entry.schedule, &jiff::tz::TimeZone::UTC) {
        return format!("{place}: schedule: {error}");
    }
    let task = entry.task_name.map(|name| format!(" / {name}")).unwrap_or_default();
    let what = quoted(&format!("{} of {}{task}", entry.task_group, entry.task_file));
    let name = super::names::valid(&entry.name);
    let until = format!("slothctl scheduler add {name} --cron {} -- COMMAND", quoted(&entry.schedule));
    format!(
        "{place}: not_supported: workflows such as {what} cannot be scheduled yet; until then schedule the command behind it: {until}"
    )
}

/// The lines on which the entries of a list in block style begin; `None` when they cannot be told.
fn entry_lines(text: &str, count: usize) -> Option<Vec<(u32, &str)>> {
    let mut indent = None;
    let mut starts = Vec::new();
    let lines = (1u32..).zip(text.lines()).skip_while(|(_, line)| !line.starts_with("scheduled_tasks:")).skip(1);
    for (number, line) in lines {
        let body = line.trim_start();
        let depth = line.len() - body.len();
        if (body == "-" || body.starts_with("- ")) && depth == *indent.get_or_insert(depth) {
            starts.push((number, line));
        }
    }
    (starts.len() == count).then_some(starts)
}
