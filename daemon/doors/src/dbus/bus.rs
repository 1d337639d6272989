//! The connection to the bus: made, kept, and made again when it breaks. Nothing of the daemon depends on it: a bus that is away costs
//! its own callers, nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::task::JoinSet;
use zbus::connection::Builder;
use zbus::fdo::{RequestNameFlags, RequestNameReply};
use zbus::message::Type;
use zbus::{Connection, MessageStream};

use super::call::{Around, Call, Places};
use super::lasting::lasting;
use super::{Bus, BusKind, NAME, dispatch, signals};
use crate::Door;

/// Pauses between tries to connect.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
];
/// A connection that lasted so long was a good one.
const SETTLED: Duration = Duration::from_secs(10);
/// How long the bus may take to answer us.
const BUS_ANSWERS: Duration = Duration::from_secs(25);

/// Serves until the daemon stops.
pub async fn serve(bus: Bus, door: Door) -> std::io::Result<()> {
    let (lasting, run_lasting) = lasting(door.closing.clone());
    let around = Around { kind: bus.kind, door, lasting };
    tokio::join!(run_lasting, keep_connected(&bus, &around));
    Ok(())
}

async fn keep_connected(bus: &Bus, around: &Around) {
    let mut closing = around.door.closing.clone();
    let mut tries = 0;
    while !*closing.borrow() {
        let begin = Instant::now();
        let (connected, problem) = once(bus, around).await;
        if *closing.borrow() {
            break;
        }
        // A bus that comes back is met at once; one that lets us in and throws us out again is given more and more time.
        tries = if connected && begin.elapsed() >= SETTLED { 0 } else { tries + 1 };
        match tries {
            _ if connected => tracing::warn!(problem, "the message bus is gone; connecting again"),
            1 => tracing::warn!(problem, "not on the message bus: D-Bus clients are not served until that works"),
            _ => tracing::debug!(problem, tries, "still not on the message bus"),
        }
        let pause = PAUSES[tries.min(PAUSES.len() - 1)];
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = closing.changed() => {}
        }
    }
}

/// One life of a connection: whether there was one, and how it ended.
async fn once(bus: &Bus, around: &Around) -> (bool, String) {
    let door = &around.door;
    let connection = match connect(bus).await {
        Ok(connection) => connection,
        Err(problem) => return (false, problem),
    };
    // The stream before the name: no call may come that nobody hears.
    let stream = MessageStream::from(&connection);
    if let Err(problem) = take_name(&connection).await {
        return (false, problem);
    }
    tracing::info!(name = NAME, bus = ?bus.kind, "on the message bus");
    let mut tasks = JoinSet::new();
    tasks.spawn(signals::follow(door.clone(), connection.clone()));
    let mut closing = door.closing.clone();
    let problem = tokio::select! {
        problem = receive(stream, &connection, around, &mut tasks) => problem,
        _ = closing.wait_for(|closing| *closing) => "slothd stops".to_owned(),
    };
    // What is being answered is let finish for a moment; who waits for a password does not hold up the stop.
    let drained = async { while tasks.join_next().await.is_some() {} };
    let grace = if *door.closing.borrow() { Duration::from_secs(2) } else { Duration::ZERO };
    let _ = tokio::time::timeout(grace, drained).await;
    tasks.shutdown().await;
    let _ = connection.close().await;
    (true, problem)
}

async fn connect(bus: &Bus) -> Result<Connection, String> {
    let builder = match (&bus.address, bus.kind) {
        (Some(address), _) => Builder::address(address.as_str()),
        (None, BusKind::System) => Builder::system(),
        (None, BusKind::Session) => Builder::session(),
    };
    let built = tokio::time::timeout(BUS_ANSWERS, builder.build()).await;
    built.map_err(|_| "the bus does not answer".to_owned())?.map_err(|error| error.to_string())
}

async fn take_name(connection: &Connection) -> Result<(), String> {
    match connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(()),
        Ok(_) | Err(zbus::Error::NameTaken) => {
            Err(format!("{NAME} belongs to somebody else on this bus: is there another slothd?"))
        }
        Err(error) => {
            Err(format!("{NAME} cannot be had: {error}; the bus policy is in /usr/share/dbus-1/system.d/{NAME}.conf"))
        }
    }
}

/// Takes calls until the connection ends. Never waits for an answer: replies to our own calls come on the same connection.
async fn receive(
    mut stream: MessageStream,
    connection: &Connection,
    around: &Around,
    tasks: &mut JoinSet<()>,
) -> String {
    let places = Arc::new(Places::default());
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a call could not be answered");
                }
                continue;
            }
        };
        let message = match message {
            None => return "the connection has ended".to_owned(),
            Some(Err(error)) => {
                tracing::debug!(%error, "a message from the bus could not be read");
                continue;
            }
            Some(Ok(message)) => message,
        };
        if message.message_type() != Type::MethodCall {
            continue;
        }
        match places.take(&message) {
            Ok(place) => {
                let call = Call::new(message, connection.clone(), around, place);
                tasks.spawn(dispatch::answer(call));
            }
            Err(refused) => {
                let connection = connection.clone();
                tasks.spawn(async move {
                    let _ = connection.send(&refused).await;
                });
            }
        }
    }
}
