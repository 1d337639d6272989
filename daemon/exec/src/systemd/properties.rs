//! Turns a launch into the properties of a transient service (systemd.exec(5), systemd.resource-control(5)).
//!
//! `RemainAfterExit=` is not among them: the main process exits with success only when the end is in the output file, and then there
//! is nothing to keep. A unit that fails stays (`CollectMode=inactive`) until slothd has recorded what it says.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use sloth_core::Limits;
use sloth_core::launch::Launch;

use super::bus::{Manager, Property, descriptor};
use super::names::description;
use super::sandbox;
use crate::account::Account;
use crate::limits::{Capabilities, Means};

/// systemd's own deadlines come so much later than those of the main process, which sees more: they end what it may not signal.
const LATER: Duration = Duration::from_secs(5);
/// Most important to least important of syslog(3): what PID 1 says about each start is `info`.
const NOTICE: i32 = 5;
/// What the main process complains about.
const ERROR: i32 = 3;

/// Where a unit is made, and by what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) manager: Manager,
    pub(super) data: &'a Path,
    pub(super) program: &'a str,
    pub(super) capabilities: &'a Capabilities,
}

/// All properties. `order` becomes standard input, `output` standard output.
pub(super) fn properties<'a>(
    site: &Site<'_>,
    launch: &Launch,
    account: &Account,
    order: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
) -> Vec<Property<'a>> {
    let argv = vec![site.program.to_owned(), "attempt".to_owned()];
    let directory = launch.cwd.as_deref().unwrap_or(&account.home);
    let mut list: Vec<Property<'a>> = vec![
        ("Description", description(site.data, launch).into()),
        ("ExecStart", vec![(site.program.to_owned(), argv, false)].into()),
        ("StandardInputFileDescriptor", descriptor(order)),
        ("StandardOutputFileDescriptor", descriptor(output)),
        ("StandardError", "journal".into()),
        ("SyslogIdentifier", "sloth-exec".into()),
        ("SyslogLevel", ERROR.into()),
        ("Slice", "sloth.slice".into()),
        ("CollectMode", "inactive".into()),
        ("KillMode", "control-group".into()),
        ("OOMPolicy", "continue".into()),
        ("UMask", (launch.umask & 0o777).into()),
        // Whether it can be entered is for the main process to say, with the reason.
        ("WorkingDirectory", format!("-{}", directory.display()).into()),
        ("TimeoutStopUSec", micros(launch.kill_grace.saturating_add(LATER)).into()),
    ];
    if site.capabilities.ip_accounting {
        list.push(("IPAccounting", true.into()));
    }
    if !launch.journal {
        // journald applies this to what the unit sends as well.
        list.push(("LogLevelMax", NOTICE.into()));
    }
    if let Some(timeout) = launch.timeout {
        list.push(("RuntimeMaxUSec", micros(timeout.saturating_add(launch.kill_grace).saturating_add(LATER)).into()));
    }
    if site.manager == Manager::System && account.is_foreign() {
        list.push(("User", account.name.clone().into()));
        if let Some(group) = &launch.group {
            list.push(("Group", group.clone().into()));
        }
    }
    let limits = sandbox::narrowed(launch.sandbox, &launch.limits, site.capabilities);
    list.extend(limit_properties(&limits, site.capabilities));
    list.extend(sandbox::properties(launch.sandbox, account, directory, site.data));
    list
}

fn limit_properties(limits: &Limits, capabilities: &Capabilities) -> Vec<Property<'static>> {
    let mut list: Vec<Property<'static>> = Vec::new();
    if let Some(millis) = limits.cpu_millis {
        list.push(("CPUQuotaPerSecUSec", (u64::from(millis) * 1000).into()));
    }
    match limits.memory_bytes {
        Some(bytes) if capabilities.memory == Means::AddressSpace => list.push(("LimitAS", bytes.into())),
        Some(bytes) => {
            list.push(("MemoryMax", bytes.into()));
            // Without this a job would swap instead of being ended.
            list.push(("MemorySwapMax", 0_u64.into()));
        }
        None => {}
    }
    if let Some(tasks) = limits.tasks {
        // One is the main process itself.
        list.push(("TasksMax", tasks.saturating_add(1).into()));
    }
    if let Some(weight) = limits.io_weight {
        list.push(("IOWeight", u64::from(weight).into()));
    }
    if let Some(files) = limits.nofile {
        list.push(("LimitNOFILE", files.into()));
        list.push(("LimitNOFILESoft", files.into()));
    }
    if let Some(nice) = limits.nice {
        list.push(("Nice", i32::from(nice).into()));
    }
    list
}

