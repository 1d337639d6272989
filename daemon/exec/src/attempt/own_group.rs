//! The control group that systemd made for the unit, seen from inside: its processes and what the kernel counted. Version 1 and 2,
//! as old machines and containers still have 1; only reading, as the group belongs to systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the group is in each hierarchy.
#[derive(Clone, Debug)]
pub struct OwnGroup {
    /// The hierarchy by which systemd knows the processes of the unit.
    processes: PathBuf,
    memory: Option<PathBuf>,
    is_unified: bool,
}

/// What the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// User and system time of all that was ever in the group, this process included.
    pub cpu: Option<Duration>,
    /// Highest memory, bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Processes that were killed for memory.
    pub oom_kills: u64,
}

impl OwnGroup {
    /// Finds it; `None` where no hierarchy of systemd can be seen.
    pub fn find() -> Option<OwnGroup> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        OwnGroup::from_text(&mounts, &groups)
    }

    fn from_text(mounts: &str, groups: &str) -> Option<OwnGroup> {
        let named = locate(mounts, groups, "name=systemd");
        let unified = locate(mounts, groups, "");
        let memory = locate(mounts, groups, "memory");
        match (named, unified) {
            // Version 1, also where a version 2 without controllers stands beside it ("hybrid").
            (Some(processes), _) => Some(OwnGroup { processes, memory, is_unified: false }),
            (None, Some(group)) => Some(OwnGroup { processes: group.clone(), memory: Some(group), is_unified: true }),
            (None, None) => None,
        }
    }

    /// Whether it is a group of a unit, and not one that we share with others.
    pub fn is_of(&self, unit: &str) -> bool {
        self.processes.file_name().is_some_and(|name| name == unit)
    }

    /// Processes in it and below.
    pub fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        collect(&self.processes, &mut found);
        found
    }

    /// Reads the counters.
    pub fn count(&self) -> Count {
        let Some(memory) = &self.memory else { return Count::default() };
        let number = |file: &str| fs::read_to_string(memory.join(file)).ok()?.trim().parse().ok();
        if self.is_unified {
            Count {
                cpu: value(&memory.join("cpu.stat"), "usage_usec ").map(Duration::from_micros),
                memory_peak_bytes: number("memory.peak"),
                oom_kills: value(&memory.join("memory.events"), "oom_kill ").unwrap_or(0),
            }
        } else {
            Count {
                cpu: None,
                memory_peak_bytes: number("memory.max_usage_in_bytes"),
                oom_kills: value(&memory.join("memory.oom_control"), "oom_kill ").unwrap_or(0),
            }
        }
    }
}

/// The directory of our group in one hierarchy; the empty name is that of version 2.
fn locate(mounts: &str, groups: &str, controller: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut kind = right.split(' ');
        let (kind, options) = (kind.next()?, kind.next_back()?);
        let is_it = match controller {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        if !is_it {
            return None;
        }
        let mut fields = left.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        let own = Path::new(mount).join(below);
        // Without a group of its own in this hierarchy the unit is in the root, whose counters are those of the machine.
        (own.is_dir() && below != Path::new("")).then_some(own)
    })
}

fn collect(group: &Path, found: &mut Vec<i32>) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}

fn value(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_hierarchy_is_nobodys_own_group() {
        let mounts = "30 29 0:26 / / rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert!(OwnGroup::from_text(mounts, "0::/").is_none());
    }

    #[test]
    fn both_versions_are_found() {
        let here = std::env::temp_dir().join(format!("sloth-own-group-{}", std::process::id()));
        let unit = here.join("sloth.slice/a.service");
        fs::create_dir_all(&unit).unwrap();
        let mounts =
            |kind: &str, options: &str| format!("30 29 0:26 / {} rw - {kind} cgroup {options}", here.display());
        let unified = OwnGroup::from_text(&mounts("cgroup2", "rw"), "0::/sloth.slice/a.service").unwrap();
        assert!(unified.is_unified && unified.is_of("a.service") && !unified.is_of("b.service"));
        let named = mounts("cgroup", "rw,name=systemd");
        let groups = "9:name=systemd:/sloth.slice/a.service\n4:memory:/\n0::/sloth.slice/a.service";
        let old = OwnGroup::from_text(&named, groups).unwrap();
        assert!(!old.is_unified && old.memory.is_none());
        assert_eq!(old.processes, unit);
        fs::remove_dir_all(&here).unwrap();
    }
}
