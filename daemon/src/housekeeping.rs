//! The daemon's own periodic work, ticked by tokio-cron-scheduler: all of it idempotent, a second's lateness harmless, UTC. Users'
//! schedules are not among it; the engine fires those. The planner's tick has a watchdog in the engine, which refills by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sloth_api::{BackupRequest, SystemJob};
use sloth_core::Uid;
use sloth_core::record::Record;
use sloth_engine::Handle;
use sloth_service::{Caller, Service};
use sloth_store::{EventLimits, Scope, Store};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::machine::Machine;
use crate::{clock, notify, workers};

/// What was learnt about each job.
#[derive(Default)]
pub struct Jobs(Mutex<BTreeMap<&'static str, SystemJob>>);

impl Jobs {
    /// All of them.
    pub fn list(&self) -> Vec<SystemJob> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }

    fn register(&self, task: &Task) {
        let job = SystemJob {
            name: task.name.to_owned(),
            schedule: task.schedule.to_owned(),
            description: task.about.to_owned(),
            last_at: None,
            last_duration_ms: None,
            last_result: None,
            ticks: 0,
        };
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(task.name, job);
    }

    fn ticked(&self, name: &str, took: Duration, result: Result<(), String>) {
        let mut jobs = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let Some(job) = jobs.get_mut(name) else { return };
        job.ticks += 1;
        job.last_at = Some(clock::now().rfc3339());
        job.last_duration_ms = Some(took.as_secs_f64() * 1000.0);
        job.last_result = Some(result.err().unwrap_or_else(|| "ok".to_owned()));
    }
}

/// Ticks; behind a trait so that another clockwork can take its place.
pub trait Clockwork: Sized {
    /// Starts ticking.
    fn start(work: Arc<Work>) -> impl Future<Output = Result<Self, String>> + Send;
    /// Stops ticking.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// What the jobs work on.
pub struct Work {
    /// Use cases.
    pub service: Service,
    /// Engine.
    pub engine: Handle,
    /// Store.
    pub store: Store,
    /// Machine.
    pub machine: Arc<Machine>,
    backed_up: Mutex<Option<Instant>>,
    busy: Mutex<std::collections::BTreeSet<&'static str>>,
}

impl Work {
    /// Puts it together.
    pub fn new(service: Service, engine: Handle, store: Store, machine: Arc<Machine>) -> Work {
        Work { service, engine, store, machine, backed_up: Mutex::new(None), busy: Mutex::default() }
    }
}

struct Task {
    name: &'static str,
    schedule: &'static str,
    about: &'static str,
    run: fn(&Work) -> Result<(), String>,
}

/// At most 20.
const TASKS: &[Task] = &[
    Task { name: "planner", schedule: "*/4 * * * * *", about: "claims the instants of the next seconds", run: plan },
    Task { name: "status", schedule: "*/10 * * * * *", about: "tells systemd a sentence", run: status },
    Task { name: "zones", schedule: "30 * * * * *", about: "looks whether the zone data changed", run: zones },
    Task {
        name: "checkpoint",
        schedule: "15 * * * * *",
        about: "moves the write-ahead log into the database",
        run: checkpoint,
    },
    Task {
        name: "retention",
        schedule: "45 */10 * * * *",
        about: "deletes runs and folds ledger rows past keep",
        run: retention,
    },
    Task {
        name: "events",
        schedule: "0 7 * * * *",
        about: "deletes old events, answers and audit entries",
        run: events,
    },
    Task {
        name: "backup",
        schedule: "20 */5 * * * *",
        about: "makes a backup when backup.every has passed",
        run: backup,
    },
    Task { name: "orphans", schedule: "0 40 3 * * *", about: "deletes output without a run", run: orphans },
    Task { name: "optimize", schedule: "0 30 3 * * *", about: "gives free pages of the database back", run: optimize },
];

/// tokio-cron-scheduler as clockwork.
pub struct CronClockwork(JobScheduler);

impl Clockwork for CronClockwork {
    async fn start(work: Arc<Work>) -> Result<Self, String> {
        let text = |error: JobSchedulerError| error.to_string();
        let scheduler = JobScheduler::new().await.map_err(text)?;
        for task in TASKS {
            work.machine.jobs.register(task);
            if task.name == "zones" {
                // Also when the zone data changed while the daemon was down.
                tick(work.clone(), task).await;
            }
            let work = work.clone();
            let job = Job::new_async(task.schedule, move |_, _| {
                let work = work.clone();
                Box::pin(async move { tick(work, task).await })
            });
            scheduler.add(job.map_err(text)?).await.map_err(text)?;
        }
        scheduler.start().await.map_err(text)?;
        Ok(CronClockwork(scheduler))
    }

