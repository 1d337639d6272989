//! Before a command: what it consumes is put into its work directory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sloth_api::worker::Record;
use sloth_core::workflow::TaskId;
use sloth_lua::Ctx;

use super::keep::LINK;
use crate::flow::Flow;

struct Wanted {
    path: PathBuf,
    sha256: String,
    mode: u32,
}

/// "names, paths or `task:path`; missing → task fails `artifact "<x>" not found`. Checksums are verified"
pub async fn fetch(flow: &Rc<Flow>, task: TaskId, ctx: &Arc<Ctx>) -> Result<(), String> {
    let declared = &flow.workflow.tasks[task.0 as usize];
    let mut wanted = Vec::new();
    for text in &declared.consumes {
        let found = flow.run.desk.artifacts(|record| matches(record, text));
        if found.is_empty() {
            return Err(format!("artifact \"{text}\" not found"));
        }
        wanted.extend(found.into_iter().filter_map(|record| match record {
            Record::Artifact { path, sha256, mode, .. } => Some(Wanted { path: PathBuf::from(path), sha256, mode }),
            _ => None,
        }));
    }
    let (workdir, kept) = (ctx.workdir.clone(), Path::new(&flow.run.job.run_dir).join("artifacts"));
    let work = flow.run.io.block(move || {
        wanted.iter().try_for_each(|file| {
            put(file, &workdir, &kept).map_err(|error| format!("artifact {}: {error}", file.path.display()))
        })
    });
    work.await.ok_or("artifacts: the worker ends")?
}

fn matches(record: &Record, text: &str) -> bool {
    let Record::Artifact { task, name, path, .. } = record else { return false };
    if let Some((producer, rest)) = text.split_once(':') {
        return producer == task && (rest == path || rest == name);
    }
    text == name || text == path
}

fn put(file: &Wanted, workdir: &Path, kept: &Path) -> io::Result<()> {
    let full = workdir.join(&file.path);
    if let Some(directory) = full.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut packed = zstd::Decoder::new(File::open(kept.join(format!("{}.zst", file.sha256)))?)?;
    let mut temporary = tempfile::NamedTempFile::new_in(full.parent().unwrap_or(workdir))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = packed.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        temporary.write_all(&buffer[..read])?;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != file.sha256 {
        return Err(io::Error::other("its checksum is wrong: what was stored has been changed"));
    }
    if file.mode == LINK {
        let target = fs::read_to_string(temporary.path())?;
        let _ = fs::remove_file(&full);
        return std::os::unix::fs::symlink(target, &full);
    }
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(file.mode & 0o7777))?;
    temporary.persist(&full).map(drop).map_err(|error| error.error)
}
