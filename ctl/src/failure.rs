//! Everything that can go wrong in slothctl, in the form of the error table: code, sentence, hint, exit code.

use std::io;

use serde_json::{Map, Value, json};
use sloth_api::client::ClientError;
use sloth_api::{ErrorCode, ExitCode};

/// Exit code when nobody reads the output any more, as the shell reports SIGPIPE.
const PIPE_CLOSED: u8 = 141;

/// A refusal on its way to the user.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Said>);

/// What a [`Failure`] says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) details: Map<String, Value>,
    pub(crate) request_id: String,
    pub(crate) exit: u8,
    /// Everything has been said already; only the exit code is left.
    pub(crate) silent: bool,
}

impl Failure {
    fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure(Box::new(Said {
            code: code.as_str(),
            message: message.into(),
            hint: None,
            details: Map::new(),
            request_id: String::new(),
            exit: code.exit_code(),
            silent: false,
        }))
    }

    /// Wrong words on the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::InvalidArgument, message)
    }

    /// A command or flag that a later version will have.
    pub(crate) fn not_supported(what: &str) -> Failure {
        Failure::new(ErrorCode::NotSupported, format!("{what} is not available in this version"))
    }

    /// A workflow file is wrong.
    pub(crate) fn definition(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::DefinitionError, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::NotFound, message)
    }

    /// There is one of this name already.
    pub(crate) fn exists(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::AlreadyExists, message)
    }

    /// Something on this side went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::Internal, message)
    }

    /// It took too long.
    pub(crate) fn timed_out(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::Timeout, message)
    }

    /// The daemon speaks another protocol.
    pub(crate) fn incompatible(message: impl Into<String>) -> Failure {
        Failure::new(ErrorCode::IncompatibleVersion, message)
    }

    /// Only an exit code; the output has said why.
    pub(crate) fn exit(code: u8) -> Failure {
        let mut failure = Failure::new(ErrorCode::Internal, "").exiting(code);
        failure.silent = true;
        failure
    }

    /// With what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    fn exiting(mut self, code: u8) -> Failure {
        self.exit = code;
        self
    }

    /// The JSON form.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        error["details"] = self.details.clone().into();
        if !self.request_id.is_empty() {
            error["request_id"] = self.request_id.as_str().into();
        }
        error["exit_code"] = self.exit.into();
        json!({ "error": error })
    }
}

impl std::ops::Deref for Failure {
    type Target = Said;

    fn deref(&self) -> &Said {
        &self.0
    }
}

impl std::ops::DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Said {
        &mut self.0
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let message = error.to_string();
        let unreachable = |code, message| Failure::new(code, message).exiting(ExitCode::Unreachable as u8);
        match error {
            ClientError::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                unreachable(ErrorCode::NotReady, message).hint("ask an administrator for access to the socket")
            }
            ClientError::Unreachable { .. } => unreachable(ErrorCode::NotReady, message)
                .hint("start it with \"systemctl start slothd\", or name another with --socket, --root or --user"),
            ClientError::Lost(_) => unreachable(ErrorCode::NotReady, message),
            ClientError::Unreadable(_) => {
                unreachable(ErrorCode::IncompatibleVersion, message).hint("compare the versions: slothctl version")
            }
            ClientError::TimedOut(_) => Failure::timed_out(message).hint("allow more time with --timeout"),
            ClientError::Request(_) => Failure::usage(message),
            ClientError::Refused { detail, .. } => {
                let mut failure = Failure::new(detail.code, message);
                failure.hint = detail.hint;
                failure.details = detail.details;
                failure.request_id = detail.request_id;
                failure
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::exit(PIPE_CLOSED);
        }
        Failure::new(ErrorCode::Internal, error.to_string()).exiting(ExitCode::Failed as u8)
    }
}
