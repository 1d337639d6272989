//! The protocol between slothd and its supervisor: versioned messages as JSON behind a four-byte length. It lives here
//! because a supervisor outlives the slothd that started it, so both ends may be of different builds.
//!
//! The client opens with [`Hello`](ToSupervisor::Hello); the supervisor answers with its own, then with one or more
//! [`Known`](FromSupervisor::Known) messages of which the last has `last = true`. Then orders flow in and reports flow out.
//! Core types are not serializable on purpose; the mirrors below are checked against them by the compiler.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sloth_core::launch::{Known, KnownState, Launch};
use sloth_core::run::{AttemptEnd, Outcome, ProcessId, StartFailure, StartFailureKind, Usage};
use sloth_core::{AttemptKey, Limits, Moment, Sandbox};

/// Version of the protocol. Another major number is refused by both ends.
pub const VERSION: u32 = 1;
/// Longest message in bytes; a longer one is refused and ends the connection. Holds an argument list of 2 MiB, escaped.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// What slothd says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToSupervisor {
    /// First message.
    Hello {
        /// [`VERSION`] of the client.
        version: u32,
    },
    /// See `Order::Prepare`.
    Prepare(Box<LaunchItem>),
    /// See `Order::Release`.
    Release(#[serde(with = "key_text")] AttemptKey),
    /// See `Order::Discard`.
    Discard(#[serde(with = "key_text")] AttemptKey),
    /// See `Order::Kill`.
    Kill {
        /// Which.
        #[serde(with = "key_text")]
        key: AttemptKey,
        /// Zero: KILL at once.
        grace: Duration,
    },
    /// See `Order::Forget`.
    Forget(#[serde(with = "key_text")] AttemptKey),
    /// Do you know it? Answered by `Unknown`, or by its reports once more.
    Query(#[serde(with = "key_text")] AttemptKey),
}

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromSupervisor {
    /// First message.
    Hello {
        /// [`VERSION`] of the supervisor.
        version: u32,
        /// Its process.
        pid: u32,
    },
    /// A part of the list of known attempts.
    Known {
        /// Some of them.
        list: Vec<KnownItem>,
        /// Whether this is the last part.
        last: bool,
    },
    /// See `Report::Prepared`.
    Prepared {
        /// Which.
        #[serde(with = "key_text")]
        key: AttemptKey,
        /// The process.
        #[serde(with = "ProcessIdDef")]
        process: ProcessId,
    },
    /// See `Report::Refused`.
    Refused {
        /// Which.
        #[serde(with = "key_text")]
        key: AttemptKey,
        /// Why.
        #[serde(with = "StartFailureDef")]
        failure: StartFailure,
    },
    /// See `Report::Started`.
    Started {
        /// Which.
        #[serde(with = "key_text")]
        key: AttemptKey,
        /// When.
        #[serde(with = "moment_us")]
        at: Moment,
    },
    /// See `Report::Ended`.
    Ended {
        /// Which.
        #[serde(with = "key_text")]
        key: AttemptKey,
        /// How.
        #[serde(with = "AttemptEndDef")]
        end: AttemptEnd,
    },
    /// Answer to `Query`.
    Unknown(#[serde(with = "key_text")] AttemptKey),
    /// Something for the log.
    Note(String),
}

/// What to prepare.
#[derive(Debug, Serialize, Deserialize)]
pub struct LaunchItem(#[serde(with = "LaunchDef")] pub Launch);

/// One known attempt.
#[derive(Debug, Serialize, Deserialize)]
pub struct KnownItem(#[serde(with = "KnownDef")] pub Known);

/// The end of an attempt as the end frame of the output file holds it.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndRecord(#[serde(with = "AttemptEndDef")] pub AttemptEnd);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Known")]
struct KnownDef {
    #[serde(with = "key_text")]
    key: AttemptKey,
    #[serde(with = "KnownStateDef")]
    state: KnownState,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "KnownState", rename_all = "snake_case")]
enum KnownStateDef {
    Held(#[serde(with = "ProcessIdDef")] ProcessId),
    Running {
        #[serde(with = "ProcessIdDef")]
        process: ProcessId,
        #[serde(with = "moment_us")]
        since: Moment,
    },
    Ended(#[serde(with = "AttemptEndDef")] AttemptEnd),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Launch")]
struct LaunchDef {
    #[serde(with = "key_text")]
    key: AttemptKey,
    argv: Vec<String>,
    user: String,
    group: Option<String>,
    cwd: Option<PathBuf>,
    env: BTreeMap<String, String>,
    umask: u32,
    stdin: Option<String>,
    #[serde(with = "LimitsDef")]
    limits: Limits,
    timeout: Option<Duration>,
    kill_grace: Duration,
    output: PathBuf,
    output_limit: u64,
    // A supervisor of an older build never gets these set, as its slothd refuses them.
    #[serde(default, with = "SandboxDef", skip_serializing_if = "is_plain")]
    sandbox: Sandbox,
    #[serde(default)]
    journal: bool,
}

fn is_plain(sandbox: &Sandbox) -> bool {
    *sandbox == Sandbox::None
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Sandbox", rename_all = "snake_case")]
enum SandboxDef {
    None,
    Default,
    Strict,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Limits")]
struct LimitsDef {
    cpu_millis: Option<u32>,
    memory_bytes: Option<u64>,
    io_weight: Option<u16>,
    nofile: Option<u64>,
    tasks: Option<u64>,
    nice: Option<i8>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessId")]
struct ProcessIdDef {
    pid: u32,
    start_ticks: u64,
    boot_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Usage")]
struct UsageDef {
    cpu: Duration,
    memory_peak_bytes: Option<u64>,
    io_read_bytes: Option<u64>,
    io_write_bytes: Option<u64>,
    ip_ingress_bytes: Option<u64>,
    ip_egress_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AttemptEnd")]
struct AttemptEndDef {
    #[serde(with = "OutcomeDef")]
    outcome: Outcome,
    #[serde(with = "moment_us")]
    ended_at: Moment,
    #[serde(with = "UsageDef")]
    usage: Usage,
    output_bytes: u64,
    dropped_bytes: u64,
    stderr_tail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome", rename_all = "snake_case")]
enum OutcomeDef {
    Exited(i32),
    Signaled(i32),
    TimedOut,
    Killed,
    Oom,
    NotStarted(#[serde(with = "StartFailureDef")] StartFailure),
    Lost(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StartFailure")]
struct StartFailureDef {
    #[serde(with = "StartFailureKindDef")]
    kind: StartFailureKind,
    message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StartFailureKind", rename_all = "snake_case")]
enum StartFailureKindDef {
    User,
    Directory,
    Program,
    Limit,
    Output,
    Resources,
    Other,
}

mod key_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use sloth_core::AttemptKey;

    pub fn serialize<S: Serializer>(key: &AttemptKey, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<AttemptKey, D::Error> {
        let text = String::deserialize(from)?;
        let (run, attempt) = text.rsplit_once('-').ok_or_else(|| D::Error::custom("no attempt number"))?;
        let run = run.parse().map_err(D::Error::custom)?;
        Ok(AttemptKey { run, attempt: attempt.parse().map_err(D::Error::custom)? })
    }
}

mod moment_us {
    use serde::{Deserialize, Deserializer, Serializer};
    use sloth_core::Moment;

    pub fn serialize<S: Serializer>(at: &Moment, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.micros())
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Moment, D::Error> {
        i64::deserialize(from).map(Moment::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_was_written_before_packets_were_counted_can_be_read() {
        let text = r#"{"outcome":{"exited":0},"ended_at":7,"usage":{"cpu":{"secs":1,"nanos":0},"memory_peak_bytes":5,
            "io_read_bytes":0,"io_write_bytes":null},"output_bytes":3,"dropped_bytes":0,"stderr_tail":""}"#;
        let EndRecord(end) = serde_json::from_str(text).unwrap();
        let known = Usage {
            cpu: Duration::from_secs(1),
            memory_peak_bytes: Some(5),
            io_read_bytes: Some(0),
            ..Usage::default()
        };
        assert_eq!((end.outcome, end.usage), (Outcome::Exited(0), known));
    }
}
