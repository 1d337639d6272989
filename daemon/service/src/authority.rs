//! Somebody who decides in place of the roles: polkit, for callers on the system bus. The service says what is to be decided; the door
//! knows whom to ask. Without an authority, or when it is not there, roles decide: administrators everything, others their own.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sloth_api::ErrorCode;

use crate::access::Action;
use crate::{Caller, Service, ServiceError, Uid};

/// What polkit actions speak of, in the order from harmless to powerful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read one's own.
    Read,
    /// Run one's own schedule.
    Run,
    /// Cancel a run of one's own.
    Cancel,
    /// Change one's own schedules.
    ManageOwn,
    /// Whatever with objects of others.
    ManageAll,
    /// The daemon itself, and schedules that run as somebody else.
    ManageDaemon,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 6] = [
        Permission::Read,
        Permission::Run,
        Permission::Cancel,
        Permission::ManageOwn,
        Permission::ManageAll,
        Permission::ManageDaemon,
    ];

    /// The last word of the polkit action.
    pub fn word(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Run => "run",
            Permission::Cancel => "cancel",
            Permission::ManageOwn => "manage-own",
            Permission::ManageAll => "manage-all",
            Permission::ManageDaemon => "manage-daemon",
        }
    }

    /// What an action on an object needs.
    fn for_object(action: &str, own: bool) -> Permission {
        match action {
            _ if !own => Permission::ManageAll,
            "run:create" => Permission::Run,
            "run:cancel" => Permission::Cancel,
            reading if reading.ends_with(":read") || reading.ends_with(":list") => Permission::Read,
            _ => Permission::ManageOwn,
        }
    }
}

/// What is to be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Needed.
    pub permission: Permission,
    /// For this, `run:create`.
    pub action: &'static str,
    /// With the schedule of this name, without its owner; empty: with none.
    pub schedule: String,
    /// Whose it is; empty: nobody's.
    pub owner: String,
}

/// How it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Yes,
    /// Not allowed.
    No,
    /// After somebody has authenticated, for which this request left no room.
    Challenge,
    /// There is no authority: roles decide.
    Absent,
}

/// An answer that takes its time.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<Verdict, ServiceError>> + Send + 'a>>;

/// Who decides about the caller of one request.
pub trait Authority: Debug + Send + Sync {
    /// Decides. An error is a refusal: it was not to be learnt.
    fn decide(&self, question: Question) -> Decision<'_>;
}

/// The authority of a request.
pub type SharedAuthority = Arc<dyn Authority>;

impl Service {
    /// Whether the caller may do this with an object of that owner.
    pub(crate) async fn verdict_on(
        &self,
        caller: &Caller,
        owner: Uid,
        action: &Action,
    ) -> Result<Verdict, ServiceError> {
        let own = caller.uid == owner;
        let Some(authority) = caller.authority.as_ref().filter(|_| caller.uid.0 != 0) else {
            return Ok(by_role(caller.admin || own));
        };
        let question = Question {
            permission: Permission::for_object(action.action, own),
            action: action.action,
            schedule: bare(&action.schedule),
            owner: self.host.user_name(owner).unwrap_or_else(|| format!("uid {owner}")),
        };
        match authority.decide(question).await? {
            Verdict::Absent => Ok(by_role(caller.admin || own)),
            verdict => Ok(verdict),
        }
    }

    /// Whether the caller may do what concerns everybody.
    pub(crate) async fn verdict_on_daemon(&self, caller: &Caller, action: &Action) -> Result<Verdict, ServiceError> {
        let Some(authority) = caller.authority.as_ref().filter(|_| caller.uid.0 != 0) else {
            return Ok(by_role(caller.admin));
        };
        let question = Question {
            permission: Permission::ManageDaemon,
            action: action.action,
            schedule: bare(&action.schedule),
            owner: String::new(),
        };
        match authority.decide(question).await? {
            Verdict::Absent => Ok(by_role(caller.admin)),
            verdict => Ok(verdict),
        }
    }

    /// What would be decided about a permission: `schedule` is a name, or empty for none of the caller's own. `None`: it does not apply,
    /// as there is no such schedule. Nothing is recorded.
    pub async fn may(
        &self,
        caller: &Caller,
        permission: Permission,
        schedule: &str,
    ) -> Result<Option<Verdict>, ServiceError> {
        let word = match permission {
            Permission::Read => "schedule:read",
            Permission::Run => "run:create",
            Permission::Cancel => "run:cancel",
            Permission::ManageOwn => "schedule:update",
            Permission::ManageAll => "schedule:update",
            Permission::ManageDaemon => "daemon:manage",
        };
        let action = Action::new(word, "schedule", schedule);
        if permission == Permission::ManageDaemon {
            return self.verdict_on_daemon(caller, &action).await.map(Some);
        }
        if schedule.is_empty() {
            let nobody = Uid(u32::MAX);
            let owner = if permission == Permission::ManageAll { nobody } else { caller.uid };
            return self.verdict_on(caller, owner, &action).await.map(Some);
        }
        let (user, bare) = schedule.split_once('/').map_or((None, schedule), |(user, bare)| (Some(user), bare));
        let owner = match user {
            None => Some(caller.uid),
            Some(user) => self.host.user_id(user),
        };
        let verdict = self.verdict_on(caller, owner.unwrap_or(Uid(u32::MAX)), &action).await?;
        // Whether others' schedules exist is told only to those who may see them.
        match owner {
            Some(owner) if self.store.schedule_by_name(owner, bare)?.is_some() => Ok(Some(verdict)),
            _ if verdict == Verdict::Yes || owner == Some(caller.uid) => Ok(None),
            _ => Ok(Some(verdict)),
        }
    }
}

/// The name without its owner, who is told beside it.
fn bare(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn by_role(may: bool) -> Verdict {
    if may { Verdict::Yes } else { Verdict::No }
}

/// The refusal that belongs to a verdict.
pub(crate) fn refusal(verdict: Verdict, message: String, permission: &str, hint: &str) -> ServiceError {
    let error = ServiceError::new(ErrorCode::Denied, message).with("permission", permission);
    match verdict {
        Verdict::Challenge => error.hint("authenticate: allow interactive authorization with the call"),
        _ => error.hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_others_need_more() {
        assert_eq!(Permission::for_object("run:create", true), Permission::Run);
        assert_eq!(Permission::for_object("run:read", true), Permission::Read);
        assert_eq!(Permission::for_object("schedule:update", true), Permission::ManageOwn);
        assert_eq!(Permission::for_object("schedule:read", false), Permission::ManageAll);
    }
}
