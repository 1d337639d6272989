//! Values of fields: words, numbers within bounds, text, durations, sizes. Each refusal names its field.

use std::time::Duration;

use sloth_api::Quantity;
use sloth_core::{AfterCondition, Backoff, CatchUp, JitterMode, Overlap, Sandbox, units};

use crate::ServiceError;

/// Longest command line, shell text or standard input, bytes.
pub(crate) const TEXT_MAX: usize = 128 * 1024;

pub(crate) const OVERLAPS: &[(&str, Overlap)] = &[
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("queue_all", Overlap::QueueAll),
    ("replace", Overlap::Replace),
    ("allow", Overlap::Allow),
];
pub(crate) const CATCH_UPS: &[(&str, CatchUp)] =
    &[("none", CatchUp::None), ("latest", CatchUp::Latest), ("all", CatchUp::All)];
pub(crate) const JITTER_MODES: &[(&str, JitterMode)] = &[("instant", JitterMode::Instant), ("host", JitterMode::Host)];
pub(crate) const BACKOFFS: &[(&str, Backoff)] =
    &[("fixed", Backoff::Fixed), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];
pub(crate) const SANDBOXES: &[(&str, Sandbox)] =
    &[("none", Sandbox::None), ("default", Sandbox::Default), ("strict", Sandbox::Strict)];
pub(crate) const CONDITIONS: &[(&str, AfterCondition)] =
    &[("success", AfterCondition::Success), ("failure", AfterCondition::Failure), ("any", AfterCondition::Any)];

pub(crate) fn choice<T: Copy>(
    field: &str,
    text: Option<&str>,
    all: &[(&str, T)],
    default: T,
) -> Result<T, ServiceError> {
    let Some(text) = text else { return Ok(default) };
    all.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
        ServiceError::field(field, format!("{text:?} is not one of {}", words.join(", ")))
    })
}

pub(crate) fn range(field: &str, value: Option<u32>, min: u32, max: u32, default: u32) -> Result<u32, ServiceError> {
    match value {
        None => Ok(default),
        Some(value) if (min..=max).contains(&value) => Ok(value),
        Some(value) => Err(ServiceError::field(field, format!("{value} is not between {min} and {max}"))),
    }
}

pub(crate) fn no_nul(field: &str, text: String) -> Result<String, ServiceError> {
    if text.len() > TEXT_MAX {
        return Err(ServiceError::field(field, format!("is longer than {TEXT_MAX} bytes")));
    }
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(ServiceError::field(field, format!("holds a NUL byte at position {at}"))),
    }
}

/// Text for people on one line.
pub(crate) fn plain(field: &str, text: String, max: usize) -> Result<String, ServiceError> {
    if text.len() > max {
        return Err(ServiceError::field(field, format!("is longer than {max} bytes")));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(text),
        Some(c) => Err(ServiceError::field(field, format!("holds the control character {}", c.escape_default()))),
    }
}

pub(crate) fn duration(field: &str, value: Option<&Quantity>) -> Result<Option<Duration>, ServiceError> {
    let Some(value) = value else { return Ok(None) };
    let text = match value {
        Quantity::Text(text) => text.clone(),
        Quantity::Whole(n) => n.to_string(),
        Quantity::Fraction(f) => f.to_string(),
    };
    units::parse_duration(&text)
        .map(Some)
        .map_err(|error| ServiceError::field(field, error).hint("a duration such as 90s, 5m or 1h30m"))
}

pub(crate) fn positive(field: &str, value: Option<&Quantity>) -> Result<Option<Duration>, ServiceError> {
    match duration(field, value)? {
        Some(Duration::ZERO) => {
            Err(ServiceError::field(field, "must be more than 0").hint("leave it out for no limit"))
        }
        other => Ok(other),
    }
}

pub(crate) fn size(field: &str, value: &Quantity) -> Result<u64, ServiceError> {
    match value {
        Quantity::Whole(bytes) => Ok(*bytes),
        Quantity::Text(text) => units::parse_size(text)
            .map_err(|error| ServiceError::field(field, error).hint("a size such as 512Ki, 256Mi or 1G")),
        Quantity::Fraction(f) => Err(ServiceError::field(field, format!("{f} is no whole number of bytes"))),
    }
}
