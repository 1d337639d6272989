//! Profiles of the sandbox as properties (systemd.exec(5), "Sandboxing"). PID 1 enforces them on everything in the unit, the main
//! process included. A per-user manager has no right to most of them, so it offers no profile but `none`.

use std::path::Path;

use sloth_core::{Limits, Sandbox};
use zbus::Variant;

use super::bus::Property;
use crate::account::Account;
use crate::limits::{Capabilities, Means};

/// Limits of `strict` where the schedule sets none.
const STRICT: (u64, u64, u32) = (1 << 30, 64, 1000);
/// Directories that `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// The properties of a profile.
pub(super) fn properties(profile: Sandbox, account: &Account, directory: &Path, data: &Path) -> Vec<Property<'static>> {
    match profile {
        Sandbox::None => Vec::new(),
        Sandbox::Default => common(account, data),
        Sandbox::Strict => common(account, data).into_iter().chain(strict(directory)).collect(),
    }
}

/// The limits that a profile adds. Those that this machine cannot enforce are left out: they were not asked for.
pub(super) fn narrowed(profile: Sandbox, limits: &Limits, capabilities: &Capabilities) -> Limits {
    let mut limits = limits.clone();
    if profile == Sandbox::Strict {
        let (memory, tasks, cpu) = STRICT;
        let has = |means: Means| means == Means::Cgroup;
        limits.memory_bytes = limits.memory_bytes.or(has(capabilities.memory).then_some(memory));
        limits.tasks = limits.tasks.or(has(capabilities.tasks).then_some(tasks));
        limits.cpu_millis = limits.cpu_millis.or(has(capabilities.cpu).then_some(cpu));
    }
    limits
}

fn common(account: &Account, data: &Path) -> Vec<Property<'static>> {
    let hidden = [data.display().to_string(), "/etc/slothd".to_owned()].map(|path| format!("-{path}"));
    let mut list: Vec<Property<'static>> = vec![
        ("PrivateTmp", true.into()),
        ("ProtectKernelTunables", true.into()),
        ("ProtectControlGroups", true.into()),
        ("InaccessiblePaths", hidden.to_vec().into()),
    ];
    if !account.uid.is_root() {
        list.push(("RestrictSUIDSGID", true.into()));
    }
    list
}

fn strict(directory: &Path) -> Vec<Property<'static>> {
    let mut list: Vec<Property<'static>> = vec![
        ("ProtectSystem", "strict".into()),
        ("PrivateDevices", true.into()),
        ("PrivateNetwork", true.into()),
        ("NoNewPrivileges", true.into()),
        ("SystemCallFilter", (true, vec!["@system-service".to_owned()]).into()),
        // An error that a program can report, instead of a death by SIGSYS.
        ("SystemCallErrorNumber", nix::libc::EPERM.into()),
    ];
    let text = directory.display().to_string();
    if HOMES.iter().any(|home| directory.starts_with(home)) {
        // An empty home, with nothing in it but the working directory.
        list.push(("ProtectHome", "tmpfs".into()));
        list.push(("BindPaths", vec![(text.clone(), text, true, 0_u64)].into()));
    } else {
        list.push(("ProtectHome", "yes".into()));
        if directory != Path::new("/") {
            list.push(("ReadWritePaths", Variant::from(vec![format!("-{text}")])));
        }
    }
    list
}
