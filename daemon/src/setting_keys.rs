//! Every key of the configuration: name, default, meaning. The reference in etc is made from this table.

/// A key: its name, its default as TOML, what it is.
pub struct Key {
    /// `scheduler.max_running`.
    pub name: &'static str,
    /// TOML text; empty: not set.
    pub default: &'static str,
    /// One sentence.
    pub about: &'static str,
}

const fn key(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, default, about }
}

/// Every key there is, in the order of the reference.
pub const KEYS: &[Key] = &[
    key("log.level", "\"info\"", "What is logged: error, warn, info, debug or trace. Also by reload."),
    key("log.target", "\"auto\"", "Where to: journal, stderr, or auto (journal under systemd). Needs a restart."),
    key(
        "socket.path",
        "",
        "Path of the socket. Default: /run/slothd/slothd.sock, or slothd.sock below --root. Needs a restart.",
    ),
    key(
        "socket.mode",
        "",
        "Mode of the socket, octal text. Default: \"0660\" for the system, \"0600\" else. Needs a restart.",
    ),
    key("socket.group", "", "Group of the socket. Default: sloth for the system where it exists. Needs a restart."),
    key(
        "dbus.bus",
        "\"auto\"",
        "Which message bus: system, session, none, or auto (system for the daemon of the system, session for that of a user, none with --root). Needs a restart.",
    ),
    key("dbus.address", "", "Another address of that bus than the usual one. Needs a restart."),
    key("scheduler.max_running", "2000", "How many runs may have a process at once; further ones wait."),
    key("scheduler.horizon", "\"10s\"", "How far ahead due instants are claimed, 3s to 1m. Needs a restart."),
    key(
        "scheduler.catch_up_spread",
        "\"60s\"",
        "Missed runs that are made up start spread over at most this time. Needs a restart.",
    ),
    key("security.admin_groups", "[\"root\"]", "Members of these groups may do everything."),
    key("security.audit_retention", "\"365d\"", "How long the audit trail is kept."),
    key("events.retention", "\"30d\"", "How long events are kept."),
    key("events.max_rows", "5000000", "How many events are kept at most."),
    key("backup.every", "\"24h\"", "How often a backup is made; 0 for never."),
    key("backup.keep", "7", "How many of these backups are kept."),
    key("backup.dir", "", "Where backups are. Default: backups below the data directory. Needs a restart."),
];

/// The reference: every key with its default, commented out.
#[cfg(test)]
fn reference() -> String {
    let mut text = "# Configuration of slothd. Every key is shown with its default; `slothctl config show --origin` tells what is in force.\n\
                    # Files of conf.d come after this one, then the environment (SLOTHD_SCHEDULER__MAX_RUNNING=100).\n\
                    # `slothd check-config` prints every problem.\n"
        .to_owned();
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if table != section {
            text.push_str(&format!("\n[{table}]\n"));
            section = table;
        }
        let default = if key.default.is_empty() { "…" } else { key.default };
        text.push_str(&format!("# {}\n# {name} = {default}\n", key.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_etc_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/slothd.toml");
        if std::env::var_os("SLOTH_BLESS").is_some() {
            std::fs::write(path, reference()).expect("writable");
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(stored, reference(), "run with SLOTH_BLESS=1 to write {path}");
    }
}
