//! The contract of slothd: wire types, the error table, event names, and (feature `client`) a client of the Unix socket.
//!
//! Every door of the daemon and every program that talks to it uses these types. JSON keys are snake_case and stable; times are RFC 3339
//! in UTC with milliseconds; durations and sizes that a user writes are text (`"1h30m"`, `"10Mi"`), measured ones are numbers with the
//! unit as the last word of the name (`duration_ms`, `output_bytes`).

mod daemon;
mod error;
pub mod event;
mod page;
mod run;
mod schedule;
mod schedule_spec;
pub mod worker;
mod workflow;

#[cfg(feature = "client")]
pub mod client;

pub use daemon::*;
pub use error::{ErrorBody, ErrorCode, ErrorDetail, ExitCode};
pub use page::Page;
pub use run::*;
pub use schedule::*;
pub use schedule_spec::*;
pub use workflow::*;

/// Version of the protocol between slothctl and slothd; a different major is refused.
pub const PROTOCOL: &str = "1.0";

/// Commit that this was built from, or `unknown` (environment `SLOTH_BUILD_COMMIT` of the build).
pub const BUILD_COMMIT: &str = env!("SLOTH_BUILD_COMMIT");

/// Date of the build, or `unknown` (environment `SOURCE_DATE_EPOCH` of the build).
pub const BUILD_DATE: &str = env!("SLOTH_BUILD_DATE");

/// Where the API lives on every listener.
pub const BASE: &str = "/api/v1";

/// Largest request body, bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
