//! `Condition*=` and `Assert*=`: as shell tests where the shell can ask the same, as a remark where leaving it out does
//! no harm, else a refusal: a condition is never dropped silently.

use super::specifier::Specifiers;
use super::unit::{Entry, Unit, boolean};
use crate::import::words::quote;

/// The tests of a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Guards {
    /// When one fails, nothing is done.
    pub(super) conditions: Vec<String>,
    /// When one fails, the run fails.
    pub(super) assertions: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Reads the tests of a unit; the refusal comes with the line it is about.
pub(super) fn guards<'a>(unit: &'a Unit, specifiers: &Specifiers<'_>) -> Result<Guards, (&'a Entry, String)> {
    let mut guards = Guards::default();
    let mut any: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let is_test = |entry: &&Entry| entry.key.starts_with("Condition") || entry.key.starts_with("Assert");
    for key in unit.keys("Unit").into_iter().filter(is_test).map(|entry| entry.key.as_str()) {
        for entry in unit.all("Unit", key) {
            let (kind, asserts) = match key.strip_prefix("Condition") {
                Some(kind) => (kind, false),
                None => (key.strip_prefix("Assert").unwrap_or(key), true),
            };
            let value = specifiers.expand(&entry.value).map_err(|reason| (entry, reason))?;
            let (triggers, value) = value.strip_prefix('|').map_or((false, value.as_str()), |rest| (true, rest));
            let (negated, value) = value.strip_prefix('!').map_or((false, value), |rest| (true, rest));
            match test(kind, value.trim_ascii()) {
                Test::Shell(text) => {
                    let text = if negated { format!("! {text}") } else { text };
                    match (triggers, asserts) {
                        (true, _) => any[usize::from(asserts)].push(text),
                        (false, false) => guards.conditions.push(text),
                        (false, true) => guards.assertions.push(text),
                    }
                }
                Test::Harmless(remark) => guards.notes.push(format!("{key}={} is not asked: {remark}", entry.value)),
                Test::Impossible => {
                    let reason = format!(
                        "{key}= cannot be asked by slothd: test it in the command, or remove it with `systemctl edit`"
                    );
                    return Err((entry, reason));
                }
            }
        }
    }
    for entry in unit.all("Unit", "Requisite") {
        let units = specifiers.expand(&entry.value).map_err(|reason| (entry, reason))?;
        let units: Vec<String> = units.split_ascii_whitespace().map(quote).collect();
        guards.assertions.push(format!("systemctl is-active --quiet {}", units.join(" ")));
    }
    let [conditions, assertions] = any.map(|tests| match tests.as_slice() {
        [] => None,
        tests => Some(format!("{{ {}; }}", tests.join(" || "))),
    });
    guards.conditions.extend(conditions);
    guards.assertions.extend(assertions);
    Ok(guards)
}

enum Test {
    Shell(String),
    Harmless(&'static str),
    Impossible,
}

fn test(kind: &str, value: &str) -> Test {
    let path = |flag: &str| match value.starts_with('/') {
        true => Test::Shell(format!("test {flag} {}", quote(value))),
        false => Test::Impossible,
    };
    match kind {
        "PathExists" => path("-e"),
        "PathIsDirectory" => path("-d"),
        "PathIsSymbolicLink" => path("-L"),
        "PathIsReadWrite" => path("-w"),
        "FileNotEmpty" => path("-s"),
        "FileIsExecutable" => path("-x"),
        "PathIsMountPoint" => Test::Shell(format!("mountpoint -q {}", quote(value))),
        "DirectoryNotEmpty" => Test::Shell(format!("test -n \"$(ls -A {} 2>/dev/null)\"", quote(value))),
        "PathExistsGlob" if value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-*?[]".contains(&b)) => {
            Test::Shell(format!("test -n \"$(ls -d {value} 2>/dev/null)\""))
        }
        "Virtualization" => match (value, boolean(value)) {
            ("container", _) => Test::Shell("systemd-detect-virt --quiet --container".to_owned()),
            ("vm", _) => Test::Shell("systemd-detect-virt --quiet --vm".to_owned()),
            (_, Some(true)) => Test::Shell("systemd-detect-virt --quiet".to_owned()),
            (_, Some(false)) => Test::Shell("{ ! systemd-detect-virt --quiet; }".to_owned()),
            _ => Test::Impossible,
        },
        "KernelCommandLine" if value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-=".contains(&b)) => {
            Test::Shell(format!("grep -qw -- {} /proc/cmdline", quote(&value.replace('.', "\\."))))
        }
        "ACPower" => Test::Harmless("the job also runs on battery"),
        "Capability" => Test::Harmless("the job runs with what its user may do"),
        _ => Test::Impossible,
    }
}
