//! From what a user writes to what the core understands: every field is checked here, for every door and every file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use sloth_api::{LimitsSpec, Quantity, RetriesSpec, ScheduleSpec, WorkflowSpec};
use sloth_core::trigger::Trigger;
use sloth_core::{
    Action, AfterCondition, Backoff, CatchUp, Enabled, JitterMode, Keep, Limits, Moment, Origin, Overlap, Retries,
    Sandbox, Schedule, ScheduleId, Uid, units,
};

use crate::time_text::{Span, parse_time};
use crate::values::{
    BACKOFFS, CATCH_UPS, CONDITIONS, JITTER_MODES, OVERLAPS, SANDBOXES, TEXT_MAX, choice, duration, no_nul, plain,
    positive, range, size,
};
use crate::workflows::{ActionWish, workflow_action};
use crate::{ServiceError, Surroundings};

/// Largest number of tags, variables or followed schedules.
const LIST_MAX: usize = 256;

/// Whose schedule it becomes.
pub struct Whose {
    /// Identity.
    pub id: ScheduleId,
    /// Owner.
    pub owner: Uid,
    /// His login name.
    pub owner_name: String,
    /// Name of the schedule.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
}

/// Checks a name.
pub fn check_name(name: &str) -> Result<(), ServiceError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if first && rest && name.len() <= 64 {
        return Ok(());
    }
    Err(ServiceError::field("name", format!("{name:?} is no name of a schedule"))
        .hint("1 to 64 letters, digits, '.', '_' or '-'; the first is a letter or digit"))
}

/// Makes a schedule of its first revision; the engine stamps its times.
pub fn build(host: &dyn Surroundings, whose: Whose, spec: &ScheduleSpec) -> Result<Schedule, ServiceError> {
    check_name(&whose.name)?;
    let now = host.now();
    let zone = zone(host, spec.timezone.as_deref())?;
    let (trigger, trigger_text) = trigger(spec, &zone, now)?;
    let (user, group) = (spec.user.clone().unwrap_or_else(|| whose.owner_name.clone()), spec.group.clone());
    if host.user_id(&user).is_none() {
        return Err(ServiceError::field("user", format!("there is no user {user:?} on this host")));
    }
    if let Some(group) = group.as_deref().filter(|group| !host.group_exists(group)) {
        return Err(ServiceError::field("group", format!("there is no group {group:?} on this host")));
    }
    Ok(Schedule {
        id: whose.id,
        revision: 1,
        owner: whose.owner,
        owner_name: whose.owner_name,
        name: whose.name,
        origin: whose.origin,
        trigger,
        trigger_text,
        timezone: spec.timezone.clone(),
        zone,
        created_at: now,
        trigger_since: now,
        trigger_epoch: 0,
        action: action(spec)?,
        user,
        group,
        cwd: cwd(spec)?,
        env: env(spec)?,
        umask: umask(spec)?,
        stdin: spec.stdin.clone().map(|text| no_nul("stdin", text)).transpose()?,
        enabled: match spec.enabled {
            None | Some(true) => Enabled::Yes,
            Some(false) => Enabled::Paused { reason: "added with enabled = false".to_owned(), until: None },
        },
        overlap: choice("overlap", spec.overlap.as_deref(), OVERLAPS, Overlap::Skip)?,
        queue_limit: range("queue_limit", spec.queue_limit, 1, 10_000, 100)?,
        catch_up: match spec.catch_up.as_deref() {
            None => None,
            some => Some(choice("catch_up", some, CATCH_UPS, CatchUp::None)?),
        },
        catch_up_max: range("catch_up_max", spec.catch_up_max, 1, 10_000, 100)?,
        catch_up_window: duration("catch_up_window", spec.catch_up_window.as_ref())?
            .unwrap_or(Duration::from_secs(86_400)),
        start_deadline: positive("start_deadline", spec.start_deadline.as_ref())?,
        jitter: duration("jitter", spec.jitter.as_ref())?.unwrap_or_default(),
        jitter_mode: choice("jitter_mode", spec.jitter_mode.as_deref(), JITTER_MODES, JitterMode::Instant)?,
        timeout: positive("timeout", spec.timeout.as_ref())?,
        kill_grace: duration("kill_grace", spec.kill_grace.as_ref())?.unwrap_or(Duration::from_secs(10)),
        retries: retries(spec)?,
        retry_lost: spec.retry_lost.unwrap_or(false),
        limits: enforceable(host, limits(spec.limits.as_ref())?)?,
        success_codes: success_codes(spec)?,
        pause_after_failures: match spec.pause_after_failures {
            Some(0) => return Err(ServiceError::field("pause_after_failures", "must be at least 1")),
            other => other,
        },
        after: after(spec)?,
        keep: keep(spec)?,
        sandbox: sandbox(host, spec)?,
        output_limit: output_limit(spec)?,
        journal: journal(host, spec)?,
        tags: tags(spec)?,
        description: plain("description", spec.description.clone().unwrap_or_default(), 1024)?,
    })
}

