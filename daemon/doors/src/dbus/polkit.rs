//! polkit: asked about the sender of a call as a name on the bus, which cannot be taken over by another process as a process id can.
//! Where there is no polkit the roles decide; where it is but cannot answer, nothing is allowed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sloth_api::ErrorCode;
use sloth_service::{Authority, Decision, Permission, Question, ServiceError, Verdict};
use tokio::sync::Mutex;
use zbus::{Connection, Message, Variant};

const NAME: &str = "org.freedesktop.PolicyKit1";
const PATH: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";

/// Errors that say that there is no polkit: not running and not installed, or switched off by the administrator.
const ABSENT: &[&str] = &[
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.systemd1.UnitMasked",
];

/// How long somebody has to enter a password.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long polkit may take when it asks nobody.
const MACHINE_PATIENCE: Duration = Duration::from_secs(25);

/// `AllowUserInteraction` of CheckAuthorization.
const ALLOW_INTERACTION: u32 = 1;

/// polkit about the sender of one call. What it said is not asked again for the same call.
#[derive(Debug)]
pub(super) struct Polkit {
    connection: Connection,
    sender: String,
    may_ask: bool,
    known: Mutex<Vec<(Question, Verdict)>>,
}

impl Polkit {
    pub(super) fn new(connection: Connection, sender: String, may_ask: bool) -> Polkit {
        Polkit { connection, sender, may_ask, known: Mutex::default() }
    }

    async fn verdict(&self, question: Question) -> Result<Verdict, ServiceError> {
        let mut known = self.known.lock().await;
        let same = |(asked, _): &&(Question, Verdict)| {
            (asked.permission, &asked.schedule, &asked.owner)
                == (question.permission, &question.schedule, &question.owner)
        };
        if let Some((_, verdict)) = known.iter().find(same) {
            return Ok(*verdict);
        }
        let verdict = self.ask(&question).await?;
        known.push((question, verdict));
        Ok(verdict)
    }

    async fn ask(&self, question: &Question) -> Result<Verdict, ServiceError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let cancellation = match self.may_ask {
            true => format!("slothd-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            false => String::new(),
        };
        let subject = ("system-bus-name", BTreeMap::from([("name", Variant::from(self.sender.as_str()))]));
        let flags = if self.may_ask { ALLOW_INTERACTION } else { 0 };
        let arguments = (subject, action(question.permission), details(question), flags, cancellation.as_str());
        let call = self.connection.call_method(Some(NAME), PATH, Some(INTERFACE), "CheckAuthorization", &arguments);
        let patience = if self.may_ask { PATIENCE } else { MACHINE_PATIENCE };
        if let Ok(reply) = tokio::time::timeout(patience, call).await {
            return read(reply);
        }
        if self.may_ask {
            let cancel = "CancelCheckAuthorization";
            let call = self.connection.call_method(Some(NAME), PATH, Some(INTERFACE), cancel, &cancellation);
            let _ = tokio::time::timeout(MACHINE_PATIENCE, call).await;
        }
        let message = format!("polkit did not decide within {} s", patience.as_secs());
        Err(ServiceError::new(ErrorCode::Denied, message).hint("call again; see the journal of polkit"))
    }
}

impl Authority for Polkit {
    fn decide(&self, question: Question) -> Decision<'_> {
        Box::pin(self.verdict(question))
    }
}

/// The action of a permission.
fn action(permission: Permission) -> String {
    format!("org.slothd.slothd1.{}", permission.word())
}

/// What rules and the dialogue can say: which schedule, whose, and what is to be done.
fn details(question: &Question) -> BTreeMap<&'static str, &str> {
    let all = [("schedule", &*question.schedule), ("owner", &*question.owner), ("permission", question.action)];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn read(reply: zbus::Result<Message>) -> Result<Verdict, ServiceError> {
    let unsure = |why: String| {
        ServiceError::new(ErrorCode::Denied, format!("polkit cannot decide: {why}"))
            .hint("is org.slothd.Slothd1.policy in /usr/share/polkit-1/actions? See the journal of polkit")
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if is_absence(&error) => return Ok(Verdict::Absent),
        Err(error) => return Err(unsure(error.to_string())),
    };
    let body = reply.body();
    let (authorized, challenge, _): (bool, bool, BTreeMap<String, String>) =
        body.deserialize::<((bool, bool, BTreeMap<String, String>),)>().map_err(|error| unsure(error.to_string()))?.0;
    Ok(match (authorized, challenge) {
        (true, _) => Verdict::Yes,
        (false, true) => Verdict::Challenge,
        (false, false) => Verdict::No,
    })
}

fn is_absence(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::MethodError(name, ..) => ABSENT.contains(&name.as_str()),
        zbus::Error::FDO(error) => ABSENT.contains(&zbus::DBusError::name(&**error).as_str()),
        _ => false,
    }
}
