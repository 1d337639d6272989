//! What the service manager can enforce on this machine: which controllers of control groups it has and may write to. Asked when a
//! schedule is written, so that a limit that nobody would enforce is refused then.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

use super::bus::Manager;
use crate::limits::{Capabilities, ExecutorKind, Means, kernel_nofile_max};

/// Where control groups are mounted on every machine with systemd.
const ROOT: &str = "/sys/fs/cgroup";
/// Stands for the hierarchy of version 2 among the controllers of version 1.
const UNIFIED: &str = "";

/// What a manager can enforce.
pub(crate) fn capabilities(manager: Manager) -> Capabilities {
    let is_unified = Path::new(ROOT).join("cgroup.controllers").exists();
    let has = |controller: &str| match (manager, is_unified) {
        (Manager::System, true) => words(&Path::new(ROOT).join("cgroup.controllers")).iter().any(|c| c == controller),
        (Manager::User, true) => words(&user_group().join("cgroup.controllers")).iter().any(|c| c == controller),
        (Manager::System, false) => is_mounted_writable(controller),
        // Version 1 cannot be delegated safely, so systemd does not.
        (Manager::User, false) => false,
    };
    let by = |is_there: bool| if is_there { Means::Cgroup } else { Means::Nothing };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let is_system = manager == Manager::System;
    Capabilities {
        cpu: by(has("cpu")),
        memory: if has("memory") { Means::Cgroup } else { Means::AddressSpace },
        io_weight: by(has_io_weight(is_unified, &has)),
        tasks: by(has("pids")),
        nofile_max: if is_system { kernel_nofile_max() } else { hard.max(soft) },
        nice_min: if is_system { -20 } else { 0 },
        own_cgroup: true,
        sandbox: is_system,
        journal: Path::new("/run/systemd/journal/socket").exists(),
        // Whether the kernel lets it is known only from what it counted.
        ip_accounting: is_system && (is_unified || is_mounted_writable(UNIFIED)),
        executor: if is_system { ExecutorKind::System } else { ExecutorKind::User },
    }
}

/// A controller without its file would be asked in vain: weights of I/O need a scheduler (BFQ) or cost model in the kernel.
fn has_io_weight(is_unified: bool, has: &impl Fn(&str) -> bool) -> bool {
    if is_unified {
        return has("io") && any_group_has(Path::new(ROOT), &["io.weight", "io.bfq.weight"]);
    }
    has("blkio") && any_group_has(&Path::new(ROOT).join("blkio"), &["blkio.weight", "blkio.bfq.weight"])
}

/// The root of a hierarchy has no weights itself.
fn any_group_has(root: &Path, files: &[&str]) -> bool {
    let groups = fs::read_dir(root).into_iter().flatten().flatten();
    groups.map(|group| group.path()).any(|group| files.iter().any(|file| group.join(file).exists()))
}

/// How PID 1 sees the mount; ours may be read-only because slothd itself is sandboxed.
fn is_mounted_writable(controller: &str) -> bool {
    let mounts = fs::read_to_string("/proc/1/mountinfo").or_else(|_| fs::read_to_string("/proc/self/mountinfo"));
    writable_among(&mounts.unwrap_or_default(), controller)
}

fn writable_among(mounts: &str, controller: &str) -> bool {
    mounts.lines().any(|line| {
        let Some((left, right)) = line.split_once(" - ") else { return false };
        let mut right = right.split(' ');
        let (kind, options) = (right.next(), right.next_back().unwrap_or_default());
        let is_writable = left.split(' ').nth(5).is_some_and(|options| options.split(',').any(|o| o == "rw"));
        let has = |name: &str| options.split(',').any(|option| option == name);
        let is_it = match controller {
            UNIFIED => kind == Some("cgroup2"),
            name => kind == Some("cgroup") && has(name),
        };
        is_it && is_writable && !has("ro")
    })
}

/// The group that the system's manager has given to ours.
fn user_group() -> PathBuf {
    let uid = geteuid();
    Path::new(ROOT).join(format!("user.slice/user-{uid}.slice/user@{uid}.service"))
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_is_mounted_read_only_is_none() {
        let line =
            |options: &str| format!("40 31 0:33 / /sys/fs/cgroup/memory {options},nosuid - cgroup cgroup rw,memory");
        assert!(writable_among(&line("rw"), "memory"));
        assert!(!writable_among(&line("ro"), "memory"));
        assert!(!writable_among(&line("rw"), "mem"));
        assert!(!writable_among("", "memory"));
        let unified = |options: &str| {
            format!("41 31 0:34 / /sys/fs/cgroup/unified {options},nosuid - cgroup2 cgroup2 rw,nsdelegate")
        };
        assert!(writable_among(&unified("rw"), UNIFIED) && !writable_among(&unified("ro"), UNIFIED));
        assert!(!writable_among(&line("rw"), UNIFIED));
    }
}
