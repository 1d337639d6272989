//! What a script asks for: the options of a call as a request.

use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sloth_lua::{Args, Call, Data, Failure};
use url::Url;

use super::connect::basic;
use super::outgoing::Outgoing;
use super::tls::Tls;
use crate::documents::{JSON, Style};
use crate::strings::to_base64;

const TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS: u32 = 10;
const BODY_MAX: u64 = 64 << 20;
const RETRIES_MAX: i64 = 100;

/// A request with everything that says how it is made.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Outgoing,
    /// Of one attempt; of a body that goes elsewhere than to memory: without any progress.
    pub timeout: Duration,
    pub retries: u32,
    pub retry_on: Retry,
    /// 0: a redirect is the response.
    pub redirects: u32,
    pub follow: bool,
    pub tls: Tls,
    pub proxy: Option<Url>,
    /// `None`: without limit, where the body does not go to memory.
    pub body_max: Option<u64>,
}

/// What is tried again.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub connection: bool,
    pub timeout: bool,
    /// Statuses, as ranges.
    pub statuses: Vec<(u16, u16)>,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { connection: true, timeout: true, statuses: vec![(429, 429), (502, 504)] }
    }
}

impl Order {
    /// The request of a call. `method` unless the call names one.
    pub(crate) fn of(call: &Call, method: Method) -> Result<Order, Failure> {
        let args = &call.args;
        let mut url = parse_url("url", &args.text("url")?)?;
        add_query(&mut url, args.get("query"))?;
        let mut headers = headers(args)?;
        if let Some(credentials) = authorization(args.get("auth"))?.or_else(|| basic(&url)) {
            headers.insert(AUTHORIZATION, secret(&credentials)?);
        }
        // They are in the header now, and must not show up in messages.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let path = |name: &str| args.opt_text(name).map(|path| call.ctx.resolve(&path));
        let identity = match (path("cert"), path("key")) {
            (Some(cert), key) => Some((cert.clone(), key.unwrap_or(cert))),
            (None, Some(_)) => return Err(Failure::argument("cert", "needed with `key`")),
            (None, None) => None,
        };
        Ok(Order {
            method: match args.opt_text("method") {
                Some(name) => Method::from_bytes(name.to_uppercase().as_bytes())
                    .map_err(|_| Failure::argument("method", format_args!("{name:?} is no method")))?,
                None => method,
            },
            body: body(call)?,
            url,
            headers,
            timeout: time(args, "timeout").unwrap_or(TIMEOUT),
            retries: u32::try_from(args.int("retries").unwrap_or(0).clamp(0, RETRIES_MAX)).unwrap_or(0),
            retry_on: retry(args)?,
            redirects: args.int("max_redirects").map_or(REDIRECTS, |most| u32::try_from(most).unwrap_or(0)),
            follow: args.flag_or("follow_redirects", true),
            tls: Tls { verify: args.flag_or("verify_ssl", true), ca: path("ca"), identity },
            proxy: args.opt_text("proxy").map(|proxy| parse_url("proxy", &proxy)).transpose()?,
            body_max: Some(body_max(args).unwrap_or(BODY_MAX)),
        })
    }

    /// As messages name it.
    pub(crate) fn shown(&self) -> String {
        self.url.to_string()
    }
}

/// The option, when it is given.
pub(crate) fn body_max(args: &Args) -> Option<u64> {
    args.int("max_body").and_then(|bytes| u64::try_from(bytes).ok())
}

/// A duration option; 0 and absent: none.
pub(crate) fn time(args: &Args, name: &str) -> Option<Duration> {
    args.num(name).filter(|ms| *ms > 0.0).and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok())
}

/// A URL of HTTP.
pub(crate) fn parse_url(name: &'static str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text.trim()).map_err(|error| Failure::new(format!("{name} {text:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Failure::new(format!("{name} {text:?}: http:// or https:// with a host expected")));
    }
    Ok(url)
}

/// Adds a table of names and values, lists as repeated names.
pub(crate) fn add_query(url: &mut Url, query: Option<&Data>) -> Result<(), Failure> {
    let pairs = pairs("query", query)?;
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(())
}

