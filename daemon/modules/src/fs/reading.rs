//! Functions of `fs` that read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sloth_exec::host;
use sloth_lua::{Call, Data, Failure, Reply};

use crate::describe::give;
use crate::files::{digest, failed};
use crate::modes::mode_text;

/// The path that a parameter names.
pub fn path(call: &Call, name: &str) -> Result<PathBuf, Failure> {
    let text = call.args.text(name)?;
    if text.is_empty() || text.contains('\0') {
        return Err(Failure::argument(name, format_args!("{text:?} is not a path")));
    }
    Ok(call.ctx.resolve(&text))
}

/// Most bytes that a script gets at once.
const READ_MAX: u64 = 256 << 20;

fn content(path: &Path) -> Result<Vec<u8>, Failure> {
    let meta = fs::metadata(path).map_err(|error| failed(path, error))?;
    if meta.is_file() && meta.len() > READ_MAX {
        let message = format!("has {} bytes, and at most {READ_MAX} are read at once", meta.len());
        return Err(failed(path, message));
    }
    fs::read(path).map_err(|error| failed(path, error))
}

/// `read`, `read_bytes`.
pub fn read(call: Call) -> Reply {
    give(Data::Str(content(&path(&call, "path")?)?))
}

/// `read_lines`.
pub fn read_lines(call: Call) -> Reply {
    let text = content(&path(&call, "path")?)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    if text.is_empty() {
        return give(Data::List(Vec::new()));
    }
    let line = |line: &[u8]| Data::Str(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
    give(Data::List(text.split(|byte| *byte == b'\n').map(line).collect()))
}

/// `exists`.
pub fn exists(call: Call) -> Reply {
    give(path(&call, "path")?.symlink_metadata().is_ok())
}

/// `is_file`.
pub fn is_file(call: Call) -> Reply {
    give(path(&call, "path")?.is_file())
}

/// `is_dir`.
pub fn is_dir(call: Call) -> Reply {
    give(path(&call, "path")?.is_dir())
}

/// `is_link`.
pub fn is_link(call: Call) -> Reply {
    give(path(&call, "path")?.symlink_metadata().is_ok_and(|meta| meta.file_type().is_symlink()))
}

/// What is known about a path; only `exists` and `path` where nothing is.
pub fn facts(path: &Path) -> Result<Vec<(&'static str, Data)>, Failure> {
    let text = Data::text(path.to_string_lossy());
    let link = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if crate::files::remove::is_absent(&error) => {
            return Ok(vec![("exists", false.into()), ("path", text)]);
        }
        Err(error) => return Err(failed(path, error)),
    };
    let is_link = link.file_type().is_symlink();
    // A link that leads nowhere still is something.
    let meta = fs::metadata(path).unwrap_or(link);
    #[allow(clippy::cast_precision_loss)] // below 2^53 for any real time
    let time = |seconds: i64, nanos: i64| Data::Num(seconds as f64 + nanos as f64 / 1e9);
    Ok(vec![
        ("exists", true.into()),
        ("path", text),
        ("size", meta.len().into()),
        ("mode", mode_text(meta.mode()).into()),
        ("is_dir", meta.is_dir().into()),
        ("is_file", meta.is_file().into()),
        ("is_link", is_link.into()),
        ("uid", u64::from(meta.uid()).into()),
        ("gid", u64::from(meta.gid()).into()),
        ("owner", host::user_name(meta.uid()).unwrap_or_else(|| meta.uid().to_string()).into()),
        ("group", host::group_name(meta.gid()).unwrap_or_else(|| meta.gid().to_string()).into()),
        ("mtime", time(meta.mtime(), meta.mtime_nsec())),
        ("atime", time(meta.atime(), meta.atime_nsec())),
    ])
}

/// `stat`.
pub fn stat(call: Call) -> Reply {
    give(Data::map(facts(&path(&call, "path")?)?))
}

/// `size`.
pub fn size(call: Call) -> Reply {
    let path = path(&call, "path")?;
    give(fs::metadata(&path).map_err(|error| failed(&path, error))?.len())
}

/// `mtime`, seconds since 1970.
pub fn mtime(call: Call) -> Reply {
    let path = path(&call, "path")?;
    give(fs::metadata(&path).map_err(|error| failed(&path, error))?.mtime())
}

/// `checksum`.
pub fn checksum(call: Call) -> Reply {
    let algorithm = call.args.opt_text("alg").unwrap_or_else(|| "sha256".to_owned());
    give(digest::file(&path(&call, "path")?, &algorithm)?)
}

/// `readlink`.
pub fn readlink(call: Call) -> Reply {
    let path = path(&call, "path")?;
    give(text_of(fs::read_link(&path).map_err(|error| failed(&path, error))?))
}

/// `realpath`.
pub fn realpath(call: Call) -> Reply {
    let path = path(&call, "path")?;
    give(text_of(fs::canonicalize(&path).map_err(|error| failed(&path, error))?))
}

/// `disk_usage`.
pub fn disk_usage(call: Call) -> Reply {
    let path = match call.args.get("path") {
        Some(_) => path(&call, "path")?,
        None => call.ctx.workdir.clone(),
    };
    let space = host::space(&path).map_err(|error| failed(&path, error))?;
    let used = space.total - space.free;
    give(Data::map([
        ("total", Data::from(space.total)),
        ("used", used.into()),
        ("free", space.available.into()),
        ("percent", percent(used, used + space.available).into()),
    ]))
}

/// Used of all, as df(1) counts it, with one digit.
#[allow(clippy::cast_precision_loss)] // a percentage
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

/// A path as a script gets it: any bytes.
pub fn text_of(path: PathBuf) -> Data {
    Data::Str(path.into_os_string().into_encoded_bytes())
}
