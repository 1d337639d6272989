//! What a story expects, against what the world holds.

use std::collections::BTreeMap;

use sloth_core::record::Decision;
use sloth_core::run::{Outcome, Run, RunTrigger};
use sloth_core::{AttemptKey, Enabled, Moment, ScheduleId};

use super::Story;

impl Story {
    pub fn expect(&self, rest: &str) -> Result<(), String> {
        if rest == "audit clean" {
            // So it is asked at the end of each story; here in the middle.
            let dirty = self
                .world
                .store
                .schedules
                .keys()
                .find(|id| !self.world.store.audit(**id, self.world.wall()).is_clean());
            return dirty.map_or(Ok(()), |id| Err(format!("{:#?}", self.world.store.audit(*id, self.world.wall()))));
        }
        let (head, list) = rest.split_once(':').ok_or("expect what?")?;
        let (what, name) = head.split_once(' ').ok_or("expect of whom?")?;
        let found = match what {
            "event" => vec![self.world.store.events.iter().filter(|(kind, _)| *kind == name).count().to_string()],
            _ => self.found(what, self.id(name)?)?,
        };
        let expected = self.items(list);
        if expected == found {
            return Ok(());
        }
        Err(format!("  expected {}\n  found    {}", expected.join(", "), found.join(", ")))
    }

    fn id(&self, name: &str) -> Result<ScheduleId, String> {
        let mut all = self.world.store.schedules.iter().rev();
        all.find(|(_, s)| s.schedule.name == name).map(|(id, _)| *id).ok_or(format!("no schedule {name}"))
    }

    fn found(&self, what: &str, id: ScheduleId) -> Result<Vec<String>, String> {
        let store = &self.world.store;
        let mut runs: Vec<&Run> = store.runs.values().filter(|run| run.schedule == id).collect();
        runs.sort_by_key(|run| (run.epoch, run.due_at));
        let rows = || store.rows.iter().filter(move |((of, _, _), _)| *of == id);
        Ok(match what {
            "runs" => {
                let ran = runs.iter().filter(|run| run.started_at.is_some());
                ran.map(|run| self.time(run.due_at)).collect()
            }
            "starts" => {
                let of = |run| store.runs.get(run).is_some_and(|run| run.schedule == id);
                let starts = self.world.executor.starts.iter().filter(|(key, _, _)| of(&key.run));
                starts.map(|(_, _, at)| self.time(*at)).collect()
            }
            "status" => runs.iter().map(|run| status(run)).collect(),
            "outcomes" => {
                let of = |key: &AttemptKey| store.runs.get(&key.run).is_some_and(|run| run.schedule == id);
                let ends = store.attempts.iter().filter(|(key, _)| of(key)).filter_map(|(_, (_, end))| end.as_ref());
                ends.map(|end| outcome(&end.outcome)).collect()
            }
            "ledger" => {
                rows().map(|((_, due, _), row)| format!("{} {}", self.time(*due), word(row.as_ref()))).collect()
            }
            "counts" => {
                let mut counts = BTreeMap::new();
                rows().for_each(|(_, row)| *counts.entry(word(row.as_ref())).or_insert(0) += 1);
                if let Some(fold) = &store.schedules[&id].folded {
                    counts.insert("folded".to_owned(), fold.skipped);
                }
                counts.into_iter().map(|(word, n)| format!("{n} {word}")).collect()
            }
            "enabled" => vec![match &store.schedules[&id].schedule.enabled {
                Enabled::Yes => "yes".to_owned(),
                Enabled::Paused { reason, .. } => reason.clone(),
            }],
            _ => return Err(format!("nobody knows what {what} is")),
        })
    }

    /// Items of a list, times with their dates.
    fn items(&self, list: &str) -> Vec<String> {
        let mut day = self.time(self.start)[..10].to_owned();
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| {
                let first = item.split(' ').next().unwrap_or_default();
                if first.len() == 10 && first.matches('-').count() == 2 {
                    day = first.to_owned();
                    return item.to_owned();
                }
                if first.matches(':').count() >= 1 && first.as_bytes()[0].is_ascii_digit() {
                    format!("{day} {item}")
                } else {
                    item.to_owned()
                }
            })
            .collect()
    }

    /// Local, without seconds when they are zero. What was asked for lies a microsecond beside its second.
    fn time(&self, at: Moment) -> String {
        let local = self.zone.to_datetime(at.timestamp());
        let format = if local.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
        local.strftime(format).to_string()
    }
}

fn status(run: &Run) -> String {
    let status = format!("{:?}", run.status).to_lowercase();
    run.reason.map_or(status.clone(), |reason| format!("{status} {}", reason.as_str()))
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotStarted(_) => "not started".to_owned(),
        Outcome::Lost(_) => "lost".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn word(decision: Option<&Decision>) -> String {
    match decision {
        None => "planned".to_owned(),
        Some(Decision::Run { trigger: RunTrigger::Due, .. }) => "run".to_owned(),
        Some(Decision::Run { trigger, .. }) => format!("run {trigger:?}").to_lowercase(),
        Some(Decision::Skipped(skip)) => format!("skipped {}", skip.as_str()),
        Some(Decision::Coalesced { .. }) => "coalesced".to_owned(),
    }
}
