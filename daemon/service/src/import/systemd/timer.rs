//! A `.timer`: which of its lines become triggers, and how a start counted from the boot or from the last run is kept.

use std::time::Duration;

use sloth_api::{Quantity, ScheduleSpec};
use sloth_core::units::format_duration;

use super::calendar;
use super::exec::Action;
use super::service::Job;
use super::span;
use super::unit::{Entry, Unit, boolean};
use crate::import::sink::{At, Sink};

const TIMER: &str = "Timer";
const SINCE_BOOT: [&str; 3] = ["OnBootSec", "OnStartupSec", "OnActiveSec"];
const SINCE_RUN: [&str; 2] = ["OnUnitActiveSec", "OnUnitInactiveSec"];
const CALENDAR: &str = "OnCalendar";
/// `catch_up_window` of a persistent timer: it makes up what was missed however long ago.
const PERSISTENT_WINDOW: &str = "366d";

/// What holds for all triggers of a timer.
struct Settings {
    persistent: bool,
    jitter: Option<Duration>,
    jitter_of_host: bool,
    notes: Vec<String>,
}

/// One trigger.
struct Planned {
    trigger: String,
    timezone: Option<String>,
    catch_up: Option<(&'static str, Option<String>)>,
    /// Pause before the command, in seconds.
    pause: u64,
    notes: Vec<String>,
}

/// Plans the schedules of a timer.
pub(super) fn plan(timer: &Unit, job: &Job, user: Option<&str>, sink: &mut Sink) {
    let entries = triggers(timer);
    if entries.is_empty() {
        return sink.refuse(
            &timer.source,
            0,
            &timer.name,
            "has no OnCalendar=, OnBootSec= or OnUnitActiveSec=: nothing says when",
        );
    }
    let settings = match settings(timer) {
        Ok(settings) => settings,
        Err((entry, reason)) => return refuse(sink, entry, reason),
    };
    let mut notes: Vec<String> = settings.notes.iter().chain(&job.notes).cloned().collect();
    let base = timer.name.trim_end_matches(".timer");
    let is_repeated = entries.iter().any(|entry| SINCE_RUN.contains(&entry.key.as_str()));
    let mut repeated = false;
    for entry in &entries {
        let text = shown(entry);
        let at = At { source: &entry.source, line: entry.line, text: &text };
        if sink.refused_as_full(at) {
            continue;
        }
        let planned = match entry.key.as_str() {
            CALENDAR => by_calendar(entry, &settings),
            key if SINCE_RUN.contains(&key) && repeated => {
                Err("the timer has several such lines: keep the shortest".to_owned())
            }
            key if SINCE_RUN.contains(&key) => {
                repeated = true;
                since_run(entry, &entries)
            }
            _ if is_repeated => {
                let covered =
                    "covered by the period of the timer: a run missed during downtime is made up after the boot";
                sink.ignore(at.source, at.line, at.text, vec![covered.to_owned()]);
                continue;
            }
            _ => since_boot(entry),
        };
        match planned {
            Ok(planned) => {
                let (spec, own) = finish(planned, &settings, job, user);
                // What concerns the whole unit is said with its first schedule.
                if sink.make(at, base, spec, own.into_iter().chain(notes.clone()).collect()) {
                    notes.clear();
                }
            }
            Err(reason) => refuse(sink, entry, reason),
        }
    }
}

fn refuse(sink: &mut Sink, entry: &Entry, reason: String) {
    sink.refuse(&entry.source, entry.line, &shown(entry), reason);
}

pub(super) fn shown(entry: &Entry) -> String {
    format!("{}={}", entry.key, entry.value)
}

/// The lines that say when; an empty one of any kind forgets all before it.
fn triggers(timer: &Unit) -> Vec<&Entry> {
    let mut found = Vec::new();
    let is_trigger = |key: &str| key == CALENDAR || SINCE_BOOT.contains(&key) || SINCE_RUN.contains(&key);
    for entry in timer.entries.iter().filter(|entry| entry.section == TIMER && is_trigger(&entry.key)) {
        if entry.value.is_empty() { found.clear() } else { found.push(entry) }
    }
    found
}

fn settings(timer: &Unit) -> Result<Settings, (&Entry, String)> {
    let is_on = |key: &str| timer.last(TIMER, key).and_then(|entry| boolean(&entry.value)) == Some(true);
    let duration = |key: &str| match timer.last(TIMER, key) {
        None => Ok(None),
        Some(entry) => {
            span::parse(&entry.value).map(Some).ok_or((entry, format!("{key}= is not a time span such as 15min")))
        }
    };
    let mut notes = Vec::new();
    for key in ["OnClockChange", "OnTimezoneChange"] {
        if let Some(entry) = timer.last(TIMER, key).filter(|_| is_on(key)) {
            return Err((
                entry,
                format!("{key}= has no counterpart: remove it with `systemctl edit`, or keep the timer in systemd"),
            ));
        }
    }
    let (offset, delay) = (duration("RandomizedOffsetSec")?, duration("RandomizedDelaySec")?);
    let jitter = delay.or(offset).filter(|jitter| !jitter.is_zero());
    if let Some(accuracy) = duration("AccuracySec")?.filter(|accuracy| *accuracy > Duration::from_secs(60)) {
        notes.push(format!(
            "AccuracySec={}: the job starts at its time, not up to so much later",
            format_duration(accuracy)
        ));
    }
    if is_on("WakeSystem") {
        notes.push(
            "WakeSystem=yes: slothd does not wake the machine; what is missed in suspend follows catch_up".to_owned(),
        );
    }
    const KNOWN: [&str; 11] = [
        "Unit",
        "Persistent",
        "RandomizedDelaySec",
        "RandomizedOffsetSec",
        "FixedRandomDelay",
        "AccuracySec",
        "WakeSystem",
        "OnClockChange",
        "OnTimezoneChange",
        "OnCalendar",
        "RemainAfterElapse",
    ];
    let is_known = |key: &str| KNOWN.contains(&key) || SINCE_BOOT.contains(&key) || SINCE_RUN.contains(&key);
    let other: Vec<&str> =
        timer.keys(TIMER).into_iter().map(|entry| entry.key.as_str()).filter(|key| !is_known(key)).collect();
    if !other.is_empty() {
        notes.push(format!("not carried over from the timer: {}", other.join(", ")));
    }
    let jitter_of_host = is_on("FixedRandomDelay") || (delay.is_none() && offset.is_some());
    Ok(Settings { persistent: is_on("Persistent"), jitter, jitter_of_host, notes })
}

fn by_calendar(entry: &Entry, settings: &Settings) -> Result<Planned, String> {
    let calendar =
        calendar::parse(&entry.value).map_err(|reason| format!("the calendar event cannot be kept: {reason}"))?;
    let catch_up = if settings.persistent { ("latest", Some(PERSISTENT_WINDOW.to_owned())) } else { ("none", None) };
    Ok(Planned {
        trigger: calendar.trigger,
        timezone: calendar.timezone,
        catch_up: Some(catch_up),
        pause: 0,
        notes: Vec::new(),
    })
}

/// `OnBootSec=` alone: at boot, after a pause of the job itself.
fn since_boot(entry: &Entry) -> Result<Planned, String> {
    let delay = span::parse(&entry.value).ok_or_else(|| format!("{}= is not a time span such as 15min", entry.key))?;
    let pause = delay.as_secs_f64().ceil() as u64;
    let mut notes = Vec::new();
    if entry.key == "OnActiveSec" {
        notes.push("counted from the boot; systemd also counts from each start of the timer".to_owned());
    }
    if pause > 0 {
        notes.push(format!(
            "the run begins at boot and waits {} before its command, so it shows as running meanwhile",
            format_duration(delay)
        ));
    }
    Ok(Planned { trigger: "@reboot".to_owned(), timezone: None, catch_up: None, pause, notes })
}

/// `OnUnitActiveSec=`, mostly with `OnBootSec=`: a period. What the downtime swallowed is made up after the boot, as the
/// start some time after each boot does.
fn since_run(entry: &Entry, all: &[&Entry]) -> Result<Planned, String> {
    let period = span::parse(&entry.value).ok_or_else(|| format!("{}= is not a time span such as 1d", entry.key))?;
    if period < Duration::from_secs(1) {
        return Err(format!("{}={} is below the shortest period, 1s", entry.key, entry.value));
    }
    let text = format_duration(period);
    let from = if entry.key == "OnUnitActiveSec" { "start" } else { "end" };
    let mut notes =
        vec![format!("every {text} counted from the import; systemd counts {text} from the {from} of the last run")];
    match all.iter().find(|entry| SINCE_BOOT.contains(&entry.key.as_str())) {
        Some(boot) => {
            notes.push(format!("{} is not kept as such: after a boot only what was missed is made up", shown(boot)))
        }
        None if all.iter().all(|entry| SINCE_RUN.contains(&entry.key.as_str())) => {
            notes.push(
                "systemd begins to count when something else has started the service once, slothd at once".to_owned(),
            );
        }
        None => {}
    }
    let window = (period > Duration::from_secs(86_400)).then(|| text.clone());
    let trigger = format!("@every {text}");
    Ok(Planned { trigger, timezone: None, catch_up: Some(("latest", window)), pause: 0, notes })
}

fn finish(planned: Planned, settings: &Settings, job: &Job, user: Option<&str>) -> (ScheduleSpec, Vec<String>) {
    let action = if planned.pause > 0 { job.action.clone().after(planned.pause) } else { job.action.clone() };
    let (command, shell) = match action {
        Action::Command(argv) => (Some(argv), None),
        Action::Shell(text) => (None, Some(text)),
    };
    let text = |duration: Duration| Quantity::Text(format_duration(duration));
    let (catch_up, window) =
        planned.catch_up.map_or((None, None), |(policy, window)| (Some(policy.to_owned()), window));
    let spec = ScheduleSpec {
        trigger: Some(planned.trigger),
        timezone: planned.timezone,
        command,
        shell,
        user: job.spec.user.clone().or_else(|| user.map(str::to_owned)),
        catch_up,
        catch_up_window: window.map(Quantity::Text),
        jitter: settings.jitter.map(text),
        jitter_mode: (settings.jitter.is_some() && settings.jitter_of_host).then(|| "host".to_owned()),
        timeout: job.timeout_seconds.map(|seconds| text(Duration::from_secs(seconds.saturating_add(planned.pause)))),
        ..job.spec.clone()
    };
    (spec, planned.notes)
}