fn pairs(name: &'static str, value: Option<&Data>) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    let Some(Data::Map(entries)) = value else { return Ok(pairs) };
    for (key, value) in entries {
        let items = if let Data::List(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
        for item in items {
            let text = match item {
                Data::Bool(value) => value.to_string(),
                item => item
                    .to_text()
                    .ok_or_else(|| Failure::argument(name, format_args!("`{key}` is a {}", item.type_name())))?,
            };
            pairs.push((key.clone(), text));
        }
    }
    Ok(pairs)
}

fn headers(args: &Args) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let Some(Data::Map(entries)) = args.get("headers") else { return Ok(headers) };
    for (name, value) in entries {
        let bad = |what: &str| Failure::argument("headers", format_args!("{what} of {name:?} is not allowed"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("the name"))?;
        let values = if let Data::List(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
        for value in values {
            let text = value.to_text().ok_or_else(|| bad("the value"))?;
            headers.append(key.clone(), HeaderValue::from_bytes(text.as_bytes()).map_err(|_| bad("the value"))?);
        }
    }
    Ok(headers)
}

fn secret(text: &str) -> Result<HeaderValue, Failure> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Failure::argument("auth", "characters that a header cannot hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `{username, password}`, `{token}` or `{bearer}`.
fn authorization(auth: Option<&Data>) -> Result<Option<String>, Failure> {
    let Some(auth) = auth else { return Ok(None) };
    let text = |name: &str| auth.get(name).and_then(Data::to_text);
    if let Some(token) = text("token").or_else(|| text("bearer")) {
        return Ok(Some(format!("Bearer {token}")));
    }
    match text("username").or_else(|| text("user")) {
        Some(user) => {
            let pair = format!("{user}:{}", text("password").unwrap_or_default());
            Ok(Some(format!("Basic {}", to_base64(pair.as_bytes()))))
        }
        None => Err(Failure::argument("auth", "username and password, or token expected")),
    }
}

fn body(call: &Call) -> Result<Outgoing, Failure> {
    let args = &call.args;
    let json =
        |value: &Data| JSON.write(value, Style::default()).map(|text| Outgoing::bytes(text, Some("application/json")));
    if let Some(parts) = args.get("multipart") {
        let Data::Map(parts) = parts else { return Err(Failure::argument("multipart", "table with names expected")) };
        let boundary = format!("sloth-{}", crate::crypto::uuid_v4());
        return Outgoing::multipart(parts, &boundary, |path| call.ctx.resolve(path)).map_err(Failure::new);
    }
    if let Some(form) = args.get("form") {
        let text =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs("form", Some(form))?).finish();
        return Ok(Outgoing::bytes(text, Some("application/x-www-form-urlencoded")));
    }
    if let Some(value) = args.get("json") {
        return json(value);
    }
    match args.get("body") {
        None => Ok(Outgoing::default()),
        // "A table body is sent as JSON."
        Some(value @ (Data::Map(_) | Data::List(_))) => json(value),
        Some(_) => Ok(Outgoing::bytes(args.bytes("body")?, None)),
    }
}

fn retry(args: &Args) -> Result<Retry, Failure> {
    let Some(list) = args.get("retry_on") else { return Ok(Retry::default()) };
    let mut retry = Retry { connection: false, timeout: false, statuses: Vec::new() };
    let items = if let Data::List(items) = list { items.as_slice() } else { std::slice::from_ref(list) };
    for item in items {
        let text = item.to_text().unwrap_or_default();
        match text.as_str() {
            "connection" | "error" => retry.connection = true,
            "timeout" => retry.timeout = true,
            "5xx" => retry.statuses.push((500, 599)),
            "4xx" => retry.statuses.push((400, 499)),
            number => match number.parse::<u16>() {
                Ok(status @ 100..=999) => retry.statuses.push((status, status)),
                _ => {
                    let known = "connection, timeout, 5xx, 4xx or a status expected";
                    return Err(Failure::argument("retry_on", format_args!("{known}, got {number:?}")));
                }
            },
        }
    }
    Ok(retry)
}
