//! The checks of single settings. What is wrong is collected, not returned at the first.

use std::path::PathBuf;
use std::time::Duration;

use sloth_core::units;
use toml::Value;

use crate::settings::Merged;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct Check<'a> {
    pub(crate) merged: &'a Merged,
    pub(crate) problems: Vec<String>,
}

impl Check<'_> {
    pub(crate) fn read<T>(&mut self, name: &str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let (value, origin) = self.merged.get(name);
        match parse(&value?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(format!("{origin}: {name}: {problem}"));
                None
            }
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, |value| value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no text")))
    }

    pub(crate) fn word(&mut self, name: &str, all: &[&str]) -> String {
        let word = self.read(name, |value| match value.as_str() {
            Some(word) if all.contains(&word) => Ok(word.to_owned()),
            _ => Err(format!("{value} is not one of {}", all.join(", "))),
        });
        word.unwrap_or_default()
    }

    pub(crate) fn words(&mut self, name: &str) -> Vec<String> {
        let words = self.read(name, |value| {
            let list = value.as_array().ok_or_else(|| format!("{value} is no list of texts"))?;
            let words: Option<Vec<String>> = list.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            words.ok_or_else(|| format!("{value} is no list of texts"))
        });
        words.unwrap_or_default()
    }

    pub(crate) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.read(name, |value| match value.as_str() {
            Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
            _ => Err(format!("{value} is no absolute path")),
        })
    }

    /// An address of the form that the D-Bus specification gives; whether somebody listens there is seen later.
    pub(crate) fn bus_address(&mut self, name: &str) -> Option<String> {
        self.read(name, |value| match value.as_str() {
            Some(address) if sloth_doors::dbus::is_address(address) => Ok(address.to_owned()),
            _ => Err(format!("{value} is no bus address such as \"unix:path=/run/dbus/system_bus_socket\"")),
        })
    }

    pub(crate) fn mode(&mut self, name: &str) -> Option<u32> {
        self.read(name, |value| match value.as_str().and_then(|text| u32::from_str_radix(text, 8).ok()) {
            Some(mode) if mode <= 0o777 => Ok(mode),
            _ => Err(format!("{value} is no octal mode such as \"0660\"")),
        })
    }

    pub(crate) fn number(&mut self, name: &str, min: u64, max: u64) -> u64 {
        let number = self.read(name, |value| match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
            Some(n) if (min..=max).contains(&n) => Ok(n),
            _ => Err(format!("{value} is no whole number between {min} and {max}")),
        });
        number.unwrap_or_default()
    }

    pub(crate) fn span(&mut self, name: &str, min: Duration, max: Duration) -> Duration {
        let span = self.read(name, |value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Integer(n) => n.to_string(),
                other => return Err(format!("{other} is no duration such as \"90s\"")),
            };
            let span = units::parse_duration(&text).map_err(|error| error.to_string())?;
            match (min..=max).contains(&span) {
                true => Ok(span),
                false => {
                    let (min, max) = (units::format_duration(min), units::format_duration(max));
                    Err(format!("{text} is not between {min} and {max}"))
                }
            }
        });
        span.unwrap_or_default()
    }
}
