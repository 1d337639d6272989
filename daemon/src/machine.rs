//! The machine that the service sees: users, zones, files, figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, RwLock};

use jiff::tz::TimeZone;
use nix::unistd::{Group, Uid as UnixUid, User};
use sloth_api::worker::EngineLimits;
use sloth_api::{BackupVerifyReply, BackupView, ErrorCode, HealthCheck, LogPage, ReloadReply, Setting, SystemJob};
use sloth_core::run::Run;
use sloth_core::{Limits, Moment, Uid};
use sloth_exec::Capabilities;
use sloth_service::{Host, LogWish, RunDirs, ServiceError, Surroundings, WorkflowSettings};
use sloth_store::{BackupInfo, BackupKind, BackupWish, Store};
use tokio::sync::mpsc;

use crate::executor::Chosen;
use crate::housekeeping::Jobs;
use crate::logging::Level;
use crate::places::Places;
use crate::settings::{Merged, Settings};
use crate::{clock, output, workers};

/// What the main task is asked to do.
pub enum Wish {
    /// Read the configuration again.
    Reload(tokio::sync::oneshot::Sender<Result<ReloadReply, ServiceError>>),
    /// Stop, restore this backup, start again.
    Restore(String),
}

/// Settings that can change while running.
pub struct Live {
    /// Validated.
    pub settings: Settings,
    /// Where each comes from.
    pub merged: Merged,
}

/// See the module.
pub struct Machine {
    /// Paths.
    pub places: Places,
    /// Settings in force.
    pub live: RwLock<Live>,
    /// The daemon's own jobs.
    pub jobs: Arc<Jobs>,
    /// Wishes for the main task.
    pub wishes: mpsc::Sender<Wish>,
    /// The store.
    pub store: Store,
    level: Level,
    /// Why the configuration on disk is not the one in force, for the status line.
    pub trouble: Mutex<Option<String>>,
    names: Names,
    executor: Chosen,
    started: Moment,
    random: Mutex<u128>,
}

/// What the daemon lends to its machine.
pub struct Fittings {
    /// The daemon's own jobs.
    pub jobs: Arc<Jobs>,
    /// Where wishes go.
    pub wishes: mpsc::Sender<Wish>,
    /// What starts runs.
    pub executor: Chosen,
    /// What the log leaves out.
    pub level: Level,
}

impl Machine {
    /// The machine of a daemon that starts now.
    pub fn new(places: Places, live: Live, store: Store, fittings: Fittings, seed: u128) -> Machine {
        let Fittings { jobs, wishes, executor, level } = fittings;
        Machine {
            places,
            live: RwLock::new(live),
            jobs,
            wishes,
            store,
            names: Names::new(executor.capabilities),
            executor,
            level,
            trouble: Mutex::new(None),
            started: clock::now(),
            random: Mutex::new(seed),
        }
    }

    /// Notes what the last reading of the configuration found.
    pub fn set_trouble(&self, problems: &[String]) {
        let trouble = problems.first().map(|first| match problems.len() {
            1 => format!("1 problem in the configuration: {first}"),
            count => format!("{count} problems in the configuration, first: {first}"),
        });
        *self.trouble.lock().unwrap_or_else(|e| e.into_inner()) = trouble;
    }

    /// The sentence for `systemctl status`: what needs somebody comes first.
    pub fn sentence(&self, summary: &str) -> String {
        match &*self.trouble.lock().unwrap_or_else(|e| e.into_inner()) {
            Some(trouble) => format!("{trouble}; {summary}"),
            None => summary.to_owned(),
        }
    }

    fn settings<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(&self.live.read().unwrap_or_else(|e| e.into_inner()).settings)
    }
}

/// The zone of a name, or of the system.
pub fn zone(name: Option<&str>) -> Option<TimeZone> {
    match name {
        None => Some(TimeZone::try_system().unwrap_or(TimeZone::UTC)),
        Some(name) => TimeZone::get(name).ok(),
    }
}

/// Users, zones and limits of this machine, without a daemon.
pub struct Names {
    capabilities: Capabilities,
}

impl Names {
    /// With an executor that can enforce this.
    pub fn new(capabilities: Capabilities) -> Names {
        Names { capabilities }
    }
}

impl Surroundings for Names {
    fn now(&self) -> Moment {
        clock::now()
    }

