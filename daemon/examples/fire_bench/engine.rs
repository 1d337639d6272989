//! The engine as slothd runs it: real store, real clock, real timer loop. Only the executor does nothing, at once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloth_core::launch::{Launch, Order, Report, Start};
use sloth_core::machine::{Config, Loaded, Recovered};
use sloth_core::record::Record;
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, Usage};
use sloth_core::{AttemptKey, Moment};
use sloth_engine::{Engine, Ports, Reading, Settings, StoreError};
use sloth_store::{OpenOptions, Store};
use tokio::sync::mpsc;

use super::clock::{self, WallAlarm};

/// Reports that wait for the engine at most.
const REPORTS_MAX: usize = 1 << 18;

/// What slothd's own ports hand on.
enum Waiting {
    Prepare(Start),
    Order(Order),
}

struct NullPorts {
    store: Store,
    runtime: tokio::runtime::Handle,
    orders: mpsc::Sender<Waiting>,
    /// When each order came, microseconds since 1970.
    asked: Mutex<Vec<u64>>,
}

impl Ports for NullPorts {
    fn read_clocks(&self) -> Reading {
        clock::reading()
    }

    fn wall(&self) -> Moment {
        clock::now()
    }

    fn commit(&self, records: Arc<Vec<Record>>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        self.store.submit(records, move |result| {
            done(result.map(|_| ()).map_err(|error| StoreError::Broken(error.to_string())));
        });
    }

    fn load_due(
        &self,
        until: Moment,
        max: usize,
        done: Box<dyn FnOnce(Result<(Vec<Loaded>, bool), StoreError>) + Send>,
    ) {
        let store = self.store.clone();
        self.runtime.spawn_blocking(move || {
            let due = store.due_schedules(until, max as u32, None).map(|due| (due.items, due.next.is_none()));
            done(due.map_err(|error| StoreError::Broken(error.to_string())));
        });
    }

    fn order(&self, order: Order) {
        assert!(self.orders.try_send(Waiting::Order(order)).is_ok(), "no room for an order");
    }

    fn prepare(&self, start: Start) {
        assert!(self.orders.try_send(Waiting::Prepare(start)).is_ok(), "no room for an order");
        self.asked.lock().expect("not poisoned").push(super::since_epoch().as_micros() as u64);
    }

    fn heartbeat(&self) {}
}

pub fn run(count: usize, cron: &str, instants: usize) {
    let dir = std::env::temp_dir().join(format!("fire-bench-{}", std::process::id()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let lateness = runtime.block_on(fire(dir.clone(), count, cron, instants));
    std::fs::remove_dir_all(&dir).expect("removed");
    super::report(count * instants, &lateness);
}

async fn fire(dir: PathBuf, count: usize, cron: &str, instants: usize) -> Vec<u64> {
    let (store, _) = Store::open(&dir.join("stacks.db"), OpenOptions::default()).expect("opens");
    super::seed::write_schedules(&store, count, |_| cron.to_owned());
    let (orders, waiting) = mpsc::channel(REPORTS_MAX);
    let (reports, reported) = mpsc::channel(REPORTS_MAX);
    let ports = Arc::new(NullPorts {
        store: store.clone(),
        runtime: tokio::runtime::Handle::current(),
        orders,
        asked: Mutex::new(Vec::with_capacity(count * instants * 2)),
    });
    let settings = Settings { config: config(), recovered: Recovered::default() };
    let (engine, handle) = Engine::new(ports.clone(), settings, reported);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(answer(waiting, reports));
    let alarm = WallAlarm::new().expect("a timer");
    tasks.spawn(async move { engine.run(alarm).await.expect("no contradiction") });
    let stop = handle.clone();
    tasks.spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            handle.refill();
        }
    });
    wait_for(&ports, count * (instants + 1)).await;
    stop.stop().await;
    tasks.shutdown().await;
    store.close();
    let mut asked = ports.asked.lock().expect("not poisoned").clone();
    asked.sort_unstable();
    // The first instant warms up; each later one has `count` orders, all after their whole second.
    asked.chunks(count).skip(1).take(instants).flatten().map(|us| us % 1_000_000).collect()
}

async fn wait_for(ports: &NullPorts, orders: usize) {
    let mut last = 0;
    let mut quiet = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = ports.asked.lock().expect("not poisoned").len();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        // What does not come within a minute never will, and is missing in the report.
        if now >= orders || quiet > 120 {
            return;
        }
    }
}

fn config() -> Config {
    Config {
        max_running: 20_000,
        workers: Default::default(),
        horizon: Duration::from_secs(10),
        catch_up_spread: Duration::from_secs(60),
        refill_max: 20_000,
        late_grace: Duration::from_secs(2),
        host: "bench".to_owned(),
        boot_id: "bench".to_owned(),
        booted_at: clock::now(),
        seed: 1,
    }
}

/// The executor: every process ends well as soon as it is released.
async fn answer(mut orders: mpsc::Receiver<Waiting>, reports: mpsc::Sender<Report>) {
    let _ = reports.send(Report::Connected(Vec::new())).await;
    while let Some(order) = orders.recv().await {
        let facts = match order {
            Waiting::Prepare(start) => vec![prepared(start.launch())],
            Waiting::Order(Order::Release(key)) => vec![Report::Started { key, at: clock::now() }, ended(key)],
            _ => Vec::new(),
        };
        for fact in facts {
            let _ = reports.send(fact).await;
        }
    }
}

fn prepared(launch: Launch) -> Report {
    let process = ProcessId { pid: 1, start_ticks: 1, boot_id: "bench".to_owned() };
    Report::Prepared { key: launch.key, process }
}

fn ended(key: AttemptKey) -> Report {
    let end = AttemptEnd {
        outcome: Outcome::Exited(0),
        ended_at: clock::now(),
        usage: Usage::default(),
        output_bytes: 0,
        dropped_bytes: 0,
        stderr_tail: String::new(),
    };
    Report::Ended { key, end }
}
