//! The language of scenarios.
//!
//! `at DATE TIME ZONE` begins the story; times are of that zone. `schedule NAME "TRIGGER" field=value …`, `edit NAME field=value …`,
//! `delete NAME`, `run NAME`, `cancel NAME`, `pause NAME [D]`, `resume NAME`, `quiesce`, `unquiesce`, `inhibit`, `release`, `outcome NAME exit=1 after=5s; …`
//! (one after the other, the last one for ever), `config field=value …`, `advance D`, `down D` (the daemon dies for so long), `dies D before NAME starts`
//! (within the next hour, when the start of its process is on disk and the process still held), `reboot D`,
//! `suspend D`, `clock ±D`, `kill executor`, `storage fails D`.
//! Expectations: `expect runs NAME: due instants that ran`, `starts` (when programs began), `outcomes` (of attempts), `ledger` (every row), `status`,
//! `counts` (rows by decision), `enabled`, `event KIND: number`, and `audit clean`. A time without a date is of the day before it.

mod expect;
mod fields;

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sloth_core::machine::Input;
use sloth_core::run::Outcome;
use sloth_core::{Enabled, Moment, Schedule, units};

use crate::sim::driver::Change;
use crate::sim::executor::Behaviour;
use crate::sim::schedules;
use crate::sim::world::World;

pub struct Story {
    pub world: World,
    pub zone: TimeZone,
    zone_name: String,
    pub start: Moment,
}

type Told = Result<(), String>;

impl Story {
    /// Err: the first line that did not come true, and why.
    pub fn tell(lines: &str) -> Told {
        let mut lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut story = Story::begin(lines.next().unwrap_or_default())?;
        for line in lines {
            story.line(line).map_err(|why| format!("  {line}\n{why}"))?;
        }
        for id in story.world.store.schedules.keys() {
            let audit = story.world.store.audit(*id, story.world.wall());
            if !audit.is_clean() {
                return Err(format!("  at the end the audit finds {:#?}", audit.differences));
            }
        }
        Ok(())
    }

