//! The task that holds the connection: connects, sends orders, passes reports on, and begins anew when it breaks. Sending never
//! waits for receiving, so an engine that gives orders before it reads reports cannot lock itself up.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sloth_core::AttemptKey;
use sloth_core::launch::{Known, Order, Report, Traces};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Options;
use super::starting::connect;
use crate::framing::{Inbox, encode};
use crate::inspect::inspect;
use crate::output_place::open_output;
use crate::wire::{FromSupervisor, LaunchItem, ToSupervisor, VERSION};

/// Inspections that wait for their turn.
pub(super) const INSPECTIONS_MAX: usize = 16_384;
/// Inspections done at the same time.
const INSPECTIONS_AT_ONCE: usize = 4;
/// How long a supervisor may take to introduce itself and list its attempts.
const GREETING: Duration = Duration::from_secs(10);
/// First and longest wait between two tries to get a supervisor.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Orders sent with one write.
const BATCH: usize = 32;

/// The link to the supervisor.
pub(super) struct Link {
    options: Options,
    orders: mpsc::Receiver<Order>,
    reports: mpsc::Sender<Report>,
    inspections: mpsc::Sender<Traces>,
}

/// Inspections that were put to the supervisor.
type Asked = Arc<Mutex<HashMap<AttemptKey, Traces>>>;

impl Link {
    pub(super) fn new(
        options: Options,
        orders: mpsc::Receiver<Order>,
        reports: mpsc::Sender<Report>,
        inspections: mpsc::Sender<Traces>,
    ) -> Link {
        Link { options, orders, reports, inspections }
    }

    /// Runs until the executor is dropped.
    pub(super) async fn run(mut self) {
        let mut is_down = false;
        let mut wait = RETRY.0;
        while !self.reports.is_closed() {
            let why = match self.open().await {
                Ok((receiver, sender, known)) => {
                    is_down = false;
                    wait = RETRY.0;
                    if self.reports.send(Report::Connected(known)).await.is_err() {
                        return;
                    }
                    match self.serve(receiver, sender).await {
                        Some(why) => why,
                        None => return,
                    }
                }
                Err(error) => error.to_string(),
            };
            if !is_down && self.reports.send(Report::Disconnected(why.clone())).await.is_err() {
                return;
            }
            if is_down {
                tracing::debug!(why, "the supervisor cannot be reached");
                sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
            }
            is_down = true;
        }
    }

    async fn open(&self) -> io::Result<(Receiver, OwnedWriteHalf, Vec<Known>)> {
        let stream = connect(&self.options).await?;
        match timeout(GREETING, greet(stream)).await {
            Ok(greeted) => greeted,
            Err(_) => Err(io::Error::other(format!("the supervisor did not answer within {GREETING:?}"))),
        }
    }

    /// Serves one connection; returns why it ended, or `None` when the executor was dropped.
    async fn serve(&mut self, receiver: Receiver, sender: OwnedWriteHalf) -> Option<String> {
        let asked = Asked::default();
        let receiving = receive(receiver, self.reports.clone(), self.inspections.clone(), asked.clone());
        let sending = send(sender, &self.options.data, &mut self.orders, asked);
        tokio::select! {
            why = receiving => why,
            why = sending => why,
        }
    }
}

/// Carries out inspections that the supervisor knows nothing of, in threads, as they read files and may wait for deaths.
pub(super) async fn run_inspections(data: PathBuf, mut asked: mpsc::Receiver<Traces>, reports: mpsc::Sender<Report>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(done) = running.join_next() => {
                let Ok((key, finding)) = done else { continue };
                if reports.send(Report::Inspected { key, finding }).await.is_err() {
                    return;
                }
            }
            next = asked.recv(), if running.len() < INSPECTIONS_AT_ONCE => {
                let Some(traces) = next else { return };
                let data = data.clone();
                running.spawn_blocking(move || (traces.key, inspect(&data, &traces)));
            }
        }
    }
}

/// The receiving half.
struct Receiver {
    half: OwnedReadHalf,
    inbox: Inbox,
    buffer: Vec<u8>,
}

impl Receiver {
    async fn next(&mut self) -> io::Result<FromSupervisor> {
        loop {
            if let Some(message) = self.inbox.next_message().map_err(io::Error::other)? {
                return serde_json::from_slice(message).map_err(io::Error::other);
            }
            match self.half.read(&mut self.buffer).await? {
                0 => return Err(io::Error::other("the supervisor has closed the connection")),
                read => self.inbox.push(&self.buffer[..read]),
            }
        }
    }
}