pub(crate) fn zone(host: &dyn Surroundings, name: Option<&str>) -> Result<TimeZone, ServiceError> {
    host.zone(name).ok_or_else(|| {
        let name = name.unwrap_or("of the system");
        ServiceError::field("timezone", format!("there is no time zone {name:?} in the zone data of this host"))
            .hint("use an IANA name such as Europe/Lisbon; they come with the package tzdata")
    })
}

fn trigger(spec: &ScheduleSpec, zone: &TimeZone, now: Moment) -> Result<(Trigger, String), ServiceError> {
    let text = match &spec.trigger {
        Some(text) => text.trim().to_owned(),
        None if spec.after.as_ref().is_some_and(|after| !after.is_empty()) => "manual".to_owned(),
        None => {
            return Err(ServiceError::field("trigger", "is missing")
                .hint("for example \"30 2 * * *\", \"@every 5m\", \"@reboot\", or \"manual\""));
        }
    };
    let trigger = Trigger::parse(&text, zone).map_err(|error| ServiceError::trigger("trigger", &error))?;
    let trigger = match (&spec.anchor, trigger) {
        (None, trigger) => trigger,
        (Some(anchor), trigger @ Trigger::Every { .. }) => {
            trigger.with_anchor(parse_time("anchor", anchor, zone, now, Span::Ago)?)
        }
        (Some(_), _) => return Err(ServiceError::field("anchor", "goes with @every only")),
    };
    Ok((trigger, text))
}

fn action(spec: &ScheduleSpec) -> Result<Action, ServiceError> {
    if spec.http.is_some() {
        return Err(ServiceError::not_supported("an http action", "use command with curl"));
    }
    if spec.exclude.is_some() {
        return Err(ServiceError::not_supported("the field exclude", "leave it out"));
    }
    if spec.notify.is_some() {
        return Err(ServiceError::not_supported("the field notify", "leave it out; events tail shows failures"));
    }
    if let Some(workflow) = &spec.workflow {
        return workflow_of(spec, workflow);
    }
    match (&spec.command, &spec.shell) {
        (Some(_), Some(_)) => Err(ServiceError::field("shell", "goes without command: a schedule has one action")),
        (None, None) => Err(ServiceError::field("command", "is missing")
            .hint("command = [\"/usr/local/bin/backup\"], shell = \"…\", or a workflow")),
        (None, Some(text)) if text.trim().is_empty() => Err(ServiceError::field("shell", "is empty")),
        (None, Some(text)) => Ok(Action::Shell(no_nul("shell", text.clone())?)),
        (Some(argv), None) => {
            if argv.first().is_none_or(String::is_empty) {
                return Err(ServiceError::field("command", "is empty"));
            }
            if argv.iter().map(String::len).sum::<usize>() > TEXT_MAX {
                return Err(ServiceError::field("command", format!("is longer than {TEXT_MAX} bytes")));
            }
            let argv: Result<_, _> = argv.iter().map(|arg| no_nul("command", arg.clone())).collect();
            Ok(Action::Command(argv?))
        }
    }
}

/// The program is stored, or about to be.
fn workflow_of(spec: &ScheduleSpec, workflow: &WorkflowSpec) -> Result<Action, ServiceError> {
    let alone = |field: &str, given: bool, why: &str| match given {
        true => Err(ServiceError::field(field, why)),
        false => Ok(()),
    };
    alone("command", spec.command.is_some(), "goes without workflow: a schedule has one action")?;
    alone("shell", spec.shell.is_some(), "goes without workflow: a schedule has one action")?;
    alone("stdin", spec.stdin.is_some(), "goes with command or shell: a workflow reads values and params")?;
    let retried = match &spec.retries {
        None => false,
        Some(RetriesSpec::Max(max)) => *max > 0,
        Some(RetriesSpec::Full(table)) => table.max.unwrap_or(0) > 0,
    };
    alone("retries", retried, "goes with command or shell: the tasks of a workflow have their own")?;
    let Some(sha256) = &workflow.sha256 else {
        return Err(ServiceError::field("workflow", "its program is missing")
            .hint("slothctl scheduler add --file sends it; or save it and give workflow.saved"));
    };
    let timeout = duration("timeout", spec.timeout.as_ref())?;
    let mut options = workflow.options.clone();
    if let Some(timeout) = timeout.filter(|_| options.timeout_ms.is_none()) {
        options.timeout_ms = u64::try_from(timeout.as_millis()).ok();
    }
    let action = workflow_action(ActionWish {
        bundle: sha256.clone(),
        main: workflow.file.clone().unwrap_or_default(),
        saved: workflow.saved.clone(),
        stack: workflow.stack.as_deref(),
        workflow: workflow.workflow.as_deref(),
        values: &workflow.values,
        params: &workflow.params,
        options: &options,
        mode: workflow.mode.as_deref(),
        invocation_dir: spec.cwd.as_deref(),
        priority: workflow.priority.unwrap_or(0),
        labels: &BTreeMap::new(),
    })
    .map_err(|error| ServiceError { message: format!("workflow.{}", error.message), ..error })?;
    Ok(Action::Workflow(Arc::new(action)))
}