/// systemd takes the highest number for "for ever".
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::fd::AsFd;

    use nix::unistd::{Gid, Uid};
    use sloth_core::{AttemptKey, Sandbox};
    use zbus::Variant;

    use super::*;
    use crate::limits::ExecutorKind;

    fn capabilities(memory: Means) -> Capabilities {
        Capabilities {
            cpu: Means::Cgroup,
            memory,
            io_weight: Means::Cgroup,
            tasks: Means::Cgroup,
            nofile_max: 1 << 20,
            nice_min: -20,
            own_cgroup: true,
            sandbox: true,
            journal: true,
            ip_accounting: true,
            executor: ExecutorKind::System,
        }
    }

    fn launch() -> Launch {
        let run = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap();
        Launch {
            key: AttemptKey { run, attempt: 1 },
            argv: vec!["/bin/true".to_owned()],
            user: "ann".to_owned(),
            group: Some("crew".to_owned()),
            cwd: Some("/srv".into()),
            env: BTreeMap::from([("SLOTH_SCHEDULE".to_owned(), "nightly".to_owned())]),
            umask: 0o027,
            stdin: None,
            limits: Limits::default(),
            timeout: Some(Duration::from_secs(60)),
            kill_grace: Duration::from_secs(10),
            output: "runs/2031-03/x/output".into(),
            output_limit: 10 << 20,
            sandbox: Sandbox::None,
            journal: false,
        }
    }

    /// `Name=value` of every property but the descriptors, as text.
    fn told(launch: &Launch, manager: Manager, memory: Means) -> Vec<String> {
        let account = Account {
            name: "ann".to_owned(),
            uid: Uid::from_raw(1000),
            gid: Gid::from_raw(1000),
            groups: (manager == Manager::System).then(Vec::new),
            home: "/home/ann".into(),
            shell: "/bin/sh".into(),
        };
        let site = Site {
            manager,
            data: Path::new("/var/lib/slothd"),
            program: "/usr/libexec/slothd/sloth-exec",
            capabilities: &capabilities(memory),
        };
        let null = std::fs::File::open("/dev/null").unwrap();
        let list = properties(&site, launch, &account, null.as_fd(), null.as_fd());
        let told = list.iter().filter(|(_, value)| !matches!(value, Variant::Fd(_)));
        told.map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[track_caller]
    fn has(told: &[String], wanted: &[&str]) {
        for wanted in wanted {
            assert!(told.iter().any(|property| property == wanted), "{wanted} is not among {told:#?}");
        }
    }

    #[test]
    fn a_unit_is_what_the_schedule_says() {
        let told = told(&launch(), Manager::System, Means::Cgroup);
        let description = "Description=\"Run of nightly, output in /var/lib/slothd/runs/2031-03/x/output\"";
        has(&told, &[description, "User=\"ann\"", "Group=\"crew\"", "WorkingDirectory=\"-/srv\"", "UMask=uint32 23"]);
        // Later than those of the main process: 60 + 10 + 5 and 10 + 5 seconds.
        has(
            &told,
            &["RuntimeMaxUSec=uint64 75000000", "TimeoutStopUSec=uint64 15000000", "KillMode=\"control-group\""],
        );
        has(&told, &["IPAccounting=true"]);
        assert!(!told.iter().any(|property| property.starts_with("Environment")), "others may read properties");
    }

    #[test]
    fn limits_are_those_of_the_job_alone() {
        let limits = Limits {
            cpu_millis: Some(250),
            memory_bytes: Some(1 << 20),
            io_weight: Some(50),
            nofile: Some(99),
            tasks: Some(10),
            nice: Some(-5),
        };
        let launch = Launch { limits, ..launch() };
        let told_system = told(&launch, Manager::System, Means::Cgroup);
        has(&told_system, &["CPUQuotaPerSecUSec=uint64 250000", "MemoryMax=uint64 1048576", "MemorySwapMax=uint64 0"]);
        has(&told_system, &["TasksMax=uint64 11", "IOWeight=uint64 50", "LimitNOFILE=uint64 99", "Nice=-5"]);
        has(&told(&launch, Manager::System, Means::AddressSpace), &["LimitAS=uint64 1048576"]);
    }

    #[test]
    fn a_users_manager_is_not_asked_for_another_user() {
        let told = told(&launch(), Manager::User, Means::Cgroup);
        assert!(!told.iter().any(|property| property.starts_with("User=") || property.starts_with("Group=")));
    }

    #[test]
    fn strict_adds_limits_where_the_schedule_has_none() {
        let limits = Limits { tasks: Some(5), ..Limits::default() };
        let launch = Launch { sandbox: Sandbox::Strict, limits, ..launch() };
        let told_strict = told(&launch, Manager::System, Means::Cgroup);
        has(&told_strict, &["TasksMax=uint64 6", "MemoryMax=uint64 1073741824", "ProtectSystem=\"strict\""]);
        has(&told_strict, &["PrivateNetwork=true", "NoNewPrivileges=true", "ReadWritePaths=[\"-/srv\"]"]);
        // What was not asked for is not refused where it cannot be had.
        let without = told(&launch, Manager::System, Means::AddressSpace);
        assert!(!without.iter().any(|property| property.starts_with("LimitAS") || property.starts_with("MemoryMax")));
    }

    #[test]
    fn the_whole_root_directory_is_never_opened_by_strict() {
        let launch = Launch { sandbox: Sandbox::Strict, cwd: Some("/".into()), ..launch() };
        let told = told(&launch, Manager::System, Means::Cgroup);
        assert!(
            !told.iter().any(|property| property.starts_with("ReadWritePaths") || property.starts_with("BindPaths"))
        );
    }
}
