//! Works out everything that a child needs before it is made, as after the fork it should do system calls and nothing else.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek};
use sloth_core::launch::Launch;
use sloth_core::run::{StartFailure, StartFailureKind};

use crate::account::Account;
use crate::fail;

/// Search path of jobs that do not bring one.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Locale of jobs that do not bring one.
const LANG: &str = "C.UTF-8";

/// A resource limit to set, see getrlimit(2).
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Which.
    pub resource: nix::sys::resource::Resource,
    /// Soft and hard value.
    pub values: (u64, u64),
}

/// What a child does between fork and exec, in the order of the fields.
#[derive(Debug)]
pub struct Plan {
    /// Its standard input; `None`: `/dev/null`.
    pub stdin: Option<OwnedFd>,
    /// Limits of resources.
    pub resources: Vec<Resource>,
    /// Scheduling priority.
    pub nice: Option<i8>,
    /// File mode creation mask.
    pub umask: u32,
    /// Who to become.
    pub account: Account,
    /// Where to go.
    pub directory: CString,
    /// Whether `/` will do when the directory does not exist.
    pub or_root: bool,
    /// Files to try as the program, in order.
    pub programs: Vec<CString>,
    /// Arguments, with the name of the program.
    pub argv: Vec<CString>,
    /// Environment.
    pub env: Vec<CString>,
}

impl Plan {
    /// For a launch.
    pub fn new(launch: &Launch, account: Account, resources: Vec<Resource>) -> Result<Plan, StartFailure> {
        let env = environment(launch, &account);
        let path = env.iter().find(|(name, _)| name == "PATH").map_or(PATH, |(_, value)| value.as_str());
        let program = launch.argv.first().filter(|name| !name.is_empty());
        let program = program.ok_or_else(|| fail(StartFailureKind::Program, "the program has no name".to_owned()))?;
        let programs =
            candidates(program, path).iter().map(|file| c_string(file.as_bytes())).collect::<Result<_, _>>()?;
        let directory = launch.cwd.as_deref().unwrap_or(&account.home);
        Ok(Plan {
            stdin: launch.stdin.as_deref().map(stdin).transpose()?,
            resources,
            nice: launch.limits.nice,
            umask: launch.umask & 0o777,
            directory: c_string(directory.as_os_str().as_bytes())?,
            or_root: launch.cwd.is_none(),
            programs,
            argv: launch.argv.iter().map(|text| c_string(text.as_bytes())).collect::<Result<_, _>>()?,
            env: env.iter().map(|(n, v)| c_string(format!("{n}={v}").as_bytes())).collect::<Result<_, _>>()?,
            account,
        })
    }
}

/// The variables of the launch, and those that every job has.
fn environment(launch: &Launch, account: &Account) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut env: Vec<_> = launch.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut default = |name: &str, value: String| {
        if !launch.env.contains_key(name) {
            env.push((name.to_owned(), value));
        }
    };
    default("HOME", text(&account.home));
    default("USER", account.name.clone());
    default("LOGNAME", account.name.clone());
    default("SHELL", text(&account.shell));
    default("PATH", PATH.to_owned());
    default("LANG", LANG.to_owned());
    env
}

/// Where a program may be, as execvp(3) searches it.
fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    path.split(':')
        .map(|directory| if directory.is_empty() { program.to_owned() } else { format!("{directory}/{program}") })
        .collect()
}

/// A file of memory for a text: unlike a pipe it needs nobody to feed it.
fn stdin(text: &str) -> Result<OwnedFd, StartFailure> {
    let failed = |error: std::io::Error| fail(StartFailureKind::Resources, format!("standard input: {error}"));
    let memory = memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let mut file = std::fs::File::from(memory);
    file.write_all(text.as_bytes()).map_err(failed)?;
    lseek(&file, 0, Whence::SeekSet).map_err(|errno| failed(errno.into()))?;
    Ok(file.into())
}

fn c_string(bytes: &[u8]) -> Result<CString, StartFailure> {
    CString::new(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes);
        fail(StartFailureKind::Other, format!("a program cannot be given the zero byte in {text:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn the_search_path_is_walked_in_order_and_empty_means_here() {
        assert_eq!(candidates("ls", "/a:/b"), ["/a/ls", "/b/ls"]);
        assert_eq!(candidates("ls", ":/b"), ["ls", "/b/ls"]);
        assert_eq!(candidates("./ls", "/a"), ["./ls"]);
    }
}