fn cwd(spec: &ScheduleSpec) -> Result<Option<PathBuf>, ServiceError> {
    match &spec.cwd {
        None => Ok(None),
        Some(cwd) if cwd.starts_with('/') => Ok(Some(PathBuf::from(no_nul("cwd", cwd.clone())?))),
        Some(cwd) => Err(ServiceError::field("cwd", format!("{cwd:?} is not an absolute path"))),
    }
}

fn env(spec: &ScheduleSpec) -> Result<BTreeMap<String, String>, ServiceError> {
    let env = spec.env.clone().unwrap_or_default();
    check_env(&env)?;
    Ok(env)
}

pub(crate) fn check_env(env: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    if env.len() > LIST_MAX {
        return Err(ServiceError::field("env", format!("holds more than {LIST_MAX} variables")));
    }
    for (name, value) in env {
        let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.is_empty();
        if !good || name.as_bytes()[0].is_ascii_digit() {
            return Err(ServiceError::field("env", format!("{name:?} is no name of a variable")));
        }
        if name.starts_with("SLOTH_") {
            return Err(ServiceError::field("env", format!("{name}: names that begin with SLOTH_ are set by slothd")));
        }
        no_nul("env", value.clone())?;
    }
    Ok(())
}

fn umask(spec: &ScheduleSpec) -> Result<u32, ServiceError> {
    let Some(text) = &spec.umask else { return Ok(0o022) };
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(mask) if mask <= 0o777 && text.bytes().all(|b| b != b'+') => Ok(mask),
        _ => Err(ServiceError::field("umask", format!("{text:?} is no octal mask between 000 and 777"))),
    }
}

fn retries(spec: &ScheduleSpec) -> Result<Retries, ServiceError> {
    let table = match &spec.retries {
        None => return Ok(Retries::default()),
        Some(RetriesSpec::Max(max)) => {
            return Ok(Retries { max: range("retries", Some(*max), 0, 1000, 0)?, ..Retries::default() });
        }
        Some(RetriesSpec::Full(table)) => table,
    };
    let default = Retries::default();
    let jitter = table.jitter.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&jitter) {
        return Err(ServiceError::field("retries.jitter", format!("{jitter} is not between 0 and 1")));
    }
    Ok(Retries {
        max: range("retries.max", table.max, 0, 1000, 0)?,
        delay: duration("retries.delay", table.delay.as_ref())?.unwrap_or(default.delay),
        backoff: choice("retries.backoff", table.backoff.as_deref(), BACKOFFS, Backoff::Fixed)?,
        max_delay: duration("retries.max_delay", table.max_delay.as_ref())?.unwrap_or(default.max_delay),
        jitter,
    })
}

fn limits(spec: Option<&LimitsSpec>) -> Result<Limits, ServiceError> {
    let Some(spec) = spec else { return Ok(Limits::default()) };
    let cpu = |value: &Quantity| {
        let text = match value {
            Quantity::Text(text) => text.clone(),
            Quantity::Whole(n) => n.to_string(),
            Quantity::Fraction(f) => f.to_string(),
        };
        units::parse_cpu(&text).map_err(|error| ServiceError::field("limits.cpu", error).hint("cores: 2, 0.5 or 500m"))
    };
    let memory = spec.memory.as_ref().map(|value| size("limits.memory", value)).transpose()?;
    if memory.is_some_and(|bytes| bytes < 1 << 20) {
        return Err(ServiceError::field("limits.memory", "is below 1Mi: no program could start"));
    }
    let bounds = |field: &str, value: Option<u64>, min: u64, max: u64| match value {
        Some(value) if !(min..=max).contains(&value) => {
            Err(ServiceError::field(field, format!("{value} is not between {min} and {max}")))
        }
        other => Ok(other),
    };
    bounds("limits.io_weight", spec.io_weight.map(u64::from), 1, 10_000)?;
    if let Some(nice) = spec.nice.filter(|nice| !(-20..=19).contains(nice)) {
        return Err(ServiceError::field("limits.nice", format!("{nice} is not between -20 and 19")));
    }
    Ok(Limits {
        cpu_millis: spec.cpu.as_ref().map(cpu).transpose()?,
        memory_bytes: memory,
        io_weight: spec.io_weight,
        nofile: bounds("limits.nofile", spec.nofile, 8, 1 << 30)?,
        tasks: bounds("limits.tasks", spec.tasks, 1, 1 << 22)?,
        nice: spec.nice,
    })
}

