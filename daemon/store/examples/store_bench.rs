//! How fast the store is beside plain SQLite on the same disk in the same run, both durable (`synchronous=FULL`).
//! `cargo run --release -p sloth-store --example store_bench [DIR] [SECONDS]`

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sloth_core::record::{Decision, Event, Occurrence, Record, Severity, Value};
use sloth_core::run::{Run, RunStatus, RunTrigger, Usage};
use sloth_core::{Action, EventId, Moment, RunId, Schedule, ScheduleId, Uid};
use sloth_store::{OpenOptions, Store};

const CALLERS: u64 = 100;
const BURST: u64 = 10_000;
const BURSTS: u64 = 3;
const ROUNDS: usize = 10;
const BURST_NAME: &str = "10,000 x (decided + run + 2 events), own request each, ms";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let base = args.get(1).map_or_else(std::env::temp_dir, Into::into);
    let time = Duration::from_secs_f64(args.get(2).and_then(|s| s.parse().ok()).unwrap_or(2.0));
    let dir = base.join(format!("store-bench-{}", std::process::id()));
    let store = Store::open(&dir.join("stacks.db"), OpenOptions::default()).expect("opens").0;
    let plain = Mutex::new(plain(&dir.join("plain.db")));
    let s = schedule(1);
    store.write(vec![Record::ScheduleCreated(s.clone().into())]).expect("written");

    println!("{:<58} {:>12} {:>12} {:>8}  goal", "", "store", "plain", "ratio");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let next = AtomicU64::new(1);
    for _ in 0..ROUNDS {
        theirs.push(rate(time, |_| plain_write(&plain.lock().expect("not poisoned"), &next)));
        ours.push(rate(time, |_| store.write(event(&next)).map(|_| ()).expect("written")));
    }
    let (ours, theirs) = (percentile(&mut ours, 0.5), percentile(&mut theirs, 0.5));
    row("durable tx/s, 100 callers, one event each (median)", ours, theirs, ours / theirs, ">= 20000, >= 10x");

    // In turn, so that both see the same disk.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..1500 {
        theirs.push(micros(|| plain_write(&plain.lock().expect("not poisoned"), &next)));
        ours.push(micros(|| store.write(event(&next)).map(|_| ()).expect("written")));
    }
    let (ours, theirs) = (percentile(&mut ours, 0.5), percentile(&mut theirs, 0.5));
    row("one durable write, nobody else, p50 us", ours, theirs, ours / theirs, "<= 1.3x");

    let (p50, p99, writes) = reads_beside_writes(&store, &s, &next, time);
    println!(
        "{:<58} {p50:>12.1} {:>12} {:>8}  ({writes:.0} tx/s beside it)",
        "point read beside a saturated writer, p50 us", "", ""
    );
    println!("{:<58} {p99:>12.1} {:>12} {:>8}  < 1000", "point read beside a saturated writer, p99 us", "", "");

    for round in 0..BURSTS {
        let before = cpu_ms();
        let took = burst(&store, &s, &next, round);
        let cpu = cpu_ms() - before;
        println!("{:<58} {took:>12.1} {:>12} {:>8}  well under 1000 (CPU {cpu:.0} ms)", BURST_NAME, "", "");
    }
    recovery(&store);
    many_schedules(&store);
    drop(store);
    std::fs::remove_dir_all(&dir).expect("removed");
}

fn row(what: &str, ours: f64, theirs: f64, ratio: f64, goal: &str) {
    println!("{what:<58} {ours:>12.1} {theirs:>12.1} {ratio:>8.2}  {goal}");
}

/// The same table, one connection behind a lock, one transaction for each request.
fn plain(path: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(path).expect("opens");
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT, severity TEXT, message TEXT,
           data TEXT, timestamp INTEGER, created_at INTEGER) STRICT;
         CREATE INDEX events_type ON events (type, seq); CREATE INDEX events_created ON events (created_at);",
    )
    .expect("made");
    conn
}

