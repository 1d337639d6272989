//! The way to slothd: records that become durable, requests that are answered, orders that arrive. A thread of its own
//! keeps the connection; everybody else speaks to a [`Link`], which never waits for the network.

mod backlog;
mod connection;
mod frames;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sloth_api::worker::{Assignment, Errand, Record, Refusal, ToWorker};
use sloth_lua::{BoxFuture, Daemon, Trouble};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use backlog::Backlog;

/// Orders of slothd that wait for the run's thread.
const ORDERS_MAX: usize = 256;

/// Unacknowledged records above which whoever adds one waits, bytes.
const BACKLOG_MAX: usize = 64 << 20;

/// The handle. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to send.
    filled: Notify,
    /// The backlog became shorter, or the link is lost.
    drained: Condvar,
    durable: watch::Sender<Progress>,
}

struct State {
    backlog: Backlog,
    asks: BTreeMap<u64, Ask>,
    next_ask: u64,
    /// Requests that the present connection has not seen.
    unasked: VecDeque<u64>,
    lost: Option<String>,
    /// Concurrency keys that are held: bodies of the requests that got them. A slothd that was restarted has forgotten
    /// them, so they are asked for again on each connection.
    keys: Vec<Value>,
    /// There is no daemon: what is recorded counts as durable, and requests are refused.
    alone: bool,
}

impl State {
    /// A new connection has seen nothing of what is open.
    fn renew(&mut self) {
        self.backlog.rewind();
        for body in std::mem::take(&mut self.keys) {
            let id = self.next_ask;
            self.next_ask += 1;
            // Nobody waits: it is granted at once where it is still held.
            let (answer, _) = oneshot::channel();
            self.asks.insert(id, Ask { what: "key.acquire".to_owned(), body, answer });
        }
        self.unasked = self.asks.keys().copied().collect();
    }
}

struct Ask {
    what: String,
    body: Value,
    answer: oneshot::Sender<Result<Value, Trouble>>,
}

/// How far the journal is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Highest durable number.
    pub upto: u64,
    /// Why nothing will become durable any more.
    pub lost: Option<String>,
}

/// What the run's thread gets at the start.
pub struct Opened {
    /// What to do.
    pub assignment: Assignment,
    /// `Pause`, `Unpause`, `Cancel`.
    pub orders: mpsc::Receiver<ToWorker>,
}

