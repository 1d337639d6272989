//! The fields of a schedule as flags, and the JSON that they become. One name everywhere: the flag is the field with hyphens. Nothing
//! is checked here beyond the shape `K=V`; the daemon knows what is allowed.

use clap::Args;
use clap::builder::BoolishValueParser;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

#[derive(Args, Clone, Debug, Default)]
#[group(id = "trigger_flags", multiple = false)]
#[command(next_help_heading = "When (one of)")]
pub(crate) struct TriggerFlags {
    /// Cron expression: '30 2 * * *', 6 fields with seconds, or @daily and the like
    #[arg(long, value_name = "EXPR")]
    pub(crate) cron: Option<String>,
    /// Fixed period, such as 90s or 1h30m
    #[arg(long, value_name = "D")]
    pub(crate) every: Option<String>,
    /// Once, such as 2031-01-01T09:00
    #[arg(long, value_name = "T")]
    pub(crate) at: Option<String>,
    /// Once per boot of the host
    #[arg(long)]
    pub(crate) reboot: bool,
    /// Only by hand, after another schedule, or through the API
    #[arg(long)]
    pub(crate) manual: bool,
    /// Any form of trigger as one text
    #[arg(long, value_name = "TRIGGER")]
    pub(crate) trigger: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of the schedule")]
pub(crate) struct Fields {
    /// Time zone of the trigger, such as Europe/Lisbon
    #[arg(long, alias = "tz", value_name = "ZONE", help = "Time zone of the trigger, such as Europe/Lisbon {--tz}")]
    timezone: Option<String>,
    /// Start of the count of --every
    #[arg(long, value_name = "T")]
    anchor: Option<String>,
    /// Text for /bin/sh -c, instead of -- CMD
    #[arg(long, value_name = "TEXT", help_heading = "What it runs")]
    shell: Option<String>,
    /// Who it runs as
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Primary group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Variable (repeatable)
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// File mode mask, octal
    #[arg(long, value_name = "MASK")]
    umask: Option<String>,
    /// Text for the standard input
    #[arg(long, value_name = "TEXT")]
    stdin: Option<String>,
    /// Whether it fires; --enabled=false is --disabled
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    enabled: Option<bool>,
    /// Paused from the start
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// While a run is unfinished: skip queue queue_all replace allow
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    /// Runs that may wait with --overlap queue_all
    #[arg(long, value_name = "N")]
    queue_limit: Option<String>,
    /// Missed instants: none latest all
    #[arg(long, value_name = "POLICY")]
    catch_up: Option<String>,
    /// At most so many with --catch-up all
    #[arg(long, value_name = "N")]
    catch_up_max: Option<String>,
    /// Older missed instants are never run
    #[arg(long, value_name = "D")]
    catch_up_window: Option<String>,
    /// Skip a run that cannot start this long after its instant
    #[arg(long, value_name = "D")]
    start_deadline: Option<String>,
    /// Spread starts over this time
    #[arg(long, value_name = "D")]
    jitter: Option<String>,
    /// instant, or host: the same delay at every instant
    #[arg(long, value_name = "MODE")]
    jitter_mode: Option<String>,
    /// End an attempt after this time
    #[arg(long, value_name = "D")]
    timeout: Option<String>,
    /// From TERM to KILL
    #[arg(long, value_name = "D")]
    kill_grace: Option<String>,
    /// Further attempts of a failed run
    #[arg(long, value_name = "N")]
    retries: Option<String>,
    /// Pause before a retry
    #[arg(long, value_name = "D")]
    retry_delay: Option<String>,
    /// fixed linear exponential
    #[arg(long, value_name = "KIND")]
    retry_backoff: Option<String>,
    /// Longest pause before a retry
    #[arg(long, value_name = "D")]
    retry_max_delay: Option<String>,
    /// Fraction by which the pause varies, 0 to 1
    #[arg(long, value_name = "F")]
    retry_jitter: Option<String>,
    /// Also retry a run whose result was lost
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    retry_lost: Option<bool>,
    /// cpu memory io_weight nofile tasks nice (repeatable)
    #[arg(long, value_name = "K=V")]
    limits: Vec<String>,
    /// Exit codes that are success
    #[arg(long, value_name = "N,N", value_delimiter = ',', allow_hyphen_values = true)]
    success_codes: Vec<String>,
    /// Pause after so many failed runs in a row
    #[arg(long, value_name = "N")]
    pause_after_failures: Option<String>,
    /// Run when a run of NAME ends in success, failure or any (repeatable)
    #[arg(long, value_name = "NAME=RESULT")]
    after: Vec<String>,
    /// Runs that are kept
    #[arg(long, value_name = "N")]
    keep_runs: Option<String>,
    /// How long runs are kept
    #[arg(long, value_name = "D")]
    keep_age: Option<String>,
    /// Sandbox profile
    #[arg(long, value_name = "PROFILE")]
    sandbox: Option<String>,
    /// Bytes of output kept per run, such as 10Mi
    #[arg(long, value_name = "SIZE")]
    output_limit: Option<String>,
    /// Output also to the journal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    journal: Option<bool>,
    /// Label (repeatable)
    #[arg(long = "tag", alias = "tags", value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
    /// Text for people
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,

