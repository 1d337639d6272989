//! One connection of one worker: who it is, what it is to do, what it records and what it asks for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sloth_api::ErrorCode;
use sloth_api::worker::{Assignment, Bundle, Numbered, PROTOCOL, Refusal, RunOptions, ToWorker};
use sloth_core::record::{Journal, Record, Severity, Value as Field};
use sloth_core::run::{Run, WorkflowRun};
use sloth_core::{AttemptKey, EventId, Moment, RunId, Uid};
use sloth_store::StoreError;
use tokio::sync::{mpsc, oneshot};

use super::circuits::{Limits, State, Turned};
use super::convert::Context;
use super::keys::Holder;
use super::{Connected, ORDERS_MAX, Workers};
use crate::{Service, ServiceError};

/// Records of one run, and the bytes of all of them.
const RUN_RECORDS_MAX: u64 = 5_000_000;
const RUN_BYTES_MAX: u64 = 4 << 30;
/// What an earlier worker recorded and the next one is told at once, bytes.
const RETOLD_MAX: usize = 48 << 20;
/// Between two tries to write what could not be written; the worker waits meanwhile.
const RETRY: Duration = Duration::from_millis(500);

/// How a worker introduces itself.
#[derive(Clone, Debug)]
pub struct Hello {
    /// Its protocol.
    pub protocol: u32,
    /// Its run.
    pub run: String,
    /// Which worker of the run.
    pub worker: u32,
    /// Its token.
    pub token: String,
    /// Whether it wants its assignment.
    pub fresh: bool,
}

/// Held while records are on their way to the disk, and void when a newer connection has taken over.
#[derive(Default)]
pub(super) struct Turn {
    writing: tokio::sync::Mutex<()>,
    pub(super) over: AtomicBool,
}

/// A connection.
pub struct Session {
    service: Service,
    key: AttemptKey,
    number: u64,
    turn: Arc<Turn>,
    context: Context,
    last: u64,
    bytes: u64,
    asker: Asker,
}

/// What may be asked for, at any time and many at once.
#[derive(Clone)]
pub struct Asker {
    service: Service,
    run: RunId,
    /// Before the names of circuits and the like; ends with a slash.
    scope: Arc<str>,
}

fn denied(run: &str) -> ServiceError {
    // One answer for an unknown run, a wrong token and a wrong user: it tells nothing.
    ServiceError::new(ErrorCode::Denied, format!("this process is not the worker of run {run:?}"))
}

impl Service {
    /// Lets a worker in. The first message for it, and the orders that come later.
    pub async fn worker_hello(
        &self,
        uid: Uid,
        hello: &Hello,
    ) -> Result<(Session, ToWorker, mpsc::Receiver<ToWorker>), ServiceError> {
        if hello.protocol != PROTOCOL {
            let message = format!("slothd speaks protocol {PROTOCOL} with workers, this one speaks {}", hello.protocol);
            return Err(ServiceError::new(ErrorCode::IncompatibleVersion, message));
        }
        let id: RunId = hello.run.parse().map_err(|_| denied(&hello.run))?;
        if !self.workers.0.secret.is_token(id, hello.worker, &hello.token) {
            return Err(denied(&hello.run));
        }
        let run = self.open_workflow(id, hello.worker)?;
        if uid.0 != 0 && self.host.user_id(&run.user) != Some(uid) {
            return Err(denied(&hello.run));
        }
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let (number, turn) = self.take_over(id, hello.worker, orders.clone()).await;
        // Read after that: nothing can be recorded any more, nor ordered, of which this connection does not learn.
        let run = self.open_workflow(id, hello.worker)?;
        let Some(workflow) = run.workflow.as_deref() else { return Err(denied(&hello.run)) };
        let (last, bytes) = self.store.journal_end(id)?.unwrap_or_default();
        let first = match hello.fresh {
            true => ToWorker::Begin { assignment: Box::new(self.assignment(&run, workflow, last)?) },
            false => ToWorker::Welcome { upto: last },
        };
        if !hello.fresh {
            let _ = orders.try_send(if workflow.paused { ToWorker::Pause } else { ToWorker::Unpause });
        }
        if let Some(wish) = &workflow.cancel {
            let (reason, compensate) = (wish.reason.clone(), wish.compensate);
            let _ = orders.try_send(ToWorker::Cancel { reason, task: None, force: false, compensate });
        }
        let scope = match workflow.action.stack.as_str() {
            "" => format!("~{}/", run.owner),
            stack => format!("{stack}/"),
        };
        let session = Session {
            key: AttemptKey { run: id, attempt: hello.worker },
            number,
            turn,
            context: self.context(&run, workflow)?,
            last,
            bytes,
            asker: Asker { service: self.clone(), run: id, scope: scope.into() },
            service: self.clone(),
        };
        Ok((session, first, waiting))
    }

