//! The engine with a store and an executor that do as they are told: order, refusals and storage trouble.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use sloth_core::launch::{Order, Report};
use sloth_core::machine::{Config, Loaded, Recovered};
use sloth_core::record::{Record, Stats};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, RunStatus, RunTrigger, Usage};
use sloth_core::{Action, Moment, Schedule, ScheduleId};
use sloth_engine::{Alarm, EditKind, EditRequest, Engine, EngineError, Handle, Ports, Reading, Settings, StoreError};
use tokio::sync::mpsc;

/// A world: what was committed, what was ordered, and whether the disk is full.
struct World {
    begin: Instant,
    full: AtomicBool,
    committed: Mutex<Vec<Record>>,
    log: Mutex<Vec<String>>,
    due: Mutex<Vec<Loaded>>,
    reports: mpsc::Sender<Report>,
}

impl World {
    fn log(&self, line: String) {
        self.log.lock().expect("no panic").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }
}

impl Ports for World {
    fn read_clocks(&self) -> Reading {
        let passed = self.begin.elapsed();
        Reading { wall: Moment::from_secs(2_000_000_000) + passed, boot: passed, monotonic: passed }
    }

    fn commit(&self, records: Arc<Vec<Record>>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        if self.full.load(Ordering::SeqCst) {
            return done(Err(StoreError::Full("test".to_owned())));
        }
        for record in records.iter() {
            match record {
                Record::RunCreated(run) => self.log(format!("stored run {}", run.schedule_name)),
                Record::AttemptStarted(_) => self.log("stored attempt".to_owned()),
                Record::RunChanged(run) if run.status == RunStatus::Completed => self.log("stored end".to_owned()),
                _ => {}
            }
        }
        self.committed.lock().expect("no panic").extend(records.iter().cloned());
        done(Ok(()));
    }

    fn load_due(&self, until: Moment, _: usize, done: Box<dyn FnOnce(Result<(Vec<Loaded>, bool), StoreError>) + Send>) {
        let due = self.due.lock().expect("no panic").clone();
        done(Ok((due.into_iter().filter(|l| l.next_due.is_some_and(|at| at <= until)).collect(), true)));
    }

    fn order(&self, order: Order) {
        let process = ProcessId { pid: 1, start_ticks: 1, boot_id: "boot".to_owned() };
        match order {
            Order::Prepare(launch) => {
                self.log("prepare".to_owned());
                let _ = self.reports.try_send(Report::Prepared { key: launch.key, process });
            }
            Order::Release(key) => {
                self.log("release".to_owned());
                let end = AttemptEnd {
                    outcome: Outcome::Exited(0),
                    ended_at: self.read_clocks().wall,
                    usage: Usage::default(),
                    output_bytes: 0,
                    dropped_bytes: 0,
                    stderr_tail: String::new(),
                };
                let _ = self.reports.try_send(Report::Ended { key, end });
            }
            Order::Forget(_) => self.log("forget".to_owned()),
            other => self.log(format!("{other:?}")),
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

fn start() -> (Arc<World>, Handle, tokio::task::JoinHandle<Result<(), sloth_engine::Fatal>>) {
    let (reports, received) = mpsc::channel(100);
    let world = Arc::new(World {
        begin: Instant::now(),
        full: AtomicBool::new(false),
        committed: Mutex::default(),
        log: Mutex::default(),
        due: Mutex::default(),
        reports,
    });
    let config = Config {
        max_running: 10,
        workers: Default::default(),
        horizon: Duration::from_secs(10),
        catch_up_spread: Duration::ZERO,
        refill_max: 1000,
        late_grace: Duration::from_secs(2),
        host: "host".to_owned(),
        boot_id: "boot".to_owned(),
        booted_at: Moment::from_secs(1_999_000_000),
        seed: 1,
    };
    let settings = Settings { config, recovered: Recovered::default() };
    let (engine, handle) = Engine::new(world.clone(), settings, received);
    let _ = world.reports.try_send(Report::Connected(Vec::new()));
    #[allow(clippy::disallowed_methods)] // the test holds the handle
    let task = tokio::spawn(engine.run(Sleep(world.clone())));
    (world, handle, task)
}

#[allow(clippy::panic, reason = "a test helper")]
async fn until(world: &World, line: &str) {
    for _ in 0..400 {
        if world.lines().iter().any(|l| l == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no {line:?} in {:?}", world.lines());
}

#[tokio::test]
async fn nothing_is_released_before_its_start_is_stored() {
    let (world, handle, task) = start();
    handle.run_now(loaded("backup"), RunTrigger::Manual, "test".to_owned(), |_, _| Vec::new()).await.expect("made");
    until(&world, "forget").await;
    let expected = ["stored run backup", "prepare", "stored attempt", "release", "stored end", "forget"];
    assert_eq!(world.lines(), expected);
    handle.stop().await;
    task.await.expect("no panic").expect("no contradiction");
}

#[tokio::test]
async fn a_full_disk_refuses_requests_and_is_noticed_when_it_is_free_again() {
    let (world, handle, _task) = start();
    let add = |name: &str| {
        let kind = EditKind::Create(Box::new(schedule(name)));
        handle.edit(EditRequest { kind, notes: Vec::new() })
    };
    add("a").await.expect("stored");
    world.full.store(true, Ordering::SeqCst);
    let full = |error: EngineError| matches!(error, EngineError::Store(StoreError::Full(_)));
    assert!(full(add("bb").await.expect_err("full")));
    let run = handle.run_now(loaded("ccc"), RunTrigger::Manual, "test".to_owned(), |_, _| Vec::new()).await;
    assert!(full(run.expect_err("full")));
    assert!(handle.published.trouble.lock().expect("no panic").is_some());
    world.full.store(false, Ordering::SeqCst);
    for _ in 0..400 {
        if handle.published.trouble.lock().expect("no panic").is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    add("dddd").await.expect("stored again");
    let created = |record: &Record| match record {
        Record::ScheduleCreated(schedule) => Some(schedule.name.clone()),
        _ => None,
    };
    let names: Vec<String> = world.committed.lock().expect("no panic").iter().filter_map(created).collect();
    assert_eq!(names, ["a", "dddd"], "what was refused never happened");
    assert!(!world.lines().contains(&"stored run ccc".to_owned()));
}

#[tokio::test]
async fn an_overlapping_run_is_refused_with_the_run_in_the_way() {
    let (world, handle, _task) = start();
    world.full.store(false, Ordering::SeqCst);
    let both = loaded("job");
    let first = handle.run_now(both.clone(), RunTrigger::Api, "test".to_owned(), |_, _| Vec::new());
    let second = handle.run_now(both, RunTrigger::Api, "test".to_owned(), |_, _| Vec::new());
    let (first, second) = tokio::join!(first, second);
    let outcomes = [first.is_ok(), second.is_ok()];
    assert!(outcomes.contains(&true), "one of them runs");
    if let Err(error) = second {
        assert!(matches!(error, EngineError::Refused(sloth_core::machine::Refusal::Overlap { .. })), "{error:?}");
    }
}
