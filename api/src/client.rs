//! A client of the API over the Unix socket, for slothctl and for the whole-system tests: typed JSON in and out, refusals as data,
//! streams that go on after a restart of the daemon.
//!
//! Paths are relative to [`crate::BASE`]. Connections are kept and used again; a request that certainly did not reach the daemon is
//! sent once more on a new connection. One client belongs to one runtime.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

pub use hyper::body::Bytes;
pub use hyper::{HeaderMap, Method};

use crate::{BASE, ErrorBody, ErrorCode, ErrorDetail};

mod error;
mod stream;
mod target;

pub use error::ClientError;
pub use stream::{Resume, SseMessage, Stream};
pub use target::Target;

/// Time a request may take when nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Time that [`Client::get_patient`] and [`Stream`] wait for a daemon that went away.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Largest answer that is read into memory, bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Idle connections that are kept.
const IDLE_MAX: usize = 16;

/// Asks one daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Content.
    pub body: Bytes,
}

/// A request with more than a path.
#[derive(Clone, Debug)]
pub struct Call {
    /// Verb.
    pub method: Method,
    /// Below [`crate::BASE`], encoded.
    pub path: String,
    /// Beside those of every request.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Option<Vec<u8>>,
    /// Instead of the client's.
    pub timeout: Option<Duration>,
}

/// One connection and the task that moves its bytes; both end together.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Client {
    /// A client of the daemon that listens on this socket. Connects with the first request.
    pub fn unix(socket: impl Into<PathBuf>) -> Client {
        Client { socket: socket.into(), timeout: TIMEOUT, idle: Mutex::new(Vec::new()) }
    }

    /// Limits each request to this time; streams only until their first answer.
    pub fn with_timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET`, typed.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Call::new(Method::GET, path)).await?.json()
    }

    /// `GET`, as text.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.send(Call::new(Method::GET, path)).await?;
        String::from_utf8(answer.body.into()).map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// `GET` that waits up to `patience` for a daemon that is away.
    pub async fn get_patient<T: DeserializeOwned>(&self, call: Call, patience: Duration) -> Result<T, ClientError> {
        let mut give_up = None;
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match self.send(call.clone()).await {
                Ok(answer) => return answer.json(),
                Err(error) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
            if Instant::now() >= *give_up.get_or_insert_with(|| Instant::now() + patience) {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// `POST`, typed.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.send(Call::new(Method::POST, path).json(body)?).await?.json()
    }

    /// `PUT`, typed.
    pub async fn put<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.send(Call::new(Method::PUT, path).json(body)?).await?.json()
    }

    /// `PATCH`, typed.
    pub async fn patch<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.send(Call::new(Method::PATCH, path).json(body)?).await?.json()
    }

    /// `DELETE`, typed; an answer without content is `null`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Call::new(Method::DELETE, path)).await?.json()
    }

    /// Any request; a refusal is an answer like every other.
    pub async fn raw(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Answer, ClientError> {
        self.exchange(&Call { body, ..Call::new(method, path) }).await
    }

    /// As [`Client::raw`], with headers and a limit of its own.
    pub async fn raw_call(&self, call: Call) -> Result<Answer, ClientError> {
        self.exchange(&call).await
    }

    /// Any request; a refusal is an error.
    pub async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        self.exchange(&call).await?.accepted()
    }

    /// Server-sent events, from the one after `last_id`; resumes by `Last-Event-ID`.
    pub fn stream(&self, path: &str, last_id: Option<String>) -> Stream<'_> {
        Stream::new(self, path.to_owned(), last_id, Resume::LastEventId)
    }

    /// The output of a run from `offset` on; resumes by offset.
    pub fn follow_logs(&self, path: &str, offset: u64) -> Stream<'_> {
        Stream::new(self, path.to_owned(), Some(offset.to_string()), Resume::Offset)
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, ClientError> {
        let limit = call.timeout.unwrap_or(self.timeout);
        let asked = async {
            let (response, connection) = self.open(call).await?;
            let (head, body) = response.into_parts();
            let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| ClientError::Lost(error.to_string()))?
                .to_bytes();
            self.keep(connection);
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        timeout_at(Instant::now() + limit, asked).await.unwrap_or(Err(ClientError::TimedOut(limit)))
    }

    /// Sends the request and returns when the head of the answer is here.
    async fn open(&self, call: &Call) -> Result<(hyper::Response<hyper::body::Incoming>, Connection), ClientError> {
        let kept = self.idle.lock().ok().and_then(|mut idle| idle.pop()).filter(|c| !c.sender.is_closed());
        if let Some(mut connection) = kept {
            match connection.sender.send_request(call.request()?).await {
                Ok(response) => return Ok((response, connection)),
                Err(error) if error.is_canceled() || call.method == Method::GET => {} // not sent, or harmless twice
                Err(error) => return Err(ClientError::Lost(said(&error))),
            }
        }
        let mut connection = self.connect().await?;
        let response =
            connection.sender.send_request(call.request()?).await.map_err(|error| ClientError::Lost(said(&error)))?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        let unreachable = |source| ClientError::Unreachable { socket: self.socket.clone(), source };
        let socket = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (sender, connection) =
            handshake(TokioIo::new(socket)).await.map_err(|error| ClientError::Lost(said(&error)))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await; // its error is also the answer's
        });
        Ok(Connection { sender, _driver: driver })
    }

    fn keep(&self, connection: Connection) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_MAX
            && !connection.sender.is_closed()
        {
            idle.push(connection);
        }
    }
}

impl Call {
    /// A request without content.
    pub fn new(method: Method, path: impl Into<String>) -> Call {
        Call { method, path: path.into(), headers: Vec::new(), body: None, timeout: None }
    }

    /// With this content.
    pub fn json<B: Serialize>(mut self, body: &B) -> Result<Call, ClientError> {
        self.body = Some(serde_json::to_vec(body).map_err(|error| ClientError::Request(error.to_string()))?);
        Ok(self)
    }

    /// With a further header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Call {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// May take this long, whatever the client says.
    pub fn within(mut self, timeout: Duration) -> Call {
        self.timeout = Some(timeout);
        self
    }

    fn request(&self) -> Result<hyper::Request<Full<Bytes>>, ClientError> {
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(format!("{BASE}{}", self.path))
            .header("host", "slothd")
            .header("user-agent", concat!("sloth-api/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Full::new(Bytes::from(self.body.clone().unwrap_or_default()));
        request.body(body).map_err(|error| ClientError::Request(error.to_string()))
    }
}

impl Answer {
    /// The content, typed; no content is `null`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let text: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(text).map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The answer, or the refusal that it is.
    pub fn accepted(self) -> Result<Answer, ClientError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let detail = match serde_json::from_slice::<ErrorBody>(&self.body) {
            Ok(body) => body.error,
            Err(_) => self.foreign_refusal(),
        };
        Err(ClientError::Refused { status: self.status, detail: Box::new(detail) })
    }

    /// A refusal whose code this version does not know, or that is no JSON: the status decides.
    fn foreign_refusal(&self) -> ErrorDetail {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |key: &str| body["error"][key].as_str().map(str::to_owned);
        let code = ErrorCode::ALL.iter().copied().find(|code| code.http_status() == self.status);
        ErrorDetail {
            code: code.unwrap_or(ErrorCode::Internal),
            message: text("message").unwrap_or_else(|| format!("slothd answered with status {}", self.status)),
            hint: text("hint"),
            details: body["error"]["details"].as_object().cloned().unwrap_or_default(),
            request_id: self.header("x-request-id").unwrap_or_default().to_owned(),
        }
    }
}

/// An error of hyper with its cause, in one line.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
