//! Functions of `fs` that change something. Success is `true`, then nothing, then what was done; failure is `false` and why.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use sloth_lua::{Call, Data, Failure, Reply};

use super::reading::path;
use crate::files::atomic::{How, replace};
use crate::files::change::{Change, simulated};
use crate::files::copy::{Plan, file, globs, link as make_link, tree};
use crate::files::owner::{self, Attributes};
use crate::files::{failed, remove as removing};
use crate::modes::mode;

#[allow(clippy::unnecessary_wraps)] // the shape of bodies
fn done(call: &Call, change: Change) -> Reply {
    Ok(vec![true.into(), Data::Nil, change.info(simulated(call))])
}

/// `write`.
pub fn write(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let content = call.args.bytes("content")?;
    let how = How::from(&call.args)?;
    let is_same = fs::read(&path).is_ok_and(|old| old == content);
    if is_same {
        let differences = how.attributes.ensure(&path, simulated(&call))?;
        let change = if differences.is_empty() {
            Change::none(format!("{} is as wanted", path.display()))
        } else {
            Change::made(format!("{} changed", path.display())).because(differences)
        };
        return done(&call, change);
    }
    if !simulated(&call) {
        replace(&path, &mut content.as_slice(), &how, &call.ctx)?;
    }
    done(&call, Change::made(format!("{} written", path.display())))
}

/// `append`. Not atomic: bytes are added to the file that is there, as other writers of a log expect it.
pub fn append(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let content = call.args.bytes("content")?;
    if !simulated(&call) && !content.is_empty() {
        let mut file =
            fs::File::options().append(true).create(true).open(&path).map_err(|error| failed(&path, error))?;
        file.write_all(&content).map_err(|error| failed(&path, error))?;
    }
    let changed = !content.is_empty();
    done(&call, Change { changed, ..Change::made(format!("{} bytes appended to {}", content.len(), path.display())) })
}

/// `mkdir`, with parents.
pub fn mkdir(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = make_directory(&call, &path)?;
    done(&call, change)
}

/// Makes a directory with the attributes of the call.
pub fn make_directory(call: &Call, path: &Path) -> Result<Change, Failure> {
    let attributes = Attributes::from(&call.args)?;
    if path.is_dir() {
        let differences = attributes.ensure(path, simulated(call))?;
        if differences.is_empty() {
            return Ok(Change::none(format!("{} exists", path.display())));
        }
        return Ok(Change::made(format!("{} changed", path.display())).because(differences));
    }
    if path.symlink_metadata().is_ok() {
        return Err(failed(path, "exists and is not a directory"));
    }
    if !simulated(call) {
        fs::create_dir_all(path).map_err(|error| failed(path, error))?;
        attributes.apply(path).map_err(|error| failed(path, error))?;
    }
    Ok(Change::made(format!("{} created", path.display())))
}

/// `rm`: a file, a link or an empty directory.
pub fn rm(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if removing::is_absent(&error) => {
            return done(&call, Change::none(format!("{} does not exist", path.display())));
        }
        Err(error) => return Err(failed(&path, error)),
    };
    if !simulated(&call) {
        let removed = if meta.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| failed(&path, error))?;
    }
    done(&call, Change::made(format!("{} removed", path.display())))
}

/// `rmr`: a tree.
pub fn rmr(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = remove_tree(&call, &path)?;
    done(&call, change)
}

/// Removes whatever is there, but not what nobody means.
pub fn remove_tree(call: &Call, path: &Path) -> Result<Change, Failure> {
    removing::refuse(path, call.args.flag("force"), &call.ctx)?;
    let removed = if simulated(call) {
        path.symlink_metadata().is_ok()
    } else {
        removing::remove(path).map_err(|error| failed(path, error))?
    };
    Ok(if removed {
        Change::made(format!("{} removed", path.display()))
    } else {
        Change::none(format!("{} does not exist", path.display()))
    })
}

/// `copy`: a file, or a directory with all that is in it.
pub fn copy(call: Call) -> Reply {
    let (src, dst) = (path(&call, "src")?, path(&call, "dst")?);
    let plan = Plan { how: How::from(&call.args)?, force: true, simulated: simulated(&call), ..Plan::default() };
    let differences = if src.is_dir() {
        tree(&src, &dst, &plan, &call.ctx)?
    } else {
        let into = if dst.is_dir() { dst.join(src.file_name().unwrap_or_default()) } else { dst.clone() };
        file(&src, &into, &plan, &call.ctx)?
    };
    done(&call, told(differences, &src, &dst, "copied to"))
}

fn told(differences: Vec<String>, src: &Path, dst: &Path, what: &str) -> Change {
    if differences.is_empty() {
        return Change::none(format!("{} is as {}", dst.display(), src.display()));
    }
    Change::made(format!("{} {what} {}", src.display(), dst.display())).because(differences)
}

/// `sync`. Family `C`.
pub fn sync(call: Call) -> Reply {
    let (src, dst) = (path(&call, "src")?, path(&call, "dst")?);
    if !src.is_dir() {
        return Err(failed(&src, "is not a directory"));
    }
    let plan = Plan {
        how: How::from(&call.args)?,
        delete: call.args.flag("delete"),
        exclude: globs(&call.args.texts("exclude"))?,
        force: true,
        simulated: simulated(&call),
    };
    let differences = tree(&src, &dst, &plan, &call.ctx)?;
    Ok(vec![told(differences, &src, &dst, "copied to").info(simulated(&call))])
}

