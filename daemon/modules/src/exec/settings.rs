//! What the worker says once about all commands of its run.

use std::sync::OnceLock;
use std::time::Duration;

use super::spec::KILL_GRACE;

/// Settings of all commands.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// `SLOTH_AGENT`: the host's name, as slothd knows it.
    pub agent: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { kill_grace: KILL_GRACE, agent: "local".to_owned() }
    }
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Sets them; the first call counts, and only before the first command.
pub fn configure(settings: Settings) {
    let _ = SETTINGS.set(settings);
}

pub(super) fn settings() -> &'static Settings {
    SETTINGS.get_or_init(Settings::default)
}
