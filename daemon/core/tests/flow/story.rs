//! The language of stories. `run field=value …` (slots, policy, timeout, retries), `stage NAME field=value …`,
//! `task NAME field=value …` (`after`, `soft`, `order`, `branch=decider:0`), `edge FROM TO`, `ends NAME ok|KIND after 2s; …`,
//! `cancel 3s [force]`, `cancel-task NAME 3s`, `pause 1s`, `unpause 5s`, `die N` (after N records, then a new worker).
//! Expectations: `expect NAME=word …`, `expect begins A B A`, `expect run STATUS [REASON]`, `expect over at 4s`,
//! `expect why NAME: text`, `expect attempts NAME 2`.

use std::collections::BTreeMap;
use std::time::Duration;

use sloth_core::workflow::machine::{CancelReason, Input, Overrides, Selection, Settings, select};
use sloth_core::workflow::{
    Backoff, Condition, Edge, EdgeKind, FailurePolicy, OnResume, Retry, RunnerConfig, Stage, StageId, Task, TaskId,
    Workflow,
};

use crate::sim::{Ending, Sim};

#[derive(Default)]
pub struct Story {
    workflow: Workflow,
    given: Overrides,
    selection: Selection,
    endings: BTreeMap<u32, Vec<Ending>>,
    inputs: Vec<(Duration, Input)>,
    die: Vec<usize>,
    window: Option<u32>,
}

pub fn tell(text: &str) {
    if let Err(why) = Story::default().tell(text) {
        panic!("{why}");
    }
}

impl Story {
    fn tell(mut self, text: &str) -> Result<(), String> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let (told, expected): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| !line.starts_with("expect "));
        for line in told {
            self.line(line).map_err(|why| format!("{line}: {why}"))?;
        }
        if self.workflow.stages.is_empty() {
            self.stage("tasks", &[])?;
        }
        let mut settings = Settings::new(&self.workflow, &RunnerConfig::default(), &self.given);
        settings.selected = select(&self.workflow, &self.selection).map_err(|error| error.to_string())?;
        settings.window = self.window.unwrap_or(256);
        let mut sim = Sim::new(self.workflow.clone(), settings);
        sim.endings = self.endings;
        for (at, input) in self.inputs {
            sim.at(at, input);
        }
        for at in self.die {
            sim.die_at = Some(at);
            if !sim.run() {
                sim.resume();
            }
        }
        sim.die_at = None;
        if sim.verdict.is_none() {
            sim.run();
        }
        for line in expected {
            check(&sim, line).map_err(|why| format!("{line}\n  {why}\n{}", sim.trace.join("\n")))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[0] {
            "run" => self.configure(&words[1..]),
            "stage" => self.stage(words[1], &words[2..]),
            "task" => self.task(words[1], &words[2..]),
            "edge" => {
                let (from, to) = (self.find(words[1])?, self.find(words[2])?);
                self.workflow.edges.push(Edge { from, to, kind: EdgeKind::Needs });
                Ok(())
            }
            "ends" => self.ends(words[1], line),
            "cancel" => {
                let force = words.get(2) == Some(&"force");
                let input = Input::Cancelled { reason: CancelReason::User, force, compensate: true };
                self.inputs.push((duration(words[1])?, input));
                Ok(())
            }
            "cancel-task" => {
                let task = self.find(words[1])?;
                self.inputs.push((duration(words[2])?, Input::TaskCancelled(task)));
                Ok(())
            }
            "pause" | "unpause" => {
                let input = if words[0] == "pause" { Input::Paused } else { Input::Unpaused };
                self.inputs.push((duration(words[1])?, input));
                Ok(())
            }
            "die" => {
                self.die.push(words[1].parse().map_err(|_| "a number")?);
                Ok(())
            }
            _ => Err("no such word".to_owned()),
        }
    }

    fn configure(&mut self, fields: &[&str]) -> Result<(), String> {
        for field in fields {
            let (key, value) = field.split_once('=').unwrap_or((field, "true"));
            let config = &mut self.workflow.config;
            let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match key {
                "slots" => self.given.max_parallel = Some(number(value)?),
                "continue" => config.on_task_failure = FailurePolicy::Continue,
                "fail_fast" => config.fail_fast = true,
                "timeout" => config.timeout_ms = Some(millis(value)?),
                "retry" => self.workflow.retry = Some(retry(number(value)?)),
                "retries" => config.task_retry = Some(retry(number(value)?)),
                "ignore" => config.ignore = list(),
                "window" => self.window = Some(number(value)?),
                "only" => self.selection.tasks = list(),
                "no_deps" => self.selection.no_deps = true,
                "from" => self.selection.from = Some(value.to_owned()),
                "skip" => self.selection.skip = list(),
                "tags" => self.selection.tags = list(),
                "cpu" => drop(self.given.capacity.insert("cpu".to_owned(), u64::from(number(value)?))),
                _ => return Err(format!("no field {key}")),
            }
        }
        Ok(())
    }

    fn stage(&mut self, name: &str, fields: &[&str]) -> Result<(), String> {
        let mut stage = Stage { name: name.to_owned(), ..Stage::default() };
        for field in fields {
            let (key, value) = field.split_once('=').unwrap_or((field, "true"));
            match key {
                "condition" => stage.condition = Some(condition(value)),
                "tolerate" => stage.tolerate = number(value)?,
                "timeout" => stage.timeout_ms = Some(millis(value)?),
                "retry" => stage.retry = Some(retry(number(value)?)),
                "workers" => stage.max_workers = Some(number(value)?),
                "fail_fast" => stage.fail_fast = Some(true),
                "continue" => stage.continue_on_error = Some(true),
                _ => return Err(format!("no field {key}")),
            }
        }
        self.workflow.stages.push(stage);
        Ok(())
    }

    fn task(&mut self, name: &str, fields: &[&str]) -> Result<(), String> {
        if self.workflow.stages.is_empty() {
            self.stage("tasks", &[])?;
        }
        let id = TaskId(self.workflow.tasks.len() as u32);
        let stage = StageId(self.workflow.stages.len() as u32 - 1);
        let mut task = Task { name: name.to_owned(), declared: name.to_owned(), stage, ..Task::default() };
        for field in fields {
            let (key, value) = field.split_once('=').unwrap_or((field, "true"));
            let kind = match key {
                "after" => Some(EdgeKind::Needs),
                "soft" => Some(EdgeKind::Ended),
                "order" => Some(EdgeKind::Order),
                _ => None,
            };
            if let Some(kind) = kind {
                for from in value.split(',') {
                    let from = self.find(from)?;
                    self.workflow.edges.push(Edge { from, to: id, kind });
                }
                continue;
            }
            match key {
                "condition" => task.condition = Some(condition(value)),
                "abort" => task.abort_if = Some(condition(value)),
                "retries" => task.retry = Some(retry(number(value)?)),
                "timeout" => task.timeout_ms = Some(millis(value)?),
                "priority" => task.priority = value.parse().map_err(|_| "a number")?,
                "async" => task.is_async = true,
                "ignore" => task.ignore_errors = true,
                "key" => task.concurrency = Some((value.to_owned(), 1)),
                "tags" => task.tags = value.split(',').map(str::to_owned).collect(),
                "cpu" => task.resources.cpu_request = Some(u64::from(number(value)?)),
                "on_resume" => task.on_resume = if value == "skip" { OnResume::Skip } else { OnResume::Fail },
                "branch" => {
                    let (decider, number) = value.split_once(':').ok_or("decider:number")?;
                    let decider = self.find(decider)?;
                    task.branch = Some((decider, number.parse().map_err(|_| "a number")?));
                    self.workflow.edges.push(Edge { from: decider, to: id, kind: EdgeKind::Needs });
                }
                _ => return Err(format!("no field {key}")),
            }
        }
        self.workflow.stages[stage.0 as usize].tasks.push(id);
        self.workflow.tasks.push(task);
        Ok(())
    }

    fn ends(&mut self, name: &str, line: &str) -> Result<(), String> {
        let task = self.find(name)?;
        let rest = line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        let mut endings = Vec::new();
        for part in rest.split(';') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (word, branch) = words[0].split_once(':').unwrap_or((words[0], ""));
            let after = words.iter().position(|word| *word == "after").map(|at| duration(words[at + 1]));
            endings.push(Ending {
                success: word == "ok",
                kind: if word == "denied" { "denied" } else { "exit" },
                after: after.transpose()?.unwrap_or(Duration::from_secs(1)),
                branch: branch.parse().ok(),
            });
        }
        self.endings.insert(task.0, endings);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<TaskId, String> {
        let at = self.workflow.tasks.iter().position(|task| task.name == name);
        at.map(|at| TaskId(at as u32)).ok_or(format!("no task {name}"))
    }
}