    /// The run, when this worker is the one that is to do it.
    fn open_workflow(&self, id: RunId, worker: u32) -> Result<Run, ServiceError> {
        let run = self.store.run(id)?.filter(|run| run.workflow.is_some()).ok_or_else(|| denied(&id.to_string()))?;
        if run.status.is_terminal() || run.attempts > worker {
            let message = match run.status.is_terminal() {
                true => format!("run {id} has ended ({})", run.status.as_str()),
                false => format!("worker {} goes on with run {id}", run.attempts),
            };
            return Err(ServiceError::new(ErrorCode::Conflict, message));
        }
        if run.attempts < worker {
            return Err(denied(&id.to_string()));
        }
        Ok(run)
    }

    /// Makes this the connection of the run. What an earlier one is writing is written first; then it writes nothing more.
    async fn take_over(&self, run: RunId, worker: u32, orders: mpsc::Sender<ToWorker>) -> (u64, Arc<Turn>) {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let turn = Arc::new(Turn::default());
        let connected = Connected { number, worker, orders, turn: turn.clone() };
        let former = self.workers.connected().insert(run, connected);
        if let Some(former) = former {
            former.turn.over.store(true, Ordering::SeqCst);
            let _ = former.turn.writing.lock().await;
        }
        (number, turn)
    }

    fn context(&self, run: &Run, workflow: &WorkflowRun) -> Result<Context, ServiceError> {
        let (mut failed, mut count) = (HashMap::<String, Vec<String>>::new(), 0);
        let mut workflows = Vec::new();
        let detail = self.store.workflow_detail(run.id)?.unwrap_or_default();
        if let Some(graph) = detail.graph {
            let graph: Value = serde_json::from_str(&graph).unwrap_or_default();
            let list = graph.get("workflows").and_then(Value::as_array).cloned().unwrap_or_default();
            let begun = run.started_at.unwrap_or(run.queued_at);
            let names = list.iter().filter_map(|one| one.get("name").and_then(Value::as_str));
            workflows = names.map(|name| (name.to_owned(), begun)).collect();
            for task in self.store.tasks(run.id)? {
                count += 1;
                if task.status == "failed" && !task.ignored {
                    failed.entry(task.workflow).or_default().push(task.name);
                }
            }
        }
        let stack = workflow.action.stack.clone();
        Ok(Context { run: run.id, stack, workflows, failed, task_count: count })
    }

    fn assignment(&self, run: &Run, workflow: &WorkflowRun, last: u64) -> Result<Assignment, ServiceError> {
        let action = &workflow.action;
        let dirs = self.host.run_dirs(run)?;
        Ok(Assignment {
            stack: action.stack.clone(),
            user: run.user.clone(),
            asked_by: run.asked_by.to_string(),
            started_at: run.queued_at.rfc3339(),
            mode: action.mode.clone(),
            invocation_dir: action.invocation_dir.clone(),
            temp_dir: dirs.temp.to_string_lossy().into_owned(),
            run_dir: dirs.run.to_string_lossy().into_owned(),
            bundle: self.bundle(&action.bundle)?,
            values: object(&action.values),
            params: object(&action.params),
            options: self.options(action.workflow.clone(), &action.options),
            limits: self.host.engine_limits(),
            journal: self.retell(run.id)?,
            next_seq: last + 1,
            paused: workflow.paused,
            resume_from: workflow.resume_from.clone(),
            compensate_only: workflow.compensate_only,
        })
    }

