//! What a schedule is: the validated form of every field that a user can set, with its defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::run::WorkflowAction;
use crate::trigger::{Trigger, TriggerError, TriggerKind};
use crate::{Moment, ScheduleId, Uid};

/// A schedule as it stands after validation. A change makes a new one with `revision + 1`.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Identity.
    pub id: ScheduleId,
    /// Counts changes, from 1; runs remember the revision that they execute.
    pub revision: u32,
    /// Unique among the owner's schedules: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub name: String,
    /// Who it belongs to.
    pub owner: Uid,
    /// Login name of the owner when the schedule was written.
    pub owner_name: String,
    /// The trigger as the user wrote it.
    pub trigger_text: String,
    /// The trigger, compiled.
    pub trigger: Trigger,
    /// IANA name as the user wrote it; `None` follows the zone of the system.
    pub timezone: Option<String>,
    /// The zone behind `timezone`.
    pub zone: TimeZone,
    /// When it was added.
    pub created_at: Moment,
    /// When its trigger was last set; instants before belong to an earlier trigger.
    pub trigger_since: Moment,
    /// Clock epoch of `trigger_since`.
    pub trigger_epoch: u32,
    /// What it runs.
    pub action: Action,
    /// Who it runs as.
    pub user: String,
    /// Primary group, `None`: that of the user.
    pub group: Option<String>,
    /// Working directory, `None`: home of the user.
    pub cwd: Option<PathBuf>,
    /// Variables beside the minimal environment.
    pub env: BTreeMap<String, String>,
    /// File mode creation mask.
    pub umask: u32,
    /// Text for the standard input, `None`: `/dev/null`.
    pub stdin: Option<String>,
    /// Whether it fires; why and until when not.
    pub enabled: Enabled,
    /// What to do when a due instant finds an earlier run unfinished.
    pub overlap: Overlap,
    /// How many runs may wait with `overlap = queue_all`.
    pub queue_limit: u32,
    /// What to do with missed instants; `None`: by the kind of the trigger.
    pub catch_up: Option<CatchUp>,
    /// How many missed instants `catch_up = all` runs at most.
    pub catch_up_max: u32,
    /// Older missed instants are never run.
    pub catch_up_window: Duration,
    /// A run that cannot start this long after its due time is skipped.
    pub start_deadline: Option<Duration>,
    /// Delay in `[0, jitter)`.
    pub jitter: Duration,
    /// What the delay depends on.
    pub jitter_mode: JitterMode,
    /// Longest time of one attempt.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// Further attempts after a failure.
    pub retries: Retries,
    /// Whether a run whose result was lost is tried again.
    pub retry_lost: bool,
    /// Resource limits of an attempt.
    pub limits: Limits,
    /// Exit codes that count as success.
    pub success_codes: Vec<i32>,
    /// Pause after so many failed runs in a row.
    pub pause_after_failures: Option<u32>,
    /// Run when a run of another schedule (`name` or `user/name`) ends.
    pub after: BTreeMap<String, AfterCondition>,
    /// Retention of runs.
    pub keep: Keep,
    /// Sandbox profile of the run.
    pub sandbox: Sandbox,
    /// Bytes of output that are kept, half head and half tail.
    pub output_limit: u64,
    /// Whether the output also goes to the journal.
    pub journal: bool,
    /// Labels.
    pub tags: Vec<String>,
    /// Text for people.
    pub description: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Schedule {
    /// A schedule of root's of which nothing but the trigger and the action is known; everything else has its default. The trigger is
    /// as it was parsed: one with a period has no anchor yet.
    pub fn new(
        id: ScheduleId,
        name: impl Into<String>,
        trigger: &str,
        zone: TimeZone,
        action: Action,
        now: Moment,
    ) -> Result<Schedule, TriggerError> {
        Ok(Schedule {
            id,
            revision: 1,
            name: name.into(),
            owner: Uid(0),
            owner_name: "root".to_owned(),
            trigger_text: trigger.to_owned(),
            trigger: Trigger::parse(trigger, &zone)?,
            timezone: None,
            zone,
            created_at: now,
            trigger_since: now,
            trigger_epoch: 0,
            action,
            user: "root".to_owned(),
            group: None,
            cwd: None,
            env: BTreeMap::new(),
            umask: 0o022,
            stdin: None,
            enabled: Enabled::Yes,
            overlap: Overlap::default(),
            queue_limit: 100,
            catch_up: None,
            catch_up_max: 100,
            catch_up_window: Duration::from_secs(86_400),
            start_deadline: None,
            jitter: Duration::ZERO,
            jitter_mode: JitterMode::default(),
            timeout: None,
            kill_grace: Duration::from_secs(10),
            retries: Retries::default(),
            retry_lost: false,
            limits: Limits::default(),
            success_codes: vec![0],
            pause_after_failures: None,
            after: BTreeMap::new(),
            keep: Keep::default(),
            sandbox: Sandbox::default(),
            output_limit: 10 << 20,
            journal: false,
            tags: Vec::new(),
            description: String::new(),
            origin: Origin::Api,
        })
    }

    /// The first instant of its trigger since that was set: until then nobody has to look at it.
    pub fn first_due(&self) -> Option<Moment> {
        self.trigger.next_after(&self.zone, self.trigger_since)
    }

    /// The catch-up policy in force: missed instants of fixed triggers are worth one run, those of interval triggers none.
    pub fn catch_up(&self) -> CatchUp {
        self.catch_up.unwrap_or(match self.trigger.kind() {
            TriggerKind::Fixed => CatchUp::Latest,
            TriggerKind::Interval | TriggerKind::Anchored | TriggerKind::Single => CatchUp::None,
        })
    }
}

