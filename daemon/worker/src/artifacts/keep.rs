//! After success: the files of a task are stored.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sloth_api::worker::Record;
use sloth_core::workflow::TaskId;
use sloth_lua::Ctx;

use super::pattern::{find, is_pattern};
use crate::flow::Flow;

/// "2 GiB per file, 10 GiB per run"
const FILE_MAX: u64 = 2 << 30;
const RUN_MAX: u64 = 10 << 30;

/// Mark of a stored link in the permission bits: the content is where it leads.
pub(super) const LINK: u32 = 0o120_000;

/// One file that was stored.
struct Stored {
    name: String,
    path: PathBuf,
    sha256: String,
    size: u64,
    mode: u32,
}

/// Stores the artifacts of a task and records them; the warnings.
pub async fn store(flow: &Rc<Flow>, task: TaskId, ctx: &Arc<Ctx>) -> Result<Vec<String>, String> {
    let declared = &flow.workflow.tasks[task.0 as usize];
    let roots = flow.roots(task);
    let mut wanted = Vec::new();
    for (name, pattern) in &declared.artifacts {
        wanted.push((name.clone(), roots.render(pattern)?));
    }
    let (workdir, kept) = (ctx.workdir.clone(), Path::new(&flow.run.job.run_dir).join("artifacts"));
    let before = flow.run.desk.artifact_bytes();
    let work = flow.run.io.block(move || store_all(&wanted, &workdir, &kept, before));
    let (stored, warnings) = work.await.ok_or("artifacts: the worker ends")??;
    for file in stored {
        flow.run.desk.add_artifact_bytes(file.size);
        let record = Record::Artifact {
            workflow: flow.recorded.clone(),
            task: flow.record_name(&declared.name),
            name: file.name,
            path: file.path.to_string_lossy().into_owned(),
            sha256: file.sha256,
            size: file.size,
            mode: file.mode,
        };
        flow.run.desk.add_artifact(record.clone());
        flow.run.journal.record(record);
    }
    Ok(warnings)
}

fn store_all(
    wanted: &[(String, String)],
    workdir: &Path,
    kept: &Path,
    before: u64,
) -> Result<(Vec<Stored>, Vec<String>), String> {
    let mut stored = Vec::new();
    let mut warnings = Vec::new();
    let mut total = before;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(kept);
    made.map_err(|error| format!("artifacts: {}: {error}", kept.display()))?;
    for (name, pattern) in wanted {
        let relative = Path::new(pattern).strip_prefix(workdir).unwrap_or(Path::new(pattern));
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("artifact \"{pattern}\" is outside of the work directory {}", workdir.display()));
        }
        let text = relative.to_string_lossy();
        let files = find(workdir, &text).map_err(|error| format!("artifact \"{pattern}\": {error}"))?;
        if files.is_empty() {
            if !is_pattern(&text) {
                return Err(format!("artifact \"{pattern}\" not found"));
            }
            warnings.push(format!("artifacts \"{pattern}\" match no file"));
        }
        for path in files {
            let told = |error: String| format!("artifact {}: {error}", path.display());
            match store_one(name, &path, workdir, kept, total).map_err(told)? {
                Some(file) => {
                    total += file.size;
                    stored.push(file);
                }
                None => warnings.push(format!("{} leads out of the work directory, and is left out", path.display())),
            }
        }
    }
    Ok((stored, warnings))
}

/// `None`: a link that leads out of the work directory.
fn store_one(name: &str, path: &Path, workdir: &Path, kept: &Path, total: u64) -> Result<Option<Stored>, String> {
    let full = workdir.join(path);
    let data = fs::symlink_metadata(&full).map_err(|error| error.to_string())?;
    let stored = |sha256, size, mode| Stored { name: name.to_owned(), path: path.to_owned(), sha256, size, mode };
    if data.file_type().is_symlink() {
        let target = fs::read_link(&full).map_err(|error| error.to_string())?;
        if !stays_inside(path, &target) {
            return Ok(None);
        }
        let bytes = target.to_string_lossy().into_owned().into_bytes();
        let (sha256, size) = put(&mut bytes.as_slice(), kept, FILE_MAX).map_err(|error| error.to_string())?;
        return Ok(Some(stored(sha256, size, LINK)));
    }
    if !data.is_file() {
        return Err("not a file".to_owned());
    }
    let room = RUN_MAX.saturating_sub(total).min(FILE_MAX);
    if data.len() > room {
        return Err(format!("{} bytes: at most 2 GiB a file and 10 GiB a run are kept", data.len()));
    }
    let mut file = File::open(&full).map_err(|error| error.to_string())?;
    let (sha256, size) = put(&mut file, kept, room).map_err(|error| error.to_string())?;
    Ok(Some(stored(sha256, size, data.permissions().mode() & 0o7777)))
}

/// By its letters: whether a link at `path` leads to something below the same root.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Compresses into a file that is named by the content.
fn put(from: &mut dyn Read, kept: &Path, room: u64) -> io::Result<(String, u64)> {
    let mut temporary = tempfile::NamedTempFile::new_in(kept)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut packed = zstd::Encoder::new(&mut temporary, 3)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        if size > room {
            return Err(io::Error::other("it grows while it is read, beyond what is kept"));
        }
        hash.update(&buffer[..read]);
        packed.write_all(&buffer[..read])?;
    }
    packed.finish()?.flush()?;
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = kept.join(format!("{name}.zst"));
    if !path.exists() {
        temporary.as_file().sync_all()?;
        temporary.persist(&path).map_err(|error| error.error)?;
    }
    Ok((name, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(wanted: &str, prepare: impl Fn(&Path)) -> Result<(usize, Vec<String>), String> {
        let base = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        prepare(base.path());
        let wanted = [("it".to_owned(), wanted.to_owned())];
        store_all(&wanted, base.path(), kept.path(), 0).map(|(stored, warnings)| (stored.len(), warnings))
    }

    /// "A literal path that matches nothing fails the task; a glob that matches nothing warns"
    #[test]
    fn nothing_found() {
        assert_eq!(files("dist.tar", |_| ()), Err("artifact \"dist.tar\" not found".to_owned()));
        assert_eq!(files("*.tar", |_| ()), Ok((0, vec!["artifacts \"*.tar\" match no file".to_owned()])));
        assert!(files("../x", |_| ()).is_err_and(|error| error.contains("outside of the work directory")));
    }

    /// "stored as links only when the target stays inside the workdir"
    #[test]
    fn links() {
        let inside = |base: &Path| {
            fs::write(base.join("a"), "a").unwrap();
            std::os::unix::fs::symlink("a", base.join("b")).unwrap();
        };
        assert_eq!(files("*", inside), Ok((2, Vec::new())));
        let outside = |base: &Path| std::os::unix::fs::symlink("/etc/passwd", base.join("b")).unwrap();
        assert_eq!(files("*", outside).map(|(count, warnings)| (count, warnings.len())), Ok((0, 1)));
    }
}
