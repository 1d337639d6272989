//! Health: figures measured when asked; a check that cannot be made says so.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sloth_api::{HealthCheck, HealthView};
use sloth_core::run::RunStatus;
use sloth_core::units;
use sloth_store::RunFilter;

use crate::{Service, ServiceError};

pub(crate) fn check(name: &str, status: &str, value: impl Into<String>, threshold: &str, hint: &str) -> HealthCheck {
    HealthCheck {
        check: name.to_owned(),
        status: status.to_owned(),
        value: value.into(),
        threshold: threshold.to_owned(),
        hint: hint.to_owned(),
    }
}

impl Service {
    /// All checks.
    pub fn health(&self) -> Result<HealthView, ServiceError> {
        let mut checks =
            vec![self.writing(), self.lag(), self.line(), self.executor_up(), self.failing()?, self.backup_age()];
        checks.extend(self.host.machine_health());
        let rank = |status: &str| ["ok", "unknown", "warn", "critical"].iter().position(|s| *s == status).unwrap_or(3);
        let status = checks.iter().map(|c| c.status.as_str()).max_by_key(|s| rank(s)).unwrap_or("ok").to_owned();
        let status = if status == "unknown" { "ok".to_owned() } else { status };
        Ok(HealthView { status, checks })
    }

    fn writing(&self) -> HealthCheck {
        let trouble = self.engine.published.trouble.lock().unwrap_or_else(|e| e.into_inner()).clone();
        match trouble {
            None => check("database", "ok", "can be written", "", ""),
            Some(problem) => {
                check("database", "critical", problem, "", "no schedule fires: free space, or repair the file system")
            }
        }
    }

    fn lag(&self) -> HealthCheck {
        let snapshot = self.engine.published.lateness.snapshot();
        let p99 = snapshot.quantile(0.99);
        let value = format!("p99 {:.1} ms of {} starts", p99.as_secs_f64() * 1000.0, snapshot.count);
        let status = if p99 > Duration::from_secs(1) { "warn" } else { "ok" };
        let hint = if status == "ok" { "" } else { "the host is overloaded, or the disk is slow" };
        check("scheduler lag", status, value, "1 s", hint)
    }

    fn line(&self) -> HealthCheck {
        let queued = self.engine.published.queued.load(Relaxed);
        let status = if queued > 1000 { "warn" } else { "ok" };
        let hint = if status == "ok" { "" } else { "raise scheduler.max_running, or look for runs that hang" };
        check("queue", status, format!("{queued} waiting"), "1000", hint)
    }

    fn executor_up(&self) -> HealthCheck {
        match self.engine.published.executor_up.load(Relaxed) {
            true => check("executor", "ok", "connected", "", ""),
            false => {
                check("executor", "critical", "not connected", "", "nothing can be started; see the journal of slothd")
            }
        }
    }

    fn failing(&self) -> Result<HealthCheck, ServiceError> {
        let since = self.host.now() - Duration::from_secs(86_400);
        let filter = RunFilter { status: vec![RunStatus::Failed], since: Some(since), ..RunFilter::default() };
        let failed = self.store.runs(&filter, 1000)?.items.len();
        let hint = if failed == 0 { "" } else { "slothctl runs list --status failed" };
        let status = if failed == 0 { "ok" } else { "warn" };
        Ok(check("failed runs", status, format!("{failed} in 24h"), "0", hint))
    }

    fn backup_age(&self) -> HealthCheck {
        let hint = "slothctl sysadmin backup create, or set backup.every";
        let newest = match self.host.backups() {
            Ok(list) => list.into_iter().next(),
            Err(error) => return check("backup", "unknown", error.message, "48h", ""),
        };
        let created = newest.and_then(|view| view.created_at.parse::<jiff::Timestamp>().ok());
        match created {
            None => check("backup", "warn", "none", "48h", hint),
            Some(created) => {
                let age = self.host.now().since(created.into());
                let status = if age > Duration::from_secs(48 * 3600) { "warn" } else { "ok" };
                let hint = if status == "ok" { "" } else { hint };
                let value = format!("{} old", units::format_duration(Duration::from_secs(age.as_secs())));
                check("backup", status, value, "48h", hint)
            }
        }
    }
}
