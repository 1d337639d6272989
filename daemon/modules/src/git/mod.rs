//! `git`: working copies, through the `git` program. Arguments never reach a shell, and nothing asks for a password.

mod changing;
mod reading;
mod table;
#[cfg(test)]
mod tests;

pub use table::MODULE;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sloth_lua::{Call, Failure};

use crate::exec::{CommandSpec, quiet, run};

/// Runs git in a directory. Gives what it wrote; the failure has its last words.
async fn git(call: &Call, directory: Option<&Path>, words: &[&str]) -> Result<String, Failure> {
    let mut argv = vec!["git".to_owned()];
    if let Some(directory) = directory {
        argv.extend(["-C".to_owned(), directory.to_string_lossy().into_owned()]);
    }
    argv.extend(words.iter().map(|word| (*word).to_owned()));
    let mut spec = quiet(CommandSpec::argv(argv));
    spec.timeout = call.args.num("timeout").map(crate::exec::millis);
    spec.user = call.args.opt_text("user");
    let mut set = |name: &str, value: String| spec.env.push((name.to_owned(), Some(value)));
    set("GIT_TERMINAL_PROMPT", "0".to_owned());
    set("GIT_OPTIONAL_LOCKS", "0".to_owned());
    let ssh = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new";
    match call.args.opt_text("ssh_key") {
        Some(key) => {
            let key = call.ctx.resolve(&key).to_string_lossy().into_owned();
            set("GIT_SSH_COMMAND", format!("{ssh} -o IdentitiesOnly=yes -i {}", shell_words::quote(&key)));
        }
        None => set("GIT_SSH_COMMAND", ssh.to_owned()),
    }
    let result = run(spec, Arc::clone(&call.ctx)).await;
    if result.success {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let kind = result.failure_kind().filter(|kind| *kind != "exit");
    let error = result.error.unwrap_or_default();
    let what = words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or("git");
    Err(Failure { kind, ..Failure::new(format!("git {what}: {}", last_line(&error))) })
}

/// The line that says why: the first of git's own errors, else the last one.
fn last_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = text.lines().map(str::trim).find(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
    error.or_else(|| lines.next_back()).unwrap_or("no message")
}

/// The working copy of a call: `path`, else the directory of the task.
fn place(call: &Call) -> PathBuf {
    call.args.opt_text("path").map_or_else(|| call.ctx.workdir.clone(), |path| call.ctx.resolve(&path))
}

/// A text that git must not take for an option.
fn plain(call: &Call, name: &'static str) -> Result<Option<String>, Failure> {
    match call.args.opt_text(name) {
        Some(text) if text.is_empty() || text.starts_with('-') || text.contains('\0') => {
            Err(Failure::argument(name, format_args!("{text:?} is not a name for git")))
        }
        other => Ok(other),
    }
}

/// The same, required.
fn required(call: &Call, name: &'static str) -> Result<String, Failure> {
    plain(call, name)?.ok_or_else(|| Failure::argument(name, "string expected, got nil"))
}

/// Commit that is checked out; `None` before the first one.
async fn head(call: &Call, path: &Path) -> Option<String> {
    git(call, Some(path), &["rev-parse", "--verify", "--quiet", "HEAD"]).await.ok().map(|text| text.trim().to_owned())
}

/// Whether a directory is the top of a working copy, or a bare repository.
async fn is_repo(call: &Call, path: &Path) -> bool {
    path.is_dir()
        && git(call, Some(path), &["rev-parse", "--git-dir"]).await.is_ok_and(|dir| {
            let dir = path.join(dir.trim());
            dir == path.join(".git") || dir == path.join(".") || path.join(".git").exists()
        })
}