impl Link {
    /// A link and the future that keeps it, to be run until it is no longer needed. The assignment arrives through the
    /// channel.
    pub fn new(errand: Errand) -> (Link, impl Future<Output = ()>, oneshot::Receiver<Result<Opened, String>>) {
        let state = State {
            backlog: Backlog::default(),
            asks: BTreeMap::new(),
            next_ask: 1,
            unasked: VecDeque::new(),
            lost: None,
            keys: Vec::new(),
            alone: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            filled: Notify::new(),
            drained: Condvar::new(),
            durable: watch::Sender::new(Progress::default()),
        });
        let (opened, waiting) = oneshot::channel();
        let link = Link { shared };
        let keeper = connection::keep(link.clone(), errand, opened);
        (link, keeper, waiting)
    }

    /// Appends a record and gives its number. Waits while too much is not acknowledged.
    pub fn append(&self, at: i64, record: Record) -> u64 {
        let mut state = self.lock();
        while state.backlog.bytes() > BACKLOG_MAX && state.lost.is_none() {
            state = self.shared.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let seq = state.backlog.push(at, record);
        let is_alone = state.alone;
        drop(state);
        if is_alone {
            self.acknowledge(seq);
            return seq;
        }
        self.shared.filled.notify_one();
        seq
    }

    /// Follows how far the journal is durable.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.durable.subscribe()
    }

    /// Waits until a record is durable.
    pub async fn durable(&self, seq: u64) -> Result<(), Trouble> {
        let mut progress = self.progress();
        let reached = progress.wait_for(|progress| progress.upto >= seq || progress.lost.is_some()).await;
        match reached.map(|progress| progress.clone()) {
            Ok(progress) if progress.upto >= seq => Ok(()),
            Ok(progress) => Err(lost(progress.lost.as_deref().unwrap_or_default())),
            Err(_) => Err(lost("the worker ends")),
        }
    }

    /// A link of nobody, for looking at files.
    pub fn standalone() -> Link {
        let nobody = Errand { socket: String::new(), run: String::new(), worker: 0, token: String::new() };
        let (link, keeper, opened) = Link::new(nobody);
        drop((keeper, opened));
        link.lock().alone = true;
        link
    }

    /// Numbers of the journal begin here.
    fn begin_at(&self, next_seq: u64) {
        self.lock().backlog.begin_at(next_seq);
    }

    fn acknowledge(&self, upto: u64) {
        self.lock().backlog.acknowledge(upto);
        self.shared.drained.notify_all();
        self.shared.durable.send_if_modified(|progress| {
            let is_further = upto > progress.upto;
            progress.upto = progress.upto.max(upto);
            is_further
        });
    }

    /// The link cannot be had any more.
    fn lose(&self, why: &str) {
        let asks = {
            let mut state = self.lock();
            state.lost.get_or_insert_with(|| why.to_owned());
            std::mem::take(&mut state.asks)
        };
        for ask in asks.into_values() {
            // Whoever asked may have gone.
            let _ = ask.answer.send(Err(lost(why)));
        }
        self.shared.drained.notify_all();
        self.shared.durable.send_modify(|progress| progress.lost = Some(why.to_owned()));
    }

    fn answered(&self, id: u64, answer: Result<Value, Refusal>) {
        let ask = {
            let mut state = self.lock();
            let ask = state.asks.remove(&id);
            if let Some(ask) = ask.as_ref().filter(|ask| ask.what == "key.acquire" && answer.is_ok()) {
                state.keys.push(ask.body.clone());
            }
            ask
        };
        if let Some(ask) = ask {
            let answer = answer.map_err(|refusal| Trouble { code: refusal.code, message: refusal.message });
            // Whoever asked may have been cancelled.
            let _ = ask.answer.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Daemon for Link {
    fn ask(&self, what: &'static str, body: Value) -> BoxFuture<Result<Value, Trouble>> {
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            let alone = state.alone.then_some("there is no daemon in this mode");
            if let Some(why) = state.lost.as_deref().or(alone) {
                let trouble = lost(why);
                return Box::pin(std::future::ready(Err(trouble)));
            }
            if what == "key.release" {
                state.keys.retain(|held| held.get("key") != body.get("key") || held.get("task") != body.get("task"));
            }
            let id = state.next_ask;
            state.next_ask += 1;
            state.asks.insert(id, Ask { what: what.to_owned(), body, answer: sender });
            state.unasked.push_back(id);
        }
        self.shared.filled.notify_one();
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(lost("the worker ends"))) })
    }

    fn journal(&self, kind: &'static str, body: Value) -> BoxFuture<Result<(), Trouble>> {
        let record = match kind {
            "definition_call" => Record::DefinitionCall {
                function: text_of(&body, "function"),
                arguments: text_of(&body, "arguments"),
                results: body.get("results").cloned().unwrap_or(Value::Null),
            },
            "event" => {
                Record::Event { name: text_of(&body, "name"), data: body.get("data").cloned().unwrap_or(Value::Null) }
            }
            _ => Record::Note { what: kind.to_owned(), data: body },
        };
        let seq = self.append(crate::clock::millis(), record);
        let link = self.clone();
        Box::pin(async move { link.durable(seq).await })
    }
}

fn text_of(body: &Value, key: &str) -> String {
    body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn lost(why: &str) -> Trouble {
    Trouble { code: "unavailable".to_owned(), message: format!("slothd cannot be reached: {why}") }
}

/// First and longest pause between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
