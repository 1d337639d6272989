//! The connection to the service manager, and the few calls that the executor makes on it.
//!
//! It goes over the message bus. The manager's own socket (`systemd/private`) would save a hop and outlive a restart of the bus, but it
//! belongs to systemctl, and what it sends names a sender that is no unique name, which zbus rightly does not accept.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use futures_util::StreamExt;
use sloth_core::AttemptKey;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

use super::names::{PATTERN, attempt_of, object_path, unit_of_path};

pub(super) const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// A manager that does not answer for so long is as good as gone.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);
/// Signals that wait to be looked at.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// Which service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// PID 1.
    System,
    /// That of our user (`systemd --user`).
    User,
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A unit of this name is there.
    #[error("a unit of this name exists")]
    Exists,
    /// There is no such unit.
    #[error("there is no such unit")]
    NoUnit,
    /// We may not.
    #[error("systemd does not allow it: {0}")]
    Denied(String),
    /// It cannot now.
    #[error("systemd cannot do it now: {0}")]
    Busy(String),
    /// It does not understand or want it.
    #[error("systemd refuses it: {0}")]
    Refused(String),
    /// Nobody knows whether it was carried out.
    #[error("no answer from systemd: {0}")]
    Unknown(String),
}

/// Something happened to a unit of a run, of whichever instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It has ended, or is gone.
    Ended {
        key: AttemptKey,
        /// Whether it failed, and so stays.
        has_failed: bool,
    },
    /// The connection is.
    Closed(String),
}

/// What happens, as it comes; the connection is drained for as long as this lives.
#[derive(Debug)]
pub(super) struct Events {
    received: mpsc::Receiver<Event>,
    _listener: JoinSet<()>,
}

impl Events {
    /// The next one; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.received.recv().await
    }
}

/// A unit as the list of units has it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) key: AttemptKey,
    pub(super) description: String,
    pub(super) is_going: bool,
    pub(super) has_failed: bool,
}

/// Properties of a unit.
pub(super) type Facts = HashMap<String, OwnedVariant>;
/// Properties for a new unit.
pub(super) type Property<'a> = (&'static str, Variant<'a>);
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    connection: Connection,
}

impl Bus {
    /// Connects and listens.
    pub(super) async fn connect(manager: Manager) -> Result<(Bus, Events), CallError> {
        tokio::time::timeout(CONNECTING, Bus::open(manager))
            .await
            .unwrap_or_else(|_| Err(format!("no connection to the message bus within {CONNECTING:?}")))
            .map_err(CallError::Unknown)
    }

    async fn open(manager: Manager) -> Result<(Bus, Events), String> {
        let builder = match manager {
            Manager::System => Builder::system(),
            Manager::User => Builder::session(),
        };
        let failed = |error: zbus::Error| format!("the message bus: {error}");
        let connection = builder.method_timeout(PATIENCE).build().await.map_err(failed)?;
        let events = listen(&connection);
        for rule in [
            format!("type='signal',sender='{DESTINATION}',interface='{MANAGER}',path='{PATH}'"),
            format!("type='signal',sender='{DESTINATION}',interface='{PROPERTIES}',path_namespace='{PATH}/unit'"),
            format!("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{DESTINATION}'"),
        ] {
            let bus = Some("org.freedesktop.DBus");
            connection.call_method(bus, "/org/freedesktop/DBus", bus, "AddMatch", &rule).await.map_err(failed)?;
        }
        let bus = Bus { connection };
        bus.call(PATH, MANAGER, "Subscribe", &()).await.map_err(|error| error.to_string())?;
        Ok((bus, events))
    }