/// `move`: by a rename, or by a copy where that cannot be.
pub fn rename(call: Call) -> Reply {
    let (src, dst) = (path(&call, "src")?, path(&call, "dst")?);
    let meta = src.symlink_metadata().map_err(|error| failed(&src, error))?;
    let dst = if dst.is_dir() && !meta.is_dir() { dst.join(src.file_name().unwrap_or_default()) } else { dst };
    if !simulated(&call) {
        match fs::rename(&src, &dst) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                removing::refuse(&src, false, &call.ctx)?;
                let plan = Plan { force: true, ..Plan::default() };
                tree(&src, &dst, &plan, &call.ctx)?;
                removing::remove(&src).map_err(|error| failed(&src, error))?;
            }
            Err(error) => return Err(failed(&src, format_args!("to {}: {error}", dst.display()))),
        }
    }
    done(&call, Change::made(format!("{} moved to {}", src.display(), dst.display())))
}

/// `symlink(target, link)`.
pub fn symlink(call: Call) -> Reply {
    let (target, link) = (call.args.text("target")?, path(&call, "link")?);
    let differences = make_link(Path::new(&target), &link, call.args.flag("force"), simulated(&call))?;
    done(&call, linked(differences, &link, &target))
}

/// What making a link did.
pub fn linked(differences: Vec<String>, link: &Path, target: &str) -> Change {
    let message = format!("{} -> {target}", link.display());
    if differences.is_empty() { Change::none(message) } else { Change::made(message).because(differences) }
}

/// `link(target, link)`: another name of a file.
pub fn link(call: Call) -> Reply {
    let (target, link) = (path(&call, "target")?, path(&call, "link")?);
    if removing::is_same(&target, &link) {
        return done(&call, Change::none(format!("{} is {}", link.display(), target.display())));
    }
    if !simulated(&call) {
        fs::hard_link(&target, &link).map_err(|error| failed(&link, error))?;
    }
    done(&call, Change::made(format!("{} is now {}", link.display(), target.display())))
}

/// `touch`.
pub fn touch(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = touch_file(&call, &path)?;
    done(&call, change)
}

/// Makes an empty file, or sets the time of one.
pub fn touch_file(call: &Call, path: &Path) -> Result<Change, Failure> {
    let is_new = path.symlink_metadata().is_err();
    if !simulated(call) {
        let touched =
            if path.is_dir() { fs::File::open(path) } else { fs::File::options().append(true).create(true).open(path) };
        let set = touched.and_then(|file| file.set_modified(std::time::SystemTime::now()));
        set.map_err(|error| failed(path, error))?;
        Attributes::from(&call.args)?.apply(path).map_err(|error| failed(path, error))?;
    }
    Ok(Change::made(format!("{} {}", path.display(), if is_new { "created" } else { "touched" })))
}

/// `chmod`.
pub fn chmod(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let wanted = match call.args.get("mode") {
        Some(value) => mode("mode", value)?,
        None => return Err(Failure::argument("mode", "string or number expected, got nil")),
    };
    let meta = fs::metadata(&path).map_err(|error| failed(&path, error))?;
    let attributes = Attributes { mode: Some(wanted), ..Attributes::default() };
    let differences = attributes.differences(&path, &meta);
    if !differences.is_empty() && !simulated(&call) {
        fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).map_err(|error| failed(&path, error))?;
    }
    done(&call, is_as(&path, "mode", differences))
}

/// `chown`.
pub fn chown_path(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let uid = call.args.opt_text("owner").map(|name| owner::user(&name)).transpose()?;
    let gid = call.args.opt_text("group").map(|name| owner::group(&name)).transpose()?;
    let meta = fs::metadata(&path).map_err(|error| failed(&path, error))?;
    let differences = Attributes { mode: None, uid, gid }.differences(&path, &meta);
    if !differences.is_empty() && !simulated(&call) {
        chown(&path, uid, gid).map_err(|error| failed(&path, error))?;
        // chown(2) clears the special bits; they were not asked to go.
        if meta.mode() & 0o6000 != 0 {
            fs::set_permissions(&path, meta.permissions()).map_err(|error| failed(&path, error))?;
        }
    }
    done(&call, is_as(&path, "owner", differences))
}

fn is_as(path: &Path, what: &str, differences: Vec<String>) -> Change {
    if differences.is_empty() {
        return Change::none(format!("{} is as wanted", path.display()));
    }
    Change::made(format!("{} of {} set", what, path.display())).because(differences)
}

/// `truncate`.
pub fn truncate(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let size = u64::try_from(call.args.int("size").unwrap_or(0))
        .map_err(|_| Failure::argument("size", "0 or more expected"))?;
    let old = fs::metadata(&path).map_err(|error| failed(&path, error))?.len();
    if old != size && !simulated(&call) {
        let file = fs::File::options().write(true).open(&path);
        file.and_then(|file| file.set_len(size)).map_err(|error| failed(&path, error))?;
    }
    let message = format!("{} has {size} bytes", path.display());
    done(&call, if old == size { Change::none(message) } else { Change::made(message) })
}
