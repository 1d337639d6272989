//! A `.service` as the action of a schedule. Every key is either carried over, refused because leaving it out would
//! change what the job does, or named in a note.

use sloth_api::ScheduleSpec;

use super::exec::{Action, Command, Steps, commands};
use super::guard::{Guards, guards};
use super::specifier::Specifiers;
use super::unit::{Entry, Unit};
use super::words::{self, Environment};
use super::{keys, resources};
use crate::import::words::{is_login, is_variable};

/// What a service does when it is started.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// All fields but the trigger and the action.
    pub(super) spec: ScheduleSpec,
    pub(super) action: Action,
    /// Longest run in whole seconds.
    pub(super) timeout_seconds: Option<u64>,
    pub(super) notes: Vec<String>,
}

/// Why a unit cannot be imported, and where.
pub(super) type Refusal<'a> = (Option<&'a Entry>, String);

const SERVICE: &str = "Service";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reads a service. `extra` are the tests of its timer.
pub(super) fn job<'a>(unit: &'a Unit, extra: Guards, is_system: bool) -> Result<Job, Refusal<'a>> {
    let specifiers = Specifiers { unit: &unit.name, is_system };
    let mut notes = Vec::new();
    keys::refuse_what_matters(unit)?;
    let is_oneshot = kind(unit, &mut notes)?;
    let mut spec = ScheduleSpec::default();
    let value = |key: &str| text_of(unit, key, &specifiers);
    let env = environment(unit, &specifiers)?;
    spec.description = unit.last("Unit", "Description").map(|entry| described(&entry.value, &specifiers));
    spec.user = value("User")?;
    spec.group = value("Group")?;
    for (key, name) in [("User", &spec.user), ("Group", &spec.group)] {
        if name.as_deref().is_some_and(|name| !is_login(name)) {
            return Err((
                unit.last(SERVICE, key),
                "is not a name: write the login or group name instead of a number".to_owned(),
            ));
        }
    }
    spec.cwd = directory(unit, value("WorkingDirectory")?, is_system, &mut notes);
    spec.umask = value("UMask")?;
    if spec.umask.as_deref().is_some_and(|mask| mask.len() > 4 || !mask.bytes().all(|b| (b'0'..=b'7').contains(&b))) {
        return Err((unit.last(SERVICE, "UMask"), "is not an octal mask such as 027".to_owned()));
    }
    let mut steps = steps(unit, &specifiers, &env, is_oneshot)?;
    let own = guards(unit, &specifiers).map_err(|(entry, reason)| (Some(entry), reason))?;
    steps.conditions.extend(extra.conditions.into_iter().chain(own.conditions));
    steps.assertions.extend(extra.assertions.into_iter().chain(own.assertions));
    notes.extend(extra.notes.into_iter().chain(own.notes));
    step_down(unit, &mut steps, &mut spec, is_system, &mut notes)?;
    let timeout_seconds = resources::apply(unit, is_oneshot, &mut spec, &mut notes)?;
    spec.env = Some(env);
    if let Some(entry) = unit.last(SERVICE, "StandardInput").filter(|entry| entry.value != "null") {
        return Err((Some(entry), "a job reads no file, socket or terminal: open the file in ExecStart".to_owned()));
    }
    keys::remarks(unit, &mut notes);
    Ok(Job { spec, action: steps.action(), timeout_seconds, notes })
}

/// A description of one line, no longer than a schedule may have.
fn described(text: &str, specifiers: &Specifiers<'_>) -> String {
    let text = specifiers.expand(text).unwrap_or_else(|_| text.to_owned());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// True for `oneshot`, false for the types whose main process is the job.
fn kind<'a>(unit: &'a Unit, notes: &mut Vec<String>) -> Result<bool, Refusal<'a>> {
    let entry = unit.last(SERVICE, "Type");
    match entry.map_or("simple", |entry| entry.value.as_str()) {
        "oneshot" => Ok(true),
        "simple" | "exec" => Ok(false),
        "idle" => {
            notes.push("Type=idle: the job does not wait until the machine is idle".to_owned());
            Ok(false)
        }
        other => {
            let ends =
                "slothd follows the process it starts until its end: use a foreground mode and Type=oneshot or exec";
            Err((entry, format!("Type={other} cannot be carried over: {ends}")))
        }
    }
}

fn text_of<'a>(unit: &'a Unit, key: &str, specifiers: &Specifiers<'_>) -> Result<Option<String>, Refusal<'a>> {
    let Some(entry) = unit.last(SERVICE, key) else {
        return Ok(None);
    };
    specifiers.expand(&entry.value).map(Some).map_err(|reason| (Some(entry), reason))
}

