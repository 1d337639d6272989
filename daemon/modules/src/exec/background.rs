//! Commands in the background. Each has a number, by which the script's handle knows it; all end with the run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sloth_exec::command::Tree;
use sloth_lua::{Cancel, CancelKind, Ctx, Data, Failure};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::attempt::{Bounds, follow};
use super::output::Lines;
use super::result::ExecResult;
use super::spec::{CommandSpec, Stdin};
use super::start::{Given, NotStarted, start};

/// Unread bytes kept for `read`; later ones are only in the result.
const UNREAD_MAX: usize = 16 << 20;

/// One.
pub struct Background {
    /// Its process; `None` when there is none.
    pub pid: Option<u32>,
    tree: Option<Tree>,
    cancel: Cancel,
    stdin: tokio::sync::Mutex<Option<ChildStdin>>,
    unread: Mutex<Vec<u8>>,
    arrived: Notify,
    /// Lines for `exec.lines`.
    pub lines: Lines,
    end: watch::Receiver<Option<ExecResult>>,
}

static KNOWN: Mutex<BTreeMap<u64, Arc<Background>>> = Mutex::new(BTreeMap::new());
static TASKS: Mutex<Option<JoinSet<()>>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Starts one. `lines`: somebody takes its lines one by one.
pub fn launch(mut spec: CommandSpec, ctx: &Arc<Ctx>, lines: bool) -> (u64, Arc<Background>) {
    if spec.stdin == Stdin::Empty && !lines {
        spec.stdin = Stdin::Pipe;
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (done, end) = watch::channel(None);
    let empty = || Background {
        pid: None,
        tree: None,
        cancel: Cancel::default(),
        stdin: tokio::sync::Mutex::new(None),
        unread: Mutex::new(Vec::new()),
        arrived: Notify::new(),
        lines: Lines::closed(),
        end: end.clone(),
    };
    if let Some(result) = super::run::skip(&spec, ctx) {
        done.send_replace(Some(result));
        return keep(id, empty());
    }
    let mut started = match start(&spec, ctx, Given::default()) {
        Ok(started) => started,
        Err(NotStarted { code, message }) => {
            done.send_replace(Some(ExecResult::not_started(spec.display(), code, message)));
            return keep(id, empty());
        }
    };
    let stdin = if spec.stdin == Stdin::Pipe { started.child.stdin.take() } else { None };
    let background = Background {
        pid: Some(started.pid),
        tree: Tree::of(started.pid, Some(started.mark.clone())),
        stdin: tokio::sync::Mutex::new(stdin),
        lines: if lines { Lines::open() } else { Lines::closed() },
        ..empty()
    };
    let (id, background) = keep(id, background);
    let bounds = Bounds {
        cancel: background.cancel.clone(),
        deadline: spec.timeout.map(|limit| Instant::now() + limit),
        background: Some(Arc::clone(&background)),
    };
    let ctx = Arc::clone(ctx);
    let work = async move {
        let background = bounds.background.clone();
        let began = Instant::now();
        let mut result = follow(started, &spec, &ctx, bounds, began).await;
        result.duration = began.elapsed();
        done.send_replace(Some(result));
        if let Some(background) = background {
            background.lines.close();
            background.arrived.notify_waiters();
        }
    };
    TASKS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(JoinSet::new).spawn(work);
    (id, background)
}

fn keep(id: u64, background: Background) -> (u64, Arc<Background>) {
    let background = Arc::new(background);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&background));
    (id, background)
}

/// The one of this number.
pub fn find(id: Option<i64>) -> Result<Arc<Background>, Failure> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let id = id.and_then(|id| u64::try_from(id).ok());
    id.and_then(|id| known.get(&id).cloned()).ok_or_else(|| Failure::new("no such background command"))
}

/// Ends all background commands, as the run is over, and waits for them. Called by the worker at the end of the run.
pub async fn end_background(reason: &str) {
    let known = std::mem::take(&mut *KNOWN.lock().unwrap_or_else(PoisonError::into_inner));
    for background in known.values() {
        background.cancel.cancel(CancelKind::Cancelled(reason.to_owned()));
    }
    let tasks = TASKS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut tasks) = tasks {
        while tasks.join_next().await.is_some() {}
    }
}

impl Background {
    /// Its result when it has ended within this time; a failure when it has not, or when the caller is cancelled before.
    pub async fn wait(&self, limit: Option<Duration>, cancel: &Cancel) -> Result<ExecResult, Failure> {
        let mut end = self.end.clone();
        let ended = async {
            let _ = end.wait_for(Option::is_some).await;
            end.borrow().clone()
        };
        let expired = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = ended => result.ok_or_else(|| Failure::new("the run is over")),
            () = expired => Err(Failure { kind: Some("timeout"), ..Failure::new("it is still running") }),
            _ = cancel.cancelled() => Err(Failure { kind: Some("cancelled"), ..Failure::new("cancelled") }),
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.end.borrow().is_none()
    }

    /// A signal to its whole tree. KILL and TERM also count as its end by somebody.
    pub fn signal(&self, signal: i32) -> bool {
        match &self.tree {
            Some(tree) if self.is_running() => {
                if signal == sloth_exec::command::KILL {
                    while !tree.kill() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                } else {
                    tree.signal(signal);
                }
                true
            }
            _ => false,
        }
    }

    /// What it wrote to standard output since the last call; waits for something. `None`: it has ended and all was read.
    pub async fn read(&self, cancel: &Cancel) -> Option<Vec<u8>> {
        loop {
            let arrived = self.arrived.notified();
            let unread = std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner));
            if !unread.is_empty() {
                return Some(unread);
            }
            if !self.is_running() {
                return None;
            }
            tokio::select! {
                () = arrived => {}
                _ = cancel.cancelled() => return None,
            }
        }
    }

    /// Writes to its standard input.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdin = self.stdin.lock().await;
        let pipe = stdin.as_mut().ok_or_else(|| Failure::new("its standard input is closed"))?;
        pipe.write_all(bytes).await?;
        Ok(pipe.flush().await?)
    }

    /// Closes its standard input.
    pub async fn close_stdin(&self) {
        self.stdin.lock().await.take();
    }

    /// Something arrived on its standard output.
    pub(super) fn arrived(&self, bytes: &[u8]) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let room = UNREAD_MAX.saturating_sub(unread.len());
        unread.extend_from_slice(&bytes[..bytes.len().min(room)]);
        drop(unread);
        self.arrived.notify_waiters();
    }
}

/// What a script gets, to be made a handle.
pub fn handle(id: u64, background: &Background) -> Data {
    Data::map([("id", Data::from(id)), ("pid", background.pid.map(u64::from).into())])
}
