//! The keys of a service that a schedule does not have: those that refuse it, those that are named in a note.

use super::service::Refusal;
use super::unit::{Entry, Unit, boolean};

const SERVICE: &str = "Service";

/// Keys without which a job would not do what it does under systemd.
const REFUSED: [(&str, &str); 33] = [
    (
        "EnvironmentFile",
        "add a drop-in with an empty `EnvironmentFile=` and the variables as Environment= lines, and import it with the unit",
    ),
    ("PassEnvironment", "variables of the manager are not passed on: write them as Environment= lines"),
    ("ExecStop", "nothing is run at the end of a job: call it at the end of ExecStart"),
    (
        "ExecStopPost",
        "nothing is run after the end of a job: call it at the end of ExecStart, or in a schedule with `after`",
    ),
    ("SupplementaryGroups", "further groups cannot be set: make the user a member of them (usermod -aG)"),
    ("AmbientCapabilities", "capabilities cannot be given: run it as root, or set them on the program (setcap)"),
    ("RootDirectory", "jobs run in the root of the host: call chroot(8) in ExecStart"),
    ("RootImage", "jobs run in the root of the host"),
    ("RootEphemeral", "jobs run in the root of the host"),
    ("MountImages", "no images are mounted for a job"),
    ("ExtensionImages", "no images are mounted for a job"),
    ("ExtensionDirectories", "no directories are merged for a job"),
    ("BindPaths", "no directories are mounted for a job"),
    ("BindReadOnlyPaths", "no directories are mounted for a job"),
    ("TemporaryFileSystem", "no directories are mounted for a job"),
    ("LoadCredential", "credentials are not loaded: read them from a file"),
    ("LoadCredentialEncrypted", "credentials are not loaded: read them from a file"),
    ("SetCredential", "credentials are not set: read them from a file"),
    ("SetCredentialEncrypted", "credentials are not set: read them from a file"),
    ("NetworkNamespacePath", "no namespace is joined: call nsenter(1) or `ip netns exec` in ExecStart"),
    ("IPCNamespacePath", "no namespace is joined: call nsenter(1) in ExecStart"),
    ("StandardInputData", "binary input is not given: read it from a file"),
    ("OpenFile", "no files are opened for a job: open them by path"),
    ("Sockets", "no sockets are passed on"),
    ("PAMName", "no PAM session is opened: call runuser(1) in ExecStart"),
    ("TTYPath", "a job has no terminal"),
    ("SELinuxContext", "no security context is set: call runcon(1) in ExecStart"),
    ("SmackProcessLabel", "no security label is set"),
    ("Personality", "no personality is set: call setarch(8) in ExecStart"),
    ("ExecSearchPath", "programs are searched in PATH: write their paths"),
    ("RuntimeDirectory", "no directories are made for a job: make it in ExecStartPre (install -d), or by tmpfiles.d"),
    ("BusName", "a job offers no name on the bus"),
    ("StandardInputText", "text is not given as input this way: set `stdin` of the schedule, or read a file"),
];

