//! Reads what other schedulers were told (crontabs, anacrontabs, `cron.daily` scripts, systemd timers) and says, line by
//! line, which schedule keeps its behaviour or why none does. Text in, plan out: no I/O, no clock, so that `--dry-run`
//! and the real import cannot differ.
//!
//! Behaviour is kept rather than improved: jobs of cron may overlap and make up nothing, units of systemd run with the
//! `PATH` and directory that systemd gives them. What cannot be kept is refused with a remedy, or noted.

mod anacron;
mod crontab;
mod names;
mod script;
mod sink;
mod systemd;
mod text;
pub(crate) mod words;
mod yaml;

use sloth_api::{ImportLine, ImportRequest, ScheduleSpec};

pub(crate) use crontab::crontab_accepts;
use sink::Sink;

/// What the importer cannot know from the texts.
#[derive(Clone, Debug, Default)]
pub struct ImportContext {
    /// Login name of the caller, whose the schedules are when the request names nobody else.
    pub default_user: String,
    /// IANA name of the system's zone, in which `cron` and `systemd` read times without one; only used in remarks.
    pub local_zone: Option<String>,
}

/// What becomes of one line, before anything is stored.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The line and its notes. `outcome` is `made`, `refused` or `ignored`; `spec` is left empty, so that a large import
    /// is held once: it is that of `made`.
    pub line: ImportLine,
    /// The schedule to create; `Some` exactly when the outcome is `made`.
    pub made: Option<Made>,
}

/// A schedule to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Valid, unique within the import, and the same each time the same texts are imported.
    pub name: String,
    /// Whose it shall be; `None`: the caller's. Who it runs as is `spec.user`, which may be another.
    pub user: Option<String>,
    /// What to make.
    pub spec: ScheduleSpec,
}

/// The formats that [`import`] reads.
pub const FORMATS: [&str; 6] = ["crontab", "system_crontab", "anacrontab", "script", "systemd", "yaml"];

/// Most bytes of one text.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Plans what an import makes. Comments and blank lines are left out of the answer; every other line is in it, in order.
/// Time and memory are linear in the size of the texts.
pub fn import(request: &ImportRequest, context: &ImportContext) -> Vec<Planned> {
    let mut sink = Sink::new(request.user.clone(), context);
    let refusal = (!FORMATS.contains(&request.format.as_str())).then(|| {
        format!("the format {:?} is unknown; known are {}", text::shorten(&request.format), FORMATS.join(", "))
    });
    let mut readable = Vec::new();
    for source in &request.sources {
        if let Some(refusal) = &refusal {
            sink.refuse(&source.name, 0, "", refusal.clone());
        } else if source.text.len() > TEXT_BYTES_MAX {
            sink.refuse(
                &source.name,
                0,
                "",
                format!("is larger than {} MiB: import it in parts", TEXT_BYTES_MAX >> 20),
            );
        } else {
            readable.push(source);
        }
    }
    match request.format.as_str() {
        "systemd" => systemd::import(&readable, &mut sink),
        "crontab" => readable.iter().for_each(|s| crontab::import(s, crontab::Kind::User, &mut sink)),
        "system_crontab" => readable.iter().for_each(|s| crontab::import(s, crontab::Kind::System, &mut sink)),
        "anacrontab" => readable.iter().for_each(|s| anacron::import(s, &mut sink)),
        "script" => readable.iter().for_each(|s| script::import(s, &mut sink)),
        "yaml" => readable.iter().for_each(|s| yaml::import(s, &mut sink)),
        _ => {}
    }
    sink.finish()
}
