//! Keeps the connection: says hello, sends records and requests, reads acknowledgements, answers and orders, and
//! connects again when it breaks.

use std::io;
use std::time::Duration;

use sloth_api::worker::{Errand, PROTOCOL, ToSlothd, ToWorker};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Link, ORDERS_MAX, Opened, PAUSES, frames};

/// Longest message of records, bytes.
const BATCH_MAX: usize = 1 << 20;

/// Until the assignment is there, this is how long slothd is looked for.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// How long to look when the daemon does not say.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why a connection ended.
enum Ended {
    /// It broke; another one may work.
    Broke(io::Error),
    /// There is no sense in another one.
    Refused(String),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Broke(error)
    }
}

struct Keeper {
    link: Link,
    errand: Errand,
    opened: Option<oneshot::Sender<Result<Opened, String>>>,
    orders: Option<mpsc::Sender<ToWorker>>,
    patience: Duration,
}

pub(super) async fn keep(link: Link, errand: Errand, opened: oneshot::Sender<Result<Opened, String>>) {
    let mut keeper = Keeper { link, errand, opened: Some(opened), orders: None, patience: FIRST_PATIENCE };
    let why = keeper.run().await;
    keeper.link.lose(&why);
    if let Some(opened) = keeper.opened.take() {
        // The main thread is waiting, or has been told to end.
        let _ = opened.send(Err(why));
    }
}

impl Keeper {
    /// Until the link is lost for good; why.
    async fn run(&mut self) -> String {
        let mut since = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let mut was_up = false;
            let error = match self.connect(&mut was_up).await {
                Ended::Refused(why) => return why,
                Ended::Broke(error) => error,
            };
            if was_up {
                since = Instant::now();
                pause = PAUSES.0;
            }
            if since.elapsed() + pause > self.patience {
                return format!("{}: {error}", self.errand.socket);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&mut self, was_up: &mut bool) -> Ended {
        match self.try_connect(was_up).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn try_connect(&mut self, was_up: &mut bool) -> Result<std::convert::Infallible, Ended> {
        let (mut reader, mut writer) = UnixStream::connect(&self.errand.socket).await?.into_split();
        let hello = ToSlothd::Hello {
            protocol: PROTOCOL,
            run: self.errand.run.clone(),
            worker: self.errand.worker,
            token: self.errand.token.clone(),
            fresh: self.opened.is_some(),
        };
        send(&mut writer, &hello).await?;
        self.greet(read(&mut reader).await?)?;
        *was_up = true;
        tokio::select! {
            ended = write_all(&self.link, &mut writer) => Err(ended),
            ended = read_all(&self.link, &mut reader, self.orders.as_ref()) => Err(ended),
        }
    }

    fn greet(&mut self, answer: ToWorker) -> Result<(), Ended> {
        match answer {
            ToWorker::Begin { assignment } => {
                let Some(opened) = self.opened.take() else {
                    return Err(Ended::Refused("slothd has begun the run anew".to_owned()));
                };
                let told = assignment.limits.reconnect_timeout_ms;
                self.patience = if told == 0 { PATIENCE } else { Duration::from_millis(told) };
                self.link.begin_at(assignment.next_seq);
                let (sender, orders) = mpsc::channel(ORDERS_MAX);
                self.orders = Some(sender);
                if opened.send(Ok(Opened { assignment: *assignment, orders })).is_err() {
                    return Err(Ended::Refused("the worker ends".to_owned()));
                }
            }
            ToWorker::Welcome { upto } => self.link.acknowledge(upto),
            ToWorker::Refused { code, message } => return Err(Ended::Refused(format!("{message} ({code})"))),
            other => return Err(Ended::Refused(format!("not an answer to a hello: {other:?}"))),
        }
        self.link.lock().renew();
        Ok(())
    }
}

async fn send(writer: &mut OwnedWriteHalf, message: &ToSlothd) -> io::Result<()> {
    let text = serde_json::to_vec(message).map_err(io::Error::other)?;
    frames::write(writer, &text).await
}

async fn read(reader: &mut OwnedReadHalf) -> Result<ToWorker, Ended> {
    let Some(message) = frames::read(reader).await? else {
        return Err(Ended::Broke(io::ErrorKind::UnexpectedEof.into()));
    };
    serde_json::from_slice(&message).map_err(|error| Ended::Refused(format!("unreadable message: {error}")))
}

async fn write_all(link: &Link, writer: &mut OwnedWriteHalf) -> Ended {
    loop {
        while let Some(message) = next_message(link) {
            if let Err(error) = frames::write(writer, &message).await {
                return Ended::Broke(error);
            }
        }
        link.shared.filled.notified().await;
    }
}

/// The next thing to send: requests before records, as somebody waits for them.
fn next_message(link: &Link) -> Option<Vec<u8>> {
    let mut state = link.lock();
    while let Some(id) = state.unasked.pop_front() {
        if let Some(ask) = state.asks.get(&id) {
            let ask = ToSlothd::Ask { id, what: ask.what.clone(), body: ask.body.clone() };
            return Some(serde_json::to_vec(&ask).expect("requests are made of JSON values"));
        }
    }
    state.backlog.take_message(BATCH_MAX)
}

async fn read_all(link: &Link, reader: &mut OwnedReadHalf, orders: Option<&mpsc::Sender<ToWorker>>) -> Ended {
    loop {
        match read(reader).await {
            Ok(ToWorker::Ack { upto } | ToWorker::Welcome { upto }) => link.acknowledge(upto),
            Ok(ToWorker::Answer { id, ok, refused }) => {
                link.answered(id, refused.map_or(Ok(ok.unwrap_or_default()), Err));
            }
            Ok(ToWorker::Refused { code, message }) => return Ended::Refused(format!("{message} ({code})")),
            Ok(order @ (ToWorker::Pause | ToWorker::Unpause | ToWorker::Cancel { .. })) => {
                // If the run's thread has gone, there is nothing left to be told.
                if let Some(orders) = orders {
                    let _ = orders.send(order).await;
                }
            }
            Ok(ToWorker::Begin { .. }) => return Ended::Refused("slothd has begun the run anew".to_owned()),
            Err(ended) => return ended,
        }
    }
}
