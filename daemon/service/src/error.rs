//! Refusals and failures of the use cases, in the words of the one error table.

use serde_json::{Map, Value};
use sloth_api::ErrorCode;
use sloth_core::machine::Refusal;
use sloth_core::trigger::TriggerError;
use sloth_engine::EngineError;

/// Why a use case did not do what was asked.
#[derive(Clone, Debug)]
pub struct ServiceError {
    /// From the table.
    pub code: ErrorCode,
    /// One sentence that names the place.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Facts for programs.
    pub details: Box<Map<String, Value>>,
}

impl ServiceError {
    /// A refusal.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ServiceError { code, message: message.into(), hint: None, details: Box::default() }
    }

    /// A wrong field.
    pub fn field(field: &str, message: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidArgument, format!("{field}: {message}")).with("field", field)
    }

    /// Something that does not exist.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} does not exist"))
    }

    /// Something that will exist one day.
    pub fn not_supported(what: impl std::fmt::Display, hint: &str) -> Self {
        Self::new(ErrorCode::NotSupported, format!("{what} is not available in this version of slothd")).hint(hint)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// A wrong trigger.
    pub(crate) fn trigger(field: &str, error: &TriggerError) -> Self {
        let part = error.field.map_or(String::new(), |part| format!("{part}: "));
        let problem = format!("{part}{:?} at column {}: {}", error.text, error.column, error.problem);
        let mut refusal = Self::field(field, problem).hint(error.hint.clone()).with("column", error.column);
        if let Some(part) = error.field {
            refusal = refusal.with("part", part);
        }
        refusal.with("text", error.text.clone())
    }
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for ServiceError {}

impl From<sloth_store::StoreError> for ServiceError {
    fn from(error: sloth_store::StoreError) -> Self {
        use sloth_store::StoreError as E;
        let message = error.to_string();
        let code = match error {
            E::StorageFull(_) => ErrorCode::StorageFull,
            E::StorageUnavailable(_) => ErrorCode::StorageUnavailable,
            E::Conflict { .. } => ErrorCode::Conflict,
            E::NotFound { .. } => ErrorCode::NotFound,
            E::Ambiguous { .. } | E::Query(_) => ErrorCode::InvalidArgument,
            E::Busy { .. } => ErrorCode::QueueFull,
            E::Closed => ErrorCode::NotReady,
            E::Corrupt(_) | E::Unreadable { .. } | E::Internal(_) => ErrorCode::Internal,
        };
        ServiceError::new(code, message)
    }
}

impl From<EngineError> for ServiceError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Refused(refusal) => refused(&refusal),
            EngineError::Stopping => {
                ServiceError::new(ErrorCode::NotReady, message).hint("try again when it has started")
            }
            EngineError::Busy => ServiceError::new(ErrorCode::QueueFull, message).hint("try again later"),
            EngineError::Store(store) => {
                let code = match store {
                    sloth_engine::StoreError::Full(_) => ErrorCode::StorageFull,
                    sloth_engine::StoreError::Unavailable(_) => ErrorCode::StorageUnavailable,
                    sloth_engine::StoreError::Conflict(_) => ErrorCode::Conflict,
                    sloth_engine::StoreError::NotFound(_) => ErrorCode::NotFound,
                    sloth_engine::StoreError::Broken(_) => ErrorCode::Internal,
                };
                let hint = match code {
                    ErrorCode::StorageFull => Some("nothing was changed; free some space and try again"),
                    ErrorCode::StorageUnavailable => {
                        Some("nothing was changed; see `slothctl db status` and the journal")
                    }
                    _ => None,
                };
                ServiceError { hint: hint.map(str::to_owned), ..ServiceError::new(code, message) }
            }
        }
    }
}

fn refused(refusal: &Refusal) -> ServiceError {
    match refusal {
        Refusal::Overlap { by } => {
            ServiceError::new(ErrorCode::OverlapForbidden, format!("run {by} of this schedule has not ended"))
                .hint("wait for it (slothctl runs wait), cancel it, or set overlap to queue, replace or allow")
                .with("run_id", by.to_string())
        }
        Refusal::QueueFull { waiting } => ServiceError::new(
            ErrorCode::QueueFull,
            format!("{waiting} runs of this schedule are waiting (queue_limit)"),
        )
        .hint("raise queue_limit, or cancel waiting runs"),
        Refusal::EngineFull { waiting } => {
            ServiceError::new(ErrorCode::QueueFull, format!("queue full: {waiting} workflow runs are waiting"))
                .hint("wait, cancel waiting runs, or raise engine.max_queued")
        }
        Refusal::Running => ServiceError::new(ErrorCode::Conflict, "the run has not ended"),
        Refusal::NoWorkflow => ServiceError::new(ErrorCode::Conflict, "the run is one of a command"),
        Refusal::Stale => ServiceError::new(ErrorCode::StaleVersion, "the schedule was changed at the same time")
            .hint("read it again and repeat the request"),
        Refusal::NotRunning => ServiceError::new(ErrorCode::Conflict, "the run has ended"),
        Refusal::StorageBlocked => ServiceError::new(ErrorCode::StorageUnavailable, "nothing can be written now")
            .hint("nothing was changed; see `slothctl status`"),
        Refusal::Quiesced(reason) => {
            ServiceError::new(ErrorCode::Conflict, format!("slothd is in maintenance: {reason}"))
                .hint("slothctl scheduler resume-all")
        }
    }
}
