//! systemd.timer(5) with the systemd.service(5) that it starts. Texts are put together by their names: a unit, the
//! drop-ins of its `.d` directory, the template of an instance.

mod calendar;
mod exec;
mod guard;
mod keys;
mod resources;
mod service;
mod span;
mod specifier;
mod timer;
mod unit;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use sloth_api::ImportSource;

use super::names::file_name;
use super::sink::Sink;
use super::text;
use guard::guards;
use specifier::Specifiers;
use unit::Unit;

/// Units that nothing is read from.
const OTHER_UNITS: [&str; 9] =
    [".target", ".socket", ".path", ".mount", ".automount", ".swap", ".slice", ".scope", ".device"];

/// All texts of an import, by the unit that they belong to.
#[derive(Default)]
struct Texts<'a> {
    units: BTreeMap<&'a str, &'a ImportSource>,
    /// By unit, then by file name: the order in which systemd reads them.
    drop_ins: BTreeMap<&'a str, BTreeMap<&'a str, &'a ImportSource>>,
}

pub(super) fn import(sources: &[&ImportSource], sink: &mut Sink) {
    // The system manager and those of users have units of the same names.
    let (of_system, of_users): (Vec<&ImportSource>, Vec<&ImportSource>) =
        sources.iter().partition(|source| is_system(&source.name));
    one_manager(&of_system, sink);
    one_manager(&of_users, sink);
}

fn is_system(path: &str) -> bool {
    !(path.contains("/systemd/user/") || path.contains(".config/systemd"))
}

fn one_manager(sources: &[&ImportSource], sink: &mut Sink) {
    let texts = Texts::sort(sources, sink);
    let mut used = BTreeSet::new();
    for (name, source) in texts.units.iter().filter(|(name, _)| name.ends_with(".timer")) {
        one_timer(name, source, &texts, &mut used, sink);
    }
    for (name, source) in texts.units.iter().filter(|(name, _)| !name.ends_with(".timer") && !used.contains(**name)) {
        sink.ignore(&source.name, 0, name, vec!["no timer of this import starts it".to_owned()]);
    }
    for (name, parts) in texts.drop_ins.iter().filter(|(name, _)| !used.contains(**name)) {
        for part in parts.values() {
            sink.ignore(&part.name, 0, "", vec![format!("belongs to {name}, which this import does not use")]);
        }
    }
}

fn one_timer<'a>(
    name: &'a str,
    source: &'a ImportSource,
    texts: &Texts<'a>,
    used: &mut BTreeSet<&'a str>,
    sink: &mut Sink,
) {
    let mark = sink.mark();
    let timer = texts.read(name, source, used);
    if !faults(&timer, sink) {
        return;
    }
    let stem = name.trim_end_matches(".timer");
    if stem.ends_with('@') {
        let instance = format!("give the text once for each instance, under a name such as {stem}INSTANCE.timer");
        return sink.refuse(&source.name, 0, name, format!("is a template: {instance}"));
    }
    let is_system = is_system(&source.name);
    let specifiers = Specifiers { unit: name, is_system };
    let wanted = timer.last("Timer", "Unit");
    let service_name = match wanted.map(|entry| specifiers.expand(&entry.value)).transpose() {
        Ok(wanted) => wanted.unwrap_or_else(|| format!("{stem}.service")),
        Err(reason) => return sink.refuse(&source.name, 0, name, format!("Unit= {reason}")),
    };
    if !service_name.ends_with(".service") {
        let line = wanted.map_or(0, |entry| entry.line);
        return sink.refuse(
            &source.name,
            line,
            name,
            format!("starts {service_name}, which is no service: schedule what that brings up"),
        );
    }
    let Some(service) = texts.service(&service_name, used) else {
        let find = format!("give it as well (`systemctl cat {service_name}` shows where it is)");
        return sink.refuse(
            &source.name,
            0,
            name,
            format!("the service it starts, {service_name}, is not among the texts: {find}"),
        );
    };
    if !faults(&service, sink) {
        return;
    }
    let job = match guards(&timer, &specifiers) {
        Ok(extra) => service::job(&service, extra, is_system),
        Err((entry, reason)) => return sink.refuse(&entry.source, entry.line, &timer::shown(entry), reason),
    };
    let lost = |reason: String| format!("{reason}; {name} is not imported");
    let job = match job {
        Ok(job) => job,
        Err((Some(entry), reason)) => {
            return sink.refuse(&entry.source, entry.line, &timer::shown(entry), lost(reason));
        }
        Err((None, reason)) => return sink.refuse(&service.source, 0, &service.name, lost(reason)),
    };
    let user = if is_system { Some("root") } else { None };
    timer::plan(&timer, &job, user, sink);
    if sink.made_since(mark) {
        let systemctl = if is_system { "systemctl" } else { "systemctl --user" };
        let mut notes = vec![
            format!("systemd goes on starting it: `{systemctl} disable --now {name}` once it is imported"),
            "whether the timer was enabled is not in the text".to_owned(),
        ];
        if sink.made_count_since(mark) > 1 {
            notes.push("systemd starts the service once at a time; the runs of these schedules may meet".to_owned());
        }
        sink.remark(mark, &source.name, notes);
    }
}

