//! Carries out what slothd orders. Each order is harmless when repeated, too late, or about something unknown.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sloth_core::AttemptKey;
use sloth_core::launch::Launch;
use sloth_core::run::{Outcome, ProcessId, StartFailure, StartFailureKind};

use super::attempt::{Attempt, Live, News, Phase, Stage, Sweep};
use super::event_loop::{Alarm, Pipe, Supervisor};
use crate::clock::wall_now;
use crate::limits::Means;
use crate::output::OutputWriter;
use crate::output_place::open_output;
use crate::spawn::{self, Held, Plan};
use crate::tree::Family;
use crate::wire::{ToSupervisor, VERSION};
use crate::{cgroup, proc};
use crate::{ended_before_release, fail};

/// Queries whose answers slothd has not read; more end the connection.
const UNANSWERED_MAX: usize = 65_536;

impl Supervisor {
    /// Carries out one message; an error ends the connection.
    pub(super) fn carry_out(&mut self, message: ToSupervisor, is_greeted: bool) -> Result<(), String> {
        match message {
            ToSupervisor::Hello { version: VERSION } if !is_greeted => self.greet(),
            ToSupervisor::Hello { version } => return Err(format!("protocol version {version}, this is {VERSION}")),
            _ if !is_greeted => return Err("the first message must be hello".to_owned()),
            ToSupervisor::Prepare(launch) => self.prepare(launch.0),
            ToSupervisor::Release(key) => self.release_or_wait(key),
            ToSupervisor::Discard(key) => self.discard(key),
            ToSupervisor::Kill { key, grace } => self.kill(key, grace),
            ToSupervisor::Forget(key) => self.forget(key),
            ToSupervisor::Query(key) => match self.by_key.get(&key) {
                Some(serial) => self.tell_again(*serial),
                None if self.outgoing.unknown_count() < UNANSWERED_MAX => self.outgoing.unknown(key),
                None => return Err("too many unanswered queries".to_owned()),
            },
        }
        Ok(())
    }

    /// Lets a held process go.
    pub(super) fn release(&mut self, serial: u64) {
        let now = wall_now();
        let Some(live) = self.attempts.get_mut(&serial).and_then(Attempt::live) else {
            return;
        };
        if let Err(error) = live.writer.start(now) {
            // Without the start on disk nobody could tell later whether it ran, so it does not.
            live.failure = Some(fail(StartFailureKind::Output, format!("the output file cannot be written: {error}")));
            live.go = None;
            return;
        }
        live.stage = Stage::Running;
        live.since = now;
        if let Some(go) = live.go.take() {
            // A failure means that the process is dead, which we shall hear of.
            let _ = nix::unistd::write(&go, b"g");
        }
        if let Some(timeout) = live.timeout {
            self.set_alarm(serial, Alarm::Timeout, timeout);
        }
    }

    /// Takes an attempt out of all tables.
    pub(super) fn remove(&mut self, serial: u64) {
        if let Some(attempt) = self.attempts.remove(&serial)
            && self.by_key.get(&attempt.key) == Some(&serial)
        {
            self.by_key.remove(&attempt.key);
        }
        if self.attempts.is_empty() {
            self.set_alarm(0, Alarm::Idle, self.options.idle_exit);
        }
    }

    fn prepare(&mut self, launch: Launch) {
        if let Some(serial) = self.by_key.get(&launch.key) {
            self.tell_again(*serial);
            return;
        }
        self.last_serial += 1;
        let serial = self.last_serial;
        let key = launch.key;
        let (process, phase) = match self.make(serial, launch) {
            Ok(live) => (live.family.main.clone(), Phase::Live(Box::new(live))),
            Err(failure) => {
                let nobody = ProcessId { pid: 0, start_ticks: 0, boot_id: String::new() };
                (nobody, Phase::Refused(failure))
            }
        };
        let is_refused = matches!(phase, Phase::Refused(_));
        self.attempts.insert(serial, Attempt { key, process, phase, news: News::default(), is_queued: false });
        self.by_key.insert(key, serial);
        if is_refused {
            self.tell(serial, |news| news.refused = true);
        }
    }