async fn greet(stream: UnixStream) -> io::Result<(Receiver, OwnedWriteHalf, Vec<Known>)> {
    let (half, mut sender) = stream.into_split();
    let mut hello = Vec::new();
    encode(&ToSupervisor::Hello { version: VERSION }, &mut hello).map_err(io::Error::other)?;
    sender.write_all(&hello).await?;
    let mut receiver = Receiver { half, inbox: Inbox::default(), buffer: vec![0; 64 << 10] };
    let mut known = Vec::new();
    loop {
        match receiver.next().await? {
            FromSupervisor::Hello { version: VERSION, .. } => {}
            FromSupervisor::Hello { version, pid } => {
                let why =
                    format!("the supervisor (pid {pid}) speaks protocol version {version}, this slothd {VERSION}");
                return Err(io::Error::other(why));
            }
            FromSupervisor::Known { list, last } => {
                known.extend(list.into_iter().map(|item| item.0));
                if last {
                    return Ok((receiver, sender, known));
                }
            }
            FromSupervisor::Note(text) => tracing::warn!("supervisor: {text}"),
            other => return Err(io::Error::other(format!("unexpected greeting {other:?}"))),
        }
    }
}

async fn send(
    mut sender: OwnedWriteHalf,
    data: &Path,
    orders: &mut mpsc::Receiver<Order>,
    asked: Asked,
) -> Option<String> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut bytes = Vec::new();
    loop {
        if orders.recv_many(&mut batch, BATCH).await == 0 {
            return None;
        }
        make_places(data, &batch).await;
        for order in batch.drain(..) {
            if let Err(error) = encode(&message(order, &asked), &mut bytes) {
                // The engine bounds commands far below this; the attempt stays unknown and will be inspected.
                tracing::error!(%error, "an order cannot be sent");
            }
        }
        if let Err(error) = sender.write_all(&bytes).await {
            return Some(format!("the supervisor is gone: {error}"));
        }
        bytes.clear();
        bytes.shrink_to(1 << 20);
    }
}

/// Makes the output files of these launches. The supervisor would, but it has one thread, and making a directory and a file is a third
/// of what a start costs it. What goes wrong here goes wrong there as well, and is reported then.
async fn make_places(data: &Path, orders: &[Order]) {
    let outputs: Vec<PathBuf> = (orders.iter())
        .filter_map(|order| match order {
            Order::Prepare(launch) => Some(launch.output.clone()),
            _ => None,
        })
        .collect();
    if outputs.is_empty() {
        return;
    }
    let data = data.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        let Ok(data) = std::fs::File::open(data) else { return };
        for output in outputs {
            let _ = open_output(&data, &output);
        }
    });
    let _ = made.await;
}

fn message(order: Order, asked: &Asked) -> ToSupervisor {
    match order {
        Order::Prepare(launch) => ToSupervisor::Prepare(Box::new(LaunchItem(*launch))),
        Order::Release(key) => ToSupervisor::Release(key),
        Order::Discard(key) => ToSupervisor::Discard(key),
        Order::Kill { key, grace } => ToSupervisor::Kill { key, grace },
        Order::Forget(key) => ToSupervisor::Forget(key),
        Order::Inspect(traces) => {
            let key = traces.key;
            asked.lock().unwrap_or_else(PoisonError::into_inner).insert(key, *traces);
            ToSupervisor::Query(key)
        }
    }
}

async fn receive(
    mut receiver: Receiver,
    reports: mpsc::Sender<Report>,
    inspections: mpsc::Sender<Traces>,
    asked: Asked,
) -> Option<String> {
    let answered = |key| asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    loop {
        let report = match receiver.next().await {
            Ok(FromSupervisor::Prepared { key, process }) => Report::Prepared { key, process },
            Ok(FromSupervisor::Refused { key, failure }) => Report::Refused { key, failure },
            Ok(FromSupervisor::Started { key, at }) => Report::Started { key, at },
            Ok(FromSupervisor::Ended { key, end }) => Report::Ended { key, end },
            Ok(FromSupervisor::Unknown(key)) => {
                if let Some(traces) = answered(key)
                    && inspections.send(traces).await.is_err()
                {
                    return None;
                }
                continue;
            }
            Ok(FromSupervisor::Note(text)) => {
                tracing::warn!("supervisor: {text}");
                continue;
            }
            Ok(other) => return Some(format!("the supervisor said {other:?}")),
            Err(error) => return Some(error.to_string()),
        };
        if let Report::Prepared { key, .. } | Report::Refused { key, .. } | Report::Ended { key, .. } = &report {
            answered(*key);
        }
        if reports.send(report).await.is_err() {
            return None;
        }
    }
}