/// Reports lines that systemd passes over; false when the unit is better not trusted.
fn faults(unit: &Unit, sink: &mut Sink) -> bool {
    let mut trusted = true;
    for fault in &unit.faults {
        if fault.is_hostile {
            sink.refuse(
                &fault.source,
                fault.line,
                &fault.text,
                format!("{}; {} is not imported", fault.reason, unit.name),
            );
            trusted = false;
        } else {
            sink.ignore(
                &fault.source,
                fault.line,
                &fault.text,
                vec![format!("{}; systemd passes over it too", fault.reason)],
            );
        }
    }
    trusted
}

impl<'a> Texts<'a> {
    fn sort(sources: &[&'a ImportSource], sink: &mut Sink) -> Self {
        let mut texts = Texts::default();
        for source in sources {
            let name = file_name(&source.name);
            let directory = source.name.trim_end_matches('/').rsplit('/').nth(1).unwrap_or_default();
            let replaced = if let Some(unit) = directory.strip_suffix(".d").filter(|_| name.ends_with(".conf")) {
                if !unit.contains('.') || unit.rsplit_once('.').is_some_and(|(stem, _)| stem.ends_with('-')) {
                    let reason = format!(
                        "drop-ins for several units ({unit}) are not read: give it in the directory of the unit"
                    );
                    sink.refuse(&source.name, 0, "", reason);
                    continue;
                }
                insert(texts.drop_ins.entry(unit).or_default(), name, source)
            } else if name.ends_with(".timer") || name.ends_with(".service") {
                insert(&mut texts.units, name, source)
            } else if OTHER_UNITS.iter().any(|kind| name.ends_with(kind)) {
                // `Unit=` of a timer may name it; the timer says so in its refusal.
                sink.ignore(&source.name, 0, name, vec!["is neither timer nor service".to_owned()]);
                None
            } else {
                let known = "known are .timer, .service, and .conf in a directory such as x.timer.d";
                sink.refuse(
                    &source.name,
                    0,
                    source.text.lines().next().unwrap_or_default(),
                    format!("is not a unit by its name; {known}"),
                );
                None
            };
            if let Some(replaced) = replaced {
                let note = format!("is replaced by another text for {}", text::shorten(name));
                sink.ignore(&replaced.name, 0, "", vec![note]);
            }
        }
        texts
    }

    /// A unit of this name with its drop-ins.
    fn read(&self, name: &str, source: &'a ImportSource, used: &mut BTreeSet<&'a str>) -> Unit {
        let mut unit = Unit { name: name.to_owned(), source: source.name.clone(), ..Unit::default() };
        unit.read(&source.name, &source.text);
        let template = template_of(name);
        for owner in [template.as_deref(), Some(name)].into_iter().flatten() {
            if let Some((owner, parts)) = self.drop_ins.get_key_value(owner) {
                used.insert(owner);
                parts.values().for_each(|part| unit.read(&part.name, &part.text));
            }
        }
        unit
    }

    fn service(&self, name: &str, used: &mut BTreeSet<&'a str>) -> Option<Unit> {
        let template = template_of(name);
        let (found, source) =
            self.units.get_key_value(name).or_else(|| self.units.get_key_value(template.as_deref()?))?;
        used.insert(found);
        Some(self.read(name, source, used))
    }
}

/// Keeps the text that systemd would read; returns the other when there are two.
fn insert<'a>(
    texts: &mut BTreeMap<&'a str, &'a ImportSource>,
    name: &'a str,
    source: &'a ImportSource,
) -> Option<&'a ImportSource> {
    match texts.get(name) {
        Some(former) if precedence(&former.name) > precedence(&source.name) => Some(source),
        _ => texts.insert(name, source),
    }
}

fn precedence(path: &str) -> u8 {
    match path {
        path if path.starts_with("/etc/") || path.contains("/.config/") => 3,
        path if path.starts_with("/run/") => 2,
        path if path.starts_with("/usr/local/") => 1,
        _ => 0,
    }
}

/// `foo@.service` for `foo@bar.service`.
fn template_of(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let suffix = rest.rsplit('.').next()?;
    Some(format!("{prefix}@.{suffix}"))
}