    fn make(&mut self, serial: u64, launch: Launch) -> Result<Live, StartFailure> {
        use StartFailureKind::{Limit, Other, Output, Resources};
        if self.live_count >= self.live_max {
            return Err(fail(Resources, format!("{} attempts are live, which is the limit", self.live_max)));
        }
        if let Some(refusal) = self.capabilities.refuse(&launch.limits) {
            return Err(fail(Limit, refusal));
        }
        let account = self.accounts.find(&launch.user, launch.group.as_deref())?;
        let plan = Plan::new(&launch, account, self.resources(&launch))?;
        let file = open_output(&self.data, &launch.output)?;
        let writer = OutputWriter::new(file, launch.key.attempt, launch.output_limit)
            .map_err(|error| fail(Output, format!("output file {}: {error}", launch.output.display())))?;
        if writer.has_started_before() {
            return Err(fail(Other, format!("attempt {} has run before, says its output file", launch.key)));
        }
        let group = match &self.cgroups {
            None => None,
            Some(cgroups) => {
                Some(cgroups.make(launch.key, &launch.limits).map_err(|e| fail(Limit, format!("control group: {e}")))?)
            }
        };
        let failed = |error: io::Error| fail(Resources, format!("a process cannot be made: {error}"));
        let held = match spawn::start(&plan, group.as_ref()) {
            Ok(held) => held,
            Err(error) => {
                self.busy_groups.extend(group.filter(|group| !group.remove()));
                return Err(failed(error));
            }
        };
        self.live_count += 1;
        self.by_pid.insert(held.pid, serial);
        for (fd, pipe) in [(&held.status, Pipe::Status), (&held.stdout, Pipe::Stdout), (&held.stderr, Pipe::Stderr)] {
            // Fails only when memory or watches run out; the child then ends with its go pipe.
            if let Err(error) = self.watch(fd, serial, pipe) {
                self.by_pid.remove(&held.pid);
                self.live_count -= 1;
                self.busy_groups.extend(group);
                self.set_alarm(0, Alarm::Tidy, Duration::from_millis(50));
                return Err(failed(error));
            }
        }
        let main = proc::identify(held.pid).ok_or_else(|| fail(Other, "the process vanished".to_owned()))?;
        let family = Family::new(main, &launch.env);
        Ok(live(launch, plan, held, writer, group, family))
    }

    fn resources(&self, launch: &Launch) -> Vec<spawn::Resource> {
        let files = launch.limits.nofile.map_or(self.nofile, |files| (files, files));
        let mut resources = vec![spawn::Resource { resource: Resource::RLIMIT_NOFILE, values: files }];
        if let Some(bytes) = launch.limits.memory_bytes.filter(|_| self.capabilities.memory == Means::AddressSpace) {
            resources.push(spawn::Resource { resource: Resource::RLIMIT_AS, values: (bytes, bytes) });
        }
        resources
    }

    fn release_or_wait(&mut self, key: AttemptKey) {
        let Some((serial, live)) = find(&self.by_key, &mut self.attempts, key) else {
            return;
        };
        match live.stage {
            Stage::Preparing => live.release_asked = true,
            Stage::Held if live.stopped_as.is_none() && live.go.is_some() => self.release(serial),
            Stage::Held | Stage::Running => {}
        }
    }

    fn discard(&mut self, key: AttemptKey) {
        let Some((_, live)) = find(&self.by_key, &mut self.attempts, key) else {
            return;
        };
        if live.stage != Stage::Running {
            live.is_discarded = true;
            live.go = None;
            kill_main(live);
            self.by_key.remove(&key);
        }
    }

    fn kill(&mut self, key: AttemptKey, grace: Duration) {
        let Some((serial, live)) = find(&self.by_key, &mut self.attempts, key) else {
            return;
        };
        if live.stage == Stage::Running {
            self.stop(serial, Outcome::Killed, grace);
        } else {
            live.stopped_as = Some(ended_before_release());
            live.go = None;
            kill_main(live);
        }
    }

    fn forget(&mut self, key: AttemptKey) {
        let Some(serial) = self.by_key.get(&key).copied() else {
            return;
        };
        if self.attempts.get(&serial).is_some_and(|attempt| matches!(attempt.phase, Phase::Ended(_))) {
            self.remove(serial);
        }
    }
}

/// KILL to a main process that has not been reaped, so the number is still its own.
pub(super) fn kill_main(live: &Live) {
    if live.main_end.is_none() {
        let _ = kill(Pid::from_raw(live.family.main.pid as i32), Signal::SIGKILL);
    }
}

fn live(
    launch: Launch,
    plan: Plan,
    held: Held,
    writer: OutputWriter,
    group: Option<cgroup::Group>,
    family: Family,
) -> Live {
    Live {
        directory: launch.cwd.unwrap_or(plan.account.home),
        program: launch.argv.into_iter().next().unwrap_or_default(),
        is_grouped: group.is_some(),
        counted: cgroup::Counted::default(),
        stage: Stage::Preparing,
        release_asked: false,
        is_discarded: false,
        go: Some(held.go),
        status: Some(held.status),
        stdout: Some(held.stdout),
        stderr: Some(held.stderr),
        writer,
        stderr_tail: Vec::new(),
        group,
        family,
        timeout: launch.timeout,
        kill_grace: launch.kill_grace,
        since: wall_now(),
        stopped_as: None,
        failure: None,
        sweep: Sweep::None,
        look_again: Duration::ZERO,
        main_end: None,
        is_draining: false,
    }
}

fn find<'a>(
    by_key: &HashMap<AttemptKey, u64>,
    attempts: &'a mut HashMap<u64, Attempt>,
    key: AttemptKey,
) -> Option<(u64, &'a mut Live)> {
    let serial = *by_key.get(&key)?;
    Some((serial, attempts.get_mut(&serial)?.live()?))
}