/// Keys that are read elsewhere, and those that mean nothing for a single start.
const KNOWN: [&str; 36] = [
    "Type",
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecCondition",
    "User",
    "Group",
    "WorkingDirectory",
    "Environment",
    "UMask",
    "Nice",
    "IOWeight",
    "IOSchedulingClass",
    "IOSchedulingPriority",
    "CPUQuota",
    "MemoryMax",
    "MemoryLimit",
    "TasksMax",
    "LimitNOFILE",
    "TimeoutStartSec",
    "TimeoutSec",
    "TimeoutStopSec",
    "RuntimeMaxSec",
    "SuccessExitStatus",
    "Restart",
    "RestartSec",
    "RemainAfterExit",
    "StandardOutput",
    "StandardError",
    "StandardInput",
    "DynamicUser",
    "ExecReload",
    "StateDirectory",
    "CacheDirectory",
    "LogsDirectory",
    "ConfigurationDirectory",
];
const DIRECTORIES: [(&str, &str); 4] = [
    ("StateDirectory", "/var/lib"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
    ("ConfigurationDirectory", "/etc"),
];
const SANDBOX: [&str; 24] = [
    "Protect",
    "Private",
    "Restrict",
    "NoNewPrivileges",
    "SystemCall",
    "MemoryDenyWriteExecute",
    "LockPersonality",
    "ReadWrite",
    "ReadOnly",
    "Inaccessible",
    "NoExecPaths",
    "ExecPaths",
    "CapabilityBoundingSet",
    "ProcSubset",
    "SecureBits",
    "KeyringMode",
    "IPAddress",
    "DevicePolicy",
    "DeviceAllow",
    "RemoveIPC",
    "AppArmorProfile",
    "SocketBind",
    "MountAPIVFS",
    "MountFlags",
];

/// Refuses a service that has a key without which it would do something else.
pub(super) fn refuse_what_matters(unit: &Unit) -> Result<(), Refusal<'_>> {
    for (key, reason) in REFUSED {
        // A credential without a path is handed down by the manager if there is one; most often there is none.
        let is_optional = |entry: &&&Entry| key.starts_with("LoadCredential") && !entry.value.contains(':');
        if let Some(entry) = unit.all(SERVICE, key).iter().rfind(|entry| !is_optional(entry)) {
            return Err((Some(entry), format!("{key}= cannot be carried over: {reason}")));
        }
    }
    match unit.last(SERVICE, "DynamicUser") {
        Some(entry) if boolean(&entry.value) != Some(false) => {
            let reason = "DynamicUser= cannot be carried over: make a user (adduser --system) and name it with User=";
            Err((Some(entry), reason.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Names what is left out.
pub(super) fn remarks(unit: &Unit, notes: &mut Vec<String>) {
    let (mut sandbox, mut other) = (Vec::new(), Vec::new());
    for entry in unit.keys(SERVICE).into_iter().filter(|entry| !KNOWN.contains(&entry.key.as_str())) {
        let list = if SANDBOX.iter().any(|prefix| entry.key.starts_with(prefix)) { &mut sandbox } else { &mut other };
        list.push(entry.key.clone());
    }
    for (key, root) in DIRECTORIES {
        for entry in unit.all(SERVICE, key) {
            notes.push(format!("{key}={}: must exist below {root}, slothd does not make it", entry.value));
        }
    }
    for key in ["StandardOutput", "StandardError"] {
        if let Some(entry) =
            unit.last(SERVICE, key).filter(|entry| !["journal", "inherit"].contains(&entry.value.as_str()))
        {
            notes.push(format!(
                "{key}={}: the output is kept with the run instead (`slothctl run logs ID`)",
                entry.value
            ));
        }
    }
    if unit.last(SERVICE, "RemainAfterExit").and_then(|entry| boolean(&entry.value)) == Some(true) {
        notes.push(
            "RemainAfterExit=yes: systemd runs it once until it is stopped, slothd each time it is due".to_owned(),
        );
    }
    if !sandbox.is_empty() {
        notes.push(format!("the job runs without the sandbox of the unit: {}", sandbox.join(", ")));
    }
    if !other.is_empty() {
        notes.push(format!("not carried over: {}", other.join(", ")));
    }
    links(unit, notes);
}

/// Names the other units that systemd would start, stop or wait for.
fn links(unit: &Unit, notes: &mut Vec<String>) {
    const SILENT: [&str; 7] =
        ["Description", "Documentation", "DefaultDependencies", "CollectMode", "SourcePath", "Before", "Requisite"];
    let is_told = |entry: &&Entry| {
        let key = entry.key.as_str();
        let is_shutdown = key == "Conflicts" && entry.value == "shutdown.target";
        !SILENT.contains(&key)
            && !is_shutdown
            && !["Condition", "Assert", "X-"].iter().any(|prefix| key.starts_with(prefix))
    };
    let pulls = |entry: &Entry| ["Wants", "Requires", "BindsTo", "Upholds"].contains(&entry.key.as_str());
    let mut others = Vec::new();
    for entry in unit.keys("Unit").into_iter().filter(is_told) {
        others.push(format!("{}={}", entry.key, entry.value));
        for service in entry.value.split_ascii_whitespace().filter(|name| pulls(entry) && name.ends_with(".service")) {
            let follow = "if it is a job, import it too and let it follow this one (`after`); if it is a daemon, see that it runs";
            notes.push(format!("{service} is not started with it ({}=): {follow}", entry.key));
        }
    }
    if !others.is_empty() {
        notes.push(format!("other units are neither started nor waited for: {}", others.join(", ")));
    }
}
