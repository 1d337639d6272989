//! Names of units. A unit is named after its attempt, which is what makes starting it idempotent: PID 1 has one unit of a name.

use std::path::{Path, PathBuf};

use sloth_core::AttemptKey;
use sloth_core::launch::Launch;

/// Prefix of all units of runs.
const PREFIX: &str = "sloth-run-";
/// Suffix of all units of runs.
const SUFFIX: &str = ".service";
/// All of them, as a pattern of systemd.
pub(crate) const PATTERN: &str = "sloth-run-*.service";
/// Between the words and the output file in a description.
const MARK: &str = ", output in ";

/// The unit of an attempt.
pub(crate) fn unit_name(key: AttemptKey) -> String {
    format!("{PREFIX}{key}{SUFFIX}")
}

/// The attempt of a unit; `None` for units of others.
pub(crate) fn attempt_of(unit: &str) -> Option<AttemptKey> {
    let key = unit.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (run, attempt) = key.rsplit_once('-')?;
    let key = AttemptKey { run: run.parse().ok()?, attempt: attempt.parse().ok()? };
    // One attempt has one name: not another spelling of the same id.
    (unit_name(key) == unit).then_some(key)
}

/// For people (`systemctl list-units`), and the mark by which an instance knows its own units again: the output file, below its own
/// data directory. One list of units thus tells whose a unit is and where its end will be.
pub(crate) fn description(data: &Path, launch: &Launch) -> String {
    let schedule = launch.env.get("SLOTH_SCHEDULE").map_or("a command", String::as_str);
    let output = data.join(&launch.output);
    format!("Run of {schedule}{MARK}{}", output.display())
}

/// The output file of a unit of this instance, relative to its data directory; `None` for a unit of another instance.
pub(crate) fn output_of(data: &Path, description: &str) -> Option<PathBuf> {
    let (_, output) = description.rsplit_once(MARK)?;
    Path::new(output).strip_prefix(data).ok().map(Path::to_owned)
}

/// The object path of a unit (sd_bus_path_encode(3)).
pub(crate) fn object_path(unit: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (i, byte) in unit.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => path.push(char::from(byte)),
            b'0'..=b'9' if i > 0 => path.push(char::from(byte)),
            _ => path.push_str(&format!("_{byte:02x}")),
        }
    }
    path
}

/// The unit of an object path.
pub(crate) fn unit_of_path(path: &str) -> Option<String> {
    let label = path.strip_prefix("/org/freedesktop/systemd1/unit/")?.as_bytes();
    let mut unit = Vec::with_capacity(label.len());
    let mut i = 0;
    while i < label.len() {
        if label[i] == b'_' {
            let hex = std::str::from_utf8(label.get(i + 1..i + 3)?).ok()?;
            unit.push(u8::from_str_radix(hex, 16).ok()?);
            i += 3;
        } else {
            unit.push(label[i]);
            i += 1;
        }
    }
    String::from_utf8(unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "sloth-run-0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b-12.service";

    #[test]
    fn a_unit_and_its_attempt_name_each_other() {
        let key = attempt_of(UNIT).unwrap();
        assert_eq!((key.attempt, unit_name(key).as_str()), (12, UNIT));
        for foreign in [
            "sloth-run-x-1.service",
            "sloth-run-.service",
            "cron.service",
            "sloth-run-0190a1b2c3d47e5f8a9b0c1d2e3f4a5b-1.service",
        ] {
            assert_eq!(attempt_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn object_paths_are_those_of_systemd() {
        assert_eq!(object_path("dbus.service"), "/org/freedesktop/systemd1/unit/dbus_2eservice");
        assert_eq!(unit_of_path(&object_path(UNIT)).as_deref(), Some(UNIT));
        assert_eq!(unit_of_path("/org/freedesktop/systemd1/unit/bad_2"), None);
        assert_eq!(unit_of_path("/org/freedesktop/systemd1"), None);
    }

    #[test]
    fn a_description_tells_whose_the_unit_is() {
        let text = "Run of a, output in b, output in /var/lib/slothd/runs/2031-03/x/output";
        assert_eq!(output_of(Path::new("/var/lib/slothd"), text), Some("runs/2031-03/x/output".into()));
        assert_eq!(output_of(Path::new("/var/lib/other"), text), None);
        assert_eq!(output_of(Path::new("/var/lib/slothd"), "A unit of somebody else"), None);
    }
}
