//! `org.freedesktop.LogControl1` (org.freedesktop.LogControl1(5)): `systemctl service-log-level slothd debug` changes what is logged while
//! slothd runs. Its levels are those of syslog, of which slothd has five.

use sloth_api::ErrorCode;
use sloth_service::ServiceError;
use zbus::Variant;

use super::call::{Known, Refused};
use super::values::Dictionary;

const IDENTIFIER: &str = "slothd";

/// Levels of syslog and what they are for slothd.
const LEVELS: &[(&str, &str)] = &[
    ("emerg", "error"),
    ("alert", "error"),
    ("crit", "error"),
    ("err", "error"),
    ("warning", "warn"),
    ("notice", "info"),
    ("info", "info"),
    ("debug", "debug"),
];

/// The level of syslog for one of ours.
fn syslog_level(level: &str) -> &'static str {
    match level {
        "error" => "err",
        "warn" => "warning",
        "info" => "info",
        // There is nothing below it.
        _ => "debug",
    }
}

/// The target for one of ours.
fn target(ours: &str) -> &'static str {
    if ours == "journal" { "journal" } else { "console" }
}

pub(super) fn read(known: &Known<'_>) -> Dictionary {
    let host = known.call.service().host();
    Dictionary::from([
        ("LogLevel".to_owned(), Variant::from(syslog_level(&host.log_level()))),
        ("LogTarget".to_owned(), Variant::from(target(host.log_target()))),
        ("SyslogIdentifier".to_owned(), Variant::from(IDENTIFIER)),
    ])
}

pub(super) async fn set(known: &Known<'_>, name: &str, value: &str) -> Result<(), Refused> {
    let service = known.call.service();
    if name == "LogTarget" {
        let present = target(service.host().log_target());
        if value == present || value == "auto" {
            return Ok(());
        }
        let message = format!("the log goes to {present} and cannot go to {value:?} while slothd runs");
        return Err(ServiceError::new(ErrorCode::NotSupported, message)
            .hint("set log.target, then restart slothd")
            .into());
    }
    let Some((_, ours)) = LEVELS.iter().find(|(word, _)| *word == value) else {
        let words: Vec<&str> = LEVELS.iter().map(|(word, _)| *word).collect();
        return Err(Refused::arguments(format!("LogLevel: {value:?} is not one of {}", words.join(", "))));
    };
    Ok(service.set_log_level(&known.who, ours).await?)
}
