//! Control groups v2: a group per attempt, so that a whole tree is found, counted, limited and ended by the kernel itself.
//! Used where a cgroup2 mount is writable and is ours: delegated by systemd (Delegate=), or no systemd is there to own it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access};
use sloth_core::{AttemptKey, Limits};

/// Prefix of the groups of supervisors.
const SUPERVISOR_PREFIX: &str = "sloth-exec-";
/// Controllers that limits and accounting can use.
const WANTED: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// The place where groups may be made.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    base: PathBuf,
    controllers: Vec<&'static str>,
}

impl Hierarchy {
    /// Finds it without changing anything; `None` where there is none.
    pub fn find() -> Option<Hierarchy> {
        let own = own_group()?;
        if !may_use(&own) {
            return None;
        }
        // A group with processes in it cannot give controllers to children; its parent may be ours as well (DelegateSubgroup=).
        let parent =
            own.parent().filter(|parent| !has_processes(parent) && is_delegated(parent) && is_writable(parent));
        let base = parent.map_or(own.clone(), Path::to_owned);
        let enabled = words(&base.join("cgroup.subtree_control"));
        let is_root = !base.join("cgroup.type").exists();
        let can_enable = is_root || !has_processes(&base);
        let offered = words(&base.join("cgroup.controllers"));
        let usable = |name: &&str| enabled.iter().any(|e| e == name) || can_enable && offered.iter().any(|o| o == name);
        Some(Hierarchy { controllers: WANTED.iter().copied().filter(usable).collect(), base })
    }

    /// Whether groups made here have this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    /// Makes the group of a supervisor, and removes empty ones of supervisors that are gone.
    pub fn enter(self, pid: u32) -> io::Result<Supervisor> {
        self.remove_abandoned();
        for name in &self.controllers {
            let _ = fs::write(self.base.join("cgroup.subtree_control"), format!("+{name}"));
        }
        let path = self.base.join(format!("{SUPERVISOR_PREFIX}{pid}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let offered = words(&path.join("cgroup.controllers"));
        let mut controllers = Vec::new();
        for name in self.controllers {
            if offered.iter().any(|o| o == name)
                && fs::write(path.join("cgroup.subtree_control"), format!("+{name}")).is_ok()
            {
                controllers.push(name);
            }
        }
        Ok(Supervisor { path, controllers })
    }

    /// Groups of this attempt that supervisors left behind.
    pub fn leftovers(&self, key: AttemptKey) -> Vec<Group> {
        let made = self.supervisors().map(|path| path.join(key.to_string()));
        made.filter(|path| path.is_dir()).map(|path| Group { path }).collect()
    }

    fn supervisors(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(SUPERVISOR_PREFIX)).map(|e| e.path())
    }

    fn remove_abandoned(&self) {
        for path in self.supervisors() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let alive = Path::new("/proc").join(name.trim_start_matches(SUPERVISOR_PREFIX)).exists();
            if !alive {
                remove_tree(&path);
            }
        }
    }
}

/// The group of a supervisor, which holds those of its attempts.
#[derive(Debug)]
pub struct Supervisor {
    path: PathBuf,
    controllers: Vec<&'static str>,
}

impl Supervisor {
    /// Whether groups made here have this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    /// Makes the group of an attempt, with its limits.
    pub fn make(&self, key: AttemptKey, limits: &Limits) -> io::Result<Group> {
        let path = self.path.join(key.to_string());
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let group = Group { path };
        if let Err(error) = group.limit(limits) {
            group.remove();
            return Err(error);
        }
        Ok(group)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        remove_tree(&self.path);
    }
}

/// The group of one attempt.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

/// What the kernel counted for a group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// User and system time.
    pub cpu: Option<Duration>,
    /// Highest memory, bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Bytes read and written.
    pub io_bytes: Option<(u64, u64)>,
    /// Processes killed for memory.
    pub oom_kills: u64,
}

