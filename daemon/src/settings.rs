//! Settings: fragments of files and environment are merged, then checked as a whole. Every problem is told, with its place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value as Json;
use sloth_api::Setting;
use sloth_doors::dbus::{Bus, BusKind};
use toml::Value;

use crate::setting_checks::{Check, DAY};
use crate::setting_engine::EngineSettings;
pub use crate::setting_keys::KEYS;
use crate::setting_keys::is_free;

use crate::arguments::Arguments;
use crate::places::Places;

/// Validated settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `log.level`.
    pub log_level: String,
    /// `log.target`.
    pub log_target: String,
    /// `socket.path`.
    pub socket_path: Option<PathBuf>,
    /// `socket.mode`.
    pub socket_mode: Option<u32>,
    /// `socket.group`.
    pub socket_group: Option<String>,
    /// `dbus.bus`.
    pub dbus_bus: String,
    /// `dbus.address`.
    pub dbus_address: Option<String>,
    /// `scheduler.max_running`.
    pub max_running: usize,
    /// `scheduler.horizon`.
    pub horizon: Duration,
    /// `scheduler.catch_up_spread`.
    pub catch_up_spread: Duration,
    /// `security.admin_groups`.
    pub admin_groups: Vec<String>,
    /// `security.audit_retention`.
    pub audit_retention: Duration,
    /// `events.retention`.
    pub event_retention: Duration,
    /// `events.max_rows`.
    pub event_rows: u64,
    /// `backup.every`; zero: never.
    pub backup_every: Duration,
    /// `backup.keep`.
    pub backup_keep: usize,
    /// `backup.dir`.
    pub backup_dir: Option<PathBuf>,
    /// `[engine]` and `[lua]`.
    pub engine: EngineSettings,
    /// `[user]`.
    pub user: Json,
}

impl Settings {
    /// The message bus to be on, if any.
    pub fn bus(&self, places: &Places) -> Option<Bus> {
        let kind = match (self.dbus_bus.as_str(), places.bus) {
            ("none", _) => return None,
            ("system", _) => BusKind::System,
            ("session", _) => BusKind::Session,
            (_, usual) => usual?,
        };
        Some(Bus { kind, address: self.dbus_address.clone() })
    }
}

/// Merged fragments: each key with its value and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    values: BTreeMap<String, (Value, String)>,
    problems: Vec<String>,
}

