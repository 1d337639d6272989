//! Reading the configuration again: first everything is checked, then it takes effect. A bad file keeps the old settings.

use std::sync::Arc;

use sd_notify::NotifyState;
use serde_json::{Map, Value, json};
use sloth_api::ReloadReply;
use sloth_core::Uid;
use sloth_service::{FileReport, Service, ServiceError, SourceFile};

use crate::arguments::Arguments;
use crate::executor::Chosen;
use crate::logging::Level;
use crate::machine::{Machine, Names};
use crate::notify;
use crate::places::Places;
use crate::settings::{KEYS, Merged, toml_files};

/// The files of `schedules.d`. When the directory or one file cannot be read, none: nothing is concluded from half of them.
fn schedule_files(places: &Places) -> Result<Vec<SourceFile>, String> {
    let mut files = Vec::new();
    for path in toml_files(&places.schedules)? {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        files.push(SourceFile { path, text });
    }
    Ok(files)
}

/// Problems of the schedule files.
pub fn check_schedules(arguments: &Arguments, places: &Places) -> Vec<String> {
    let (uid, name) = daemon_user();
    match schedule_files(places) {
        Ok(files) => {
            let names = Names::new(Chosen::likely(arguments, places).capabilities);
            Service::check_files(&names, uid, &name, &files)
        }
        Err(problem) => vec![problem],
    }
}

/// Who owns declarative schedules: the user that the daemon runs as.
pub fn daemon_user() -> (Uid, String) {
    let uid = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name);
    (Uid(uid.as_raw()), name)
}

/// Makes the declarative schedules be what the files say.
pub async fn apply_schedules(service: &Service, places: &Places) -> Result<FileReport, ServiceError> {
    let (uid, name) = daemon_user();
    let report = match schedule_files(places) {
        Ok(files) => service.apply_files(uid, &name, &files).await?,
        Err(problem) => FileReport { problems: vec![problem], ..FileReport::default() },
    };
    for problem in &report.problems {
        tracing::error!(problem, "a schedule file has a problem");
    }
    Ok(report)
}

/// Reads settings and schedules again, and lets systemd know that it is being done.
pub async fn reload(service: &Service, machine: &Arc<Machine>, level: &Level) -> Result<ReloadReply, ServiceError> {
    notify::reloading();
    let reply = notify::patiently(read_again(service, machine, level)).await;
    if let Err(error) = &reply {
        machine.set_trouble(&[error.to_string()]);
    }
    notify::tell(&[NotifyState::Ready]);
    reply
}

async fn read_again(service: &Service, machine: &Arc<Machine>, level: &Level) -> Result<ReloadReply, ServiceError> {
    let merged = Merged::read(&machine.places);
    let (settings, mut problems) = match merged.validate() {
        Ok(settings) => (Some(settings), Vec::new()),
        Err(problems) => (None, problems),
    };
    let mut changed = Vec::new();
    if let Some(settings) = settings {
        let mut live = machine.live.write().unwrap_or_else(|e| e.into_inner());
        let (old, new) = (live.merged.list(), merged.list());
        let differs = |key: &&crate::setting_keys::Key| {
            let value = |list: &[sloth_api::Setting]| list.iter().find(|s| s.key == key.name).map(|s| s.value.clone());
            value(&old) != value(&new)
        };
        changed = KEYS.iter().filter(differs).map(|key| key.name.to_owned()).collect();
        level.set(&settings.log_level);
        live.settings = settings;
        live.merged = merged;
    }
    let (max_running, workers) = {
        let live = machine.live.read().unwrap_or_else(|e| e.into_inner());
        (live.settings.max_running, live.settings.engine.workers)
    };
    service.engine().configure(max_running, workers).await;
    let report = apply_schedules(service, &machine.places).await?;
    let mut schedules = Map::new();
    for (word, names) in [("created", &report.created), ("updated", &report.updated), ("deleted", &report.deleted)] {
        schedules.insert(word.to_owned(), json!(names));
    }
    schedules.insert("unchanged".to_owned(), Value::from(report.unchanged));
    problems.extend(report.problems);
    service.note_reload(&changed, &problems).await;
    machine.set_trouble(&problems);
    if let Ok(status) = service.status(None) {
        notify::status(&machine.sentence(&status.summary));
    }
    match problems.first() {
        None => tracing::info!(?changed, "reloaded"),
        Some(first) => {
            tracing::error!(
                first,
                count = problems.len(),
                "the configuration has problems: what is bad keeps its old state"
            );
        }
    }
    Ok(ReloadReply { changed, schedules, problems })
}
