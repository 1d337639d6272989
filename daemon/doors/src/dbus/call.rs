//! A call from the bus on its way through the door, and how many there may be at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sloth_api::{BODY_BYTES_MAX, ErrorCode};
use sloth_service::{Caller, ServiceError, Uid};
use zbus::message::{Body, Flags};
use zbus::{Connection, DynamicType, Message};

use super::BusKind;
use super::lasting::Lasting;
use crate::Door;

/// Calls at once; one more is refused with `QueueFull`.
pub const CALLS_MAX: usize = 256;
/// Calls of one user at once, and so of one connection: who waits for a password must not keep others out.
const CALLS_PER_USER_MAX: usize = 64;

/// Why a call is not answered with what it asked for.
#[derive(Debug)]
pub(super) enum Refused {
    /// By the use case, in the words of the one error table.
    Service(ServiceError),
    /// By what D-Bus itself has names for: an object, interface, member or type that is not there.
    Standard(&'static str, String),
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Refused::Service(error)
    }
}

impl From<zbus::Error> for Refused {
    fn from(error: zbus::Error) -> Self {
        Refused::Service(ServiceError::new(ErrorCode::Internal, format!("the answer cannot be written: {error}")))
    }
}

impl Refused {
    pub(super) fn no_object(path: &str) -> Refused {
        Refused::Standard("org.freedesktop.DBus.Error.UnknownObject", format!("there is no object at {path}"))
    }

    pub(super) fn arguments(message: String) -> Refused {
        Refused::Standard("org.freedesktop.DBus.Error.InvalidArgs", message)
    }

    /// Name and text on the wire.
    pub(super) fn words(&self) -> (&'static str, String) {
        match self {
            Refused::Service(error) => (error.code.dbus_name(), error.to_string()),
            Refused::Standard(name, text) => (name, text.clone()),
        }
    }
}

pub(super) type Answer = Result<Message, Refused>;

/// What all calls have in common.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) kind: BusKind,
    pub(super) door: Door,
    pub(super) lasting: Lasting,
}

/// One call.
pub(super) struct Call {
    pub(super) message: Message,
    pub(super) connection: Connection,
    pub(super) kind: BusKind,
    pub(super) door: Door,
    pub(super) request_id: String,
    /// For what outlives the connection.
    pub(super) lasting: Lasting,
    body: Body,
    /// Held as long as the call is answered.
    pub(super) place: Place,
}

impl Call {
    pub(super) fn new(message: Message, connection: Connection, around: &Around, place: Place) -> Call {
        let body = message.body();
        let Around { kind, door, lasting } = around.clone();
        Call { message, connection, kind, door, request_id: crate::request_id("d"), lasting, body, place }
    }

    /// The arguments. Their signature was compared with the table before.
    pub(super) fn arguments<T: DeserializeOwned + zbus::Type>(&self) -> Result<T, Refused> {
        if self.body.len() > BODY_BYTES_MAX {
            let message = format!("the message is larger than {BODY_BYTES_MAX} bytes");
            return Err(ServiceError::new(ErrorCode::PayloadTooLarge, message).into());
        }
        self.body.deserialize().map_err(|error| Refused::arguments(error.to_string()))
    }

    /// Signature of the arguments, without parentheses around it.
    pub(super) fn signature(&self) -> String {
        self.body.signature().to_string_no_parens()
    }

    /// An answer with these values.
    pub(super) fn reply<B: Serialize + DynamicType>(&self, values: &B) -> Answer {
        Ok(Message::method_return(&self.message.header()).build(values)?)
    }

    /// An answer without any.
    pub(super) fn done(&self) -> Answer {
        self.reply(&())
    }

    /// A refusal as a message.
    pub(super) fn refusal(&self, refused: &Refused) -> zbus::Result<Message> {
        let (name, text) = refused.words();
        Message::error(&self.message.header(), name).build(&text)
    }

    pub(super) fn wants_no_reply(&self) -> bool {
        self.flags().contains(Flags::NO_REPLY_EXPECTED)
    }