    fn begin(line: &str) -> Result<Story, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["at", date, time, zone_name] = words[..] else { return Err(format!("not a beginning: {line}")) };
        let zone = TimeZone::get(zone_name).map_err(|e| e.to_string())?;
        let civil: DateTime = format!("{date}T{time}").parse().map_err(|e| format!("{line}: {e}"))?;
        let start = Moment::from(zone.to_timestamp(civil).map_err(|e| e.to_string())?);
        let mut world = World::new(1, start);
        world.slowest = Duration::from_millis(1);
        world.config.catch_up_spread = Duration::ZERO;
        Ok(Story { world, zone, zone_name: zone_name.to_owned(), start })
    }

    fn line(&mut self, line: &str) -> Told {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "schedule" => self.schedule(rest),
            "edit" => self.edit(rest),
            "delete" => self.delete(rest),
            "run" => self.run(rest),
            "cancel" => self.cancel(rest),
            "pause" => self.pause(rest),
            "resume" => self.change(rest, false, |s| {
                s.enabled = Enabled::Yes;
                Ok(())
            }),
            "quiesce" => self.now(|world| world.quiesce(Some("maintenance"))),
            "unquiesce" => self.now(|world| world.quiesce(None)),
            "inhibit" => self.now(|world| world.input(Input::Inhibited(true))),
            "release" => self.now(|world| world.input(Input::Inhibited(false))),
            "outcome" => self.outcome(rest),
            "config" => self.config(rest),
            "advance" => self.advance(duration(rest)?),
            "down" => {
                let length = duration(rest)?;
                self.world.crash_daemon(length);
                self.advance(length + Duration::from_millis(10))
            }
            "dies" => self.die_before(rest),
            "reboot" => {
                let length = duration(rest)?;
                self.world.reboot(length);
                self.advance(length + Duration::from_millis(10))
            }
            "suspend" => {
                self.world.suspend(duration(rest)?);
                self.settle()
            }
            "clock" => {
                let (sign, length) = rest.split_at(1);
                let by = duration(length)?.as_micros() as i64;
                self.world.set_clock(if sign == "-" { -by } else { by });
                self.settle()
            }
            "kill" => self.now(World::kill_executor),
            "storage" => {
                let length = duration(rest.trim_start_matches("fails "))?;
                self.world.failing_until = self.world.real + length.as_micros() as i64;
                Ok(())
            }
            "expect" => self.expect(rest),
            _ => Err("no such word".to_owned()),
        }
    }

    fn now(&mut self, act: impl FnOnce(&mut World)) -> Told {
        act(&mut self.world);
        self.settle()
    }

    fn advance(&mut self, length: Duration) -> Told {
        self.world.advance(length);
        Ok(())
    }

    /// What was done takes effect.
    fn settle(&mut self) -> Told {
        self.advance(Duration::from_millis(20))
    }

    fn die_before(&mut self, rest: &str) -> Told {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [length, "before", name, "starts"] = words[..] else { return Err("dies D before NAME starts".to_owned()) };
        let is_held = |world: &World| {
            let held = world.executor.processes.iter().find(|(_, p)| p.schedule == name && p.is_held());
            held.is_some_and(|(key, _)| world.store.attempts.contains_key(key))
        };
        if !self.world.advance_until(Duration::from_secs(3600), is_held) {
            return Err(format!("no process of {name} was held"));
        }
        self.world.crash_daemon(duration(length)?);
        Ok(())
    }

    fn schedule(&mut self, rest: &str) -> Told {
        let (name, rest) = rest.split_once(" \"").ok_or("a schedule has a name and a trigger")?;
        let (trigger, settings) = rest.split_once('"').ok_or("the trigger has no end")?;
        let id = self.world.new_id();
        let mut s = schedules::schedule(id, name, trigger, &self.zone_name);
        fields::set_all(&mut s, settings)?;
        self.world.executor.scripts.entry(name.to_owned()).or_insert_with(|| vec![success()]);
        self.now(|world| world.change(Change::Create(Box::new(s))))
    }

    fn edit(&mut self, rest: &str) -> Told {
        let (name, settings) = rest.split_once(' ').ok_or("edit what?")?;
        let new_trigger = settings.contains("trigger=");
        self.change(name, new_trigger, |s| fields::set_all(s, settings))
    }

    fn change(&mut self, name: &str, new_trigger: bool, set: impl FnOnce(&mut Schedule) -> Told) -> Told {
        let stored = self.world.store.by_name(name).ok_or("no such schedule")?;
        let mut s = Schedule::clone(&stored.schedule);
        let (stats, mark) = (Box::new(stored.stats.clone()), stored.mark);
        s.revision += 1;
        set(&mut s)?;
        let schedule = Box::new(s);
        self.now(|world| world.change(Change::Replace { schedule, new_trigger, stats, mark }))
    }

    fn pause(&mut self, rest: &str) -> Told {
        let (name, until) = match rest.split_once(' ') {
            Some((name, length)) => (name, Some(self.world.wall() + duration(length)?)),
            None => (rest, None),
        };
        self.change(name, false, |s| {
            s.enabled = Enabled::Paused { reason: "paused by ann".to_owned(), until };
            Ok(())
        })
    }

    fn delete(&mut self, name: &str) -> Told {
        let id = self.world.store.by_name(name).ok_or("no such schedule")?.schedule.id;
        self.now(|world| world.change(Change::Delete(id)))
    }

    fn run(&mut self, name: &str) -> Told {
        let id = self.world.store.by_name(name).ok_or("no such schedule")?.schedule.id;
        self.now(|world| world.ask_run(id, 0))
    }

    fn cancel(&mut self, name: &str) -> Told {
        let runs = self.world.store.runs.values();
        let run = runs.rev().find(|run| run.schedule_name == name && !run.status.is_terminal());
        let run = run.ok_or("nothing to cancel")?.id;
        self.now(|world| world.cancel(run, true))
    }

    fn outcome(&mut self, rest: &str) -> Told {
        let (name, list) = rest.split_once(' ').ok_or("whose outcome?")?;
        let script: Result<Vec<Behaviour>, String> = list.split(';').map(behaviour).collect();
        self.world.executor.scripts.insert(name.to_owned(), script?);
        Ok(())
    }

    /// Takes effect at once only where the machine can be told; else at the next start of the daemon.
    fn config(&mut self, rest: &str) -> Told {
        for (key, value) in fields::pairs(rest) {
            match key {
                "max_running" => {
                    let max_running = value.parse().map_err(|_| "not a number")?;
                    self.world.config.max_running = max_running;
                    self.world.input(Input::Configured { max_running, workers: Default::default() });
                }
                "spread" => self.world.config.catch_up_spread = duration(value)?,
                "not_before" => self.world.catch_up_not_before = Some(self.world.wall() + duration(value)?),
                _ => return Err(format!("no such setting: {key}")),
            }
        }
        Ok(())
    }
}

fn success() -> Behaviour {
    Behaviour { outcome: Outcome::Exited(0), after: Duration::from_secs(1) }
}

fn behaviour(text: &str) -> Result<Behaviour, String> {
    let mut behaviour = success();
    for (key, value) in fields::pairs(text) {
        let number = || value.parse().map_err(|_| format!("not a number: {value}"));
        match key {
            "exit" => behaviour.outcome = Outcome::Exited(number()?),
            "signal" => behaviour.outcome = Outcome::Signaled(number()?),
            "after" => behaviour.after = duration(value)?,
            _ => return Err(format!("no such outcome: {key}")),
        }
    }
    Ok(behaviour)
}

pub fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text.trim()).map_err(|e| e.to_string())
}