impl Group {
    /// A handle for CLONE_INTO_CGROUP.
    pub fn open(&self) -> io::Result<OwnedFd> {
        Ok(open(&self.path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// The file into which a process writes to join.
    pub fn procs_file(&self) -> io::Result<File> {
        File::options().write(true).open(self.path.join("cgroup.procs"))
    }

    /// Processes in it and below.
    pub fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        collect_processes(&self.path, &mut found);
        found
    }

    /// KILL to all that is in it. False when the kernel cannot (before 5.14).
    pub fn kill(&self) -> bool {
        fs::write(self.path.join("cgroup.kill"), "1").is_ok()
    }

    /// Removes it; false while processes are in it.
    pub fn remove(&self) -> bool {
        match fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(_) if words(&self.path.join("cgroup.events")).get(1).is_some_and(|populated| populated == "0") => {
                // Nobody is left: it was only busy with groups that the job made below it.
                remove_tree(&self.path)
            }
            Err(_) => false,
        }
    }

    /// Reads the counters; only a few exist without controllers. `detailed`: also those of memory and io.
    pub fn counted(&self, detailed: bool) -> Counted {
        let cpu = value(&self.path.join("cpu.stat"), "usage_usec").map(Duration::from_micros);
        if !detailed {
            return Counted { cpu, ..Counted::default() };
        }
        let peak = fs::read_to_string(self.path.join("memory.peak")).ok().and_then(|t| t.trim().parse().ok());
        let oom_kills = value(&self.path.join("memory.events"), "oom_kill").unwrap_or(0);
        let io_bytes = fs::read_to_string(self.path.join("io.stat")).ok().map(|text| {
            let sum = |name: &str| {
                text.split_ascii_whitespace().filter_map(|w| w.strip_prefix(name)?.parse::<u64>().ok()).sum()
            };
            (sum("rbytes="), sum("wbytes="))
        });
        Counted { cpu, memory_peak_bytes: peak, io_bytes, oom_kills }
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        let write = |file: &str, text: String| {
            let path = self.path.join(file);
            fs::write(&path, text).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        };
        if let Some(millis) = limits.cpu_millis {
            write("cpu.max", format!("{} 100000", u64::from(millis) * 100))?;
        }
        if let Some(bytes) = limits.memory_bytes {
            write("memory.max", bytes.to_string())?;
            // Without this a job would swap instead of being ended; absent where the kernel has no swap accounting.
            let _ = write("memory.swap.max", "0".to_owned());
        }
        if let Some(tasks) = limits.tasks {
            write("pids.max", tasks.to_string())?;
        }
        if let Some(weight) = limits.io_weight {
            write("io.weight", format!("default {weight}"))?;
        }
        Ok(())
    }
}

/// The directory of our own group.
fn own_group() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then_some(())?;
        let mut fields = left.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        let own = Path::new(mount).join(below);
        own.is_dir().then_some(own)
    })
}

fn may_use(own: &Path) -> bool {
    let systemd_owns = Path::new("/run/systemd/system").exists();
    is_writable(own) && (!systemd_owns || is_delegated(own) || own.parent().is_some_and(is_delegated))
}

/// Whether systemd gave this group away (its mark, see "Control Group APIs and Delegation").
fn is_delegated(group: &Path) -> bool {
    ["trusted.delegate", "user.delegate"].iter().any(|name| crate::sys::xattr(group, name).as_deref() == Some(b"1"))
}

fn is_writable(group: &Path) -> bool {
    let write = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    write(group) && write(&group.join("cgroup.procs"))
}

fn has_processes(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|text| !text.trim().is_empty())
}

fn collect_processes(path: &Path, found: &mut Vec<i32>) {
    found.extend(words(&path.join("cgroup.procs")).iter().filter_map(|pid| pid.parse::<i32>().ok()));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_processes(&entry.path(), found);
        }
    }
}

/// Removes empty groups from the leaves up; true when all are gone.
fn remove_tree(path: &Path) -> bool {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    fs::remove_dir(path).is_ok()
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn value(path: &Path, name: &str) -> Option<u64> {
    let mut buffer = [0; 1024];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
