//! What the service needs to know of the machine it runs on. The daemon plugs the real one in.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use sloth_api::worker::EngineLimits;
use sloth_api::{BackupVerifyReply, BackupView, HealthCheck, LogPage, ReloadReply, Setting, SystemJob};
use sloth_core::run::Run;
use sloth_core::{Limits, Moment, Uid};

use crate::ServiceError;

/// What a schedule is checked against.
pub trait Surroundings: Send + Sync + 'static {
    /// Wall clock.
    fn now(&self) -> Moment;
    /// Login name of a user.
    fn user_name(&self, uid: Uid) -> Option<String>;
    /// Number of a user.
    fn user_id(&self, name: &str) -> Option<Uid>;
    /// Whether there is a group of this name.
    fn group_exists(&self, name: &str) -> bool;
    /// Zone of a name; `None`: of the system.
    fn zone(&self, name: Option<&str>) -> Option<TimeZone>;
    /// What of these limits the executor cannot enforce here, a sentence each.
    fn unenforceable(&self, limits: &Limits) -> Vec<String>;
    /// Whether the executor has profiles of the sandbox beside `none`.
    fn has_sandbox(&self) -> bool;
    /// Whether the executor can copy output to the journal.
    fn has_journal(&self) -> bool;
}

/// The machine: clock, users, zones, files, settings.
pub trait Host: Surroundings {
    /// Random bits for identities.
    fn random(&self) -> u128;
    /// Whether this user is in one of the groups that may do everything.
    fn is_admin(&self, uid: Uid) -> bool;
    /// A piece of the output of a run.
    fn output(&self, run: &Run, wish: &LogWish) -> Result<LogPage, ServiceError>;
    /// Deletes the output of a run; nothing when there is none.
    fn delete_output(&self, path: &Path);
    /// Where everything is.
    fn data_dir(&self) -> PathBuf;
    /// Effective settings and their origin.
    fn settings(&self) -> Vec<Setting>;
    /// Reads settings and declarative schedules again.
    fn reload(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<ReloadReply, ServiceError>> + Send + '_>>;
    /// Figures of the process: (pid, started, resident bytes).
    fn process(&self) -> (u32, Moment, u64);
    /// Name of the executor in use.
    fn executor(&self) -> String;
    /// What executor and machine can do.
    fn features(&self) -> serde_json::Value;
    /// The level of the log, a word of `log.level`.
    fn log_level(&self) -> String;
    /// Logs at this level from now on.
    fn set_log_level(&self, level: &str);
    /// Where the log goes: `journal` or `stderr`.
    fn log_target(&self) -> &'static str;
    /// The daemon's own periodic jobs.
    fn system_jobs(&self) -> Vec<SystemJob>;
    /// Checks that concern the machine: disk, memory, clock.
    fn machine_health(&self) -> Vec<HealthCheck>;
    /// Makes a backup.
    fn backup_create(&self, kind: &str, description: &str, with_output: bool) -> Result<BackupView, ServiceError>;
    /// Backups, newest first.
    fn backups(&self) -> Result<Vec<BackupView>, ServiceError>;
    /// Compares a backup with its sums.
    fn backup_verify(&self, id: &str) -> Result<BackupVerifyReply, ServiceError>;
    /// Deletes a backup.
    fn backup_delete(&self, id: &str) -> Result<(), ServiceError>;
    /// Has the daemon restore a backup and start again.
    fn restore_and_restart(&self, id: &str) -> Result<(), ServiceError>;
    /// Directories of a workflow run, made and given to its user.
    fn run_dirs(&self, run: &Run) -> Result<RunDirs, ServiceError>;
    /// What a worker is told of `[engine]` and `[lua]`.
    fn engine_limits(&self) -> EngineLimits;
    /// What runs without a schedule get from `[engine]`.
    fn workflow_settings(&self) -> WorkflowSettings;
    /// The table `[user]`: whatever the administrator wants scripts to know.
    fn user_table(&self) -> serde_json::Value;
}

/// Where a workflow run may write.
#[derive(Clone, Debug)]
pub struct RunDirs {
    /// For work directories and artifacts.
    pub run: PathBuf,
    /// For temporary files.
    pub temp: PathBuf,
}

/// Defaults of workflow runs without a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkflowSettings {
    /// Longest time in the queue.
    pub queue_timeout: std::time::Duration,
    /// Between TERM and KILL.
    pub kill_grace: std::time::Duration,
    /// Bytes of log that are kept.
    pub log_max: u64,
}

/// Which part of an output.
#[derive(Clone, Debug, Default)]
pub struct LogWish {
    /// From this offset of the file; 0: the beginning.
    pub offset: u64,
    /// At most about so many bytes of text.
    pub bytes_max: usize,
    /// Only `stdout`, `stderr` or `note`.
    pub stream: Option<String>,
    /// Only the last so many lines.
    pub tail: Option<usize>,
}
