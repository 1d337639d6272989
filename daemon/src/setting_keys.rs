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
    key("engine.max_runs", "64", "How many runs of workflows may have a worker at once; further ones wait."),
    key("engine.max_runs_per_user", "32", "How many of them may be one user's."),
    key("engine.max_queued", "10000", "How many may wait; one more is refused."),
    key("engine.max_tasks", "512", "How many tasks of one run may run at once."),
    key("engine.queue_timeout", "\"24h\"", "A run that has waited so long is cancelled."),
    key("engine.task_timeout_default", "\"10m\"", "Timeout of a task without its own; 0 for none."),
    key("engine.retry_default", "0", "Retries of a task without its own."),
    key("engine.kill_grace", "\"10s\"", "Between TERM and KILL."),
    key("engine.reconnect_timeout", "\"10m\"", "How long a worker tries to reach slothd again before it gives up."),
    key("engine.auto_resume", "1", "How often a run goes on in a new worker after its worker was lost."),
    key("engine.log_max", "\"256Mi\"", "How much of the log of a run is kept."),
    key("engine.history_retention", "\"90d\"", "How long runs of workflows without a schedule are kept."),
    key("engine.history_max_runs", "100000", "How many of them are kept at most."),
    key(
        "engine.worker",
        "",
        "Path of the worker program. Default: sloth-worker beside slothd, or in /usr/libexec/slothd. Needs a restart.",
    ),
    key(
        "engine.worker_socket",
        "",
        "Path of the socket of workers. Default: /run/slothd/worker.sock, or worker.sock below --root. Needs a restart.",
    ),
    key(
        "engine.work_dir",
        "",
        "Where workers make the directories of their runs. Default: /var/spool/slothd, or work below --root. Needs a restart.",
    ),
    key("engine.capacity.cpu", "", "Cores that tasks may request together, such as \"2\" or \"500m\". Default: all."),
    key("engine.capacity.memory", "", "Memory that tasks may request together. Default: nine tenths of it."),
    key("engine.capacity.disk", "", "Disk space that tasks may request together. Default: no limit."),
    key("lua.memory_max", "\"512Mi\"", "Memory of the virtual machine of a run."),
    key("lua.definition_timeout", "\"60s\"", "How long the evaluation of a workflow file may take."),
    key("lua.max_coroutines", "10000", "Goroutines of a run."),
    key("lua.join_timeout", "\"30s\"", "How long the goroutines of a task are waited for at its end."),
    key("lua.import_paths", "[]", "Directories beside its own from which a workflow file may import."),
    key("security.admin_groups", "[\"root\"]", "Members of these groups may do everything."),
    key("security.audit_retention", "\"365d\"", "How long the audit trail is kept."),
    key("events.retention", "\"30d\"", "How long events are kept."),
    key("events.max_rows", "5000000", "How many events are kept at most."),
    key("backup.every", "\"24h\"", "How often a backup is made; 0 for never."),
    key("backup.keep", "7", "How many of these backups are kept."),
    key("backup.dir", "", "Where backups are. Default: backups below the data directory. Needs a restart."),
];

/// Tables in which the administrator chooses the names: amounts that tasks may request, and whatever scripts shall know.
pub const FREE: &[(&str, &str)] = &[
    ("engine.resources", "Named things that tasks may request: gpu = 2."),
    ("user", "Whatever workflow files shall know: utils.config() gives this table."),
];

/// Whether a key belongs to one of these tables.
pub fn is_free(name: &str) -> bool {
    FREE.iter().any(|(table, _)| name.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
}

/// The reference: every key with its default, commented out.
#[cfg(test)]
fn reference() -> String {
    let mut text = "# Configuration of slothd. Every key is shown with its default; `slothctl config show --origin` tells what is in force.\n\
                    # Files of conf.d come after this one, then the environment (SLOTHD_SCHEDULER__MAX_RUNNING=100).\n\
                    # `slothd check-config` prints every problem.\n"
        .to_owned();
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if table != section {
            text.push_str(&format!("\n[{table}]\n"));
            section = table;
        }
        let default = if key.default.is_empty() { "…" } else { key.default };
        text.push_str(&format!("# {}\n# {name} = {default}\n", key.about));
    }
    for (table, about) in FREE {
        text.push_str(&format!("\n# {about}\n[{table}]\n"));
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