    /// Starts a unit. That PID 1 has it, not that it runs, is what an answer means.
    pub(super) async fn start(&self, unit: &str, properties: &[Property<'_>]) -> Result<(), CallError> {
        let no_others: [(&str, Vec<Property<'_>>); 0] = [];
        self.call(PATH, MANAGER, "StartTransientUnit", &(unit, "fail", properties, &no_others[..])).await?;
        Ok(())
    }

    /// Asks whether units may be started, by asking for one that cannot exist: the right is checked before the properties.
    pub(super) async fn ask_leave(&self) -> Result<(), CallError> {
        let unit = format!("sloth-probe-{}.service", std::process::id());
        match self.start(&unit, &[("SlothProbe", Variant::from("may I?"))]).await {
            Err(CallError::Refused(_)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Stops a unit: TERM to all of its processes, KILL when its time for that is over.
    pub(super) async fn stop(&self, unit: &str) -> Result<(), CallError> {
        self.call(PATH, MANAGER, "StopUnit", &(unit, "replace")).await?;
        Ok(())
    }

    /// Signals the main process.
    pub(super) async fn signal(&self, unit: &str, signal: i32) -> Result<(), CallError> {
        self.call(PATH, MANAGER, "KillUnit", &(unit, "main", signal)).await?;
        Ok(())
    }

    /// Lets go of a unit that failed.
    pub(super) async fn release(&self, unit: &str) -> Result<(), CallError> {
        self.call(PATH, MANAGER, "ResetFailedUnit", &unit).await?;
        Ok(())
    }

    /// All units of runs, of whichever instance.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, CallError> {
        let no_states: [&str; 0] = [];
        let answer = self.call(PATH, MANAGER, "ListUnitsByPatterns", &(&no_states[..], &[PATTERN][..])).await?;
        Ok(rows(&answer)?.into_iter().filter_map(listed).collect())
    }

    /// One unit as a list of units has it; `None` when there is none of that name.
    pub(super) async fn unit(&self, unit: &str) -> Result<Option<Listed>, CallError> {
        let rows = rows(&self.call(PATH, MANAGER, "ListUnitsByNames", &(&[unit][..],)).await?)?;
        // Names that nobody has are listed as well.
        Ok(rows.into_iter().find(|row| row.2 == "loaded").and_then(listed))
    }

    /// All properties of a unit. They are many: only for those that failed.
    pub(super) async fn facts(&self, unit: &str) -> Result<Facts, CallError> {
        let path = object_path(unit);
        let mut facts = Facts::new();
        for interface in [UNIT, SERVICE] {
            let answer = self.call(&path, PROPERTIES, "GetAll", &interface).await?;
            let part: Facts = answer.body().deserialize().map_err(|error| CallError::Refused(error.to_string()))?;
            facts.extend(part);
        }
        Ok(facts)
    }

    async fn call<B>(&self, path: &str, interface: &str, method: &str, body: &B) -> Result<Message, CallError>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.connection.call_method(Some(DESTINATION), path, Some(interface), method, body).await.map_err(call_error)
    }
}

/// Whether a unit in this state has not ended.
fn is_going(active_state: &str) -> bool {
    !matches!(active_state, "inactive" | "failed")
}

fn rows(answer: &Message) -> Result<Vec<Row>, CallError> {
    answer.body().deserialize().map_err(|error| CallError::Refused(error.to_string()))
}

fn listed(row: Row) -> Option<Listed> {
    let (name, description, _, active, .., job, _, _) = row;
    // A unit is inactive, too, until PID 1 gets to its start job.
    let is_going = is_going(&active) || job != 0;
    Some(Listed { key: attempt_of(&name)?, description, is_going, has_failed: active == "failed" })
}

/// Whether something is still to be done with the unit: property `Job`, a number that is 0 where there is none, and a path.
fn has_job(facts: &Facts) -> bool {
    let job = facts.get("Job").and_then(|value| <(u32, OwnedObjectPath)>::try_from(value.clone()).ok());
    job.is_some_and(|(number, _)| number != 0)
}

/// A text among the facts; empty when it is not there.
pub(super) fn text(facts: &Facts, name: &str) -> String {
    facts.get(name).and_then(|value| String::try_from(value.clone()).ok()).unwrap_or_default()
}

fn call_error(error: zbus::Error) -> CallError {
    let (name, message) = match &error {
        zbus::Error::MethodError(name, message, _) => (name.to_string(), message.clone().unwrap_or_default()),
        zbus::Error::FDO(inner) => {
            if let zbus::fdo::Error::ZBus(inner) = &**inner {
                return CallError::Unknown(inner.to_string());
            }
            use zbus::DBusError;
            (inner.name().to_string(), inner.description().unwrap_or_default().to_owned())
        }
        other => return CallError::Unknown(other.to_string()),
    };
    match name.rsplit('.').next().unwrap_or_default() {
        "UnitExists" => CallError::Exists,
        "NoSuchUnit" | "UnknownObject" => CallError::NoUnit,
        "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed" | "PermissionDenied" => {
            CallError::Denied(message)
        }
        "NoMemory" | "LimitsExceeded" | "ShuttingDown" | "TransactionIsDestructive" => CallError::Busy(message),
        "NoReply" | "Timeout" | "TimedOut" | "Disconnected" | "ServiceUnknown" | "NameHasNoOwner" => {
            CallError::Unknown(message)
        }
        _ => CallError::Refused(format!("{message} ({name})")),
    }
}

/// Passes on what concerns units of runs. The stream is always drained, as answers come through the same socket.
fn listen(connection: &Connection) -> Events {
    let (sender, received) = mpsc::channel(EVENTS_MAX.get());
    let mut stream = MessageStream::from(connection);
    stream.set_max_queued(EVENTS_MAX);
    let mut listener = JoinSet::new();
    listener.spawn(async move {
        while let Some(message) = stream.next().await {
            let event = match message {
                Ok(message) if message.message_type() == Type::Signal => event(&message),
                Ok(_) => None,
                Err(error) => Some(Event::Closed(error.to_string())),
            };
            if let Some(event) = event
                && sender.send(event).await.is_err()
            {
                return;
            }
        }
        let _ = sender.send(Event::Closed("systemd has closed the connection".to_owned())).await;
    });
    Events { received, _listener: listener }
}

fn event(message: &Message) -> Option<Event> {
    let header = message.header();
    match header.member()?.as_str() {
        "UnitRemoved" => {
            let body = message.body();
            let (unit, _): (String, OwnedObjectPath) = body.deserialize().ok()?;
            attempt_of(&unit).map(|key| Event::Ended { key, has_failed: false })
        }
        "PropertiesChanged" => {
            let key = attempt_of(&unit_of_path(header.path()?.as_str())?)?;
            let body = message.body();
            let (_, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) = body.deserialize().ok()?;
            let state = text(&changed, "ActiveState");
            (!state.is_empty() && !is_going(&state) && !has_job(&changed))
                .then(|| Event::Ended { key, has_failed: state == "failed" })
        }
        "NameOwnerChanged" => {
            let body = message.body();
            let (_, old, _): (String, String, String) = body.deserialize().ok()?;
            (!old.is_empty()).then(|| Event::Closed("systemd has left the bus".to_owned()))
        }
        _ => None,
    }
}

/// A descriptor as a property.
pub(super) fn descriptor<'a>(fd: BorrowedFd<'a>) -> Variant<'a> {
    Variant::Fd(zbus::Fd::Borrowed(fd))
}