impl Merged {
    /// Reads files and environment.
    pub fn read(places: &Places) -> Merged {
        let mut merged = Merged::default();
        if places.config.exists() || places.config_required {
            merged.file(&places.config);
        }
        match places.drop_ins.as_deref().map_or(Ok(Vec::new()), toml_files) {
            Ok(files) => files.iter().for_each(|path| merged.file(path)),
            Err(problem) => merged.problems.push(problem),
        }
        merged
            .environment(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))));
        merged
    }

    fn file(&mut self, path: &Path) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.problems.push(format!("{}: {error}", path.display())),
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.table("", &table, &path.display().to_string()),
            Err(error) => {
                let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
                self.problems.push(format!("{}:{line}: {}", path.display(), error.message()));
            }
        }
    }

    fn table(&mut self, prefix: &str, table: &toml::Table, origin: &str) {
        for (name, value) in table {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                // Nested tables of `[user]` are values like any other.
                Value::Table(inner) if !name.starts_with("user.") => self.table(&name, inner, origin),
                value if KEYS.iter().any(|key| key.name == name) || is_free(&name) => {
                    self.values.insert(name, (value.clone(), origin.to_owned()));
                }
                _ => self.problems.push(format!("{origin}: {name}: there is no such key")),
            }
        }
    }

    /// `SLOTHD_SCHEDULER__MAX_RUNNING=10`: two underscores between the levels.
    fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix("SLOTHD_").filter(|rest| rest.contains("__")) else {
                continue;
            };
            let name = name.to_ascii_lowercase().replace("__", ".");
            let origin = format!("environment {variable}");
            if !KEYS.iter().any(|key| key.name == name) && !is_free(&name) {
                self.problems.push(format!("{origin}: there is no key {name}"));
                continue;
            }
            let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
            self.values.insert(name, (parsed.unwrap_or(Value::String(text)), origin));
        }
    }

    pub(crate) fn get(&self, name: &str) -> (Option<Value>, String) {
        if let Some((value, origin)) = self.values.get(name) {
            return (Some(value.clone()), origin.clone());
        }
        let default = KEYS.iter().find(|key| key.name == name).map_or("", |key| key.default);
        let parsed = format!("v = {default}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
        (parsed, "default".to_owned())
    }

    /// Values of a table in which names are free, by name.
    pub(crate) fn free(&self, table: &str) -> impl Iterator<Item = (&str, &Value, &str)> {
        self.values.iter().filter_map(move |(key, (value, origin))| {
            let name = key.strip_prefix(table)?.strip_prefix('.')?;
            Some((name, value, origin.as_str()))
        })
    }

    fn user(&self) -> Json {
        let fields = self.free("user").map(|(name, value, _)| (name.to_owned(), json(value)));
        Json::Object(fields.collect())
    }

    /// Effective values for people.
    pub fn list(&self) -> Vec<Setting> {
        KEYS.iter()
            .map(|key| {
                let (value, origin) = self.get(key.name);
                let value = value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or(Json::Null);
                Setting { key: key.name.to_owned(), value, origin, description: key.about.to_owned() }
            })
            .collect()
    }

    /// Checks everything.
    pub fn validate(&self) -> Result<Settings, Vec<String>> {
        let mut check = Check { merged: self, problems: self.problems.clone() };
        let settings = Settings {
            log_level: check.word("log.level", &["error", "warn", "info", "debug", "trace"]),
            log_target: check.word("log.target", &["auto", "journal", "stderr"]),
            socket_path: check.path("socket.path"),
            socket_mode: check.mode("socket.mode"),
            socket_group: check.text("socket.group"),
            dbus_bus: check.word("dbus.bus", &["auto", "system", "session", "none"]),
            dbus_address: check.bus_address("dbus.address"),
            max_running: check.number("scheduler.max_running", 1, 100_000) as usize,
            horizon: check.span("scheduler.horizon", Duration::from_secs(3), Duration::from_secs(60)),
            catch_up_spread: check.span("scheduler.catch_up_spread", Duration::ZERO, Duration::from_secs(3600)),
            admin_groups: check.words("security.admin_groups"),
            audit_retention: check.span("security.audit_retention", DAY, DAY * 36_500),
            event_retention: check.span("events.retention", Duration::from_secs(3600), DAY * 36_500),
            event_rows: check.number("events.max_rows", 1000, 1 << 40),
            backup_every: check.span("backup.every", Duration::ZERO, DAY * 365),
            backup_keep: check.number("backup.keep", 1, 10_000) as usize,
            backup_dir: check.path("backup.dir"),
            engine: EngineSettings::read(&mut check),
            user: self.user(),
        };
        if check.problems.is_empty() { Ok(settings) } else { Err(check.problems) }
    }
}

/// Dates become text.
fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(n) => Json::from(*n),
        Value::Float(x) => Json::from(*x),
        Value::Boolean(b) => Json::from(*b),
        Value::Datetime(at) => Json::from(at.to_string()),
        Value::Array(list) => list.iter().map(json).collect(),
        Value::Table(table) => Json::Object(table.iter().map(|(name, value)| (name.clone(), json(value))).collect()),
    }
}

/// The `.toml` files of a directory, in order of their names. A directory that is not there has none; one that cannot be read is an
/// error: what its files said must not be taken for withdrawn.
pub fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `slothd check-config`.
pub fn check_config(arguments: &Arguments) -> ExitCode {
    let places = match Places::of(arguments) {
        Ok(places) => places,
        Err(problem) => {
            eprintln!("slothd: {problem}");
            return ExitCode::from(crate::life::EXIT_CONFIG);
        }
    };
    let mut problems = Merged::read(&places).validate().err().unwrap_or_default();
    problems.extend(crate::reload::check_schedules(arguments, &places));
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        println!("no problems");
        return ExitCode::SUCCESS;
    }
    eprintln!("{} problems", problems.len());
    ExitCode::from(crate::life::EXIT_CONFIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str) -> Merged {
        let mut merged = Merged::default();
        merged.table("", &text.parse().expect("toml"), "test.toml");
        merged
    }

    #[test]
    fn the_defaults_are_valid() {
        let settings = Merged::default().validate().expect("valid");
        assert_eq!(settings.max_running, 2000);
        assert_eq!(settings.admin_groups, ["root"]);
    }

    #[test]
    fn all_problems_are_told_at_once_with_file_and_key() {
        let problems =
            merged("[scheduler]\nmax_running = 0\nhorizon = \"soon\"\nspeed = 9\n").validate().expect_err("wrong");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().all(|p| p.starts_with("test.toml: scheduler.")), "{problems:?}");
    }

    #[test]
    fn the_environment_wins() {
        let mut merged = merged("[scheduler]\nmax_running = 5\n");
        merged.environment([("SLOTHD_SCHEDULER__MAX_RUNNING".to_owned(), "7".to_owned())].into_iter());
        assert_eq!(merged.validate().expect("valid").max_running, 7);
    }
}
