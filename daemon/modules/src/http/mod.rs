//! The module `http`: a client of HTTP/1.1. A request has its own connection, which ends with it. Proxies are used only
//! when a call names one.

mod connect;
mod download;
mod exchange;
mod follow;
mod order;
mod outgoing;
mod response;
mod sink;
mod streams;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;
mod wait;

use hyper::Method;
use sloth_lua::{Body, BoxFuture, Call, Data, Failure, Family, Function, Module, Param, Reply, Tier, Type};

pub(crate) use connect::resolve;
pub(crate) use download::download;
pub(crate) use order::Order;
pub(crate) use response::flat;

use crate::describe::{any, changing, count, family, give, luau, may, named, need, options, pure, value};
use crate::documents::{JSON, Style};
use crate::strings::{percent_decode, percent_encode};

/// The module `http`.
pub const MODULE: Module = Module {
    name: "http",
    aliases: &["http_client"],
    tier: Tier::Here,
    about: "A client of HTTP and HTTPS.",
    functions: FUNCTIONS,
    prelude: include_str!("http.luau"),
};

const RESPONSE: &str = "{status_code: number, status: string, body: string, headers: {[string]: string}, success: boolean, json: any, url: string, duration_ms: number}";

pub(crate) const URL: Param = need("url", Type::Str);
const BODY: Param = Param { aliases: &["data"], ..may("body", Type::Any, "nil") };
const ONLY_URL: &[Param] = &[URL];
const URL_BODY: &[Param] = &[URL, BODY];

macro_rules! request_options {
    ($($more:expr),*) => { &[
        may("headers", Type::Map, "{}"),
        may("json", Type::Any, "nil"),
        may("form", Type::Map, "nil"),
        may("multipart", Type::Map, "nil"),
        may("query", Type::Map, "nil"),
        may("auth", Type::Map, "nil"),
        may("timeout", Type::Duration, "\"30s\""),
        may("retries", Type::Int, "0"),
        may("retry_on", Type::Any, "{\"connection\", \"timeout\", 429, 502, 503, 504}"),
        may("follow_redirects", Type::Bool, "true"),
        may("max_redirects", Type::Int, "10"),
        may("verify_ssl", Type::Bool, "true"),
        may("ca", Type::Str, "nil"),
        may("cert", Type::Str, "nil"),
        may("key", Type::Str, "nil"),
        may("proxy", Type::Str, "nil"),
        may("max_body", Type::Size, "\"64Mi\""),
        $($more),*
    ] };
}

const OPTIONS: &[Param] = request_options!(
    may("output", Type::Str, "nil"),
    may("check", Type::Bool, "false"),
    may("stream", Type::Function, "nil")
);
const OPTIONS_BODY: &[Param] = request_options!(
    may("body", Type::Any, "nil"),
    may("output", Type::Str, "nil"),
    may("check", Type::Bool, "false"),
    may("stream", Type::Function, "nil")
);
const OPEN: &[Param] = request_options!(
    may("method", Type::Str, "\"GET\""),
    may("body", Type::Any, "nil"),
    may("output", Type::Str, "nil"),
    may("check", Type::Bool, "false"),
    may("stream", Type::Function, "nil")
);
const DOWNLOAD: &[Param] = request_options!(
    may("checksum", Type::Str, "nil"),
    may("resume", Type::Bool, "false"),
    may("check", Type::Bool, "false")
);
const UPLOAD: &[Param] = request_options!(may("method", Type::Str, "\"PUT\""), may("check", Type::Bool, "false"));
const WAIT: &[Param] = request_options!(may("status", Type::Any, "200"), may("interval", Type::Duration, "\"2s\""));

