//! Why a request got no response.

use std::fmt;

use sloth_lua::{CancelKind, Failure};

use crate::ended;

/// What went wrong, before it is told about which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The request cannot be made as it is.
    Request(String),
    /// No connection: name, address, proxy or TLS.
    Connection(String),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// The time is over.
    Timeout,
    /// More was sent than is accepted.
    TooLarge(u64),
    /// More redirects than allowed.
    Redirects(u32),
    /// The task ended.
    Ended(CancelKind),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Request(why) | Trouble::Connection(why) | Trouble::Broken(why) => f.write_str(why),
            Trouble::Timeout => f.write_str("timeout"),
            Trouble::TooLarge(max) => write!(f, "the body is longer than {max} bytes (max_body)"),
            Trouble::Redirects(max) => write!(f, "more than {max} redirects (max_redirects)"),
            Trouble::Ended(kind) => f.write_str(&ended(kind).message),
        }
    }
}

impl Trouble {
    /// The failure of the call that made a request.
    pub(crate) fn of(&self, method: &str, url: &str) -> Failure {
        let kind = match self {
            Trouble::Ended(kind) => ended(kind).kind,
            Trouble::Timeout => Some("timeout"),
            _ => None,
        };
        Failure { kind, ..Failure::new(format!("{method} {url}: {self}")) }
    }
}

/// An error of hyper with its causes: the outer one alone says little.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
