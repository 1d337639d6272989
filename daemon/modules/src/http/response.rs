//! Responses as scripts see them.

use std::time::{Duration, Instant};

use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use sloth_lua::{Args, Call, Data, Reply};
use url::Url;

use super::follow::receive;
use super::order::Order;
use crate::describe::give;
use crate::documents::json;

/// The common part of every response.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap, url: &Url, began: Instant) -> Vec<(String, Data)> {
    let shown = status.to_string();
    [
        ("status_code", Data::from(i64::from(status.as_u16()))),
        ("status", Data::text(shown.trim_end_matches(" <unknown status code>"))),
        ("success", Data::Bool(status.is_success())),
        ("headers", header_map(headers)),
        ("url", Data::text(url.to_string())),
        ("duration_ms", Data::from(milliseconds(began.elapsed()))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Names in small letters; several headers of one name are joined, as RFC 9110 §5.3 allows.
pub(crate) fn header_map(headers: &HeaderMap) -> Data {
    let values = |name| {
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(hyper::header::HeaderValue::as_bytes).collect();
        Data::Str(values.join(&b", "[..]))
    };
    Data::Map(headers.keys().map(|name| (name.as_str().to_owned(), values(name))).collect())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// The response with its body, decoded when it is JSON.
pub(crate) fn whole(status: StatusCode, headers: &HeaderMap, url: &Url, body: Vec<u8>, began: Instant) -> Data {
    let mut entries = head(status, headers, url, began);
    if is_json(headers) {
        // What says that it is JSON and is not has its text, and no `json`.
        if let Ok(value) = json::decode(&body, false) {
            entries.push(("json".into(), value));
        }
    }
    entries.push(("body".into(), Data::Str(body)));
    Data::Map(entries)
}

/// What a request answers that changes something, while nothing may be changed.
pub(crate) fn simulated(order: &Order) -> Data {
    Data::map([
        ("status_code", Data::Num(0.0)),
        ("status", Data::text("not sent")),
        ("success", Data::Bool(true)),
        ("headers", Data::Map(Vec::new())),
        ("body", Data::text("")),
        ("url", Data::text(order.shown())),
        ("duration_ms", Data::Num(0.0)),
        ("simulated", Data::Bool(true)),
        ("changed", Data::Bool(true)),
        ("would", Data::text(format!("{} {}", order.method, order.shown()))),
    ])
}

/// Whether a call must only say what it would do: a method that is not safe (RFC 9110 §9.2.1) in a simulated mode.
pub(crate) fn is_simulated(call: &Call, order: &Order) -> bool {
    (call.ctx.is_simulated() || call.args.flag("check")) && !order.method.is_safe()
}

/// Makes the request of a call and answers with the response.
pub(crate) async fn answer(call: &Call, order: &Order) -> Reply {
    if is_simulated(call, order) {
        return give(simulated(order));
    }
    let began = Instant::now();
    let reception =
        receive(&call.ctx, order).await.map_err(|trouble| trouble.of(order.method.as_str(), &order.shown()))?;
    give(whole(reception.status, &reception.headers, &reception.url, reception.body, began))
}

/// `net`: body, status, headers, err.
pub(crate) async fn flat(call: &Call, order: &Order) -> Reply {
    if is_simulated(call, order) {
        return Ok(vec![Data::text(""), Data::Num(0.0), Data::Map(Vec::new()), Data::Nil]);
    }
    Ok(match receive(&call.ctx, order).await {
        Ok(reception) => vec![
            Data::Str(reception.body),
            Data::from(i64::from(reception.status.as_u16())),
            header_map(&reception.headers),
            Data::Nil,
        ],
        Err(trouble) => {
            let failure = trouble.of(order.method.as_str(), &order.shown());
            vec![Data::Nil, Data::Nil, Data::Nil, Data::text(failure.message)]
        }
    })
}

/// A status of a list or a number; 200 when none is given.
pub(crate) fn wanted_status(args: &Args) -> Vec<u16> {
    let status = |value: &Data| value.to_text().and_then(|text| text.parse().ok());
    match args.get("status") {
        Some(Data::List(items)) => items.iter().filter_map(status).collect(),
        Some(value) => status(value).into_iter().collect(),
        None => vec![200],
    }
}