/// What a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program with its arguments, without a shell. Never empty.
    Command(Vec<String>),
    /// Text for `/bin/sh -c`.
    Shell(String),
    /// A workflow, by a worker.
    Workflow(Arc<WorkflowAction>),
}

/// Whether a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// It does.
    Yes,
    /// Its due instants are recorded as `skipped: paused`.
    Paused {
        /// Why, for people.
        reason: String,
        /// When it is enabled again by itself.
        until: Option<Moment>,
    },
}

/// Overlap policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Skip the new instant.
    #[default]
    Skip,
    /// One waits.
    Queue,
    /// Up to `queue_limit` wait.
    QueueAll,
    /// Cancel the running one.
    Replace,
    /// Both run.
    Allow,
}

/// Catch-up policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Missed instants are recorded, not run.
    None,
    /// The newest missed instant runs; the older are coalesced into it.
    Latest,
    /// The newest `catch_up_max` run.
    All,
}

/// What the jitter delay is a function of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JitterMode {
    /// (schedule, due instant).
    #[default]
    Instant,
    /// (host, schedule).
    Host,
}

/// Further attempts after a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// How many beside the first attempt.
    pub max: u32,
    /// Pause before the first retry.
    pub delay: Duration,
    /// How the pause grows.
    pub backoff: Backoff,
    /// Upper bound of the pause.
    pub max_delay: Duration,
    /// Random part of the pause: a fraction in `[0, 1]`, applied in both directions.
    pub jitter: f64,
}

impl Default for Retries {
    fn default() -> Self {
        Retries {
            max: 0,
            delay: Duration::from_secs(10),
            backoff: Backoff::Fixed,
            max_delay: Duration::from_secs(3600),
            jitter: 0.0,
        }
    }
}

/// How the pause between attempts grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backoff {
    /// Always `delay`.
    #[default]
    Fixed,
    /// `delay` × attempt.
    Linear,
    /// `delay` × 2^(attempt − 1).
    Exponential,
}

/// Resource limits; `None`: no limit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// CPU time per real time, in thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Relative share of I/O, 1 to 10000.
    pub io_weight: Option<u16>,
    /// Open files.
    pub nofile: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Scheduling priority, −20 to 19.
    pub nice: Option<i8>,
}

/// On which end of the other schedule's run a schedule follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCondition {
    /// It completed.
    Success,
    /// It failed.
    Failure,
    /// It ended, whatever the result.
    Any,
}

/// Retention of runs: one is deleted when it is beyond either limit, but never the last run and the last success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How many.
    pub runs: u32,
    /// How long.
    pub age: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Keep { runs: 100, age: Duration::from_secs(30 * 86_400) }
    }
}

/// Sandbox profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sandbox {
    /// The user's rights, nothing less.
    #[default]
    None,
    /// The user's rights without the daemon's own data, kernel settings, control groups and others' temporary files.
    Default,
    /// Reads the system, writes only its directory and temporary files, no devices, no network, few system calls.
    Strict,
}

/// Where a schedule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a command or request.
    Api,
    /// In a file of `schedules.d`, which alone may change it.
    File(PathBuf),
}