const FUNCTIONS: &[Function] = &[
    options(
        value(
            "get",
            ONLY_URL,
            RESPONSE,
            "GET. A status of error is a response, not a failure.",
            Body::Async(|call| send(call, Method::GET)),
        ),
        OPTIONS_BODY,
    ),
    options(value("head", ONLY_URL, RESPONSE, "HEAD.", Body::Async(|call| send(call, Method::HEAD))), OPTIONS),
    options(
        value("delete", ONLY_URL, RESPONSE, "DELETE.", Body::Async(|call| send(call, Method::DELETE))),
        OPTIONS_BODY,
    ),
    options(
        value(
            "post",
            URL_BODY,
            RESPONSE,
            "POST. A table is sent as JSON.",
            Body::Async(|call| send(call, Method::POST)),
        ),
        OPTIONS,
    ),
    options(
        value("put", URL_BODY, RESPONSE, "PUT. A table is sent as JSON.", Body::Async(|call| send(call, Method::PUT))),
        OPTIONS,
    ),
    options(
        value(
            "patch",
            URL_BODY,
            RESPONSE,
            "PATCH. A table is sent as JSON.",
            Body::Async(|call| send(call, Method::PATCH)),
        ),
        OPTIONS,
    ),
    options(value("request", ONLY_URL, RESPONSE, "Any method.", Body::Async(|call| send(call, Method::GET))), OPEN),
    changing(options(
        value(
            "download",
            &[URL, need("dest", Type::Str)],
            "{changed: boolean, path: string, bytes: number}",
            "To a file, whole or not at all; `timeout` is the longest time without progress.",
            Body::Async(|call| {
                Box::pin(async move {
                    let order = Order::of(&call, Method::GET)?;
                    download(call, order).await
                })
            }),
        ),
        DOWNLOAD,
    )),
    options(
        value("upload", &[URL, need("path", Type::Str)], RESPONSE, "Sends a file as the body.", Body::Async(upload)),
        UPLOAD,
    ),
    luau(
        "client",
        &[may("defaults", Type::Map, "{}")],
        "{[string]: any}",
        "The same functions with defaults; `base_url` goes before paths.",
    ),
    luau("is_success", &[need("response", Type::Map)], "boolean", "Whether a status is 2xx."),
    luau(
        "is_error",
        &[need("response", Type::Map)],
        "boolean",
        "Whether a status is 4xx or 5xx, or there is no response.",
    ),
    pure("url_encode", &[named("text", &["s"], Type::Str)], "string", "Percent-encoded.", |a| {
        give(percent_encode(&a.text("text")?))
    }),
    pure("url_decode", &[named("text", &["s"], Type::Str)], "string", "From percent-encoding.", |a| {
        give(Data::Str(percent_decode(&a.bytes("text")?)))
    }),
    pure(
        "build_url",
        &[need("base", Type::Str), may("query", Type::Map, "{}")],
        "string",
        "A URL with a query.",
        |a| {
            let mut url = order::parse_url("base", &a.text("base")?)?;
            order::add_query(&mut url, a.get("query"))?;
            give(url.to_string())
        },
    ),
    pure("parse_json", &[named("text", &["s"], Type::Str)], "any", "Reads JSON.", |a| {
        give(JSON.read(&a.bytes("text")?, false)?)
    }),
    pure("to_json", &[named("value", &["v"], Type::Any)], "string", "Writes JSON.", |a| {
        give(JSON.write(&any(a, "value"), Style::default())?)
    }),
    family(
        options(
            value(
                "wait_for",
                ONLY_URL,
                "(boolean, string)",
                "Waits until a URL answers with a status.",
                Body::Async(|call| {
                    Box::pin(async move {
                        let order = Order::of(&call, Method::GET)?;
                        wait::wait_for(call, order).await
                    })
                }),
            ),
            WAIT,
        ),
        Family::P,
    ),
    options(
        value(
            "_open",
            ONLY_URL,
            RESPONSE,
            "Begins a response that is read in pieces.",
            Body::Async(|call| {
                Box::pin(async move {
                    let order = Order::of(&call, Method::GET)?;
                    streams::open(call, order).await
                })
            }),
        ),
        OPEN,
    ),
    value(
        "_read",
        &[need("stream", Type::Int)],
        "{string}?",
        "Pieces of a response.",
        Body::Async(|call| Box::pin(streams::read(call))),
    ),
    pure("_close", &[need("stream", Type::Int)], "()", "Ends the reading of a response.", |a| {
        streams::close(count(a, "stream", usize::MAX)?);
        Ok(Vec::new())
    }),
];

fn send(call: Call, method: Method) -> BoxFuture<Reply> {
    Box::pin(async move {
        let order = Order::of(&call, method)?;
        match call.args.opt_text("output") {
            Some(_) if call.ctx.is_simulated() || call.args.flag("check") => give(response::simulated(&order)),
            Some(path) => download::output(&call, order, &path).await,
            None => response::answer(&call, &order).await,
        }
    })
}

fn upload(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let path = call.ctx.resolve(&call.args.text("path")?);
        let mut order = Order::of(&call, Method::PUT)?;
        order.body = outgoing::Outgoing::file(&path).map_err(Failure::new)?;
        response::answer(&call, &order).await
    })
}