    async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::debug!(%error, "the clockwork did not stop cleanly");
        }
    }
}

async fn tick(work: Arc<Work>, task: &'static Task) {
    // A job that is slower than its period skips ticks instead of piling up.
    if !work.busy.lock().unwrap_or_else(|e| e.into_inner()).insert(task.name) {
        return;
    }
    let begin = Instant::now();
    let inner = work.clone();
    let result = match task.name {
        "planner" => (task.run)(&work),
        _ => {
            tokio::task::spawn_blocking(move || (task.run)(&inner)).await.unwrap_or_else(|error| Err(error.to_string()))
        }
    };
    if let Err(problem) = &result {
        tracing::warn!(job = task.name, problem, "a periodic job failed");
    }
    work.machine.jobs.ticked(task.name, begin.elapsed(), result);
    work.busy.lock().unwrap_or_else(|e| e.into_inner()).remove(task.name);
}

fn plan(work: &Work) -> Result<(), String> {
    work.engine.refill();
    Ok(())
}

fn status(work: &Work) -> Result<(), String> {
    let status = work.service.status(None).map_err(|error| error.to_string())?;
    notify::status(&work.machine.sentence(&status.summary));
    Ok(())
}

/// Which rules for local time are in force: when the zone data and the zone of the system changed last.
fn zone_stamp() -> String {
    let seconds = |path: &&str| {
        let changed = std::fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()?;
        changed.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
    };
    let paths =
        ["/etc/localtime", "/usr/share/zoneinfo/tzdata.zi", "/usr/share/zoneinfo/zone1970.tab", "/usr/share/zoneinfo"];
    paths.iter().map(|path| seconds(path).map_or("-".to_owned(), |s| s.to_string())).collect::<Vec<_>>().join(" ")
}

/// Compares with what is noted in the database, so that a change while the daemon was down is found as well.
fn zones(work: &Work) -> Result<(), String> {
    let stamp = zone_stamp();
    let known = work.store.meta("zone_data").map_err(|error| error.to_string())?;
    if known.as_ref() == Some(&stamp) {
        return Ok(());
    }
    if known.is_some() {
        tracing::warn!("the zone data of the system changed: every next instant is computed again");
        jiff::tz::db().reset();
        work.engine.zones_changed();
    }
    let note = vec![Record::Meta("zone_data", Some(stamp))];
    tokio::runtime::Handle::current().block_on(work.engine.commit(note)).map_err(|error| error.to_string())
}

fn checkpoint(work: &Work) -> Result<(), String> {
    let long = std::fs::metadata(work.machine.places.database().with_extension("db-wal"))
        .is_ok_and(|meta| meta.len() > 64 << 20);
    work.store.checkpoint(long).map(|_| ()).map_err(|error| error.to_string())
}