    /// Whether the caller has time for somebody to enter a password.
    pub(super) fn may_ask(&self) -> bool {
        self.flags().contains(Flags::ALLOW_INTERACTIVE_AUTH)
    }

    fn flags(&self) -> Flags {
        self.message.primary_header().flags()
    }

    pub(super) fn path(&self) -> String {
        self.message.header().path().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn member(&self) -> String {
        self.message.header().member().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn interface(&self) -> Option<String> {
        self.message.header().interface().map(ToString::to_string)
    }

    pub(super) fn sender(&self) -> Option<String> {
        self.message.header().sender().map(ToString::to_string)
    }

    /// The use cases for a caller.
    pub(super) fn service(&self) -> &sloth_service::Service {
        &self.door.service
    }
}

/// A call whose caller is known.
pub(super) struct Known<'a> {
    pub(super) call: &'a Call,
    pub(super) who: Caller,
}

/// Who calls: a connection, and when the bus has told it, its user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    Connection(String),
    User(Uid),
}

/// How many calls are being answered, of each client.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<Client, usize>>);

/// One of them; given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    client: Client,
}

impl Places {
    /// A place for a call, or its refusal.
    pub(super) fn take(self: &Arc<Self>, message: &Message) -> Result<Place, Message> {
        let header = message.header();
        let client = Client::Connection(header.sender().map(ToString::to_string).unwrap_or_default());
        self.enter(client).map_err(|error| {
            let (name, text) = Refused::Service(error).words();
            error_reply(&header, name, &text)
        })
    }

    fn enter(self: &Arc<Self>, client: Client) -> Result<Place, ServiceError> {
        let mut taken = self.0.lock().unwrap_or_else(|e| e.into_inner());
        // Each call has the place of its connection, so these are all.
        let connections = taken.iter().filter(|(client, _)| matches!(client, Client::Connection(_)));
        let all: usize = connections.map(|(_, count)| count).sum();
        let own = taken.get(&client).copied().unwrap_or(0);
        let full = matches!(client, Client::Connection(_)) && all >= CALLS_MAX;
        if own < CALLS_PER_USER_MAX && !full {
            *taken.entry(client.clone()).or_default() += 1;
            return Ok(Place { places: self.clone(), client });
        }
        let message = format!("{own} of your calls are being answered, {all} in all");
        Err(ServiceError::new(ErrorCode::QueueFull, message).hint("wait for their answers"))
    }
}

impl Place {
    /// A place among those of the user, beside this one.
    pub(super) fn of_user(&self, uid: Uid) -> Result<Place, ServiceError> {
        self.places.enter(Client::User(uid))
    }
}

/// An error message; the names of the table are good names.
fn error_reply(header: &zbus::message::Header<'_>, name: &'static str, text: &str) -> Message {
    Message::error(header, name).build(&text).expect("a name of the table and a text make a message")
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_and_for_all_and_come_back() {
        let places = Arc::new(Places::default());
        let connection = |n: usize| Client::Connection(format!(":1.{n}"));
        let full = |client: &Client| {
            let taken: Vec<Place> = std::iter::from_fn(|| places.enter(client.clone()).ok()).collect();
            taken
        };
        let first = full(&connection(0));
        assert_eq!(first.len(), CALLS_PER_USER_MAX);
        // Another connection of the same user gets places, the user does not get more.
        let of_user = full(&Client::User(Uid(1000)));
        assert_eq!(of_user.len(), CALLS_PER_USER_MAX);
        assert_eq!(places.enter(Client::User(Uid(1000))).err().map(|error| error.code), Some(ErrorCode::QueueFull));
        assert!(places.enter(Client::User(Uid(1001))).is_ok());
        let others: Vec<Vec<Place>> = (1..10).map(|n| full(&connection(n))).collect();
        assert_eq!(first.len() + others.iter().map(Vec::len).sum::<usize>(), CALLS_MAX);
        drop((first, others, of_user));
        assert!(places.0.lock().expect("unpoisoned").is_empty(), "all are given back");
    }
}
