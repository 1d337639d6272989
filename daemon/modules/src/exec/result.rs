//! What a command leaves behind: the members of an exec result.

use std::time::Duration;

use serde_json::Value;
use sloth_lua::{CancelKind, Data};

/// The result of a command. Made also when it could not be started, was skipped or only simulated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecResult {
    /// What it wrote, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Its code: 124 on timeout, 127 not found, 126 not executable, 128+n on signal n.
    pub exit_code: i32,
    /// Of which it died.
    pub signal: Option<i32>,
    /// Whether its code is one of the expected ones.
    pub success: bool,
    /// Whether it was ended because its time was over.
    pub timed_out: bool,
    /// Whether it was ended because its task was cancelled.
    pub cancelled: bool,
    /// Whether it was ended because it went over its memory limit.
    pub out_of_memory: bool,
    /// Whether more was written than was kept.
    pub truncated: bool,
    /// From start to end, all attempts.
    pub duration: Duration,
    /// Its process.
    pub pid: Option<u32>,
    /// In one line.
    pub command: String,
    /// Not run, because nothing may be changed.
    pub simulated: bool,
    /// False when it was skipped by `creates` or `removes`.
    pub changed: Option<bool>,
    /// Why it failed: standard error, else a sentence.
    pub error: Option<String>,
    /// Attempts made.
    pub attempts: u32,
    /// Codes of all commands of a pipeline.
    pub codes: Vec<i32>,
}

impl ExecResult {
    /// One that never was a process.
    pub fn not_started(command: String, exit_code: i32, error: String) -> ExecResult {
        ExecResult { command, exit_code, error: Some(error), attempts: 1, ..ExecResult::default() }
    }

    /// Kind of the failure, from the list of the language; `None` for success.
    pub fn failure_kind(&self) -> Option<&'static str> {
        match self {
            _ if self.success => None,
            _ if self.timed_out => Some("timeout"),
            _ if self.cancelled => Some("cancelled"),
            _ if self.out_of_memory => Some("resource_limit"),
            _ if self.pid.is_none() => Some("error"),
            _ => Some("exit"),
        }
    }

    /// Why it failed, from what was found.
    pub(super) fn explain(&mut self, ended: Option<&CancelKind>, limit: Option<Duration>) {
        if self.success {
            self.error = None;
            return;
        }
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text.trim_end_matches(['\n', '\r']);
        let said = match ended {
            Some(CancelKind::Timeout) => match limit {
                Some(limit) => format!("timed out after {}", seconds(limit)),
                None => "timed out".to_owned(),
            },
            Some(CancelKind::Cancelled(reason)) => format!("cancelled: {reason}"),
            None if self.out_of_memory => "killed: it went over its memory limit".to_owned(),
            None if !text.is_empty() => text.to_owned(),
            None => match self.signal {
                Some(signal) => format!("killed by signal {signal}"),
                None => format!("exit status {}", self.exit_code),
            },
        };
        self.error = Some(said);
    }

    /// As the map from which the language makes its exec result.
    pub fn to_data(&self) -> Data {
        let mut members = vec![
            ("stdout", Data::Str(self.stdout.clone())),
            ("stderr", Data::Str(self.stderr.clone())),
            ("output", Data::Str(self.stdout.clone())),
            ("lines", lines(&self.stdout)),
            ("exit_code", i64::from(self.exit_code).into()),
            ("code", i64::from(self.exit_code).into()),
            ("status", i64::from(self.exit_code).into()),
            ("success", self.success.into()),
            ("failed", (!self.success).into()),
            ("error", self.error.clone().into()),
            ("signal", self.signal.map(i64::from).into()),
            ("timed_out", self.timed_out.into()),
            ("truncated", self.truncated.into()),
            ("duration_ms", u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX).into()),
            ("pid", self.pid.map(u64::from).into()),
            ("command", self.command.as_str().into()),
            ("simulated", self.simulated.into()),
            ("attempts", i64::from(self.attempts).into()),
        ];
        if let Some(changed) = self.changed {
            members.push(("changed", changed.into()));
        }
        if !self.codes.is_empty() {
            let codes = self.codes.iter().map(|code| i64::from(*code).into()).collect();
            members.push(("codes", Data::List(codes)));
        }
        Data::map(members.into_iter().filter(|(_, value)| *value != Data::Nil))
    }

    /// As the output of a task.
    pub fn to_json(&self) -> Value {
        self.to_data().to_json()
    }
}

fn lines(text: &[u8]) -> Data {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Data::List(Vec::new());
    }
    Data::List(text.split(|byte| *byte == b'\n').map(|line| Data::Str(line.to_vec())).collect())
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds:.0}s") } else { format!("{seconds:.3}s") }
}
