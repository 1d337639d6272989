//! One request and its response over one connection. The connection is driven by whoever waits, so that nothing is left
//! running when the wait is given up.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use url::{Position, Url};

use super::connect::{basic, open};
use super::order::Order;
use super::outgoing::Body;
use super::trouble::{Trouble, causes};

/// Most bytes of a response's head.
const HEAD_MAX: usize = 256 << 10;

/// Runs the connection.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Driver {
    fn turn(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(context).is_ready()
        {
            // Its error reaches whoever waits for the response or the body.
            self.0 = None;
        }
    }

    /// Waits for something of this connection.
    async fn until<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        poll_fn(|context| {
            self.turn(context);
            match work.as_mut().poll(context) {
                Poll::Ready(value) => Poll::Ready(value),
                Poll::Pending => {
                    // What the work has just asked for may be done at once.
                    self.turn(context);
                    work.as_mut().poll(context)
                }
            }
        })
        .await
    }
}

/// A response whose body is still to be read.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where it came from.
    pub url: Url,
    body: Incoming,
    driver: Driver,
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            match self.driver.until(self.body.frame()).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Trouble::Broken(causes(&error))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Bytes of the body, when the head says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// Reads the whole body.
    pub(crate) async fn read(&mut self, max: u64) -> Result<Vec<u8>, Trouble> {
        if self.length().is_some_and(|length| length > max) {
            return Err(Trouble::TooLarge(max));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > max {
                return Err(Trouble::TooLarge(max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Makes a request, without following redirects.
pub(crate) async fn exchange(order: &Order) -> Result<Answer, Trouble> {
    let proxy = order.proxy.as_ref();
    let stream = open(&order.url, &order.tls, proxy).await?;
    let broken = |error: hyper::Error| Trouble::Broken(causes(&error));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut driver = Driver(Some(Box::pin(connection)));
    let response: Response<Incoming> = driver.until(sender.send_request(request(order)?)).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, url: order.url.clone(), body, driver })
}

fn request(order: &Order) -> Result<Request<Body>, Trouble> {
    let url = &order.url;
    let forwarded = order.proxy.as_ref().filter(|_| url.scheme() == "http");
    let target = if forwarded.is_some() {
        &url[..Position::AfterQuery]
    } else {
        &url[Position::BeforePath..Position::AfterQuery]
    };
    let mut request = Request::builder()
        .method(order.method.clone())
        .uri(target)
        .body(order.body.body())
        .map_err(|error| Trouble::Request(error.to_string()))?;
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Trouble::Request(error.to_string()));
    let headers = request.headers_mut();
    *headers = order.headers.clone();
    if !headers.contains_key(HOST) {
        headers.insert(HOST, value(&url[Position::BeforeHost..Position::AfterPort])?);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("slothd/", env!("CARGO_PKG_VERSION"))));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(kind) = &order.body.content_type {
        let kind = value(kind)?;
        headers.entry(CONTENT_TYPE).or_insert(kind);
    }
    let length = order.body.length();
    headers.remove(CONTENT_LENGTH);
    if length > 0 || matches!(order.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(credentials) = forwarded.and_then(basic) {
        headers.insert(PROXY_AUTHORIZATION, value(&credentials)?);
    }
    Ok(request)
}
