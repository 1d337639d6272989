//! A schedule as JSON and back: the form in which a revision is kept. The only place that knows both, so that a field
//! cannot be written without being read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sloth_core::run::WorkflowAction;
use sloth_core::trigger::{Trigger, TriggerKind};
use sloth_core::{Action, Enabled, Keep, Limits, Moment, Origin, Retries, Schedule, ScheduleId, Uid};

use crate::StoreError;
use crate::words;

/// Finds the zone of a name; `None` asks for the zone of the system.
pub type Zones = dyn Fn(Option<&str>) -> Option<TimeZone> + Send + Sync;

/// One revision. Absent is the same as empty or none. Durations are seconds, instants microseconds.
#[derive(Serialize, Deserialize)]
struct Definition {
    owner_name: String,
    trigger: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    created_at_us: i64,
    trigger_since_us: i64,
    #[serde(default)]
    trigger_epoch: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowRow>,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    umask: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PausedRow>,
    overlap: String,
    queue_limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up: Option<String>,
    catch_up_max: u32,
    catch_up_window: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_deadline: Option<Seconds>,
    jitter: Seconds,
    jitter_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Seconds>,
    kill_grace: Seconds,
    retries: RetriesRow,
    retry_lost: bool,
    #[serde(default, skip_serializing_if = "LimitsRow::is_empty")]
    limits: LimitsRow,
    success_codes: Vec<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_after_failures: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    after: BTreeMap<String, String>,
    keep: KeepRow,
    sandbox: String,
    output_limit: u64,
    journal: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct PausedRow {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_us: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct RetriesRow {
    max: u32,
    delay: Seconds,
    backoff: String,
    max_delay: Seconds,
    jitter: f64,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct LimitsRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_millis: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nofile: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nice: Option<i8>,
}

impl LimitsRow {
    fn is_empty(&self) -> bool {
        *self == LimitsRow::default()
    }
}

/// As in `workflow_runs`; JSON is text here, so that it comes back as it was written.
#[derive(Serialize, Deserialize)]
struct WorkflowRow {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<String>,
    bundle: String,
    main: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<String>,
    values: String,
    params: String,
    options: String,
    mode: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    invocation_dir: String,
    #[serde(default)]
    priority: i8,
    labels: String,
}

impl WorkflowRow {
    fn of(action: &WorkflowAction) -> Self {
        let a = action.clone();
        WorkflowRow {
            name: a.name,
            stack: a.stack,
            workflow: a.workflow,
            bundle: a.bundle,
            main: a.main,
            saved: a.saved,
            values: a.values,
            params: a.params,
            options: a.options,
            mode: a.mode,
            invocation_dir: a.invocation_dir,
            priority: a.priority,
            labels: a.labels,
        }
    }

    fn action(self) -> WorkflowAction {
        WorkflowAction {
            name: self.name,
            stack: self.stack,
            workflow: self.workflow,
            bundle: self.bundle,
            main: self.main,
            saved: self.saved,
            values: self.values,
            params: self.params,
            options: self.options,
            mode: self.mode,
            invocation_dir: self.invocation_dir,
            priority: self.priority,
            labels: self.labels,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeepRow {
    runs: u32,
    age: Seconds,
}

/// What identifies a stored definition.
pub(crate) struct Identity {
    pub id: ScheduleId,
    pub revision: u32,
    pub name: String,
    pub owner: Uid,
}

/// The JSON of a schedule.
pub(crate) fn write(s: &Schedule) -> Result<String, StoreError> {
    let (command, shell, workflow) = match &s.action {
        Action::Command(argv) => (Some(argv.clone()), None, None),
        Action::Shell(text) => (None, Some(text.clone()), None),
        Action::Workflow(action) => (None, None, Some(WorkflowRow::of(action))),
    };
    let row = Definition {
        owner_name: s.owner_name.clone(),
        trigger: s.trigger_text.clone(),
        anchor_us: anchor(&s.trigger).map(Moment::micros),
        timezone: s.timezone.clone(),
        created_at_us: s.created_at.micros(),
        trigger_since_us: s.trigger_since.micros(),
        trigger_epoch: s.trigger_epoch,
        command,
        shell,
        workflow,
        user: s.user.clone(),
        group: s.group.clone(),
        cwd: s.cwd.clone(),
        env: s.env.clone(),
        umask: s.umask,
        stdin: s.stdin.clone(),
        paused: match &s.enabled {
            Enabled::Yes => None,
            Enabled::Paused { reason, until } => {
                Some(PausedRow { reason: reason.clone(), until_us: until.map(Moment::micros) })
            }
        },
        overlap: words::overlap(s.overlap).into(),
        queue_limit: s.queue_limit,
        catch_up: s.catch_up.map(|c| words::catch_up(c).into()),
        catch_up_max: s.catch_up_max,
        catch_up_window: Seconds(s.catch_up_window),
        start_deadline: s.start_deadline.map(Seconds),
        jitter: Seconds(s.jitter),
        jitter_mode: words::jitter_mode(s.jitter_mode).into(),
        timeout: s.timeout.map(Seconds),
        kill_grace: Seconds(s.kill_grace),
        retries: RetriesRow {
            max: s.retries.max,
            delay: Seconds(s.retries.delay),
            backoff: words::backoff(s.retries.backoff).into(),
            max_delay: Seconds(s.retries.max_delay),
            jitter: s.retries.jitter,
        },
        retry_lost: s.retry_lost,
        limits: LimitsRow {
            cpu_millis: s.limits.cpu_millis,
            memory: s.limits.memory_bytes,
            io_weight: s.limits.io_weight,
            nofile: s.limits.nofile,
            tasks: s.limits.tasks,
            nice: s.limits.nice,
        },
        success_codes: s.success_codes.clone(),
        pause_after_failures: s.pause_after_failures,
        after: s.after.iter().map(|(name, on)| (name.clone(), words::after(*on).into())).collect(),
        keep: KeepRow { runs: s.keep.runs, age: Seconds(s.keep.age) },
        sandbox: words::sandbox(s.sandbox).into(),
        output_limit: s.output_limit,
        journal: s.journal,
        tags: s.tags.clone(),
        description: s.description.clone(),
        file: match &s.origin {
            Origin::Api => None,
            Origin::File(path) => Some(path.clone()),
        },
    };
    serde_json::to_string(&row)
        .map_err(|e| StoreError::Internal(format!("schedule {} cannot be written as JSON: {e}", s.name)))
}

/// The schedule of a stored JSON.
pub(crate) fn read(identity: Identity, json: &str, zones: &Zones) -> Result<Schedule, StoreError> {
    let Identity { id, revision, name, owner } = identity;
    let bad = |why: String| StoreError::unreadable(format!("revision {revision} of schedule {name} ({id})"), why);
    let row: Definition = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
    let zone = zones(row.timezone.as_deref()).ok_or_else(|| {
        bad(format!(
            "time zone {} is not in the zone data of this host",
            row.timezone.as_deref().unwrap_or("of the system")
        ))
    })?;
    let mut trigger = Trigger::parse(&row.trigger, &zone).map_err(|e| bad(e.to_string()))?;
    if let Some(us) = row.anchor_us {
        trigger = trigger.with_anchor(Moment::from_micros(us));
    }
    let action = match (row.command, row.shell, row.workflow) {
        (Some(argv), _, _) => Action::Command(argv),
        (None, Some(text), _) => Action::Shell(text),
        (None, None, Some(workflow)) => Action::Workflow(Arc::new(workflow.action())),
        (None, None, None) => return Err(bad("it has no action".into())),
    };
    let after = row.after.into_iter().map(|(other, on)| Ok((other, word(words::read_after, &on)?)));
    let after = after.collect::<Result<BTreeMap<_, _>, String>>().map_err(bad)?;
    let keep = Keep { runs: row.keep.runs, age: row.keep.age.0 };
    let limits = Limits {
        cpu_millis: row.limits.cpu_millis,
        memory_bytes: row.limits.memory,
        io_weight: row.limits.io_weight,
        nofile: row.limits.nofile,
        tasks: row.limits.tasks,
        nice: row.limits.nice,
    };
    let retries = Retries {
        max: row.retries.max,
        delay: row.retries.delay.0,
        backoff: word(words::read_backoff, &row.retries.backoff).map_err(bad)?,
        max_delay: row.retries.max_delay.0,
        jitter: row.retries.jitter,
    };
    Ok(Schedule {
        overlap: word(words::read_overlap, &row.overlap).map_err(bad)?,
        catch_up: row.catch_up.map(|c| word(words::read_catch_up, &c)).transpose().map_err(bad)?,
        jitter_mode: word(words::read_jitter_mode, &row.jitter_mode).map_err(bad)?,
        sandbox: word(words::read_sandbox, &row.sandbox).map_err(bad)?,
        id,
        revision,
        name,
        owner,
        owner_name: row.owner_name,
        trigger_text: row.trigger,
        trigger,
        timezone: row.timezone,
        zone,
        created_at: Moment::from_micros(row.created_at_us),
        trigger_since: Moment::from_micros(row.trigger_since_us),
        trigger_epoch: row.trigger_epoch,
        action,
        user: row.user,
        group: row.group,
        cwd: row.cwd,
        env: row.env,
        umask: row.umask,
        stdin: row.stdin,
        enabled: row
            .paused
            .map_or(Enabled::Yes, |p| Enabled::Paused { reason: p.reason, until: p.until_us.map(Moment::from_micros) }),
        queue_limit: row.queue_limit,
        catch_up_max: row.catch_up_max,
        catch_up_window: row.catch_up_window.0,
        start_deadline: row.start_deadline.map(|d| d.0),
        jitter: row.jitter.0,
        timeout: row.timeout.map(|d| d.0),
        kill_grace: row.kill_grace.0,
        retries,
        retry_lost: row.retry_lost,
        limits,
        success_codes: row.success_codes,
        pause_after_failures: row.pause_after_failures,
        after,
        keep,
        output_limit: row.output_limit,
        journal: row.journal,
        tags: row.tags,
        description: row.description,
        origin: row.file.map_or(Origin::Api, Origin::File),
    })
}

/// How a set clock moves the mark of a schedule; `reboot` and `none` have no mark to move.
pub(crate) fn trigger_class(trigger: &Trigger) -> &'static str {
    match (trigger, trigger.kind()) {
        (Trigger::Every { .. }, _) => "every",
        (Trigger::Reboot, _) => "reboot",
        (_, TriggerKind::Fixed) => "fixed",
        (_, TriggerKind::Interval | TriggerKind::Anchored) => "interval",
        (_, TriggerKind::Single) => "none",
    }
}

/// Where the instants of an `@every` trigger are counted from.
pub(crate) fn anchor(trigger: &Trigger) -> Option<Moment> {
    match trigger {
        Trigger::Every { anchor, .. } => *anchor,
        _ => None,
    }
}

fn word<T>(read: fn(&str) -> Option<T>, text: &str) -> Result<T, String> {
    read(text).ok_or_else(|| format!("unknown word {text:?}"))
}

/// A duration as seconds: a number where that is exact to the nanosecond, else a decimal text.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.as_secs_f64();
        if self.0.subsec_nanos() == 0 {
            to.serialize_u64(self.0.as_secs())
        } else if Duration::try_from_secs_f64(seconds).is_ok_and(|back| back == self.0) {
            to.serialize_f64(seconds)
        } else {
            to.serialize_str(&format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos()))
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl serde::de::Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("seconds")
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        Ok(Seconds(Duration::from_secs(seconds)))
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        Duration::try_from_secs_f64(seconds).map(Seconds).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seconds, E> {
        let (secs, nanos) = text.split_once('.').unwrap_or((text, "0"));
        match (secs.parse(), nanos.parse()) {
            (Ok(secs), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Seconds(Duration::new(secs, nanos))),
            _ => Err(E::custom("not a number of seconds")),
        }
    }
}