fn plain_write(conn: &rusqlite::Connection, next: &AtomicU64) {
    let n = next.fetch_add(1, Ordering::Relaxed);
    let id = EventId::v7(Moment::from_secs(1_900_000_000), u128::from(n)).to_string();
    conn.prepare_cached("INSERT INTO events (id, type, severity, message, data, timestamp, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)")
        .and_then(|mut s| s.execute(rusqlite::params![id, "run.queued", "info", "nightly is queued", r#"{"n":1}"#, n as i64]))
        .expect("written");
}

fn event(next: &AtomicU64) -> Vec<Record> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    vec![one_event(n, None)]
}

fn one_event(n: u64, run: Option<RunId>) -> Record {
    Record::Event(Box::new(Event {
        id: EventId::v7(Moment::from_secs(1_900_000_000), u128::from(n)),
        kind: "run.queued",
        severity: Severity::Info,
        message: "nightly is queued".into(),
        run,
        task: None,
        user: None,
        at: Moment::from_secs(1_900_000_000),
        data: vec![("n", Value::Int(1))],
    }))
}

/// Calls per second of many callers.
fn rate(time: Duration, call: impl Fn(u64) + Sync) -> f64 {
    let end = Instant::now() + time;
    let done = AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (call, done) = (&call, &done);
            scope.spawn(move || {
                while Instant::now() < end {
                    call(caller);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / begin.elapsed().as_secs_f64()
}

fn micros(call: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    call();
    begin.elapsed().as_secs_f64() * 1e6
}

fn percentile(all: &mut [f64], p: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * p) as usize]
}

/// One reader of runs while the queue of the writer is never empty: p50, p99 in microseconds, and writes per second.
fn reads_beside_writes(store: &Store, s: &Schedule, next: &AtomicU64, time: Duration) -> (f64, f64, f64) {
    let made = run(s, 77_000_000);
    store.write(vec![Record::RunCreated(Arc::new(made.clone()))]).expect("written");
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A window of requests under way, fed by their answers.
            let (tx, rx) = mpsc::sync_channel(4096);
            let mut flying = 0;
            while !stop.load(Ordering::Relaxed) {
                while flying < 1024 {
                    let tx = tx.clone();
                    store.submit(event(next), move |result| tx.try_send(result.is_ok()).expect("room"));
                    flying += 1;
                }
                assert!(rx.recv().expect("an answer"));
                flying -= 1;
                written.fetch_add(1, Ordering::Relaxed);
            }
            (0..flying).for_each(|_| assert!(rx.recv().expect("an answer")));
        });
        let end = Instant::now() + time;
        while Instant::now() < end {
            let begin = Instant::now();
            assert!(store.run(made.id).expect("read").is_some());
            all.push(begin.elapsed().as_secs_f64() * 1e6);
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let writes = written.into_inner() as f64 / time.as_secs_f64();
    (percentile(&mut all, 0.5), percentile(&mut all, 0.99), writes)
}

/// Milliseconds until 10,000 runs are durable.
fn burst(store: &Store, s: &Schedule, next: &AtomicU64, round: u64) -> f64 {
    let requests: Vec<_> = (0..BURST)
        .map(|n| {
            let made = run(s, round * BURST + n);
            let o = Occurrence { schedule: s.id, due_at: made.due_at, epoch: 0 };
            vec![
                Record::Decided(o, Decision::Run { run: made.id, trigger: RunTrigger::Due }),
                one_event(next.fetch_add(1, Ordering::Relaxed), Some(made.id)),
                one_event(next.fetch_add(1, Ordering::Relaxed), Some(made.id)),
                Record::RunCreated(Arc::new(made)),
            ]
        })
        .collect();
    let (tx, rx) = mpsc::sync_channel(BURST as usize);
    let begin = Instant::now();
    for request in requests {
        let tx = tx.clone();
        store.submit(request, move |result| tx.try_send(result.is_ok()).expect("room"));
    }
    (0..BURST).for_each(|_| assert!(rx.recv().expect("an answer")));
    begin.elapsed().as_secs_f64() * 1e3
}

/// CPU time of this process; says more than the clock on a busy machine.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    // utime and stime, fields 14 and 15, in hundredths of a second (proc_pid_stat(5)); 11 and 12 behind the name.
    let fields = stat.rsplit(')').next().expect("a name").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") * 10.0).sum()
}

fn recovery(store: &Store) {
    let begin = Instant::now();
    let open = store.unfinished_runs().expect("read");
    let took = begin.elapsed().as_secs_f64() * 1e3;
    println!(
        "{:<58} {took:>12.1} {:>12} {:>8}  < 150 per 10,000",
        format!("read {} unfinished runs, ms", open.items.len()),
        "",
        ""
    );
}

/// What the planner reads and writes when 1,000 of many schedules become due.
fn many_schedules(store: &Store) {
    const ALL: u128 = 200_000;
    let begin = Instant::now();
    for hundred in 1..=ALL / 500 {
        let made = (0..500).map(|n| Record::ScheduleCreated(schedule(hundred * 500 + n).into()));
        store.submit(made.collect::<Vec<_>>(), |result| assert!(result.is_ok()));
    }
    store.write(vec![]).expect("written");
    let rate = ALL as f64 / begin.elapsed().as_secs_f64();
    println!("{:<58} {rate:>12.0}", format!("schedules made per second, 500 a request, up to {ALL}"));
    let mut all = Vec::new();
    let mut after = None;
    for _ in 0..20 {
        let begin = Instant::now();
        let due = store.due_schedules(Moment::MAX, 1000, after).expect("read");
        all.push(begin.elapsed().as_secs_f64() * 1e3);
        after = due.next;
        let now = Moment::from_secs(1_900_000_060);
        let marks =
            due.items.iter().map(|l| Record::Marked { schedule: l.schedule.id, mark: now, next_due: Some(now) });
        store.write(marks.collect()).expect("written");
    }
    println!("{:<58} {:>12.1}", "a page of 1,000 due schedules, p50 ms", percentile(&mut all, 0.5));
    let begin = Instant::now();
    store.highest_mark().expect("read");
    println!("{:<58} {:>12.1}", "the highest mark of all, ms", begin.elapsed().as_secs_f64() * 1e3);
}

fn run(s: &Schedule, n: u64) -> Run {
    let at = Moment::from_micros(1_900_000_000_000_000 + n as i64);
    Run {
        id: RunId::v7(at, u128::from(n) << 8),
        schedule: s.id,
        revision: 1,
        schedule_name: s.name.clone(),
        owner: s.owner,
        user: s.user.clone(),
        trigger: RunTrigger::Due,
        due_at: at,
        epoch: 0,
        asked_by: "schedule".into(),
        status: RunStatus::Queued,
        reason: None,
        message: None,
        queued_at: at,
        started_at: None,
        ended_at: None,
        attempts: 0,
        retry_at: None,
        exit_code: None,
        signal: None,
        usage: Usage::default(),
        output_bytes: 0,
        stderr_tail: String::new(),
        process: None,
        workflow: None,
    }
}

fn schedule(n: u128) -> Schedule {
    let now = Moment::from_secs(1_900_000_000);
    let action = Action::Command(vec!["/usr/local/bin/backup".into()]);
    let (id, name) = (ScheduleId::v7(now, n), format!("nightly-{n}"));
    Schedule {
        owner: Uid(1000),
        owner_name: "ann".into(),
        user: "ann".into(),
        timezone: Some("UTC".into()),
        ..Schedule::new(id, name, "30 2 * * *", jiff::tz::TimeZone::UTC, action, now).expect("a trigger")
    }
}
