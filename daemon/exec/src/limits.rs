//! Which limits this machine can enforce, and by what. Asked when a schedule is added, so that a limit that nobody would
//! enforce is refused then and not when the job runs; and again at each start, as the schedule may come from elsewhere.

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use sloth_core::Limits;

use crate::cgroup::Hierarchy;

/// By what a limit is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A cgroup v2 controller: for the whole tree.
    Cgroup,
    /// setrlimit(2) or setpriority(2), with the meaning that the limit has.
    Process,
    /// `RLIMIT_AS`: bounds the address space of each process, not the memory of the tree. An approximation: a job that
    /// reserves more than it uses fails early, and a tree of n processes may use n times as much. Going over it is an allocation
    /// that fails inside the job, so the outcome is what the job makes of it, never `Oom`.
    AddressSpace,
    /// Nothing here can.
    Nothing,
}

/// What can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// `limits.cpu`.
    pub cpu: Means,
    /// `limits.memory`.
    pub memory: Means,
    /// `limits.io_weight`.
    pub io_weight: Means,
    /// `limits.tasks`. `RLIMIT_NPROC` counts all processes of a user, so it is no substitute.
    pub tasks: Means,
    /// Highest `limits.nofile`.
    pub nofile_max: u64,
    /// Lowest `limits.nice`.
    pub nice_min: i8,
    /// Whether each run has a cgroup of its own, so that no process of it can get away.
    pub own_cgroup: bool,
    /// Whether there are profiles of the sandbox beside `none`.
    pub sandbox: bool,
    /// Whether output can be copied to the journal.
    pub journal: bool,
    /// Whether bytes of IP packets can be counted: by programs in the kernel on a group of version 2, which take rights to load.
    pub ip_accounting: bool,
    /// Who enforces it.
    pub executor: ExecutorKind,
}

/// How processes of runs are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorKind {
    /// By a supervisor of our own.
    Process,
    /// By the system's service manager.
    System,
    /// By the service manager of one user.
    User,
}

impl ExecutorKind {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            ExecutorKind::Process => "process",
            ExecutorKind::System | ExecutorKind::User => "systemd",
        }
    }
}

impl Capabilities {
    /// The first of these limits that cannot be enforced, in a sentence.
    pub fn refuse(&self, limits: &Limits) -> Option<String> {
        let needs = |what: &str, controller: &str| {
            let who = match self.executor {
                ExecutorKind::Process => format!("cgroup v2 with the {controller} controller, delegated to the daemon"),
                ExecutorKind::System => {
                    format!("the {controller} controller, which systemd cannot use on this machine")
                }
                ExecutorKind::User => {
                    format!("the {controller} controller, which is not delegated to this user's systemd")
                }
            };
            Some(format!("limit {what} needs {who}"))
        };
        if limits.cpu_millis.is_some() && self.cpu == Means::Nothing {
            return needs("cpu", "cpu");
        }
        if limits.io_weight.is_some() && self.io_weight == Means::Nothing {
            return needs("io_weight", "io");
        }
        if limits.tasks.is_some() && self.tasks == Means::Nothing {
            return needs("tasks", "pids");
        }
        if let Some(files) = limits.nofile.filter(|files| *files > self.nofile_max) {
            return Some(format!(
                "limit nofile {files} is above {}, the most that the daemon may give",
                self.nofile_max
            ));
        }
        if let Some(nice) = limits.nice.filter(|nice| *nice < self.nice_min) {
            return Some(format!("limit nice {nice} is below {}, the least that the daemon may give", self.nice_min));
        }
        None
    }
}

/// What the `process` executor can enforce on this machine, in the place where this process runs.
pub fn capabilities() -> Capabilities {
    let hierarchy = Hierarchy::find();
    let has = |controller: &str| hierarchy.as_ref().is_some_and(|h| h.has(controller));
    from_controllers(hierarchy.is_some(), has)
}

pub(crate) fn from_controllers(own_cgroup: bool, has: impl Fn(&str) -> bool) -> Capabilities {
    let by = |controller: &str| if has(controller) { Means::Cgroup } else { Means::Nothing };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    Capabilities {
        cpu: by("cpu"),
        memory: if has("memory") { Means::Cgroup } else { Means::AddressSpace },
        io_weight: by("io"),
        tasks: by("pids"),
        nofile_max: if crate::sys::has_capability(crate::sys::CAP_SYS_RESOURCE) {
            kernel_nofile_max()
        } else {
            hard.max(soft)
        },
        nice_min: if geteuid().is_root() || crate::sys::has_capability(crate::sys::CAP_SYS_NICE) { -20 } else { 0 },
        own_cgroup,
        sandbox: false,
        journal: false,
        ip_accounting: false,
        executor: ExecutorKind::Process,
    }
}

pub(crate) fn kernel_nofile_max() -> u64 {
    std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1 << 20)
}
