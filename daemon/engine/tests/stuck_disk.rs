//! What the engine's own transactions cannot do because the disk is full, requests must not wait for: "a request is refused with the
//! reason, and nothing of it happened".

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use sloth_core::launch::{Order, Report};
use sloth_core::machine::{Config, Loaded, Recovered, WorkerLimits};
use sloth_core::record::{Record, Stats};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, RunStatus, RunTrigger, Usage};
use sloth_core::{Action, AttemptKey, Moment, Schedule, ScheduleId};
use sloth_engine::{Alarm, EditKind, EditRequest, Engine, EngineError, Handle, Ports, Reading, Settings, StoreError};
use tokio::sync::mpsc;

type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A disk that can take its time with an answer.
#[derive(Default)]
struct Disk {
    is_full: bool,
    /// Answers are held back.
    is_slow: bool,
    waiting: Vec<(Arc<Vec<Record>>, Done)>,
    stored: Vec<Record>,
}

/// An executor that starts what it is told, and ends it when the test says so.
struct World {
    begin: Instant,
    disk: Mutex<Disk>,
    released: Mutex<Vec<AttemptKey>>,
    reports: mpsc::Sender<Report>,
}

impl World {
    fn disk<T>(&self, use_it: impl FnOnce(&mut Disk) -> T) -> T {
        use_it(&mut self.disk.lock().expect("no panic"))
    }

    fn count(&self, is_it: impl Fn(&Record) -> bool) -> usize {
        self.disk(|disk| disk.stored.iter().filter(|record| is_it(record)).count())
    }

    /// The command of the first run ends.
    fn end_first(&self) {
        let key = self.released.lock().expect("no panic")[0];
        let end = AttemptEnd {
            outcome: Outcome::Exited(0),
            ended_at: self.read_clocks().wall,
            usage: Usage::default(),
            output_bytes: 0,
            dropped_bytes: 0,
            stderr_tail: String::new(),
        };
        self.reports.try_send(Report::Ended { key, end }).expect("there is room");
    }

    /// Answers all that it held back.
    fn answer(&self) {
        let (waiting, is_full) = self.disk(|disk| {
            disk.is_slow = false;
            (std::mem::take(&mut disk.waiting), disk.is_full)
        });
        for (records, done) in waiting {
            if is_full {
                done(Err(StoreError::Full("test".to_owned())));
            } else {
                self.disk(|disk| disk.stored.extend(records.iter().cloned()));
                done(Ok(()));
            }
        }
    }
}

impl Ports for World {
    fn read_clocks(&self) -> Reading {
        let passed = self.begin.elapsed();
        Reading { wall: Moment::from_secs(2_000_000_000) + passed, boot: passed, monotonic: passed }
    }

    fn commit(&self, records: Arc<Vec<Record>>, done: Done) {
        let is_slow = self.disk(|disk| {
            disk.waiting.push((records, done));
            disk.is_slow
        });
        if !is_slow {
            self.answer();
        }
    }

    fn load_due(&self, _: Moment, _: usize, done: Box<dyn FnOnce(Result<(Vec<Loaded>, bool), StoreError>) + Send>) {
        done(Ok((Vec::new(), true)));
    }

    fn order(&self, order: Order) {
        let process = ProcessId { pid: 1, start_ticks: 1, boot_id: "boot".to_owned() };
        match order {
            Order::Prepare(launch) => {
                let _ = self.reports.try_send(Report::Prepared { key: launch.key, process });
            }
            Order::Release(key) => self.released.lock().expect("no panic").push(key),
            _ => {}
        }
    }

    fn heartbeat(&self) {}
}

struct Sleep(Arc<World>);

impl Alarm for Sleep {
    fn wait(&mut self, until: Option<Moment>) -> impl Future<Output = ()> + Send {
        let now = self.0.read_clocks().wall;
        tokio::time::sleep(until.map_or(Duration::from_secs(1), |until| until.since(now)))
    }
}

fn schedule(name: &str) -> Schedule {
    let now = Moment::from_secs(1_999_999_000);
    let action = Action::Command(vec!["/bin/true".to_owned()]);
    let id = ScheduleId::v7(now, name.len() as u128);
    Schedule::new(id, name, "manual", TimeZone::UTC, action, now).expect("a trigger")
}

fn loaded(name: &str) -> Loaded {
    let schedule = Arc::new(schedule(name));
    Loaded { mark: schedule.trigger_since, next_due: None, stats: Stats::default(), schedule }
}