/// What cannot be enforced here is refused now, not when the run is due.
fn enforceable(host: &dyn Surroundings, limits: Limits) -> Result<Limits, ServiceError> {
    match host.unenforceable(&limits).into_iter().next() {
        None => Ok(limits),
        Some(problem) => Err(ServiceError::field("limits", problem)
            .hint("leave that limit out; slothctl daemon features shows what can be enforced")),
    }
}

fn success_codes(spec: &ScheduleSpec) -> Result<Vec<i32>, ServiceError> {
    let Some(mut codes) = spec.success_codes.clone() else {
        return Ok(vec![0]);
    };
    if let Some(code) = codes.iter().find(|code| !(0..=255).contains(*code)) {
        return Err(ServiceError::field("success_codes", format!("{code} is not between 0 and 255")));
    }
    codes.sort_unstable();
    codes.dedup();
    match codes.is_empty() {
        true => Err(ServiceError::field("success_codes", "is empty: nothing could succeed")),
        false => Ok(codes),
    }
}

fn after(spec: &ScheduleSpec) -> Result<BTreeMap<String, AfterCondition>, ServiceError> {
    let mut all = BTreeMap::new();
    for (name, condition) in spec.after.iter().flatten() {
        let local = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
        check_name(local).map_err(|error| ServiceError { message: format!("after: {}", error.message), ..error })?;
        all.insert(name.clone(), choice("after", Some(condition), CONDITIONS, AfterCondition::Any)?);
    }
    match all.len() > LIST_MAX {
        true => Err(ServiceError::field("after", format!("names more than {LIST_MAX} schedules"))),
        false => Ok(all),
    }
}

fn keep(spec: &ScheduleSpec) -> Result<Keep, ServiceError> {
    let default = Keep::default();
    let Some(keep) = &spec.keep else { return Ok(default) };
    Ok(Keep {
        runs: range("keep.runs", keep.runs, 1, 1_000_000, default.runs)?,
        age: positive("keep.age", keep.age.as_ref())?.unwrap_or(default.age),
    })
}

fn sandbox(host: &dyn Surroundings, spec: &ScheduleSpec) -> Result<Sandbox, ServiceError> {
    let profile = match spec.sandbox.as_deref() {
        Some(profile @ ("hook" | "plugin")) => {
            let what = format!("the sandbox profile {profile:?} for a schedule");
            return Err(ServiceError::not_supported(what, "use sandbox = \"strict\""));
        }
        None if spec.workflow.is_some() && host.has_sandbox() => Sandbox::Default,
        profile => choice("sandbox", profile, SANDBOXES, Sandbox::None)?,
    };
    if profile != Sandbox::None && !host.has_sandbox() {
        return Err(ServiceError::not_supported(
            format_args!("the sandbox profile {:?} with this executor", spec.sandbox.as_deref().unwrap_or_default()),
            "use sandbox = \"none\", or a slothd of the system that starts runs through systemd",
        ));
    }
    Ok(profile)
}

fn journal(host: &dyn Surroundings, spec: &ScheduleSpec) -> Result<bool, ServiceError> {
    match spec.journal {
        Some(true) if !host.has_journal() => Err(ServiceError::not_supported(
            "journal = true with this executor",
            "read the output with runs logs, or let slothd start runs through systemd",
        )),
        wish => Ok(wish.unwrap_or(false)),
    }
}

fn output_limit(spec: &ScheduleSpec) -> Result<u64, ServiceError> {
    let Some(value) = &spec.output_limit else {
        // The log of a workflow is its output (engine.log_max of runs without a schedule).
        return Ok(if spec.workflow.is_some() { 256 << 20 } else { 10 << 20 });
    };
    let bytes = size("output_limit", value)?;
    match (4096..=10 << 30).contains(&bytes) {
        true => Ok(bytes),
        false => Err(ServiceError::field("output_limit", format!("{bytes} bytes are not between 4Ki and 10Gi"))),
    }
}

fn tags(spec: &ScheduleSpec) -> Result<Vec<String>, ServiceError> {
    let mut tags = spec.tags.clone().unwrap_or_default();
    if tags.len() > LIST_MAX {
        return Err(ServiceError::field("tags", format!("are more than {LIST_MAX}")));
    }
    for tag in &tags {
        if tag.is_empty() {
            return Err(ServiceError::field("tags", "holds an empty tag"));
        }
        plain("tags", tag.clone(), 128)?;
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}
