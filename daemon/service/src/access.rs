//! Who asks, what that caller may do, and the trace that every change and every refusal leaves.

use sloth_api::ErrorCode;
use sloth_core::record::{Audit, Event, Record, Severity, Value};
use sloth_core::run::Run;
use sloth_core::{EventId, Moment, Uid};

use crate::authority::{SharedAuthority, Verdict, refusal};
use crate::{Host, Service, ServiceError};

/// Somebody behind a door, as the door knows him.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Number.
    pub uid: Uid,
    /// Login name, or `uid N`.
    pub name: String,
    /// May do everything.
    pub admin: bool,
    /// `socket`, `dbus`, `config`.
    pub method: &'static str,
    /// Of the request.
    pub request_id: String,
    /// Who decides instead of the roles, if somebody does.
    pub authority: Option<SharedAuthority>,
}

impl Caller {
    /// The caller behind peer credentials.
    pub fn from_peer(host: &dyn Host, uid: Uid, request_id: String) -> Self {
        let name = host.user_name(uid).unwrap_or_else(|| format!("uid {uid}"));
        Caller { uid, name, admin: host.is_admin(uid), method: "socket", request_id, authority: None }
    }

    /// The caller behind a connection to the message bus.
    pub fn from_bus(host: &dyn Host, uid: Uid, request_id: String, authority: Option<SharedAuthority>) -> Self {
        Caller { method: "dbus", authority, ..Caller::from_peer(host, uid, request_id) }
    }

    /// As the run record says it.
    pub fn in_words(&self) -> String {
        format!("{} (uid {})", self.name, self.uid)
    }
}

/// What is done to what, for the audit trail.
#[derive(Clone, Debug)]
pub struct Action {
    /// `schedule:create`.
    pub action: &'static str,
    /// `schedule`.
    pub object: &'static str,
    /// Name or id.
    pub id: String,
    /// The schedule that it concerns; empty: none.
    pub schedule: String,
}

impl Action {
    pub(crate) fn new(action: &'static str, object: &'static str, id: impl Into<String>) -> Self {
        let id = id.into();
        let schedule = if object == "schedule" { id.clone() } else { String::new() };
        Action { action, object, id, schedule }
    }

    /// What is done to a run of this schedule.
    pub(crate) fn on_run(action: &'static str, run: &Run) -> Self {
        Action { schedule: run.schedule_name.clone(), ..Action::new(action, "run", run.id.to_string()) }
    }
}

impl Service {
    /// The audit entry of something that is done.
    pub(crate) fn audit_ok(&self, caller: &Caller, action: &Action, details: Vec<(&'static str, Value)>) -> Record {
        Record::Audit(Box::new(entry(self.host.now(), caller, action, "ok", None, details)))
    }

    /// Records a refusal and returns it. A trail that cannot be written does not turn a refusal into something else.
    pub(crate) async fn refuse(&self, caller: &Caller, action: &Action, error: ServiceError) -> ServiceError {
        let now = self.host.now();
        let denied = error.code == ErrorCode::Denied;
        let result = if denied { "denied" } else { "error" };
        let reason = Some(format!("{}: {}", error.code.as_str(), error.message));
        let mut records = vec![Record::Audit(Box::new(entry(now, caller, action, result, reason, Vec::new())))];
        if denied {
            let message = format!("{} may not {} {}", caller.name, action.action, action.id);
            let data = vec![
                ("user", Value::Text(caller.name.clone())),
                ("action", Value::Text(action.action.to_owned())),
                ("resource", Value::Text(action.id.clone())),
                ("reason", Value::Text(error.message.clone())),
            ];
            records.push(self.event(now, "security.permission_denied", Severity::Warning, message, caller, data));
        }
        if let Err(problem) = self.engine.commit(records).await {
            tracing::warn!(%problem, user = caller.name, action = action.action, "a refusal could not be recorded");
        }
        error
    }

    /// Only administrators.
    pub(crate) async fn require_admin(&self, caller: &Caller, action: Action) -> Result<(), ServiceError> {
        let verdict = match self.verdict_on_daemon(caller, &action).await {
            Ok(Verdict::Yes) => return Ok(()),
            Ok(verdict) => verdict,
            Err(error) => return Err(self.refuse(caller, &action, error).await),
        };
        let message = format!("{} needs an administrator", action.action);
        let error = refusal(verdict, message, action.action, "ask root, or a member of security.admin_groups");
        Err(self.refuse(caller, &action, error).await)
    }

    /// The owner himself, or an administrator.
    pub(crate) async fn require_owner(&self, caller: &Caller, owner: Uid, action: Action) -> Result<(), ServiceError> {
        let verdict = match self.verdict_on(caller, owner, &action).await {
            Ok(Verdict::Yes) => return Ok(()),
            Ok(verdict) => verdict,
            Err(error) => return Err(self.refuse(caller, &action, error).await),
        };
        let message = match caller.uid == owner {
            true => format!("{} is not allowed here", action.action),
            false => format!("{} of another user's {} needs an administrator", action.action, action.object),
        };
        let hint = "ask its owner, root, or a member of security.admin_groups";
        let error = refusal(verdict, message, action.action, hint);
        Err(self.refuse(caller, &action, error).await)
    }

    /// An event of the service.
    pub(crate) fn event(
        &self,
        at: Moment,
        kind: &'static str,
        severity: Severity,
        message: String,
        caller: &Caller,
        data: Vec<(&'static str, Value)>,
    ) -> Record {
        let id = EventId::v7(at, self.host.random());
        let user = Some(caller.name.clone());
        Record::Event(Box::new(Event { id, kind, severity, message, run: None, task: None, user, at, data }))
    }
}

fn entry(
    at: Moment,
    caller: &Caller,
    action: &Action,
    result: &'static str,
    reason: Option<String>,
    details: Vec<(&'static str, Value)>,
) -> Audit {
    Audit {
        at,
        uid: caller.uid,
        user: caller.name.clone(),
        method: caller.method,
        action: action.action,
        object: action.object,
        object_id: action.id.clone(),
        result,
        reason,
        request_id: caller.request_id.clone(),
        details,
    }
}