    fn options(&self, workflow: Option<String>, json: &str) -> RunOptions {
        let mut options: RunOptions = serde_json::from_str(json).unwrap_or_default();
        options.workflow = workflow.or(options.workflow);
        options
    }

    /// A source, as it was sent.
    pub(crate) fn bundle(&self, sha256: &str) -> Result<Bundle, ServiceError> {
        let stored =
            self.store.bundle(sha256)?.ok_or_else(|| ServiceError::not_found(format_args!("bundle {sha256}")))?;
        let broken = |error: String| ServiceError::new(ErrorCode::Internal, format!("bundle {sha256}: {error}"));
        let json = zstd::bulk::decompress(&stored.content, usize::try_from(stored.size).unwrap_or(0))
            .map_err(|error| broken(error.to_string()))?;
        serde_json::from_slice(&json).map_err(|error| broken(error.to_string()))
    }

    /// What earlier workers recorded. Records that no later worker needs are left out.
    fn retell(&self, run: RunId) -> Result<Vec<Numbered>, ServiceError> {
        let (mut all, mut after, mut bytes) = (Vec::new(), 0, 0);
        loop {
            let page = self.store.journal(run, after, 5_000, 8 << 20)?;
            for record in page.items {
                let told: sloth_api::worker::Record = serde_json::from_str(&record.body).map_err(|error| {
                    ServiceError::new(ErrorCode::Internal, format!("record {} of run {run}: {error}", record.seq))
                })?;
                use sloth_api::worker::Record as R;
                if matches!(told, R::Progress { .. } | R::Event { .. }) {
                    continue;
                }
                bytes += record.body.len() + 64;
                all.push(Numbered { seq: record.seq, at: record.at.millis(), record: told });
            }
            if bytes > RETOLD_MAX {
                let message =
                    format!("the journal of run {run} is larger than {RETOLD_MAX} bytes: it cannot be resumed");
                return Err(ServiceError::new(ErrorCode::QuotaExceeded, message));
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }
}

pub(crate) fn object(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

impl Session {
    /// For the log.
    pub fn run(&self) -> RunId {
        self.key.run
    }

    /// What it may ask for.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Writes records; the highest number that is durable. Those that are written already are passed over. An error ends the connection.
    pub async fn records(&mut self, records: Vec<Numbered>) -> Result<u64, ServiceError> {
        let mut rows = Vec::with_capacity(records.len());
        let mut news = Vec::new();
        let host = self.service.host.clone();
        let random = move || host.random();
        let (mut last, mut bytes) = (self.last, self.bytes);
        for numbered in records.iter().filter(|numbered| numbered.seq > self.last) {
            if numbered.seq != last + 1 {
                let message = format!("record {} follows record {last}: some are missing in between", numbered.seq);
                return Err(ServiceError::new(ErrorCode::InvalidArgument, message));
            }
            let converted = self.context.convert(numbered, &random)?;
            last = numbered.seq;
            bytes += converted.row.body.len() as u64;
            rows.push(converted.row);
            news.extend(converted.news);
        }
        if last > RUN_RECORDS_MAX || bytes > RUN_BYTES_MAX {
            let message = format!(
                "run {} has recorded more than {RUN_RECORDS_MAX} records or {RUN_BYTES_MAX} bytes",
                self.key.run
            );
            return Err(ServiceError::new(ErrorCode::QuotaExceeded, message));
        }
        if !rows.is_empty() {
            let journal = Arc::new(Journal { run: self.key.run, rows });
            self.write(journal, news).await?;
            (self.last, self.bytes) = (last, bytes);
        }
        Ok(self.last)
    }

    async fn write(&self, journal: Arc<Journal>, news: Vec<sloth_core::run::WorkerNews>) -> Result<(), ServiceError> {
        let _writing = self.turn.writing.lock().await;
        if self.turn.over.load(Ordering::SeqCst) {
            let message = format!("another connection goes on with run {}", self.key.run);
            return Err(ServiceError::new(ErrorCode::Conflict, message));
        }
        if !news.is_empty() {
            self.service.engine.worker_said(self.key, news, journal).await?;
            return Ok(());
        }
        loop {
            let (done, result) = oneshot::channel();
            self.service.store.submit(vec![Record::Journal(journal.clone())], move |result| {
                let _ = done.send(result);
            });
            match result.await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(StoreError::StorageFull(_) | StoreError::StorageUnavailable(_) | StoreError::Busy { .. })) => {
                    tokio::time::sleep(RETRY).await;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(ServiceError::new(ErrorCode::NotReady, "slothd is stopping")),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut connected = self.service.workers.connected();
        if connected.get(&self.key.run).is_some_and(|worker| worker.number == self.number) {
            connected.remove(&self.key.run);
        }
    }
}

type Answer = Result<Value, ServiceError>;

impl Asker {
    /// Answers a request.
    pub async fn ask(&self, what: &str, body: &Value) -> Result<Value, Refusal> {
        let answer = match what {
            "circuit.enter" => self.circuit_enter(body).await,
            "circuit.result" => self.circuit_result(body).await,
            "circuit.status" => self.circuit_status(body),
            "circuit.list" => Ok(Value::from(self.circuits().list(&[self.scope.to_string(), "global/".to_owned()]))),
            "circuit.reset" => self.circuit_set(body, State::Closed).await,
            "circuit.trip" => self.circuit_set(body, State::Open).await,
            "rate.take" => self.rate_take(body),
            "throttle.take" => self.throttle_take(body),
            "key.acquire" => self.key_acquire(body).await,
            "key.release" => self.key_release(body),
            "engine.stats" => self.stats(),
            "config.user" => Ok(self.service.host.user_table()),
            other => {
                Err(ServiceError::not_supported(format_args!("the request {other:?}"), "see the protocol of workers"))
            }
        };
        answer.map_err(|error| Refusal { code: error.code.as_str().to_owned(), message: error.to_string() })
    }

    fn circuits(&self) -> &super::circuits::Circuits {
        &self.service.workers.0.circuits
    }

    /// The name with its scope.
    fn name(&self, body: &Value, field: &str) -> Result<String, ServiceError> {
        let name = body.get(field).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
            return Err(ServiceError::field(field, "must be a text of 1 to 256 printable bytes"));
        }
        Ok(match name.starts_with("global/") {
            true => name.to_owned(),
            false => format!("{}{name}", self.scope),
        })
    }

    async fn circuit_enter(&self, body: &Value) -> Answer {
        let name = self.name(body, "name")?;
        let default = Limits::default();
        let number = |field: &str, default: u64| body.get(field).and_then(Value::as_u64).unwrap_or(default);
        let small = |field: &str, default: u32| u32::try_from(number(field, default.into())).unwrap_or(u32::MAX).max(1);
        let limits = Limits {
            failure_threshold: small("failure_threshold", default.failure_threshold),
            recovery: Duration::from_millis(number("recovery_timeout_ms", 60_000).min(365 * 86_400_000)),
            half_open_requests: small("half_open_requests", default.half_open_requests),
        };
        let entered = self.circuits().enter(&name, limits, self.service.host.now());
        let Some((granted, state, turned)) = entered else {
            return Err(ServiceError::new(ErrorCode::QuotaExceeded, "there are too many circuits that are not closed"));
        };
        self.remember(turned).await?;
        Ok(json!({ "granted": granted, "state": state.word() }))
    }

    async fn circuit_result(&self, body: &Value) -> Answer {
        let name = self.name(body, "name")?;
        let success = body.get("success").and_then(Value::as_bool);
        let success = success.ok_or_else(|| ServiceError::field("success", "is missing"))?;
        let (state, turned) = self.circuits().result(&name, success, self.service.host.now());
        self.remember(turned).await?;
        Ok(json!({ "state": state.word() }))
    }

    fn circuit_status(&self, body: &Value) -> Answer {
        Ok(self.circuits().status(&self.name(body, "name")?, self.service.host.now()))
    }

    async fn circuit_set(&self, body: &Value, to: State) -> Answer {
        let (view, turned) = self.circuits().set(&self.name(body, "name")?, to, self.service.host.now());
        self.remember(turned).await?;
        Ok(view)
    }

    /// A transition is on disk before anybody acts on it.
    async fn remember(&self, turned: Option<Turned>) -> Result<(), ServiceError> {
        let Some(Turned { record, event }) = turned else { return Ok(()) };
        let now = self.service.host.now();
        let severity = if event == "circuit.opened" { Severity::Warning } else { Severity::Info };
        let data = vec![
            ("name", Field::Text(record.name.clone())),
            ("failures", Field::Int(i64::from(record.failures))),
            ("retry_at", record.retry_at.map_or(Field::Null, Field::Time)),
        ];
        let event = sloth_core::record::Event {
            id: EventId::v7(now, self.service.host.random()),
            kind: event,
            severity,
            message: format!("circuit {} is {}", record.name, record.state),
            run: Some(self.run),
            task: None,
            user: None,
            at: now,
            data,
        };
        let records = vec![Record::Circuit(Box::new(record)), Record::Event(Box::new(event))];
        self.service.engine.commit(records).await?;
        Ok(())
    }

    fn rate_take(&self, body: &Value) -> Answer {
        let key = format!("rate:{}", self.name(body, "key")?);
        let rps = body.get("rps").and_then(Value::as_f64).filter(|rps| rps.is_finite() && *rps > 0.0);
        let rps = rps.ok_or_else(|| ServiceError::field("rps", "must be a number above 0"))?;
        let wait =
            self.service.workers.0.pace.take(&key, rps, self.service.host.now()).ok_or_else(|| {
                ServiceError::new(ErrorCode::RateLimited, "more than a day of turns is reserved ahead")
            })?;
        Ok(json!({ "wait_ms": wait.as_micros().div_ceil(1000) as u64 }))
    }

    fn throttle_take(&self, body: &Value) -> Answer {
        let key = format!("throttle:{}", self.name(body, "key")?);
        let ms = body.get("interval_ms").and_then(Value::as_u64);
        let ms = ms.ok_or_else(|| ServiceError::field("interval_ms", "must be a number of milliseconds"))?;
        let interval = Duration::from_millis(ms.min(365 * 86_400_000));
        let granted = self.service.workers.0.pace.throttle(&key, interval, self.service.host.now());
        Ok(json!({ "granted": granted }))
    }

    fn holder(&self, body: &Value) -> Holder {
        let task = body.get("task").and_then(Value::as_str).unwrap_or_default();
        Holder { run: self.run, task: task.chars().take(1024).collect() }
    }

    async fn key_acquire(&self, body: &Value) -> Answer {
        let name = self.name(body, "key")?;
        let n = body.get("n").and_then(Value::as_u64).map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let wait = self.service.workers.0.keys.acquire(&name, n, self.holder(body));
        let wait =
            wait.ok_or_else(|| ServiceError::new(ErrorCode::QueueFull, format!("too many wait for {name:?}")))?;
        wait.await.map_err(|_| ServiceError::new(ErrorCode::Cancelled, "the run is over"))?;
        Ok(json!({}))
    }

    fn key_release(&self, body: &Value) -> Answer {
        self.service.workers.0.keys.release(&self.name(body, "key")?, &self.holder(body));
        Ok(json!({}))
    }

    fn stats(&self) -> Answer {
        use std::sync::atomic::Ordering::Relaxed;
        let published = &self.service.engine.published;
        Ok(json!({
            "running": published.running.load(Relaxed),
            "queued": published.queued.load(Relaxed),
            "workers": self.service.workers.count(),
            "runs": published.runs.load(Relaxed),
            "host": &*self.service.hostname,
            "now": Moment::rfc3339(self.service.host.now()),
        }))
    }
}

impl Workers {
    pub(super) fn end(connected: Option<Connected>) {
        if let Some(connected) = connected {
            connected.turn.over.store(true, Ordering::SeqCst);
        }
    }
}
