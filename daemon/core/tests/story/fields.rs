//! Fields of a schedule, as `name=value`.

use sloth_core::trigger::Trigger;
use sloth_core::{AfterCondition, Backoff, CatchUp, Enabled, JitterMode, Overlap, Schedule};

use super::duration;

/// `a=b c="d e"`.
pub fn pairs(text: &str) -> Vec<(&str, &str)> {
    let mut list = Vec::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        list.push((key, value));
        rest = next.trim();
    }
    list
}

pub fn set_all(s: &mut Schedule, text: &str) -> Result<(), String> {
    pairs(text).into_iter().try_for_each(|(key, value)| set(s, key, value))
}

fn set(s: &mut Schedule, key: &str, value: &str) -> Result<(), String> {
    let number = || value.parse::<u32>().map_err(|_| format!("not a number: {value}"));
    let length = || duration(value);
    let unknown = || Err(format!("{key} cannot be {value}"));
    match key {
        "trigger" => {
            s.trigger = Trigger::parse(value, &s.zone).map_err(|e| e.to_string())?;
            s.trigger_text = value.to_owned();
        }
        "overlap" => {
            s.overlap = match value {
                "skip" => Overlap::Skip,
                "queue" => Overlap::Queue,
                "queue_all" => Overlap::QueueAll,
                "replace" => Overlap::Replace,
                "allow" => Overlap::Allow,
                _ => return unknown(),
            }
        }
        "catch_up" => {
            s.catch_up = match value {
                "none" => Some(CatchUp::None),
                "latest" => Some(CatchUp::Latest),
                "all" => Some(CatchUp::All),
                _ => return unknown(),
            }
        }
        "queue_limit" => s.queue_limit = number()?,
        "catch_up_max" => s.catch_up_max = number()?,
        "catch_up_window" => s.catch_up_window = length()?,
        "start_deadline" => s.start_deadline = Some(length()?),
        "jitter" => s.jitter = length()?,
        "jitter_mode" if value == "host" => s.jitter_mode = JitterMode::Host,
        "timeout" => s.timeout = Some(length()?),
        "retries" => s.retries.max = number()?,
        "retry_delay" => s.retries.delay = length()?,
        "retry_max_delay" => s.retries.max_delay = length()?,
        "retry_backoff" => {
            s.retries.backoff = match value {
                "fixed" => Backoff::Fixed,
                "linear" => Backoff::Linear,
                "exponential" => Backoff::Exponential,
                _ => return unknown(),
            }
        }
        "retry_lost" => s.retry_lost = value == "true",
        "pause_after_failures" => s.pause_after_failures = Some(number()?),
        "enabled" if value == "false" => s.enabled = Enabled::Paused { reason: "disabled".to_owned(), until: None },
        "after" => {
            let (name, condition) = value.split_once(':').ok_or("after=NAME:CONDITION")?;
            let condition = match condition {
                "success" => AfterCondition::Success,
                "failure" => AfterCondition::Failure,
                "any" => AfterCondition::Any,
                _ => return unknown(),
            };
            s.after.insert(name.to_owned(), condition);
        }
        _ => return Err(format!("no such field: {key}={value}")),
    }
    Ok(())
}
