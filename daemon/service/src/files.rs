//! Declarative schedules: files of `schedules.d`. What they say is made so; what they no longer say is removed, its history stays.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use sloth_api::{ErrorCode, ScheduleSpec};
use sloth_core::{Origin, Uid};

use crate::fields::{Whose, build};
use crate::{Caller, Service, ServiceError};

/// One file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// What loading the files changed.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// New.
    pub created: Vec<String>,
    /// Changed.
    pub updated: Vec<String>,
    /// Gone.
    pub deleted: Vec<String>,
    /// As they were.
    pub unchanged: u32,
    /// File, place and what is wrong. A file with problems is left out as a whole; its former schedules stay as they are.
    pub problems: Vec<String>,
}

type Specs = BTreeMap<String, ScheduleSpec>;

impl Service {
    /// Makes the schedules of `owner` that come from files be those of these files.
    pub async fn apply_files(
        &self,
        owner: Uid,
        owner_name: &str,
        files: &[SourceFile],
    ) -> Result<FileReport, ServiceError> {
        let caller = Caller {
            uid: owner,
            name: owner_name.to_owned(),
            admin: true,
            method: "config",
            request_id: "reload".to_owned(),
            authority: None,
        };
        let mut report = FileReport::default();
        let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut keep_files: HashSet<PathBuf> = HashSet::new();
        for file in files {
            let specs = match parse(file) {
                Ok(specs) => specs,
                Err(problem) => {
                    report.problems.push(problem);
                    keep_files.insert(file.path.clone());
                    continue;
                }
            };
            for (name, spec) in specs {
                if let Some(first) = seen.get(&name) {
                    let (path, first) = (file.path.display(), first.display());
                    report.problems.push(format!("{path}: [schedule.{name}] is also in {first}; the first one counts"));
                    continue;
                }
                seen.insert(name.clone(), file.path.clone());
                if let Err(error) = self.apply_one(&caller, &name, &spec, file, &mut report).await {
                    report.problems.push(format!("{}: [schedule.{name}] {error}", file.path.display()));
                }
            }
        }
        for loaded in self.store.schedules_of_files()?.items {
            let schedule = &loaded.schedule;
            let Origin::File(path) = &schedule.origin else { continue };
            if schedule.owner == owner && !seen.contains_key(&schedule.name) && !keep_files.contains(path) {
                let name = schedule.name.clone();
                self.delete_loaded(&caller, loaded).await?;
                report.deleted.push(name);
            }
        }
        Ok(report)
    }

    async fn apply_one(
        &self,
        caller: &Caller,
        name: &str,
        spec: &ScheduleSpec,
        file: &SourceFile,
        report: &mut FileReport,
    ) -> Result<(), ServiceError> {
        let existing = self.store.schedule_by_name(caller.uid, name)?;
        let whose = Whose {
            id: existing.as_ref().map_or_else(|| self.new_id(), |loaded| loaded.schedule.id),
            owner: caller.uid,
            owner_name: caller.name.clone(),
            name: name.to_owned(),
            origin: Origin::File(file.path.clone()),
        };
        let schedule = build(&*self.host, whose, spec)?;
        match existing {
            None => {
                self.create(caller, schedule, None).await?;
                report.created.push(name.to_owned());
            }
            Some(was) if was.schedule.origin == Origin::Api => {
                return Err(ServiceError::new(
                    ErrorCode::AlreadyExists,
                    "a schedule of this name was added by command",
                )
                .hint(format!("slothctl scheduler delete {name}, then reload")));
            }
            Some(was) => {
                let keep_state = spec.enabled.is_none();
                match self.change(caller, was, schedule, keep_state, true).await?.change.as_str() {
                    "unchanged" => report.unchanged += 1,
                    _ => report.updated.push(name.to_owned()),
                }
            }
        }
        Ok(())
    }

    /// Problems of these files, without changing anything.
    pub fn check_files(
        host: &dyn crate::Surroundings,
        owner: Uid,
        owner_name: &str,
        files: &[SourceFile],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for file in files {
            let check = |name: &str, spec: &ScheduleSpec| {
                let whose = Whose {
                    id: sloth_core::ScheduleId::v7(host.now(), 0),
                    owner,
                    owner_name: owner_name.to_owned(),
                    name: name.to_owned(),
                    origin: Origin::File(file.path.clone()),
                };
                build(host, whose, spec)
                    .err()
                    .map(|error| format!("{}: [schedule.{name}] {error}", file.path.display()))
            };
            match parse(file) {
                Ok(specs) => problems.extend(specs.iter().filter_map(|(name, spec)| check(name, spec))),
                Err(problem) => {
                    let first = problem.clone();
                    problems.push(problem);
                    // The first problem has its place; the other schedules are read one by one, so that theirs are told as well.
                    for (name, spec) in each(file) {
                        match spec {
                            Ok(spec) => problems.extend(check(&name, &spec)),
                            Err(message) if first.ends_with(&message) => {}
                            Err(message) => {
                                problems.push(format!("{}: [schedule.{name}] {message}", file.path.display()));
                            }
                        }
                    }
                }
            }
        }
        problems
    }
}

/// The schedules of a file that is TOML, each with what is wrong about its fields.
fn each(file: &SourceFile) -> Vec<(String, Result<ScheduleSpec, String>)> {
    let Ok(mut table) = file.text.parse::<toml::Table>() else { return Vec::new() };
    let Some(toml::Value::Table(schedules)) = table.remove("schedule") else { return Vec::new() };
    let read = |spec: toml::Value| spec.try_into().map_err(|error: toml::de::Error| error.message().to_owned());
    schedules.into_iter().map(|(name, spec)| (name, read(spec))).collect()
}

/// The schedules of a file; the problem names file, line and column.
fn parse(file: &SourceFile) -> Result<Specs, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        #[serde(default)]
        schedule: Specs,
    }
    match toml::from_str::<Document>(&file.text) {
        Ok(document) => Ok(document.schedule),
        Err(error) => {
            let place = error.span().map_or(String::new(), |span| {
                let before = &file.text[..span.start.min(file.text.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
                format!(":{line}:{column}")
            });
            Err(format!("{}{place}: {}", file.path.display(), error.message()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_file_line_and_column() {
        let file = SourceFile {
            path: "/etc/x.toml".into(),
            text: "[schedule.a]\ntrigger = \"@daily\"\ntimeuot = 3\n".to_owned(),
        };
        let problem = parse(&file).expect_err("unknown field");
        assert!(problem.starts_with("/etc/x.toml:3:1: unknown field `timeuot`"), "{problem}");
    }
}
