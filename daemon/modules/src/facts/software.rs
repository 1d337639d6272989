//! System, kernel, packages, services.

use std::path::Path;
use std::process::{Command, Stdio};

use sloth_lua::{Data, Failure};

use super::line;

/// `{os,family,distribution,version,architecture,kernel,kernel_version,virtualization,init}`.
pub fn platform() -> Data {
    let release =
        std::fs::read_to_string("/etc/os-release").or_else(|_| std::fs::read_to_string("/usr/lib/os-release"));
    let release = release.unwrap_or_default();
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let distribution = field("ID").unwrap_or_else(|| "linux".to_owned());
    let like = field("ID_LIKE").unwrap_or_default();
    let family = like.split(' ').next().filter(|word| !word.is_empty()).unwrap_or(&distribution).to_owned();
    Data::map([
        ("os", Data::from("linux")),
        ("family", family.into()),
        ("distribution", distribution.into()),
        ("version", field("VERSION_ID").unwrap_or_default().into()),
        ("architecture", std::env::consts::ARCH.into()),
        ("kernel", line("/proc/sys/kernel/ostype").into()),
        ("kernel_version", line("/proc/sys/kernel/osrelease").into()),
        ("virtualization", virtualization().into()),
        ("init", line("/proc/1/comm").into()),
    ])
}

/// `{name,version}`.
pub fn kernel() -> Data {
    Data::map([
        ("name", Data::from(line("/proc/sys/kernel/ostype"))),
        ("version", line("/proc/sys/kernel/osrelease").into()),
    ])
}

fn virtualization() -> &'static str {
    if Path::new("/run/.containerenv").exists() {
        return "podman";
    }
    if Path::new("/.dockerenv").exists() {
        return "docker";
    }
    if Path::new("/run/systemd/container").exists() {
        return "container";
    }
    let maker = format!("{} {}", line("/sys/class/dmi/id/sys_vendor"), line("/sys/class/dmi/id/product_name"));
    let known = [("QEMU", "kvm"), ("KVM", "kvm"), ("VMware", "vmware"), ("VirtualBox", "virtualbox"), ("Xen", "xen")];
    let known = known.into_iter().chain([("Microsoft", "hyperv"), ("Google", "kvm"), ("Amazon EC2", "kvm")]);
    let found = known.into_iter().find(|(name, _)| maker.contains(name)).map(|(_, kind)| kind);
    let in_guest = || line("/proc/cpuinfo").lines().any(|l| l.starts_with("flags") && l.contains(" hypervisor"));
    found.unwrap_or_else(|| if in_guest() { "guest" } else { "none" })
}

/// What a program says; a failure when it is missing or fails.
fn ask(words: &[&str]) -> Result<String, Failure> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("{}: {error}", words[0])))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(format!("{}: {} {text}", words[0], output.status)))
}

/// How each package manager lists: its program, the words of the query, and what it calls itself.
const MANAGERS: &[(&str, &str, &[&str])] = &[
    (
        "apt",
        "dpkg-query",
        &["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"],
    ),
    ("dnf", "rpm", &["rpm", "-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\tinstalled\n"]),
    ("pacman", "pacman", &["pacman", "-Q"]),
    ("apk", "apk", &["apk", "list", "--installed"]),
];

/// `{manager,installed_count,updates_available,packages[],updates[]}`.
pub fn packages() -> Result<Data, Failure> {
    let path = std::env::var("PATH").unwrap_or_else(|_| crate::exec::PATH.to_owned());
    let has = |program: &str| crate::exec::find_program(program, &path).is_some();
    let (manager, _, words) = MANAGERS
        .iter()
        .find(|(_, program, _)| has(program))
        .ok_or_else(|| Failure::new("no package manager of this host is known (apt, rpm, pacman, apk)"))?;
    let packages: Vec<Data> = ask(words)?.lines().filter_map(|line| package(manager, line)).collect();
    let updates = updates(manager);
    Ok(Data::map([
        ("manager", Data::from(*manager)),
        ("installed_count", (packages.len() as u64).into()),
        ("updates_available", updates.as_ref().map(|updates| updates.len() as u64).into()),
        ("packages", Data::List(packages)),
        ("updates", updates.map_or(Data::Nil, Data::List)),
    ]))
}

fn package(manager: &str, line: &str) -> Option<Data> {
    let (name, version, architecture) = match manager {
        "pacman" => {
            let (name, version) = line.split_once(' ')?;
            (name, version, "")
        }
        "apk" => {
            let mut words = line.split(' ');
            let full = words.next()?;
            // name-1.2.3-r0: the version begins at the dash before the last dash.
            let release = full.rfind('-')?;
            let dash = full[..release].rfind('-')?;
            (&full[..dash], &full[dash + 1..], words.next().unwrap_or(""))
        }
        _ => {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, version, architecture, "installed"] = fields[..] else { return None };
            (name, version, architecture)
        }
    };
    Some(Data::map([
        ("name", Data::from(name)),
        ("version", version.into()),
        ("architecture", architecture.into()),
        ("installed", true.into()),
    ]))
}

/// Packages with a newer version in the lists that were fetched last; `None` where that cannot be asked.
fn updates(manager: &str) -> Option<Vec<Data>> {
    if manager != "apt" {
        return None;
    }
    let text = ask(&["apt-get", "--simulate", "-o", "Debug::NoLocking=1", "dist-upgrade"]).ok()?;
    // Inst name [old] (new …)
    let update = |line: &str| {
        let rest = line.strip_prefix("Inst ")?;
        let (name, rest) = rest.split_once(' ')?;
        let old = rest.strip_prefix('[')?.split(']').next()?;
        let new = rest.split_once('(')?.1.split([' ', ')']).next()?;
        Some(Data::map([("name", Data::from(name)), ("version", old.into()), ("new_version", new.into())]))
    };
    Some(text.lines().filter_map(update).collect())
}

/// `{name,status,state,enabled}` of the services that systemd knows.
pub fn services() -> Result<Data, Failure> {
    if !Path::new("/run/systemd/system").exists() {
        return Err(Failure::new("systemd is not running on this host"));
    }
    let units = ask(&["systemctl", "list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager"])?;
    let files = ask(&["systemctl", "list-unit-files", "--type=service", "--plain", "--no-legend", "--no-pager"])?;
    let enabled = |unit: &str| {
        let state = files.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some(unit)).then(|| words.next().unwrap_or("").to_owned())
        });
        state.is_some_and(|state| state.starts_with("enabled"))
    };
    let service = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (unit, _, active, sub) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Data::map([
            ("name", Data::from(unit.trim_end_matches(".service"))),
            ("status", active.into()),
            ("state", sub.into()),
            ("enabled", enabled(unit).into()),
        ]))
    };
    Ok(Data::List(units.lines().filter_map(service).collect()))
}
