//! Where crontabs are: files, cron.d directories, directories of executables, the caller's own.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::import::Batch;
use crate::args::scheduler::CrontabArgs;
use crate::failure::Failure;

const SYSTEM: &[&str] = &[
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/anacrontab",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
];

/// Directories whose files are executables, not crontabs.
const SCRIPT_DIRS: &[&str] = &["cron.hourly", "cron.daily", "cron.weekly", "cron.monthly"];

/// At most so many bytes of an executable are looked at.
const SCRIPT_BYTES_MAX: u64 = 64 << 10;
/// Says that a script leaves its work to a timer; the importer has a note about it.
const LEAVES_TO_TIMER: &str = "/run/systemd/system";

pub(crate) fn crontab(args: &CrontabArgs) -> Result<Vec<Batch>, Failure> {
    if args.all_system {
        let present = SYSTEM.iter().map(Path::new).filter(|path| path.exists());
        return gather(present.map(Path::to_path_buf).collect(), true);
    }
    if args.files.is_empty() {
        let texts = vec![of_user(args.user.as_deref())?];
        return Ok(vec![Batch { format: "crontab", texts }]);
    }
    gather(args.files.iter().map(PathBuf::from).collect(), args.system)
}

/// The texts by format, in the order of the paths.
fn gather(paths: Vec<PathBuf>, system: bool) -> Result<Vec<Batch>, Failure> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut add = |format: &'static str, text: (String, String)| match batches.iter_mut().find(|b| b.format == format) {
        Some(batch) => batch.texts.push(text),
        None => batches.push(Batch { format, texts: vec![text] }),
    };
    for path in paths {
        if !path.is_dir() {
            add(format_of(&path, system), read(&path.to_string_lossy())?);
            continue;
        }
        let files = files_of(&path)?;
        if holds_scripts(&path, &files) {
            for file in files.iter().filter(|file| is_executable(file)) {
                add("script", (file.display().to_string(), telling_lines(file)?));
            }
        } else {
            for file in files {
                add(format_of(&file, system), read(&file.to_string_lossy())?);
            }
        }
    }
    Ok(batches)
}

fn format_of(path: &Path, system: bool) -> &'static str {
    let in_cron_d = path.parent().and_then(Path::file_name).is_some_and(|dir| dir == "cron.d");
    if path.file_name().is_some_and(|name| name == "anacrontab") {
        return "anacrontab";
    }
    if system || in_cron_d || path == Path::new("/etc/crontab") { "system_crontab" } else { "crontab" }
}

fn holds_scripts(dir: &Path, files: &[PathBuf]) -> bool {
    let named = dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| SCRIPT_DIRS.contains(&name));
    named || (!files.is_empty() && files.iter().all(|file| is_executable(file)))
}

/// Files that cron would read: names of letters, digits, `_` and `-` alone, as in cron(8) and run-parts(8).
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let said = |error| named(dir, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(said)? {
        let path = entry.map_err(said)?.path();
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(plain) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o111 != 0)
}

/// What is sent for an executable: its first line and those that the importer asks for, not the rest, which may hold secrets.
fn telling_lines(path: &Path) -> Result<String, Failure> {
    let mut start = Vec::new();
    let file = fs::File::open(path).map_err(|error| named(path, &error))?;
    file.take(SCRIPT_BYTES_MAX).read_to_end(&mut start).map_err(|error| named(path, &error))?;
    let text = String::from_utf8_lossy(&start);
    let mut lines = text.lines();
    let first: String = lines.next().unwrap_or_default().chars().take(4096).collect();
    let telling = lines.find(|line| !line.trim_start().starts_with('#') && line.contains(LEAVES_TO_TIMER));
    Ok(telling.map_or(first.clone(), |_| format!("{first}\n# {LEAVES_TO_TIMER}\n")))
}

/// A file, or standard input for `-`, with its name.
pub(crate) fn read(name: &str) -> Result<(String, String), Failure> {
    if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(("stdin".to_owned(), text));
    }
    let text = fs::read_to_string(name).map_err(|error| named(Path::new(name), &error))?;
    Ok((name.to_owned(), text))
}

fn named(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

fn of_user(user: Option<&str>) -> Result<(String, String), Failure> {
    let mut command = Command::new("crontab");
    command.arg("-l");
    if let Some(user) = user {
        command.args(["-u", user]);
    }
    let hint = "name a file, or - for standard input";
    let ran = command.output().map_err(|error| Failure::usage(format!("crontab -l: {error}")).hint(hint))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(Failure::not_found(format!("crontab -l: {}", said.trim())).hint(hint));
    }
    let name = user.map_or("crontab".to_owned(), |user| format!("crontab of {user}"));
    Ok((name, String::from_utf8_lossy(&ran.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_follow_from_places() {
        let root = tempfile::tempdir().expect("a directory");
        let put = |path: &str, text: &str, mode: u32| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            path
        };
        let own = put("own", "1 * * * * a\n", 0o644);
        put("cron.d/tool", "2 * * * * root b\n", 0o644);
        put("cron.d/tool.dpkg-old", "3 * * * * root c\n", 0o644);
        put("cron.daily/rotate", "#!/bin/sh\nPASSWORD=x\nexit 0\n", 0o755);
        put("cron.daily/twice", "#!/bin/sh\n[ ! -d /run/systemd/system ] || exit 0\n", 0o755);
        put("cron.daily/README", "no program\n", 0o644);
        let anacron = put("anacrontab", "1 5 x y\n", 0o644);
        let dirs = [own, anacron, root.path().join("cron.d"), root.path().join("cron.daily")];
        let batches = gather(dirs.into(), false).expect("readable");
        let short: Vec<(&str, usize, &str)> =
            batches.iter().map(|batch| (batch.format, batch.texts.len(), batch.texts[0].1.as_str())).collect();
        assert_eq!(
            short,
            [
                ("crontab", 1, "1 * * * * a\n"),
                ("anacrontab", 1, "1 5 x y\n"),
                ("system_crontab", 1, "2 * * * * root b\n"),
                ("script", 2, "#!/bin/sh")
            ]
        );
    }
}
