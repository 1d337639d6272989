//! Why there is no answer: the daemon is away, too slow, refuses, or speaks another language.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{ErrorCode, ErrorDetail};

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens on the socket, or it does not accept the caller.
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke; whether the request was carried out is not known.
    Lost(String),
    /// No answer within the time.
    TimedOut(Duration),
    /// The daemon refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// The refusal.
        detail: Box<ErrorDetail>,
    },
    /// The answer is not what this version of the protocol says.
    Unreadable(String),
    /// The request cannot be written: a path or header is not allowed in HTTP.
    Request(String),
}

impl ClientError {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&ErrorDetail> {
        match self {
            ClientError::Refused { detail, .. } => Some(detail),
            _ => None,
        }
    }

    /// Whether waiting helps: the daemon is away or not ready yet.
    pub fn is_passing(&self) -> bool {
        match self {
            ClientError::Unreachable { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
            ClientError::Lost(_) => true,
            ClientError::Refused { detail, .. } => detail.code == ErrorCode::NotReady,
            ClientError::TimedOut(_) | ClientError::Unreadable(_) | ClientError::Request(_) => false,
        }
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientError::Unreachable { socket, source } => {
                let reason = match source.kind() {
                    io::ErrorKind::NotFound => "no such socket".to_owned(),
                    io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
                    io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    _ => source.to_string(),
                };
                write!(f, "cannot reach slothd: {}: {reason}", socket.display())
            }
            ClientError::Lost(reason) => write!(f, "lost the connection to slothd: {reason}"),
            ClientError::TimedOut(limit) => write!(f, "no answer from slothd within {} s", limit.as_secs_f64()),
            ClientError::Refused { detail, .. } => f.write_str(&detail.message),
            ClientError::Unreadable(reason) => write!(f, "cannot read the answer of slothd: {reason}"),
            ClientError::Request(reason) => write!(f, "cannot write the request: {reason}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Unreachable { source, .. } => Some(source),
            _ => None,
        }
    }
}
