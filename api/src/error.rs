//! One error table for every door: code, HTTP status, name on D-Bus, exit code of slothctl.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $http:literal $exit:literal,)*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code as it stands on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// HTTP status.
            pub fn http_status(self) -> u16 {
                match self { $(ErrorCode::$name => $http,)* }
            }

            /// Name of the error on D-Bus.
            pub fn dbus_name(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!("org.slothd.Slothd1.Error.", stringify!($name)),)* }
            }

            /// Exit code of slothctl.
            pub fn exit_code(self) -> u8 {
                match self { $(ErrorCode::$name => $exit,)* }
            }
        }
    };
}

codes! {
    /// A field, parameter or header is wrong; the message names it.
    InvalidArgument "invalid_argument" 400 2,
    /// A definition file is wrong.
    DefinitionError "definition_error" 422 2,
    /// Nobody knows who asks.
    Unauthenticated "unauthenticated" 401 7,
    /// The caller lacks a permission; the message names it.
    Denied "denied" 403 7,
    /// A policy rule forbids it.
    PolicyDenied "policy_denied" 403 7,
    /// There is no such object, or the caller may not see it.
    NotFound "not_found" 404 8,
    /// An object of this name exists.
    AlreadyExists "already_exists" 409 9,
    /// It contradicts the present state; the message says which.
    Conflict "conflict" 409 9,
    /// Something still uses it.
    InUse "in_use" 409 9,
    /// Somebody else holds the lock.
    LockHeld "lock_held" 423 3,
    /// The caller does not hold the lock.
    LockNotHeld "lock_not_held" 409 7,
    /// An earlier run is unfinished and the overlap policy forbids another.
    OverlapForbidden "overlap_forbidden" 409 9,
    /// The body is larger than the limit.
    PayloadTooLarge "payload_too_large" 413 2,
    /// The secrets cannot be read now.
    SecretsLocked "secrets_locked" 503 1,
    /// The lock was lost in between.
    StaleToken "stale_token" 409 9,
    /// The object changed since it was read.
    StaleVersion "stale_version" 409 9,
    /// `If-Match` or another condition does not hold.
    PreconditionFailed "precondition_failed" 412 9,
    /// The dependencies form a circle.
    CircularDependency "circular_dependency" 422 2,
    /// A quota is used up.
    QuotaExceeded "quota_exceeded" 429 1,
    /// A bounded queue is full.
    QueueFull "queue_full" 429 1,
    /// Too many requests.
    RateLimited "rate_limited" 429 1,
    /// An agent does not answer.
    AgentUnreachable "agent_unreachable" 502 4,
    /// It took too long.
    Timeout "timeout" 504 5,
    /// It was cancelled.
    Cancelled "cancelled" 499 5,
    /// No space to write; nothing was changed.
    StorageFull "storage_full" 503 1,
    /// The database cannot be written; nothing was changed.
    StorageUnavailable "storage_unavailable" 503 1,
    /// The daemon starts, stops or is being restored.
    NotReady "not_ready" 503 1,
    /// A defect of slothd; the journal says more under the request id.
    Internal "internal" 500 1,
    /// It is not built yet.
    NotSupported "not_supported" 501 1,
    /// This build leaves it out.
    UnavailableInBuild "unavailable_in_build" 501 1,
    /// Client and daemon are too far apart.
    IncompatibleVersion "incompatible_version" 426 10,
}

/// What every refusal looks like: `{"error": {…}}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: ErrorDetail,
}

/// A refusal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// From the table.
    pub code: ErrorCode,
    /// One sentence that names the place.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Facts for programs, such as `field`, `column`, `run_id`, `since`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
    /// Of the request; also in the header `X-Request-Id` and in the daemon's log.
    #[serde(default)]
    pub request_id: String,
}

/// Exit codes of slothctl beside those of [`ErrorCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Success, or already in the wanted state.
    Success = 0,
    /// The operation or run failed.
    Failed = 1,
    /// Usage, definition or configuration error.
    Usage = 2,
    /// Timed out or cancelled.
    TimedOut = 5,
    /// Differences found.
    Differences = 6,
    /// Permission denied.
    Denied = 7,
    /// Not found.
    NotFound = 8,
    /// Conflict.
    Conflict = 9,
    /// The daemon is unreachable or incompatible.
    Unreachable = 10,
    /// The client was interrupted.
    Interrupted = 130,
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn the_text_of_each_code_is_its_wire_form() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("serialisable"), code.as_str());
        }
    }
}
