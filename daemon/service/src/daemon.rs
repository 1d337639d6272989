//! The daemon as a whole: status, maintenance, settings.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value as Json};
use sloth_api::{Lateness, PauseAllRequest, ReloadReply, Setting, StatusView, SwitchReply, SystemJob, WhoamiView};
use sloth_core::machine::Counters;
use sloth_core::record::{Record, Severity, Value};
use sloth_core::units;
use sloth_store::RESTORED;

use crate::access::Action;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// Everything in one look. The name of the next schedule is for administrators: it may be anybody's.
    pub fn status(&self, caller: Option<&Caller>) -> Result<StatusView, ServiceError> {
        let names = caller.is_none_or(|caller| caller.admin);
        let now = self.host.now();
        let published = &self.engine.published;
        let (pid, started, rss_bytes) = self.host.process();
        let (running, queued) = (published.running.load(Relaxed), published.queued.load(Relaxed));
        let trouble = published.trouble.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let maintenance = published.quiesced.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let schedules = self.store.schedule_count()?;
        let next = self.store.next_due_hint(now)?;
        let next = match next {
            Some(loaded) => {
                let trigger = self.present_trigger(&loaded.schedule)?;
                trigger.next_after(&loaded.schedule.zone, now).map(|due| (due, loaded.schedule.name.clone()))
            }
            None => None,
        };
        let mut skipped = Map::new();
        for (reason, count) in Counters::REASONS.iter().zip(&published.skipped) {
            skipped.insert((*reason).to_owned(), Json::from(count.load(Relaxed)));
        }
        skipped.insert("coalesced".to_owned(), Json::from(published.coalesced.load(Relaxed)));
        skipped.insert("missed".to_owned(), Json::from(published.missed.load(Relaxed)));
        let inhibitors = self.inhibitors.views();
        let state = match (&trouble, &maintenance, inhibitors.first()) {
            (Some(_), _, _) => "storage_blocked",
            (None, Some(_), _) => "maintenance",
            (None, None, Some(_)) => "inhibited",
            (None, None, None) => "ready",
        };
        let mut summary = format!("{schedules} schedules");
        match (&trouble, &maintenance, &next) {
            (Some(trouble), _, _) => summary = format!("{trouble}; no schedule fires until it can be written"),
            (None, Some(reason), _) => summary.push_str(&format!(", in maintenance ({reason})")),
            (None, None, _) if state == "inhibited" => {
                let who: Vec<&str> = inhibitors.iter().take(3).map(|one| one.who.as_str()).collect();
                summary.push_str(&format!(", kept from firing by {}", who.join(", ")));
            }
            (None, None, Some((due, name))) => {
                let wait = std::time::Duration::from_secs(due.since(now).as_secs());
                let name = if names { name.as_str() } else { "one" };
                summary.push_str(&format!(", next {name} in {}", units::format_duration(wait)));
            }
            (None, None, None) => {}
        }
        summary.push_str(&format!(", {running} runs going"));
        if queued > 0 {
            summary.push_str(&format!(", {queued} waiting"));
        }
        let lateness = published.lateness.snapshot();
        let ms = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
        Ok(StatusView {
            summary,
            state: state.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid,
            started_at: started.rfc3339(),
            uptime_ms: i64::try_from(now.since(started).as_millis()).unwrap_or(i64::MAX),
            data_dir: self.host.data_dir().display().to_string(),
            database_bytes: self.store.database_bytes(),
            executor: self.host.executor(),
            schedules,
            next_due: next.as_ref().map(|(due, _)| due.rfc3339()),
            next_schedule: next.filter(|_| names).map(|(_, name)| name),
            running,
            queued,
            maintenance,
            inhibitors,
            event_seq: self.store.last_event_seq(),
            clock_epoch: published.epoch.load(Relaxed),
            lateness: Lateness {
                count: lateness.count,
                p50_ms: ms(lateness.quantile(0.5)),
                p99_ms: ms(lateness.quantile(0.99)),
                max_ms: ms(lateness.max),
                buckets: lateness.buckets.iter().map(|(bound, count)| (ms(*bound), *count)).collect(),
            },
            skipped,
            rss_bytes,
        })
    }

    /// Who the caller is here.
    pub fn whoami(&self, caller: &Caller) -> WhoamiView {
        let role = if caller.admin { "admin" } else { "user" };
        WhoamiView { uid: caller.uid.0, user: caller.name.clone(), role: role.to_owned() }
    }

    /// Maintenance: nothing fires, instants are recorded as skipped, what runs goes on.
    pub async fn pause_all(&self, caller: &Caller, request: PauseAllRequest) -> Result<SwitchReply, ServiceError> {
        let action = Action::new("schedule:admin", "daemon", "pause-all");
        self.require_admin(caller, action.clone()).await?;
        let present = self.engine.published.quiesced.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if present.is_some() && (request.reason.is_none() || request.reason == present) {
            return Ok(SwitchReply { change: "unchanged".to_owned() });
        }
        let reason = request.reason.unwrap_or_else(|| format!("by {}", caller.name));
        let data = vec![("component", Value::Text("scheduler".to_owned())), ("reason", Value::Text(reason.clone()))];
        let message = format!("maintenance begins: {reason}");
        let event = self.event(self.host.now(), "system.warning", Severity::Warning, message, caller, data);
        self.engine.quiesce(Some(reason), vec![event, self.audit_ok(caller, &action, Vec::new())]).await?;
        Ok(SwitchReply { change: "quiesced".to_owned() })
    }

    /// Ends maintenance.
    pub async fn resume_all(&self, caller: &Caller) -> Result<SwitchReply, ServiceError> {
        let action = Action::new("schedule:admin", "daemon", "resume-all");
        self.require_admin(caller, action.clone()).await?;
        if self.store.meta("quiesced")?.is_none() {
            return Ok(SwitchReply { change: "unchanged".to_owned() });
        }
        let data = vec![("component", Value::Text("scheduler".to_owned()))];
        let message = "maintenance ends".to_owned();
        let event = self.event(self.host.now(), "system.warning", Severity::Info, message, caller, data);
        self.engine.quiesce(None, vec![event, self.audit_ok(caller, &action, Vec::new())]).await?;
        Ok(SwitchReply { change: "resumed".to_owned() })
    }

    /// Effective settings.
    pub async fn settings(&self, caller: &Caller) -> Result<Vec<Setting>, ServiceError> {
        self.require_admin(caller, Action::new("config:read", "config", "*")).await?;
        Ok(self.host.settings())
    }

    /// Reads settings and declarative schedules again.
    pub async fn reload(&self, caller: &Caller) -> Result<ReloadReply, ServiceError> {
        let action = Action::new("daemon:reload", "daemon", "config");
        self.require_admin(caller, action.clone()).await?;
        self.engine.commit(vec![self.audit_ok(caller, &action, Vec::new())]).await?;
        self.host.reload().await
    }

    /// Records that the configuration was read again.
    pub async fn note_reload(&self, changed: &[String], problems: &[String]) {
        let data = vec![
            ("changes", Value::Text(changed.join(", "))),
            ("error", problems.first().map_or(Value::Null, |problem| Value::Text(problem.clone()))),
        ];
        let (severity, message) = match problems.len() {
            0 => (Severity::Info, "configuration read again".to_owned()),
            n => (
                Severity::Error,
                format!("configuration read again with {n} problems; what is bad keeps its old state"),
            ),
        };
        let event = self.event(self.host.now(), "system.reloaded", severity, message, &daemon(), data);
        if let Err(error) = self.engine.commit(vec![event]).await {
            tracing::warn!(%error, "a reload could not be recorded");
        }
    }

    /// Records that the daemon started or stops.
    pub async fn note_life(&self, kind: &'static str, message: String, data: Vec<(&'static str, Value)>) {
        let event = self.event(self.host.now(), kind, Severity::Info, message, &daemon(), data);
        if let Err(error) = self.engine.commit(vec![event]).await {
            tracing::warn!(%error, kind, "an event could not be recorded");
        }
    }

    /// Records that the database is that of a backup, once.
    pub async fn note_restore(&self) {
        let Ok(Some(id)) = self.store.meta(RESTORED) else { return };
        let caller = daemon();
        let message = format!("the database was restored from the backup {id}");
        let data = vec![("backup_id", Value::Text(id.clone()))];
        let event = self.event(self.host.now(), "restore.completed", Severity::Warning, message, &caller, data);
        let audit = self.audit_ok(&caller, &Action::new("backup:restore", "backup", id), Vec::new());
        if let Err(error) = self.engine.commit(vec![event, audit, Record::Meta(RESTORED, None)]).await {
            tracing::warn!(%error, "a restore could not be recorded");
        }
    }

    /// What executor and machine can do.
    pub fn features(&self) -> Json {
        self.host.features()
    }

    /// The daemon's own periodic jobs.
    pub fn system_jobs(&self) -> Vec<SystemJob> {
        self.host.system_jobs()
    }
}

fn daemon() -> Caller {
    Caller {
        uid: sloth_core::Uid(0),
        name: "slothd".to_owned(),
        admin: true,
        method: "daemon",
        request_id: "daemon".to_owned(),
        authority: None,
    }
}
