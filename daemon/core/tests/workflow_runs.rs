//! Runs of workflows in the machine: what their workers say decides how they end, and no worker's death does.

#![allow(missing_docs, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use sloth_core::launch::{Order, Report};
use sloth_core::machine::{Answer, Config, Early, Effects, Input, Late, Machine, Refusal, Token, WorkerLimits};
use sloth_core::record::Record;
use sloth_core::run::{
    AttemptEnd, Compensation, Outcome, ProcessId, Reason, Run, RunStatus, RunTrigger, Usage, WorkerNews, WorkerOrder,
    WorkflowAction, WorkflowEnd,
};
use sloth_core::trigger::Trigger;
use sloth_core::{
    Action, AttemptKey, Enabled, JitterMode, Keep, Limits, Moment, Origin, Overlap, Retries, RunId, Sandbox, Schedule,
    ScheduleId, Uid,
};

/// The machine with a store that never fails and an executor that does as the test says.
struct World {
    machine: Machine,
    now: Moment,
    runs: std::collections::BTreeMap<RunId, Run>,
    prepared: Vec<AttemptKey>,
    told: Vec<WorkerOrder>,
    killed: Vec<AttemptKey>,
    answers: Vec<Result<Answer, Refusal>>,
    made: u32,
}

impl World {
    fn new(workers: WorkerLimits) -> World {
        let config = Config {
            max_running: 1,
            horizon: Duration::from_secs(10),
            catch_up_spread: Duration::ZERO,
            refill_max: 100,
            late_grace: Duration::from_secs(2),
            host: "h".to_owned(),
            boot_id: "b".to_owned(),
            booted_at: Moment::from_secs(1),
            seed: 1,
            workers,
        };
        let mut world = World {
            machine: Machine::new(config),
            now: Moment::from_secs(1_900_000_000),
            runs: Default::default(),
            prepared: Vec::new(),
            told: Vec::new(),
            killed: Vec::new(),
            answers: Vec::new(),
            made: 0,
        };
        world.input(Input::Recovered(Box::default()));
        world.input(Input::Reported(Report::Connected(Vec::new())));
        world
    }

