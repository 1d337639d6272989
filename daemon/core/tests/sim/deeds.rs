//! What can be done to a world: start and kill its parts, set its clock, ask for something.

use std::time::Duration;

use sloth_core::launch::Report;
use sloth_core::machine::{Config, Input, Machine};
use sloth_core::{RunId, ScheduleId};

use super::driver::{Change, Daemon};
use super::world::{Event, World};

impl World {
    pub fn start_daemon(&mut self) {
        self.lives += 1;
        let config = Config { seed: self.config.seed ^ (self.lives << 32), ..self.config.clone() };
        let mut daemon = Daemon::new(Machine::new(config), self.lives, self.config.boot_id.clone());
        let mut state = self.store.recovered();
        state.catch_up_not_before = self.catch_up_not_before;
        self.trace(|| format!("-- daemon starts: {} open runs", state.open_runs.len()));
        daemon.input(self.wall(), Input::Recovered(Box::new(state)));
        let life = daemon.life;
        self.daemon = Some(daemon);
        if self.ticking {
            self.push(1_000_000, Event::Tick { life });
        }
        self.connect();
        self.flush();
    }

    pub fn crash_daemon(&mut self, down: Duration) {
        self.trace(|| format!("-- daemon dies for {down:?}"));
        if self.daemon.take().is_none() {
            return;
        }
        self.connection += 1;
        self.connected = false;
        self.push(down.as_micros() as i64, Event::DaemonStarts);
    }

    pub(super) fn connect(&mut self) {
        if self.daemon.is_none() || !self.executor_up {
            return;
        }
        self.connection += 1;
        self.connected = true;
        self.last_report = self.real;
        let known = self.executor.known();
        self.report(Report::Connected(known));
    }

    pub fn disconnect(&mut self) {
        if !std::mem::take(&mut self.connected) {
            return;
        }
        self.connection += 1;
        let now = self.wall();
        if let Some(daemon) = &mut self.daemon {
            daemon.input(now, Input::Reported(Report::Disconnected("gone".to_owned())));
        }
        let back = 1 + self.chance.below(3_000_000) as i64;
        self.push(back, Event::ExecutorBack);
        self.flush();
    }

    pub fn kill_executor(&mut self) {
        self.trace(|| "-- executor dies".to_owned());
        self.executor.killed();
        self.executor_up = false;
        self.disconnect();
        self.push(10_000_000, Event::ExecutorBack);
    }

    pub fn reboot(&mut self, down: Duration) {
        self.executor.killed();
        self.crash_daemon(down);
        self.config.boot_id = format!("boot {}", self.lives);
        self.config.booted_at = self.wall() + down - Duration::from_micros(1_500_000).min(down);
    }

    /// The wall clock is set; the daemon hears of it before anything else.
    pub fn set_clock(&mut self, by: i64) {
        let before = self.wall();
        self.offset += by;
        self.stepped = true;
        let after = self.wall();
        self.trace(|| format!("-- clock was {before}"));
        if let Some(daemon) = &mut self.daemon {
            daemon.input(after, Input::ClockSet { before, after });
        }
        self.flush();
    }

    pub fn suspend(&mut self, length: Duration) {
        self.offset += length.as_micros() as i64;
        let now = self.wall();
        self.trace(|| format!("-- slept {length:?}"));
        if let Some(daemon) = &mut self.daemon {
            daemon.input(now, Input::Resumed(length));
        }
        self.flush();
    }

    pub fn change(&mut self, change: Change) {
        if let Some(daemon) = self.daemon.as_mut().filter(|daemon| !daemon.blocked) {
            daemon.edits.push_back(change);
        }
        self.flush();
    }

    pub fn ask_run(&mut self, id: ScheduleId, read_before: i64) {
        let loaded = Box::new(self.store.schedules[&id].loaded());
        self.push(read_before, Event::RunAsked { loaded });
    }

    pub fn cancel(&mut self, run: RunId, force: bool) {
        let now = self.wall();
        if let Some(daemon) = &mut self.daemon {
            let asked_by = "uid 1000 (ann)".to_owned();
            daemon.request(now, |token| Input::CancelAsked { run, force, compensate: true, asked_by, token });
        }
        self.flush();
    }

    pub fn quiesce(&mut self, reason: Option<&str>) {
        if let Some(daemon) = self.daemon.as_mut().filter(|daemon| !daemon.blocked) {
            daemon.quiesce(reason.map(str::to_owned));
        }
        self.flush();
    }

    pub fn input(&mut self, input: Input) {
        let now = self.wall();
        if let Some(daemon) = &mut self.daemon {
            daemon.input(now, input);
        }
        self.flush();
    }
}
