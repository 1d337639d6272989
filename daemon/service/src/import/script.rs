//! One executable of `/etc/cron.hourly` and its sisters: a schedule of its own instead of a turn in a run-parts(8) round,
//! at the time at which `/etc/crontab` of Debian begins that round.

use std::collections::BTreeMap;

use sloth_api::{ImportSource, Quantity, ScheduleSpec};

use super::names::file_name;
use super::sink::{At, Sink};
use super::text;

struct Round {
    directory: &'static str,
    trigger: &'static str,
    /// How long a missed turn is worth making up; `None`: never.
    window: Option<&'static str>,
}

const ROUNDS: [Round; 5] = [
    Round { directory: "cron.hourly", trigger: "17 * * * *", window: None },
    Round { directory: "cron.daily", trigger: "25 6 * * *", window: Some("1d") },
    Round { directory: "cron.weekly", trigger: "47 6 * * 7", window: Some("7d") },
    Round { directory: "cron.monthly", trigger: "52 6 1 * *", window: Some("31d") },
    Round { directory: "cron.yearly", trigger: "20 7 1 1 *", window: Some("366d") },
];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin";

pub(super) fn import(source: &ImportSource, sink: &mut Sink) {
    let path = source.name.as_str();
    let name = file_name(path);
    let first = source.text.lines().next().unwrap_or_default();
    let directory = path.rsplit('/').nth(1).unwrap_or_default();
    let Some(round) = ROUNDS.iter().find(|round| round.directory == directory).filter(|_| path.starts_with('/')) else {
        let known: Vec<&str> = ROUNDS.iter().map(|round| round.directory).collect();
        let place = format!("give the script under its absolute path in one of {}", known.join(", "));
        return sink.refuse(
            path,
            0,
            first,
            format!("nothing says when the script runs: {place}, or add it with `slothctl scheduler add`"),
        );
    };
    if let Some(reason) = passed_over(name) {
        return sink.ignore(path, 0, first, vec![reason]);
    }
    if !first.starts_with("#!") && !first.starts_with("\u{7f}ELF") {
        let reason = "has no `#!` line, so run-parts cannot execute it: add one such as #!/bin/sh";
        return sink.refuse(path, 0, first, reason);
    }
    let mut notes = vec![format!(
        "run-parts goes on running it while it lies in {directory}: clear its executable bit once it is imported"
    )];
    notes.push("was it executable? the text does not say; run-parts passes over what is not".to_owned());
    if source.text.contains("/run/systemd/system") {
        notes.push("asks for /run/systemd/system: on a host with systemd it may do nothing, its timer does the work; import that".to_owned());
    }
    if round.window.is_some() {
        notes.push("a missed run is made up as by anacron; cron alone does not (catch_up = none)".to_owned());
    }
    let spec = ScheduleSpec {
        trigger: Some(round.trigger.to_owned()),
        command: Some(vec![path.to_owned()]),
        user: Some("root".to_owned()),
        cwd: Some("/".to_owned()),
        env: Some(BTreeMap::from([("PATH".to_owned(), PATH.to_owned()), ("SHELL".to_owned(), "/bin/sh".to_owned())])),
        catch_up: Some(if round.window.is_some() { "latest" } else { "none" }.to_owned()),
        catch_up_window: round.window.map(|window| Quantity::Text(window.to_owned())),
        ..ScheduleSpec::default()
    };
    let at = At { source: path, line: 0, text: first };
    sink.make(at, &format!("{directory}-{name}"), spec, notes);
}

/// Why run-parts(8) passes over a file of this name.
fn passed_over(name: &str) -> Option<String> {
    let odd = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_' && *c != '-')?;
    let is_leftover = name.starts_with('.')
        || name.ends_with('~')
        || [".dpkg-", ".ucf-", ".bak", ".orig"].iter().any(|s| name.contains(s));
    let kind = if is_leftover { "a placeholder or a leftover of an update or editor" } else { "no script to it" };
    let shown = text::shorten(&odd.to_string());
    Some(format!("run-parts passes over it: a name with {shown:?} is {kind}; if it shall run, rename it"))
}