    fn input(&mut self, input: Input) {
        let mut effects = Effects::default();
        self.machine.handle(self.now, input, &mut effects);
        if effects.is_empty() {
            return;
        }
        let orders = effects.early.into_iter().filter_map(|early| match early {
            Early::Prepare { start, .. } => {
                self.prepared.push(start.key());
                None
            }
            Early::Order(order) => Some(order),
        });
        let mut orders: Vec<Order> = orders.collect();
        for record in effects.records {
            match record {
                Record::RunCreated(run) | Record::RunChanged(run) | Record::RunReopened(run) => {
                    self.runs.insert(run.id, Run::clone(&run));
                }
                _ => {}
            }
        }
        let mut refill = None;
        for late in effects.late {
            match late {
                Late::Order(order) => orders.push(order),
                Late::Prepare(start) => self.prepared.push(start.key()),
                Late::Worker(_, order) => self.told.push(order),
                Late::Reply(_, answer) => self.answers.push(answer),
                Late::Refill { until, .. } => refill = Some(until),
            }
        }
        for order in orders {
            if let Order::Kill { key, .. } = order {
                self.killed.push(key);
            }
        }
        self.input(Input::Committed(effects.arms));
        if let Some(until) = refill {
            self.input(Input::Refilled { loaded: Vec::new(), until, complete: true });
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for _ in 0..5 {
            self.input(Input::Woken);
        }
    }

    fn ask(&mut self, user: &str, priority: i8) -> RunId {
        self.made += 1;
        let definition = Arc::new(definition(self.made, user, priority));
        let (trigger, asked_by) = (RunTrigger::Manual, "ann".to_owned());
        self.input(Input::WorkflowAsked { definition, trigger, asked_by, token: Token(1) });
        match self.answers.pop() {
            Some(Ok(Answer::Run { run, .. })) => run,
            other => panic!("no run: {other:?}"),
        }
    }

    /// The worker of the run's next attempt starts.
    fn start(&mut self, run: RunId) -> AttemptKey {
        let key = *self.prepared.iter().rfind(|key| key.run == run).expect("it is being prepared");
        let process = ProcessId { pid: 1, start_ticks: 1, boot_id: String::new() };
        self.input(Input::Reported(Report::Prepared { key, process }));
        self.input(Input::Reported(Report::Started { key, at: self.now }));
        key
    }

    fn exits(&mut self, key: AttemptKey, outcome: Outcome) {
        let end = AttemptEnd {
            outcome,
            ended_at: self.now,
            usage: Usage::default(),
            output_bytes: 0,
            dropped_bytes: 0,
            stderr_tail: String::new(),
        };
        self.input(Input::Reported(Report::Ended { key, end }));
        self.pass(Duration::ZERO);
    }

    fn says(&mut self, key: AttemptKey, news: WorkerNews) {
        self.input(Input::WorkerSaid { key, news });
    }

    fn cancel(&mut self, run: RunId, force: bool) {
        let asked_by = "ann".to_owned();
        self.input(Input::CancelAsked { run, force, compensate: true, asked_by, token: Token(2) });
    }

    fn status(&self, run: RunId) -> (RunStatus, Option<Reason>) {
        (self.runs[&run].status, self.runs[&run].reason)
    }

    fn is_prepared(&self, run: RunId) -> bool {
        self.prepared.iter().any(|key| key.run == run)
    }
}

fn finished(status: RunStatus, reason: Option<Reason>) -> WorkerNews {
    let end = WorkflowEnd { status, reason, message: None };
    WorkerNews::Finished { end, compensation: Compensation::None, handled: false }
}

fn definition(n: u32, user: &str, priority: i8) -> Schedule {
    let zone = TimeZone::UTC;
    let action = WorkflowAction { name: "w".to_owned(), priority, ..WorkflowAction::default() };
    let now = Moment::from_secs(1_900_000_000);
    Schedule {
        id: ScheduleId::v7(now, n.into()),
        revision: 1,
        name: String::new(),
        owner: Uid(1),
        owner_name: "ann".to_owned(),
        trigger_text: "manual".to_owned(),
        trigger: Trigger::parse("manual", &zone).expect("a trigger"),
        timezone: None,
        zone,
        created_at: now,
        trigger_since: now,
        trigger_epoch: 0,
        action: Action::Workflow(Arc::new(action)),
        user: user.to_owned(),
        group: None,
        cwd: None,
        env: Default::default(),
        umask: 0o22,
        stdin: None,
        enabled: Enabled::Yes,
        overlap: Overlap::Allow,
        queue_limit: 1,
        catch_up: None,
        catch_up_max: 1,
        catch_up_window: Duration::from_secs(1),
        start_deadline: Some(Duration::from_secs(86_400)),
        jitter: Duration::ZERO,
        jitter_mode: JitterMode::Instant,
        timeout: None,
        kill_grace: Duration::from_secs(10),
        retries: Retries::default(),
        retry_lost: false,
        limits: Limits::default(),
        success_codes: vec![0],
        pause_after_failures: None,
        after: Default::default(),
        keep: Keep::default(),
        sandbox: Sandbox::None,
        output_limit: 4096,
        journal: false,
        tags: Vec::new(),
        description: String::new(),
        origin: Origin::Api,
    }
}

fn begun() -> (World, RunId, AttemptKey) {
    let mut world = World::new(WorkerLimits::default());
    let run = world.ask("ann", 0);
    let key = world.start(run);
    assert_eq!(world.status(run), (RunStatus::Starting, None), "`starting`: worker launched, definition phase");
    world.says(key, WorkerNews::Status(RunStatus::Running));
    assert_eq!(world.status(run), (RunStatus::Running, None));
    (world, run, key)
}

/// The record tells the result, not the exit code; the exit only closes the attempt.
#[test]
fn a_run_ends_as_its_worker_said() {
    for (status, reason) in [
        (RunStatus::Completed, None),
        (RunStatus::Failed, Some(Reason::TaskFailed)),
        (RunStatus::Failed, Some(Reason::Definition)),
        (RunStatus::Cancelled, Some(Reason::User)),
    ] {
        for outcome in [Outcome::Exited(0), Outcome::Signaled(9), Outcome::Lost("gone".to_owned())] {
            let (mut world, run, key) = begun();
            world.says(key, finished(status, reason));
            assert!(!world.status(run).0.is_terminal(), "its process is still there");
            world.says(key, finished(RunStatus::Failed, Some(Reason::Oom)));
            world.exits(key, outcome);
            assert_eq!(world.status(run), (status, reason), "the first end counts");
        }
    }
}

/// "worker dies: run `interrupted`; resumed at once up to `engine.auto_resume` (default 1) times, else `failed`, reason `worker_lost`".
#[test]
fn a_lost_worker_is_replaced_once() {
    let (mut world, run, first) = begun();
    world.exits(first, Outcome::Exited(0));
    assert_eq!(world.status(run).0, RunStatus::Interrupted, "an exit without an end is a loss, whatever its code");
    assert!(!world.machine.hears(first), "what it had said without an answer is not kept half");
    let second = world.start(run);
    assert_eq!(second.attempt, 2);
    assert!(world.machine.hears(second) && !world.machine.hears(first));
    world.says(first, finished(RunStatus::Completed, None));
    world.exits(second, Outcome::Signaled(9));
    assert_eq!(
        world.status(run),
        (RunStatus::Failed, Some(Reason::WorkerLost)),
        "an earlier worker counts for nothing"
    );
}

/// "host reboots: on start, every non-terminal workflow run is resumed": a loss that is not the worker's fault does not count.
#[test]
fn the_loss_of_the_host_does_not_use_up_resumptions() {
    let (mut world, run, mut key) = begun();
    for n in 2..6 {
        world.exits(key, Outcome::Lost("the host went down".to_owned()));
        key = world.start(run);
        assert_eq!(key.attempt, n);
    }
}

/// Cancel asks the worker first; it is killed when it does not go, and at once with `--force`.
#[test]
fn a_cancelled_run_may_compensate_before_it_is_killed() {
    let (mut world, run, key) = begun();
    world.cancel(run, false);
    assert!(matches!(world.told.as_slice(), [WorkerOrder::Cancel(wish)] if wish.compensate), "{:?}", world.told);
    world.cancel(run, false);
    assert_eq!(world.told.len(), 1, "idempotent");
    world.says(key, WorkerNews::Status(RunStatus::Compensating));
    world.pass(Duration::from_secs(71));
    assert_eq!(world.killed, [], "compensation has a limit of its own");
    world.pass(Duration::from_secs(601));
    assert_eq!(world.killed, [key]);
    world.exits(key, Outcome::Killed);
    assert_eq!(world.status(run), (RunStatus::Cancelled, Some(Reason::User)));
    let (mut world, run, key) = begun();
    world.cancel(run, true);
    assert_eq!((world.killed.as_slice(), world.told.len()), ([key].as_slice(), 0));
    assert!(!world.status(run).0.is_terminal());
}

#[test]
fn a_run_that_was_not_begun_is_cancelled_at_once() {
    let mut world = World::new(WorkerLimits { max_runs: 1, ..WorkerLimits::default() });
    world.ask("ann", 0);
    let waiting = world.ask("ann", 0);
    world.cancel(waiting, false);
    assert_eq!(world.status(waiting), (RunStatus::Cancelled, Some(Reason::User)));
}

/// `paused`: "`run pause`: nothing new starts, running tasks go on".
#[test]
fn a_pause_is_told_and_kept() {
    let (mut world, run, key) = begun();
    world.input(Input::PauseAsked { run, pause: true, token: Token(3) });
    assert_eq!(world.status(run).0, RunStatus::Paused);
    assert_eq!(world.told, [WorkerOrder::Pause]);
    world.exits(key, Outcome::Signaled(9));
    let next = world.start(run);
    world.says(next, WorkerNews::Status(RunStatus::Running));
    assert_eq!(world.status(run).0, RunStatus::Paused, "it survives the worker");
    world.input(Input::PauseAsked { run, pause: false, token: Token(3) });
    assert_eq!(world.status(run).0, RunStatus::Running);
}

/// places by user and in all, priorities, and one more per 30 s of waiting so that nothing starves.
#[test]
fn places_go_by_priority_and_patience() {
    let limits = WorkerLimits { max_runs: 2, max_runs_per_user: 1, max_queued: 3, auto_resume: 1 };
    let mut world = World::new(limits);
    let first = world.ask("ann", 0);
    let of_ann = world.ask("ann", 100);
    let other = world.ask("bob", 0);
    assert!(world.is_prepared(first) && world.is_prepared(other) && !world.is_prepared(of_ann), "one per user");
    let patient = world.ask("eve", 0);
    world.pass(Duration::from_secs(600));
    let late = world.ask("joe", 10);
    let definition = Arc::new(definition(99, "eve", 0));
    let asked_by = "eve".to_owned();
    world.input(Input::WorkflowAsked { definition, trigger: RunTrigger::Api, asked_by, token: Token(1) });
    assert_eq!(world.answers.pop(), Some(Err(Refusal::EngineFull { waiting: 3 })), "queue full");
    let key = world.start(other);
    world.says(key, finished(RunStatus::Completed, None));
    world.exits(key, Outcome::Exited(0));
    assert!(world.is_prepared(patient) && !world.is_prepared(late), "600 s of waiting are worth 20");
}

/// A workflow run needs no place of a command, and the other way round.
#[test]
fn an_unlisted_run_leaves_nothing_in_memory() {
    let (mut world, run, key) = begun();
    world.says(key, finished(RunStatus::Completed, None));
    world.exits(key, Outcome::Exited(0));
    assert_eq!(world.machine.load(), (0, 0));
    world.input(Input::RefillAsked);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.machine.entries(), 0);
    assert!(!world.machine.is_open(run));
}

#[test]
fn recovery_is_quiet_without_runs() {
    let mut world = World::new(WorkerLimits::default());
    world.input(Input::Recovered(Box::default()));
    assert_eq!(world.prepared, []);
}
