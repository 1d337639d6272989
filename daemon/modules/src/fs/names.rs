//! Functions of `fs` about names: they touch no file, but temporary ones.

use std::path::{Component, Path, PathBuf};

use sloth_lua::{Args, Call, Data, Reply};

use super::reading::{path, text_of};
use crate::describe::give;
use crate::files::failed;

/// `basename`.
pub fn basename(args: &Args) -> Reply {
    let text = args.text("path")?;
    let name = Path::new(&text).file_name();
    give(name.map_or_else(|| text.clone(), |name| name.to_string_lossy().into_owned()))
}

/// `dirname`.
pub fn dirname(args: &Args) -> Reply {
    let text = args.text("path")?;
    give(match Path::new(&text).parent() {
        Some(parent) if parent == Path::new("") => ".".to_owned(),
        Some(parent) => parent.to_string_lossy().into_owned(),
        None => text,
    })
}

/// `ext`: with its dot, empty when there is none.
pub fn ext(args: &Args) -> Reply {
    let text = args.text("path")?;
    give(Path::new(&text).extension().map_or_else(String::new, |ext| format!(".{}", ext.to_string_lossy())))
}

/// `join`: an absolute part begins anew.
pub fn join(args: &Args) -> Reply {
    let parts = args.get("path").into_iter().chain(&args.rest);
    let mut joined = PathBuf::new();
    for part in parts {
        match part {
            Data::List(items) => joined.extend(items.iter().filter_map(Data::to_text)),
            other => joined.extend(other.to_text()),
        }
    }
    give(text_of(tidy(&joined)))
}

/// `split`: directory, name.
pub fn split(args: &Args) -> Reply {
    let text = args.text("path")?;
    let path = Path::new(&text);
    let directory = path.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(vec![directory.into(), name.into()])
}

/// `abs`: without `.` and `..`, links are not followed.
pub fn abs(call: &Call) -> Reply {
    give(text_of(tidy(&path(call, "path")?)))
}

/// `cwd`.
#[allow(clippy::unnecessary_wraps)] // the shape of bodies
pub fn cwd(call: &Call) -> Reply {
    give(text_of(call.ctx.workdir.clone()))
}

/// `home`.
#[allow(clippy::unnecessary_wraps)] // the shape of bodies
pub fn home(call: &Call) -> Reply {
    give(text_of(call.ctx.resolve("~")))
}

/// `tmpname`: a new empty file, removed with the run.
pub fn tmpname(call: Call) -> Reply {
    let prefix = prefix(&call)?;
    let directory = &call.ctx.run.temp_dir;
    let file =
        tempfile::Builder::new().prefix(&prefix).tempfile_in(directory).map_err(|error| failed(directory, error))?;
    let (_, path) = file.keep().map_err(|error| failed(directory, error))?;
    give(text_of(path))
}

/// `tmpdir`: a new directory, removed with the run.
pub fn tmpdir(call: Call) -> Reply {
    let prefix = prefix(&call)?;
    let directory = &call.ctx.run.temp_dir;
    let made =
        tempfile::Builder::new().prefix(&prefix).tempdir_in(directory).map_err(|error| failed(directory, error))?;
    give(text_of(made.keep()))
}

fn prefix(call: &Call) -> Result<String, sloth_lua::Failure> {
    let prefix = call.args.opt_text("prefix").unwrap_or_else(|| "tmp-".to_owned());
    if prefix.contains(['/', '\0']) {
        return Err(sloth_lua::Failure::argument("prefix", "a name without slashes expected"));
    }
    Ok(prefix)
}

/// Without `.`, and without `..` where the part before it can be dropped.
pub fn tidy(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) => {
                    clean.pop();
                }
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            other => clean.push(other),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}