    /// Workflow file, instead of -- CMD; it is sent with what it imports
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with_all = ["shell", "saved"], help_heading = "What it runs")]
    file: Option<String>,
    /// Saved workflow, instead of -- CMD
    #[arg(long, value_name = "NAME", conflicts_with = "shell", help_heading = "What it runs")]
    saved: Option<String>,
    /// One of several workflows in the file
    #[arg(long, value_name = "NAME", help_heading = "What it runs")]
    workflow: Option<String>,
    /// Stack of the workflow
    #[arg(long, value_name = "NAME", help_heading = "What it runs")]
    stack: Option<String>,
    /// Files of values of the workflow: YAML, JSON or TOML (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "What it runs")]
    values: Vec<String>,
    /// A value of the workflow (repeatable)
    #[arg(long, value_name = "K=V", help_heading = "What it runs")]
    set: Vec<String>,
    /// A parameter of the workflow (repeatable)
    #[arg(long = "param", value_name = "K=V", help_heading = "What it runs")]
    params: Vec<String>,
    #[arg(long, hide = true, value_name = "URL")]
    http: Vec<String>,
    #[arg(long, hide = true, value_name = "CALENDAR")]
    exclude: Vec<String>,
    #[arg(long, hide = true, value_name = "TARGET")]
    notify: Vec<String>,
}

/// A workflow as the action of a schedule, as it was typed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkflowAction<'a> {
    pub(crate) file: Option<&'a str>,
    pub(crate) saved: Option<&'a str>,
    pub(crate) workflow: Option<&'a str>,
    pub(crate) stack: Option<&'a str>,
    pub(crate) values: &'a [String],
    pub(crate) set: &'a [String],
    pub(crate) params: &'a [String],
}

/// Fields of a schedule in their JSON form.
pub(crate) type Spec = Map<String, Value>;

impl TriggerFlags {
    fn write(&self, spec: &mut Spec) {
        let forms = [
            self.trigger.clone(),
            self.cron.clone(),
            self.every.as_ref().map(|every| format!("@every {every}")),
            self.at.as_ref().map(|at| format!("@at {at}")),
            self.reboot.then(|| "@reboot".to_owned()),
            self.manual.then(|| "manual".to_owned()),
        ];
        if let Some(trigger) = forms.into_iter().flatten().next() {
            spec.insert("trigger".to_owned(), trigger.into());
        }
    }
}

impl Fields {
    /// Every field that was given. With `as_patch`, `retries` is always a table, so that its other parts stay.
    pub(crate) fn spec(&self, trigger: &TriggerFlags, command: &[String], as_patch: bool) -> Result<Spec, Failure> {
        self.refuse_what_is_not_built()?;
        let mut spec = Spec::new();
        trigger.write(&mut spec);
        if !command.is_empty() {
            spec.insert("command".to_owned(), command.into());
        }
        self.write_texts(&mut spec);
        self.write_numbers(&mut spec);
        self.write_flags(&mut spec);
        self.write_maps(&mut spec)?;
        self.write_parts(&mut spec, as_patch);
        Ok(spec)
    }

    fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        let lists = [("--http", &self.http), ("--exclude", &self.exclude), ("--notify", &self.notify)];
        match lists.iter().find(|(_, list)| !list.is_empty()) {
            Some((flag, _)) => {
                Err(Failure::not_supported(flag).hint("use -- CMD ARGS..., --shell TEXT or --file FILE"))
            }
            None => Ok(()),
        }
    }

    /// What a workflow as action is made of; `None`: the action is none.
    pub(crate) fn workflow(&self) -> Result<Option<WorkflowAction<'_>>, Failure> {
        let action = WorkflowAction {
            file: self.file.as_deref(),
            saved: self.saved.as_deref(),
            workflow: self.workflow.as_deref(),
            stack: self.stack.as_deref(),
            values: &self.values,
            set: &self.set,
            params: &self.params,
        };
        if action.file.is_some() || action.saved.is_some() {
            return Ok(Some(action));
        }
        let alone = [
            ("--workflow", self.workflow.is_some()),
            ("--stack", self.stack.is_some()),
            ("--values", !self.values.is_empty()),
            ("--set", !self.set.is_empty()),
            ("--param", !self.params.is_empty()),
        ];
        match alone.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Failure::usage(format!("{flag} belongs to --file FILE or --saved NAME"))),
            None => Ok(None),
        }
    }

    fn write_texts(&self, spec: &mut Spec) {
        let texts = [
            ("timezone", &self.timezone),
            ("anchor", &self.anchor),
            ("shell", &self.shell),
            ("user", &self.user),
            ("group", &self.group),
            ("cwd", &self.cwd),
            ("umask", &self.umask),
            ("stdin", &self.stdin),
            ("overlap", &self.overlap),
            ("catch_up", &self.catch_up),
            ("jitter_mode", &self.jitter_mode),
            ("sandbox", &self.sandbox),
            ("description", &self.description),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                spec.insert(name.to_owned(), text.as_str().into());
            }
        }
    }

    fn write_numbers(&self, spec: &mut Spec) {
        let quantities = [
            ("queue_limit", &self.queue_limit),
            ("catch_up_max", &self.catch_up_max),
            ("catch_up_window", &self.catch_up_window),
            ("start_deadline", &self.start_deadline),
            ("jitter", &self.jitter),
            ("timeout", &self.timeout),
            ("kill_grace", &self.kill_grace),
            ("pause_after_failures", &self.pause_after_failures),
            ("output_limit", &self.output_limit),
        ];
        for (name, text) in quantities {
            if let Some(text) = text {
                spec.insert(name.to_owned(), number_or_text(text));
            }
        }
        if !self.success_codes.is_empty() {
            let codes: Vec<Value> = self.success_codes.iter().map(|code| number_or_text(code)).collect();
            spec.insert("success_codes".to_owned(), codes.into());
        }
    }

    fn write_flags(&self, spec: &mut Spec) {
        let enabled = if self.disabled { Some(false) } else { self.enabled };
        for (name, flag) in [("enabled", enabled), ("retry_lost", self.retry_lost), ("journal", self.journal)] {
            if let Some(flag) = flag {
                spec.insert(name.to_owned(), flag.into());
            }
        }
        if !self.tags.is_empty() {
            spec.insert("tags".to_owned(), self.tags.as_slice().into());
        }
    }

    fn write_maps(&self, spec: &mut Spec) -> Result<(), Failure> {
        let text: fn(&str) -> Value = |value| value.into();
        let maps = [
            ("env", &self.env, text),
            ("after", &self.after, text),
            ("limits", &self.limits, number_or_text as fn(&str) -> Value),
        ];
        for (name, pairs, convert) in maps {
            let mut map = Map::new();
            for pair in pairs {
                let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                    let form = if name == "after" { "NAME=success" } else { "KEY=VALUE" };
                    return Err(Failure::usage(format!("--{name} {pair}: expected {form}")));
                };
                map.insert(key.to_owned(), convert(value));
            }
            if !map.is_empty() {
                spec.insert(name.to_owned(), map.into());
            }
        }
        Ok(())
    }

    fn write_parts(&self, spec: &mut Spec, as_patch: bool) {
        let mut retries = Map::new();
        let parts = [
            ("max", self.retries.as_deref().map(number_or_text)),
            ("delay", self.retry_delay.as_deref().map(number_or_text)),
            ("backoff", self.retry_backoff.as_deref().map(Value::from)),
            ("max_delay", self.retry_max_delay.as_deref().map(number_or_text)),
            ("jitter", self.retry_jitter.as_deref().map(number_or_text)),
        ];
        for (name, part) in parts {
            retries.extend(part.map(|part| (name.to_owned(), part)));
        }
        if retries.len() == 1 && retries.contains_key("max") && !as_patch {
            spec.insert("retries".to_owned(), retries["max"].clone());
        } else if !retries.is_empty() {
            spec.insert("retries".to_owned(), retries.into());
        }
        let mut keep = Map::new();
        keep.extend(self.keep_runs.as_deref().map(|runs| ("runs".to_owned(), number_or_text(runs))));
        keep.extend(self.keep_age.as_deref().map(|age| ("age".to_owned(), number_or_text(age))));
        if !keep.is_empty() {
            spec.insert("keep".to_owned(), keep.into());
        }
    }
}

/// A bare number as a number, everything else as text.
fn number_or_text(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(fraction) if fraction.is_finite() => json!(fraction),
        _ => text.into(),
    }
}
