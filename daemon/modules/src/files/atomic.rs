//! Writes a file so that a reader, or a crash, sees the old content or the new one, never half of it: temporary file beside it,
//! fsync, rename, fsync of the directory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sloth_lua::{Args, Ctx, Failure};

use super::failed;
use super::owner::Attributes;
use crate::exec::{CommandSpec, run_quietly};

/// Mode of a new file when none is given.
const NEW_MODE: u32 = 0o644;

/// How a file is replaced.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// What it becomes besides its content; what is absent is kept from the file that was there.
    pub attributes: Attributes,
    /// Keep the old content as `<path>.<time>~`.
    pub backup: bool,
    /// A command with `%s` that must exit 0 before the new content is installed.
    pub validate: Option<String>,
}

impl How {
    /// From the options of a call.
    pub fn from(args: &Args) -> Result<How, Failure> {
        Ok(How {
            attributes: Attributes::from(args)?,
            backup: args.flag("backup"),
            validate: args.opt_text("validate"),
        })
    }
}

/// Replaces the content of a file. A symbolic link is followed, so that the link stays. Returns the path of the backup, if one
/// was made.
pub fn replace(path: &Path, content: &mut dyn Read, how: &How, ctx: &Arc<Ctx>) -> Result<Option<PathBuf>, Failure> {
    let target = destination(path).map_err(|error| failed(path, error))?;
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(Metadata::is_dir) {
        return Err(failed(path, "is a directory"));
    }
    let directory = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut temporary = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".sloth")
        .tempfile_in(directory)
        .map_err(|error| failed(path, error))?;
    fill(temporary.as_file_mut(), content, old.as_ref(), &how.attributes).map_err(|error| failed(path, error))?;
    if let Some(command) = &how.validate {
        validate(command, temporary.path(), ctx).map_err(|error| failed(path, error))?;
    }
    let backup = match &old {
        Some(_) if how.backup => Some(back_up(&target).map_err(|error| failed(path, error))?),
        _ => None,
    };
    temporary.persist(&target).map_err(|error| failed(path, error.error))?;
    sync_directory(directory);
    Ok(backup)
}

/// The file that a path means: where its links lead, even when nothing is there yet.
fn destination(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn fill(file: &mut File, content: &mut dyn Read, old: Option<&Metadata>, wanted: &Attributes) -> io::Result<()> {
    io::copy(content, file)?;
    let own = file.metadata()?;
    let uid = wanted.uid.or(old.map(Metadata::uid)).filter(|uid| *uid != own.uid());
    let gid = wanted.gid.or(old.map(Metadata::gid)).filter(|gid| *gid != own.gid());
    if uid.is_some() || gid.is_some() {
        fchown(&*file, uid, gid)?;
    }
    let mode = wanted.mode.or(old.map(|old| old.mode() & 0o7777)).unwrap_or(NEW_MODE);
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.flush()?;
    file.sync_all()
}

/// Whoever looks after a crash finds the new name. File systems that cannot do it keep their own promises.
pub fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// Copies a file to `<path>.<time>~`.
pub fn back_up(path: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let backup = PathBuf::from(format!("{}.{now}~", path.display()));
    fs::copy(path, &backup)?;
    let meta = fs::metadata(path)?;
    let kept = Attributes { mode: Some(meta.mode() & 0o7777), uid: Some(meta.uid()), gid: Some(meta.gid()) };
    kept.apply(&backup)?;
    Ok(backup)
}

/// Runs the check of new content; `%s` is its file. The words are split as a shell would, but no shell is used.
fn validate(command: &str, file: &Path, ctx: &Arc<Ctx>) -> Result<(), String> {
    if !command.contains("%s") {
        return Err(format!("validate {command:?} does not contain %s"));
    }
    let words = shell_words::split(command).map_err(|error| format!("validate {command:?}: {error}"))?;
    let words: Vec<String> = words.iter().map(|word| word.replace("%s", &file.to_string_lossy())).collect();
    let program = words.first().cloned().unwrap_or_default();
    let result = run_quietly(CommandSpec::argv(words), ctx);
    match result.error {
        None => Ok(()),
        Some(error) => {
            let last = error.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned();
            Err(format!("validate {program} exited {}: {last}", result.exit_code))
        }
    }
}
