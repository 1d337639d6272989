//! From the parts of a crontab line to a schedule that behaves as it did under cron.

use std::collections::BTreeMap;

use sloth_api::{Quantity, ScheduleSpec};

use super::percent;
use super::variables::Variables;
use super::when::When;

/// `PATH` of a job whose crontab sets none: _PATH_DEFPATH of cron.
const PATH: &str = "/usr/bin:/bin";
const SH: &str = "/bin/sh";

/// The schedule for a job. Notes are about this line alone.
pub(super) fn spec(
    when: &When,
    user: Option<&str>,
    command: &str,
    variables: &Variables,
    notes: &mut Vec<String>,
) -> Result<ScheduleSpec, String> {
    let (mut text, stdin) = percent::split(command);
    // Blanks at the end say nothing to the shell, unless a backslash holds on to them.
    let trimmed = text.trim_ascii_end().len();
    if !text[..trimmed].ends_with('\\') {
        text.truncate(trimmed);
    }
    if text.is_empty() {
        return Err("has no command before the `%`: the text after it would be its input".to_owned());
    }
    guards(&text, notes);
    let env = env(variables);
    let shell = env.get("SHELL").map_or(SH, String::as_str).to_owned();
    let (shell, command) = match shell.as_str() {
        SH | "/usr/bin/sh" => (Some(text), None),
        other => (None, Some(vec![other.to_owned(), "-c".to_owned(), text])),
    };
    let jitter_minutes = match (when.jitter_minutes, variables.delay_minutes()?) {
        (Some(_), Some(_)) => return Err("has a random time and a RANDOM_DELAY: keep one of them".to_owned()),
        (random, delay) => random.or(delay),
    };
    Ok(ScheduleSpec {
        trigger: Some(when.trigger.clone()),
        timezone: variables.zone()?.map(str::to_owned).filter(|_| when.trigger != "@reboot"),
        shell,
        command,
        user: user.map(str::to_owned),
        cwd: variables.env().get("HOME").cloned(),
        env: Some(env),
        stdin,
        overlap: Some("allow".to_owned()),
        catch_up: (when.trigger != "@reboot").then(|| "none".to_owned()),
        jitter: jitter_minutes.map(|minutes| Quantity::Text(format!("{minutes}m"))),
        jitter_mode: jitter_minutes.map(|_| "host".to_owned()),
        ..ScheduleSpec::default()
    })
}

fn env(variables: &Variables) -> BTreeMap<String, String> {
    let mut env = variables.env().clone();
    for (name, value) in [("PATH", PATH), ("SHELL", SH)] {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    env
}

/// Says when a job does nothing because something else does its work.
fn guards(text: &str, notes: &mut Vec<String>) {
    if text.contains("/run/systemd/system") {
        notes.push("asks for /run/systemd/system: on a host with systemd the job does nothing, its timer does the work; import that".to_owned());
    }
    if text.contains("/sbin/anacron") && text.contains("run-parts") {
        notes.push(
            "does nothing while anacron is installed: anacron runs these scripts; import /etc/anacrontab instead"
                .to_owned(),
        );
    }
    if text.contains("run-parts") {
        let once = "one run for the whole directory; do not import its scripts as well, they would run twice";
        notes.push(once.to_owned());
    }
    if text.trim_ascii_end().ends_with('&') {
        notes.push("ends with `&`: what it leaves in the background ends with the run; remove the `&`".to_owned());
    }
    if text.contains("invoke-rc.d cron") || text.contains("crontab -") {
        notes.push("works on cron itself: see whether it is still needed".to_owned());
    }
}