fn check(sim: &Sim, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let find = |name: &str| sim.workflow.tasks.iter().position(|task| task.name == name).map(|at| TaskId(at as u32));
    match words[0] {
        "run" => {
            let verdict = sim.verdict.as_ref().ok_or("no verdict")?;
            let found = format!("{} {}", verdict.status, verdict.reason.unwrap_or_default());
            same(found.trim(), &words[1..].join(" "))
        }
        "begins" => {
            let begins: Vec<&str> =
                sim.begins.iter().map(|(_, task, _)| sim.workflow.tasks[task.0 as usize].name.as_str()).collect();
            same(&begins.join(" "), &words[1..].join(" "))
        }
        "over" => {
            let whole = Duration::from_millis(sim.now.as_millis() as u64);
            same(&format!("{whole:?}"), &format!("{:?}", duration(words[2])?))
        }
        "at-once" => same(&sim.most_running.to_string(), words[1]),
        "why" => {
            let name = words[1].trim_end_matches(':');
            let end = find(name).and_then(|task| sim.end_of(task)).ok_or("no end")?;
            same(&end.why.as_ref().map(|why| why.text()).unwrap_or_default(), &words[2..].join(" "))
        }
        "attempts" => {
            let end = find(words[1]).and_then(|task| sim.end_of(task)).ok_or("no end")?;
            same(&end.attempts.to_string(), words[2])
        }
        _ => words.iter().try_for_each(|pair| {
            let (name, word) = pair.split_once('=').ok_or("name=word")?;
            let task = find(name).ok_or(format!("no task {name}"))?;
            same(&format!("{name}={}", sim.word(task)), &format!("{name}={word}"))
        }),
    }
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found    {found}\n  expected {expected}")) }
}

fn retry(n: u32) -> Retry {
    Retry { backoff: Backoff::Fixed, ..Retry::times(n) }
}

fn condition(text: &str) -> Condition {
    match text {
        "true" => Condition::Fixed(true),
        "false" => Condition::Fixed(false),
        _ => Condition::Expression(text.to_owned()),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn millis(text: &str) -> Result<u64, String> {
    Ok(duration(text)?.as_millis() as u64)
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).ok_or("a unit")?);
    let number: f64 = number.parse().map_err(|_| format!("not a duration: {text}"))?;
    Ok(Duration::from_secs_f64(if unit == "ms" { number / 1000.0 } else { number }))
}

/// Words; double quotes keep spaces.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("never empty").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