    fn user_name(&self, uid: Uid) -> Option<String> {
        User::from_uid(UnixUid::from_raw(uid.0)).ok().flatten().map(|user| user.name)
    }

    fn user_id(&self, name: &str) -> Option<Uid> {
        User::from_name(name).ok().flatten().map(|user| Uid(user.uid.as_raw()))
    }

    fn group_exists(&self, name: &str) -> bool {
        Group::from_name(name).ok().flatten().is_some()
    }

    fn zone(&self, name: Option<&str>) -> Option<TimeZone> {
        zone(name)
    }

    fn unenforceable(&self, limits: &Limits) -> Vec<String> {
        self.capabilities.refuse(limits).into_iter().collect()
    }

    fn has_sandbox(&self) -> bool {
        self.capabilities.sandbox
    }

    fn has_journal(&self) -> bool {
        self.capabilities.journal
    }
}

impl Surroundings for Machine {
    fn now(&self) -> Moment {
        self.names.now()
    }

    fn user_name(&self, uid: Uid) -> Option<String> {
        self.names.user_name(uid)
    }

    fn user_id(&self, name: &str) -> Option<Uid> {
        self.names.user_id(name)
    }

    fn group_exists(&self, name: &str) -> bool {
        self.names.group_exists(name)
    }

    fn zone(&self, name: Option<&str>) -> Option<TimeZone> {
        self.names.zone(name)
    }

    fn unenforceable(&self, limits: &Limits) -> Vec<String> {
        self.names.unenforceable(limits)
    }

    fn has_sandbox(&self) -> bool {
        self.names.has_sandbox()
    }

    fn has_journal(&self) -> bool {
        self.names.has_journal()
    }
}

impl Host for Machine {
    fn random(&self) -> u128 {
        let mut state = self.random.lock().unwrap_or_else(|e| e.into_inner());
        // A Weyl sequence over 128 bits, mixed: unique within the process, seeded by the kernel.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let mut z = *state;
        z = (z ^ (z >> 67)).wrapping_mul(0xda94_2042_e4dd_58b5_2545_f491_4f6c_dd1d);
        z ^ (z >> 61)
    }

    fn is_admin(&self, uid: Uid) -> bool {
        if uid.0 == 0 || uid.0 == nix::unistd::geteuid().as_raw() {
            return true;
        }
        let Some(user) = User::from_uid(UnixUid::from_raw(uid.0)).ok().flatten() else {
            return false;
        };
        self.settings(|settings| settings.admin_groups.clone()).iter().any(|name| {
            let group = Group::from_name(name).ok().flatten();
            group.is_some_and(|group| group.gid == user.gid || group.mem.contains(&user.name))
        })
    }

    fn output(&self, run: &Run, wish: &LogWish) -> Result<LogPage, ServiceError> {
        output::read(&self.places.data, run, wish)
    }

