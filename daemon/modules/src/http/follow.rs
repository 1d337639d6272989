//! From an order to a final response: redirects, times, retries, and the end of the task.

use std::future::Future;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode};
use sloth_lua::Ctx;
use url::Url;

use super::exchange::{Answer, exchange};
use super::order::Order;
use super::outgoing::Outgoing;
use super::trouble::Trouble;

/// Longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A response whose body has been read.
#[derive(Debug)]
pub(crate) struct Reception {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub url: Url,
    pub body: Vec<u8>,
}

/// Waits for work, and gives it up when the task ends.
pub(crate) async fn unless_ended<T>(ctx: &Ctx, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::select! {
        biased;
        kind = ctx.cancel.cancelled() => Err(Trouble::Ended(kind)),
        result = work => result,
    }
}

/// Waits for work, and gives it up after a time.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(Trouble::Timeout))
}

/// The head of the final response. The caller bounds the time.
pub(crate) async fn follow(order: &Order) -> Result<Answer, Trouble> {
    let mut order = order.clone();
    let mut left = order.redirects;
    loop {
        let answer = exchange(&order).await?;
        let Some(next) = redirected(&order, &answer)? else { return Ok(answer) };
        left = left.checked_sub(1).ok_or(Trouble::Redirects(order.redirects))?;
        order = next;
    }
}

/// The request that a redirect asks for, when the response is one.
fn redirected(order: &Order, answer: &Answer) -> Result<Option<Order>, Trouble> {
    let status = answer.status.as_u16();
    if !order.follow || !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = answer.headers.get(LOCATION) else { return Ok(None) };
    let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let mut url =
        order.url.join(&location).map_err(|error| Trouble::Broken(format!("redirect to {location:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Trouble::Broken(format!("redirect to {location:?}: not http or https")));
    }
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.fragment().is_none() {
        url.set_fragment(order.url.fragment());
    }
    let mut next = order.clone();
    // RFC 9110 §15.4: 303 asks for the result elsewhere; for 301 and 302 all clients turn POST into GET.
    if status == 303 && order.method != Method::HEAD || matches!(status, 301 | 302) && order.method == Method::POST {
        next.method = Method::GET;
        next.body = Outgoing::default();
        next.headers.remove(CONTENT_TYPE);
    }
    // Secrets are for whom they were given.
    if url.origin() != order.url.origin() {
        next.headers.remove(AUTHORIZATION);
        next.headers.remove(COOKIE);
        next.tls.identity = None;
    }
    next.url = url;
    Ok(Some(next))
}

/// Makes a request until it is answered: `attempt` is one try.
pub(crate) async fn persist<T, F>(
    ctx: &Ctx,
    order: &Order,
    mut attempt: impl FnMut() -> F,
    status: impl Fn(&T) -> (StatusCode, Option<Duration>),
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let mut tried = 0;
    loop {
        let result = unless_ended(ctx, attempt()).await;
        let asked = match &result {
            Ok(value) => {
                let (status, after) = status(value);
                let code = status.as_u16();
                order.retry_on.statuses.iter().any(|(low, high)| (*low..=*high).contains(&code)).then_some(after)
            }
            Err(Trouble::Connection(_) | Trouble::Broken(_)) => order.retry_on.connection.then_some(None),
            Err(Trouble::Timeout) => order.retry_on.timeout.then_some(None),
            Err(_) => None,
        };
        let Some(after) = asked.filter(|_| tried < order.retries) else { return result };
        let doubled = Duration::from_secs(1 << tried.min(6));
        unless_ended(ctx, async {
            tokio::time::sleep(after.unwrap_or(doubled).min(WAIT_MAX)).await;
            Ok(())
        })
        .await?;
        tried += 1;
    }
}

/// Seconds of a `Retry-After` header.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Makes a request and reads the response into memory.
pub(crate) async fn receive(ctx: &Ctx, order: &Order) -> Result<Reception, Trouble> {
    let max = order.body_max.unwrap_or(u64::MAX);
    let attempt = || async {
        within(order.timeout, async {
            let mut answer = follow(order).await?;
            let body = answer.read(max).await?;
            Ok(Reception { status: answer.status, headers: answer.headers, url: answer.url, body })
        })
        .await
    };
    persist(ctx, order, attempt, |reception| (reception.status, retry_after(&reception.headers))).await
}
