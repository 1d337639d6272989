//! Open files of `io.open`. A script holds numbers; what they mean is kept here for the life of the worker.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use sloth_lua::{Call, Data, Failure, Reply};

use super::failed;

/// Open files of a worker.
const OPEN_MAX: usize = 1000;
/// Bytes of one read.
const READ_MAX: i64 = 1 << 20;

#[derive(Default)]
struct Table {
    next: i64,
    files: HashMap<i64, Open>,
}

#[derive(Clone)]
struct Open {
    path: String,
    /// `None`: a file that a simulated run only pretends to write.
    file: Option<Arc<Mutex<File>>>,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

fn with<T>(act: impl FnOnce(&mut Table) -> T) -> T {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    act(table.get_or_insert_default())
}

fn find(call: &Call) -> Result<Open, Failure> {
    let id = call.args.int("id").unwrap_or(0);
    with(|table| table.files.get(&id).cloned()).ok_or_else(|| Failure::new("the file is closed (os error 9)"))
}

pub(super) fn open(call: Call) -> Reply {
    let (path, mode) = (call.args.text("path")?, call.args.text("mode")?);
    let place = call.ctx.resolve(&path);
    let writes = mode != "r";
    let mut options = OpenOptions::new();
    match mode.as_str() {
        "r" => options.read(true),
        "w" => options.write(true).create(true).truncate(true),
        "a" => options.append(true).create(true),
        "r+" => options.read(true).write(true),
        "w+" => options.read(true).write(true).create(true).truncate(true),
        "a+" => options.read(true).append(true).create(true),
        _ => return Err(Failure::argument("mode", format_args!("mode of a file expected, got {mode:?}"))),
    };
    if with(|table| table.files.len()) >= OPEN_MAX {
        return Err(Failure::new(format!("{path}: too many open files: close some (os error 24)")));
    }
    let file = match writes && call.ctx.is_simulated() {
        true => None,
        false => {
            let file = options.open(&place).map_err(|error| failed(&path, &error))?;
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                return Err(Failure::new(format!("{path}: Is a directory (os error 21)")));
            }
            Some(Arc::new(Mutex::new(file)))
        }
    };
    let id = with(|table| {
        table.next += 1;
        table.files.insert(table.next, Open { path, file });
        table.next
    });
    Ok(vec![Data::from(id)])
}

pub(super) fn read(call: Call) -> Reply {
    let open = find(&call)?;
    let count = call.args.int("count").unwrap_or(0).clamp(0, READ_MAX);
    let Some(file) = open.file else { return Ok(vec![Data::text("")]) };
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    (&mut *file).take(count.unsigned_abs()).read_to_end(&mut bytes).map_err(|error| failed(&open.path, &error))?;
    Ok(vec![Data::Str(bytes)])
}

pub(super) fn write(call: Call) -> Reply {
    let open = find(&call)?;
    let data = call.args.bytes("data")?;
    if let Some(file) = open.file {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&data).map_err(|error| failed(&open.path, &error))?;
    }
    Ok(vec![Data::Bool(true)])
}

pub(super) fn seek(call: Call) -> Reply {
    let open = find(&call)?;
    let offset = call.args.int("offset").unwrap_or(0);
    let to = match call.args.text("whence")?.as_str() {
        "set" => SeekFrom::Start(u64::try_from(offset).map_err(|_| Failure::new("negative position (os error 22)"))?),
        "cur" => SeekFrom::Current(offset),
        "end" => SeekFrom::End(offset),
        other => return Err(Failure::argument("whence", format_args!("set, cur or end expected, got {other:?}"))),
    };
    let Some(file) = open.file else { return Ok(vec![Data::Num(0.0)]) };
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(to).map(|at| vec![Data::from(at)]).map_err(|error| failed(&open.path, &error))
}

pub(super) fn close(call: Call) -> Reply {
    find(&call)?;
    with(|table| table.files.remove(&call.args.int("id").unwrap_or(0)));
    Ok(vec![Data::Bool(true)])
}

pub(super) fn remove(call: Call) -> Reply {
    let path = call.args.text("path")?;
    let place = call.ctx.resolve(&path);
    let metadata = std::fs::symlink_metadata(&place).map_err(|error| failed(&path, &error))?;
    if !call.ctx.is_simulated() {
        let removed = if metadata.is_dir() { std::fs::remove_dir(&place) } else { std::fs::remove_file(&place) };
        removed.map_err(|error| failed(&path, &error))?;
    }
    Ok(vec![Data::Bool(true)])
}

pub(super) fn rename(call: Call) -> Reply {
    let (from, to) = (call.args.text("from")?, call.args.text("to")?);
    std::fs::symlink_metadata(call.ctx.resolve(&from)).map_err(|error| failed(&from, &error))?;
    if !call.ctx.is_simulated() {
        std::fs::rename(call.ctx.resolve(&from), call.ctx.resolve(&to)).map_err(|error| failed(&from, &error))?;
    }
    Ok(vec![Data::Bool(true)])
}

pub(super) fn tmpname(call: Call) -> Reply {
    let directory = &call.ctx.run.temp_dir;
    for number in 1..100_000_u32 {
        let path = directory.join(format!("lua_{}_{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(vec![Data::text(path.to_string_lossy())]),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path.to_string_lossy(), &error)),
        }
    }
    Err(Failure::new(format!("{}: no free name for a temporary file", directory.display())))
}
