//! One invocation: the daemon that is asked, and the screen that is written to.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sloth_api::client::{Answer, Call, Client, Method, Target};

use crate::args::globals::Globals;
use crate::failure::Failure;
use crate::output::Screen;
use crate::output::text::clean;
use crate::output::time::parse_duration;

/// Largest page that the daemon gives.
const PAGE_MAX: u64 = 1000;

/// Limit of requests that read or write much: backups, checks, imports.
pub(crate) const SLOW: Duration = Duration::from_secs(600);

pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
    pub(crate) globals: Globals,
}

/// Rows of a list, and whether there are more.
pub(crate) struct Rows {
    pub(crate) items: Vec<Value>,
    pub(crate) more: bool,
}

impl Session {
    pub(crate) fn new(globals: Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Session, Failure> {
        let screen = Screen::new(&globals, env)?;
        let mut client = Client::unix(crate::endpoint::socket(&globals, env)?);
        if let Some(timeout) = &globals.timeout {
            let limit = parse_duration(timeout).map_err(|_| {
                Failure::usage(format!("--timeout: {timeout:?} is no duration; write it as 30s, 5m or 1h30m"))
            })?;
            client = client.with_timeout(limit);
        }
        Ok(Session { client, screen, globals })
    }

    /// Asks; a refusal is a failure.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Failure> {
        if !self.globals.debug {
            return Ok(self.client.send(call).await?);
        }
        let asked = format!("{} {}", call.method, call.path);
        let start = Instant::now();
        let answer = self.client.raw_call(call).await;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        match &answer {
            Ok(answer) => {
                let id = answer.header("x-request-id").unwrap_or("-");
                eprintln!("debug: {asked} -> {} in {took:.1} ms, request {}", answer.status, clean(id));
            }
            Err(error) => eprintln!("debug: {asked} -> {error} after {took:.1} ms"),
        }
        Ok(answer?.accepted()?)
    }

    pub(crate) async fn get(&self, target: &Target) -> Result<Value, Failure> {
        Ok(self.send(Call::new(Method::GET, target.as_str())).await?.json()?)
    }

    pub(crate) async fn delete(&self, target: &Target) -> Result<Value, Failure> {
        Ok(self.send(Call::new(Method::DELETE, target.as_str())).await?.json()?)
    }

    pub(crate) async fn with_body<B: Serialize>(
        &self,
        method: Method,
        to: &Target,
        body: &B,
    ) -> Result<Value, Failure> {
        Ok(self.send(Call::new(method, to.as_str()).json(body)?).await?.json()?)
    }

    pub(crate) async fn post<B: Serialize>(&self, target: &Target, body: &B) -> Result<Value, Failure> {
        self.with_body(Method::POST, target, body).await
    }

    /// `POST` without content.
    pub(crate) async fn poke(&self, target: &Target) -> Result<Value, Failure> {
        Ok(self.send(Call::new(Method::POST, target.as_str())).await?.json()?)
    }

    /// A request that may take long, unless `--timeout` says otherwise.
    pub(crate) async fn slow(&self, call: Call) -> Result<Value, Failure> {
        let call = if self.globals.timeout.is_none() { call.within(SLOW) } else { call };
        Ok(self.send(call).await?.json()?)
    }

    /// A list, page by page, up to `--limit`, or up to `count` when the command has its own number.
    pub(crate) async fn rows(&self, target: &Target, count: Option<u64>) -> Result<Rows, Failure> {
        let limit = count.or(self.screen.limit).unwrap_or(u64::MAX);
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let wanted = limit.saturating_sub(items.len() as u64).clamp(1, PAGE_MAX);
            let mut page = self.get(&target.clone().with("limit", wanted).with_some("cursor", cursor)).await?;
            let next = page["next_cursor"].as_str().map(str::to_owned);
            match page["items"].take() {
                Value::Array(more) => items.extend(more),
                _ => return Err(Failure::incompatible("the daemon's answer is no list")),
            }
            let full = items.len() as u64 >= limit;
            let cut = items.len() as u64 > limit;
            items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            if next.is_none() || full {
                return Ok(Rows { items, more: next.is_some() || cut });
            }
            cursor = next;
        }
    }

    /// [`Session::rows`], with a word on standard error when rows were left out.
    pub(crate) async fn all_rows(&self, target: &Target, count: Option<u64>) -> Result<Vec<Value>, Failure> {
        let rows = self.rows(target, count).await?;
        if rows.more && count.is_none() {
            self.say(format!("there are more than {}; see them with --limit N (0: all)", rows.items.len()));
        }
        Ok(rows.items)
    }

    /// A message beside the results; not with `--quiet`.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.globals.quiet {
            let _ = writeln!(std::io::stderr(), "{}", clean(text.as_ref())); // nobody reads it: no harm
        }
    }

    /// Asks whether to go on.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.globals.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(format!("{} needs a confirmation", clean(question))).hint("add -y"));
        }
        eprint!("{}? [y/N] ", clean(question));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Failure::usage("not confirmed; nothing was changed"))
    }
}

/// Rows or an object with their types.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| {
        Failure::incompatible(format!("cannot read the answer of slothd: {error}"))
            .hint("compare the versions: slothctl version; -o json shows it as it is")
    })
}

/// As [`typed`], for each row.
pub(crate) fn typed_rows<T: DeserializeOwned>(values: &[Value]) -> Result<Vec<T>, Failure> {
    values.iter().map(typed).collect()
}