fn environment<'a>(unit: &'a Unit, specifiers: &Specifiers<'_>) -> Result<Environment, Refusal<'a>> {
    let mut env = Environment::from([("PATH".to_owned(), PATH.to_owned())]);
    for entry in unit.all(SERVICE, "Environment") {
        let refuse = |reason: String| (Some(entry), reason);
        for word in words::split(&entry.value).map_err(refuse)? {
            let text = specifiers.expand(&word.text).map_err(refuse)?;
            let Some((name, value)) = text.split_once('=').filter(|(name, _)| is_variable(name)) else {
                return Err(refuse(format!("{text:?} is not NAME=value")));
            };
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(env)
}

/// The working directory; that of a system service is `/`.
fn directory(unit: &Unit, value: Option<String>, is_system: bool, notes: &mut Vec<String>) -> Option<String> {
    match value.as_deref() {
        None => is_system.then(|| "/".to_owned()),
        Some("~") => None,
        Some(path) => {
            let needed = path.strip_prefix('-');
            if needed.is_some() {
                notes.push(format!(
                    "WorkingDirectory={path}: the directory must exist, otherwise the run fails ({})",
                    unit.name
                ));
            }
            Some(needed.unwrap_or(path).to_owned()).filter(|path| path != "~")
        }
    }
}

fn steps<'a>(
    unit: &'a Unit,
    specifiers: &Specifiers<'_>,
    env: &Environment,
    is_oneshot: bool,
) -> Result<Steps, Refusal<'a>> {
    let read = |key: &str| -> Result<Vec<Command>, Refusal<'a>> {
        let mut found = Vec::new();
        for entry in unit.all(SERVICE, key) {
            let refuse = |reason: String| (Some(entry), format!("{key}= {reason}"));
            found.extend(commands(&entry.value, specifiers, env).map_err(refuse)?);
        }
        Ok(found)
    };
    let starts = read("ExecStart")?;
    if starts.is_empty() {
        return Err((None, format!("{} has no ExecStart=: there is nothing to run", unit.name)));
    }
    if starts.len() > 1 && !is_oneshot {
        return Err((
            unit.last(SERVICE, "ExecStart"),
            "several ExecStart= need Type=oneshot, systemd refuses them too".to_owned(),
        ));
    }
    let mut steps = Steps { checks: read("ExecCondition")?, ..Steps::default() };
    steps.commands.extend(read("ExecStartPre")?);
    let after = read("ExecStartPost")?;
    if !after.is_empty() && !is_oneshot {
        let reason =
            "ExecStartPost= runs beside the main process of such a service: use Type=oneshot, where it runs afterwards";
        return Err((unit.last(SERVICE, "ExecStartPost"), reason.to_owned()));
    }
    steps.commands.extend(starts);
    steps.commands.extend(after);
    Ok(steps)
}

/// `+` and `!` beside `User=`: the run is root's and the other commands step down to the user.
fn step_down<'a>(
    unit: &'a Unit,
    steps: &mut Steps,
    spec: &mut ScheduleSpec,
    is_system: bool,
    notes: &mut Vec<String>,
) -> Result<(), Refusal<'a>> {
    let Some(user) = spec.user.clone().filter(|user| user != "root") else {
        return Ok(());
    };
    if !steps.checks.iter().chain(&steps.commands).any(|command| command.privileged) {
        return Ok(());
    }
    if !is_system {
        return Err((
            unit.last(SERVICE, "User"),
            "the prefixes `+` and `!` mean nothing in a user's unit: remove them".to_owned(),
        ));
    }
    let group = spec.group.take().map_or("--init-groups".to_owned(), |group| format!("--regid={group} --init-groups"));
    let group = if group.starts_with("--regid") { group } else { format!("--regid={user} {group}") };
    for command in steps.checks.iter_mut().chain(&mut steps.commands).filter(|command| !command.privileged) {
        let stepping =
            ["setpriv".to_owned(), format!("--reuid={user}")].into_iter().chain(group.split(' ').map(str::to_owned));
        command.argv = stepping.chain(["--".to_owned()]).chain(std::mem::take(&mut command.argv)).collect();
    }
    spec.user = Some("root".to_owned());
    notes.push(format!(
        "the commands with `+` or `!` run as root, the others as {user} and its group through setpriv(1)"
    ));
    Ok(())
}