fn start() -> (Arc<World>, Handle) {
    let (reports, received) = mpsc::channel(100);
    let world = Arc::new(World { begin: Instant::now(), disk: Mutex::default(), released: Mutex::default(), reports });
    let config = Config {
        max_running: 10,
        horizon: Duration::from_secs(10),
        catch_up_spread: Duration::ZERO,
        refill_max: 1000,
        late_grace: Duration::from_secs(2),
        host: "host".to_owned(),
        boot_id: "boot".to_owned(),
        booted_at: Moment::from_secs(1_999_000_000),
        seed: 1,
        workers: WorkerLimits::default(),
    };
    let settings = Settings { config, recovered: Recovered::default() };
    let (engine, handle) = Engine::new(world.clone(), settings, received);
    let _ = world.reports.try_send(Report::Connected(Vec::new()));
    #[allow(clippy::disallowed_methods)] // it ends with the runtime of the test
    tokio::spawn(engine.run(Sleep(world.clone())));
    (world, handle)
}

#[allow(clippy::panic, reason = "a test helper")]
async fn holds(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: it did not happen");
}

fn run(handle: &Handle, name: &str) -> impl Future<Output = Result<(), EngineError>> {
    let (handle, loaded) = (handle.clone(), loaded(name));
    async move { handle.run_now(loaded, RunTrigger::Manual, "test".to_owned(), |_, _| Vec::new()).await.map(drop) }
}

fn add(handle: &Handle, name: &str) -> impl Future<Output = Result<(), EngineError>> {
    let kind = EditKind::Create(Box::new(schedule(name)));
    let handle = handle.clone();
    async move { handle.edit(EditRequest { kind, notes: Vec::new() }).await.map(drop) }
}

fn is_end(record: &Record) -> bool {
    matches!(record, Record::RunChanged(run) if run.status == RunStatus::Completed)
}

#[track_caller]
fn is_full(answer: Result<Result<(), EngineError>, tokio::time::error::Elapsed>) {
    let answer = answer.expect("it was answered although nothing can be written");
    assert!(matches!(answer, Err(EngineError::Store(StoreError::Full(_)))), "{answer:?}");
}

/// A run whose end is on its way to a disk that does not answer yet.
async fn ending() -> (Arc<World>, Handle) {
    let (world, handle) = start();
    run(&handle, "job").await.expect("made");
    holds("the release", || !world.released.lock().expect("no panic").is_empty()).await;
    world.disk(|disk| disk.is_slow = true);
    world.end_first();
    holds("the transaction of the end", || world.disk(|disk| !disk.waiting.is_empty())).await;
    (world, handle)
}

/// Nothing that was refused happened, and the end was recorded once.
async fn frees(world: &World, handle: &Handle) {
    assert_eq!(world.count(is_end), 0, "the disk is full");
    world.disk(|disk| disk.is_full = false);
    holds("the end is stored", || world.count(is_end) == 1).await;
    holds("no trouble", || handle.published.trouble.lock().expect("no panic").is_none()).await;
    add(handle, "dddd").await.expect("there is room again");
    let created = |record: &Record| match record {
        Record::ScheduleCreated(schedule) => Some(schedule.name.clone()),
        Record::RunCreated(run) => Some(run.schedule_name.clone()),
        _ => None,
    };
    let stored = world.disk(|disk| disk.stored.iter().filter_map(created).collect::<Vec<_>>());
    assert_eq!((stored, world.count(is_end)), (vec!["job".to_owned(), "dddd".to_owned()], 1));
}

#[tokio::test]
async fn requests_that_stand_behind_an_unwritable_transaction_are_refused() {
    let (world, handle) = ending().await;
    let limit = Duration::from_secs(10);
    let asked = async {
        let (added, ran) = (add(&handle, "bb"), run(&handle, "ccc"));
        tokio::join!(tokio::time::timeout(limit, added), tokio::time::timeout(limit, ran))
    };
    let found_full = async {
        // They are in the mailbox when they were polled once; the engine then puts them behind what is in flight.
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.disk(|disk| disk.is_full = true);
        world.answer();
    };
    let ((added, ran), ()) = tokio::join!(asked, found_full);
    is_full(added);
    is_full(ran);
    frees(&world, &handle).await;
}

#[tokio::test]
async fn requests_that_come_while_a_transaction_waits_for_its_next_try_are_refused_at_once() {
    let (world, handle) = ending().await;
    world.disk(|disk| disk.is_full = true);
    world.answer();
    holds("the trouble", || handle.published.trouble.lock().expect("no panic").is_some()).await;
    let limit = Duration::from_secs(10);
    is_full(tokio::time::timeout(limit, add(&handle, "bb")).await);
    is_full(tokio::time::timeout(limit, run(&handle, "ccc")).await);
    frees(&world, &handle).await;
}

#[tokio::test]
async fn mere_records_go_before_the_transaction_that_cannot_be_written() {
    let (world, handle) = ending().await;
    let (commit, limit) = (handle.commit(vec![Record::Meta("noted", None)]), Duration::from_secs(10));
    let full = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.disk(|disk| disk.is_full = true);
        world.answer();
    };
    // They are tried with the next try, and whoever waits learns how that went.
    let (noted, ()) = tokio::join!(tokio::time::timeout(limit, commit), full);
    is_full(noted);
    frees(&world, &handle).await;
}