fn retention(work: &Work) -> Result<(), String> {
    let now = clock::now();
    let (age, keep, dir) = {
        let live = work.machine.live.read().unwrap_or_else(|e| e.into_inner());
        let engine = &live.settings.engine;
        (engine.history, engine.history_runs, workers::work_dir(&work.machine.places, &live.settings))
    };
    let mut pruned = work.store.prune_runs(&Scope::All, now).map_err(|error| error.to_string())?;
    let unlisted = work.store.prune_unlisted(age, keep, now).map_err(|error| error.to_string())?;
    pruned.runs += unlisted.runs;
    pruned.outputs.extend(unlisted.outputs);
    for output in &pruned.outputs {
        if let Some(run) = output.rsplit('/').next() {
            workers::delete_run_dir(&dir, run);
        }
        let path = work.machine.places.data.join(output);
        if let Err(error) = std::fs::remove_dir_all(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "output could not be deleted");
        }
    }
    let folded = work.store.fold_occurrences(&Scope::All, now).map_err(|error| error.to_string())?;
    if pruned.runs > 0 || folded > 0 {
        tracing::debug!(runs = pruned.runs, folded, "retention");
    }
    Ok(())
}

fn events(work: &Work) -> Result<(), String> {
    let (age, rows, audit) = {
        let live = work.machine.live.read().unwrap_or_else(|e| e.into_inner());
        (live.settings.event_retention, live.settings.event_rows, live.settings.audit_retention)
    };
    let now = clock::now();
    let text = |error: sloth_store::StoreError| error.to_string();
    work.store.prune_events(EventLimits { age, rows }, now).map_err(text)?;
    work.store.prune_answers(now).map_err(text)?;
    work.store.prune_bundles(now).map_err(text)?;
    work.store.prune_audit(now - audit, now).map_err(text)?;
    Ok(())
}

fn backup(work: &Work) -> Result<(), String> {
    let (every, keep) = {
        let live = work.machine.live.read().unwrap_or_else(|e| e.into_inner());
        (live.settings.backup_every, live.settings.backup_keep)
    };
    if every.is_zero() {
        return Ok(());
    }
    let backups = work.store.backups();
    let scheduled: Vec<_> =
        backups.list().into_iter().filter(|b| b.kind == sloth_store::BackupKind::Scheduled).collect();
    let now = clock::now();
    let young = scheduled.first().is_some_and(|last| sloth_core::Moment::from_micros(last.created_us) + every > now);
    let tried = work.backed_up.lock().unwrap_or_else(|e| e.into_inner()).is_some_and(|at| at.elapsed() < every / 2);
    // A new instance has nothing to save yet.
    let fresh = scheduled.is_empty() && clock::now().since(work.service.started_at()) < Duration::from_secs(600);
    if young || tried || fresh {
        return Ok(());
    }
    *work.backed_up.lock().unwrap_or_else(|e| e.into_inner()) = Some(Instant::now());
    let request = BackupRequest { description: Some("backup.every".to_owned()), no_logs: false };
    let caller = daemon_caller();
    let made = tokio::runtime::Handle::current().block_on(work.service.backup_now(&caller, "scheduled", request));
    made.map_err(|error| error.to_string())?;
    for old in scheduled.iter().skip(keep.saturating_sub(1)) {
        backups.delete(&old.id).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The daemon itself as a caller.
pub fn daemon_caller() -> Caller {
    Caller {
        uid: Uid(nix::unistd::geteuid().as_raw()),
        name: "slothd".to_owned(),
        admin: true,
        method: "daemon",
        request_id: "daemon".to_owned(),
        authority: None,
    }
}

/// Output directories whose run is gone: the daemon died between deleting the record and deleting the files.
fn orphans(work: &Work) -> Result<(), String> {
    let runs = work.machine.places.data.join("runs");
    let week = Duration::from_secs(86_400);
    for month in std::fs::read_dir(&runs).into_iter().flatten().flatten() {
        for dir in std::fs::read_dir(month.path()).into_iter().flatten().flatten() {
            let Some(id) = dir.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let old = dir
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > week));
            if old && work.store.run(id).map_err(|error| error.to_string())?.is_none() {
                let _ = std::fs::remove_dir_all(dir.path());
            }
        }
        // Empty months go; others refuse.
        let _ = std::fs::remove_dir(month.path());
    }
    Ok(())
}

fn optimize(work: &Work) -> Result<(), String> {
    work.store.shrink(2000).map_err(|error| error.to_string())
}