    fn delete_output(&self, path: &Path) {
        let Some(dir) = path.parent() else { return };
        if let Some(run) = dir.file_name().and_then(|name| name.to_str()) {
            workers::delete_run_dir(&self.settings(|settings| workers::work_dir(&self.places, settings)), run);
        }
        if let Err(error) = fs::remove_dir_all(self.places.data.join(dir))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %dir.display(), %error, "output could not be deleted");
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.places.data.clone()
    }

    fn run_dirs(&self, run: &Run) -> Result<RunDirs, ServiceError> {
        workers::run_dirs(&self.settings(|settings| workers::work_dir(&self.places, settings)), run)
    }

    fn engine_limits(&self) -> EngineLimits {
        let mut limits = self.settings(|settings| settings.engine.limits.clone());
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        limits.capacity.entry("cpu".to_owned()).or_insert(cores * 1000);
        if let Some(bytes) = crate::machine_health::memory_total() {
            limits.capacity.entry("memory".to_owned()).or_insert(bytes / 10 * 9);
        }
        limits
    }

    fn workflow_settings(&self) -> WorkflowSettings {
        self.settings(|settings| settings.engine.runs)
    }

    fn user_table(&self) -> serde_json::Value {
        self.settings(|settings| settings.user.clone())
    }

    fn settings(&self) -> Vec<Setting> {
        self.live.read().unwrap_or_else(|e| e.into_inner()).merged.list()
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<ReloadReply, ServiceError>> + Send + '_>> {
        Box::pin(async {
            let stopping = || ServiceError::new(ErrorCode::NotReady, "slothd is stopping");
            let (reply, answer) = tokio::sync::oneshot::channel();
            self.wishes.send(Wish::Reload(reply)).await.map_err(|_| stopping())?;
            answer.await.map_err(|_| stopping())?
        })
    }

    fn process(&self) -> (u32, Moment, u64) {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        (std::process::id(), self.started, pages * u64::try_from(page).unwrap_or(4096))
    }

    fn executor(&self) -> String {
        self.executor.describe()
    }

    fn features(&self) -> serde_json::Value {
        let c = &self.names.capabilities;
        let word = |means: &sloth_exec::Means| format!("{means:?}").to_lowercase();
        serde_json::json!({
            "executor": c.executor.word(),
            "executor_instead": self.executor.instead,
            "limits": {
                "cpu": word(&c.cpu), "memory": word(&c.memory), "io_weight": word(&c.io_weight), "tasks": word(&c.tasks),
                "nofile_max": c.nofile_max, "nice_min": c.nice_min,
            },
            "own_cgroup_per_run": c.own_cgroup,
            "sandbox_profiles": if c.sandbox { &["none", "default", "strict"][..] } else { &["none"] },
            "journal": c.journal,
        })
    }

    fn log_level(&self) -> String {
        self.level.present()
    }

    fn set_log_level(&self, level: &str) {
        self.level.set(level);
        tracing::warn!(level, "the log level was changed until the next reload or restart");
    }

    fn log_target(&self) -> &'static str {
        self.level.target
    }

    fn system_jobs(&self) -> Vec<SystemJob> {
        self.jobs.list()
    }

    fn machine_health(&self) -> Vec<HealthCheck> {
        crate::machine_health::checks(&self.places.data, self.executor.instead.as_deref())
    }

    fn backup_create(&self, kind: &str, description: &str, with_output: bool) -> Result<BackupView, ServiceError> {
        let mut files = vec![(self.places.config.clone(), "config/slothd.toml".to_owned())];
        files.push((self.places.schedules.clone(), "config/schedules.d".to_owned()));
        if let Some(dir) = &self.places.drop_ins {
            files.push((dir.clone(), "config/conf.d".to_owned()));
        }
        if with_output {
            files.push((self.places.data.join("runs"), "runs".to_owned()));
        }
        files.retain(|(path, _)| path.exists());
        let kind = if kind == "scheduled" { BackupKind::Scheduled } else { BackupKind::Manual };
        let wish = BackupWish { description: description.to_owned(), kind, files, out: None };
        Ok(backup_view(self.store.backup_create(&wish)?))
    }

    fn backups(&self) -> Result<Vec<BackupView>, ServiceError> {
        Ok(self.store.backups().list().into_iter().map(backup_view).collect())
    }

    fn backup_verify(&self, id: &str) -> Result<BackupVerifyReply, ServiceError> {
        match self.store.backups().verify(id, clock::now()) {
            Ok(_) => Ok(BackupVerifyReply { ok: true, findings: Vec::new() }),
            Err(sloth_store::StoreError::NotFound { what }) => {
                Err(ServiceError::not_found(what).hint("slothctl sysadmin backup list"))
            }
            Err(error) => Ok(BackupVerifyReply { ok: false, findings: vec![error.to_string()] }),
        }
    }

    fn backup_delete(&self, id: &str) -> Result<(), ServiceError> {
        Ok(self.store.backups().delete(id)?)
    }

    fn restore_and_restart(&self, id: &str) -> Result<(), ServiceError> {
        let path = self.store.backups().find(id)?.path;
        let wish = Wish::Restore(path.to_string_lossy().into_owned());
        self.wishes.try_send(wish).map_err(|_| ServiceError::new(ErrorCode::NotReady, "slothd is busy or stopping"))
    }
}

fn backup_view(info: BackupInfo) -> BackupView {
    BackupView {
        id: info.id,
        path: info.path.display().to_string(),
        created_at: Moment::from_micros(info.created_us).rfc3339(),
        size_bytes: info.size_bytes,
        kind: info.kind.word().to_owned(),
        schema_version: u32::try_from(info.version).unwrap_or(0),
        verified: info.verified_us.map(|_| true),
        description: info.description,
    }
}
