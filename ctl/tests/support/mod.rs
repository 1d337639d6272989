//! A stand-in for slothd: answers what a test tells it to, over a real Unix socket, and remembers what was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /schedules?limit=100`, below the base of the API.
    pub line: String,
    /// Content, or null.
    pub body: Value,
    /// Header `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// Header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

#[derive(Clone)]
struct Canned {
    /// Beginning of the request line.
    line: String,
    status: u16,
    body: String,
    sse: bool,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Canned>,
    asked: Vec<Asked>,
}

/// The mock and its directory; both go when it is dropped.
pub struct Mock {
    dir: TempDir,
    script: Arc<Mutex<Script>>,
}

impl Mock {
    pub fn start() -> Mock {
        let mock = Mock { dir: tempfile::tempdir().expect("a directory"), script: Arc::default() };
        let (socket, script) = (mock.socket(), mock.script.clone());
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = UnixListener::bind(socket).expect("a socket");
                ready.send(()).expect("the test waits");
                serve(listener, script).await;
            });
        });
        wait.recv().expect("the mock listens");
        mock
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("slothd.sock")
    }

    /// The next request whose line begins so gets this answer. Answers are used up in order; the last one of a line stays.
    pub fn on(&self, line: &str, status: u16, body: impl ToString) -> &Mock {
        self.add(Canned { line: line.to_owned(), status, body: body.to_string(), sse: false })
    }

    /// As [`Mock::on`], for a stream that breaks off after this text.
    pub fn on_stream(&self, line: &str, text: &str) -> &Mock {
        self.add(Canned { line: line.to_owned(), status: 200, body: text.to_owned(), sse: true })
    }

    fn add(&self, canned: Canned) -> &Mock {
        self.script.lock().expect("not poisoned").answers.push_back(canned);
        self
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().expect("not poisoned").asked.clone()
    }

    /// A slothctl that asks this mock.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = slothctl();
        command.env("SLOTHD_SOCKET", self.socket()).args(words);
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("slothctl starts")
    }
}

/// A slothctl in a clean environment.
pub fn slothctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slothctl"));
    command.env_clear().env("TZ", "UTC").env("PATH", "/usr/bin:/bin").stdin(std::process::Stdio::null());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn serve(listener: UnixListener, script: Arc<Mutex<Script>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let script = script.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, script.clone()));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, script: Arc<Mutex<Script>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let line = format!("{} {}", head.method, path.strip_prefix("/api/v1").unwrap_or(&path));
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = Asked {
        line: line.clone(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        last_event_id: header("last-event-id"),
        idempotency_key: header("idempotency-key"),
    };
    let canned = {
        let mut script = script.lock().expect("not poisoned");
        script.asked.push(asked);
        let first = script.answers.iter().position(|canned| line.starts_with(&canned.line));
        first.and_then(|at| {
            let canned = script.answers[at].clone();
            let is_last = script.answers.iter().filter(|other| other.line == canned.line).count() == 1;
            if is_last { Some(canned) } else { script.answers.remove(at) }
        })
    };
    let canned = canned.unwrap_or_else(|| Canned {
        body: format!(r#"{{"error":{{"code":"not_found","message":"the mock has no answer to {line}"}}}}"#),
        line,
        status: 404,
        sse: false,
    });
    let kind = if canned.sse { "text/event-stream" } else { "application/json" };
    let response = Response::builder().status(canned.status).header("content-type", kind).header("x-request-id", "r-1");
    Ok(response.body(Full::new(Bytes::from(canned.body))).expect("a response"))
}
