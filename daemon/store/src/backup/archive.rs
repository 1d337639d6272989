//! The archive of a backup: a tar file compressed with zstd, its sums last, so that it is written in one pass.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupInfo, DATABASE, io};
use crate::files::{beside, sync_dir};
use crate::{StoreError, hex};

const INFO: &str = "info.json";
const MANIFEST: &str = "manifest.json";

/// `info.json` and `manifest.json` are at most this large.
const JSON_BYTES_MAX: u64 = 256 << 20;

/// Compression level of zstd: its default.
const LEVEL: i32 = 3;

/// Sum of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    sha256: String,
    bytes: u64,
}

/// What was unpacked and found right.
pub(crate) struct Sums {
    pub files: usize,
    pub bytes: u64,
}

type Manifest = BTreeMap<String, Sum>;

/// Writes `info.path`; its size. The file appears under its name when it is whole and durable.
pub(super) fn pack(info: &BackupInfo, database: &Path, files: &[(PathBuf, String)]) -> Result<u64, StoreError> {
    let path = &info.path;
    let temporary = beside(path, ".tmp");
    let written = write(info, &temporary, database, files);
    let moved = written.and_then(|size| {
        fs::rename(&temporary, path)?;
        sync_dir(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(size)
    });
    moved.map_err(|error| {
        // Nothing of use is in it.
        let _ = fs::remove_file(&temporary);
        io("write", path, &error)
    })
}

fn write(info: &BackupInfo, to: &Path, database: &Path, files: &[(PathBuf, String)]) -> io::Result<u64> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let mut zstd = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
    zstd.include_checksum(true)?;
    let mut tar = tar::Builder::new(zstd);
    let mut manifest = Manifest::new();
    append_json(&mut tar, INFO, &serde_json::to_vec_pretty(info)?)?;
    append(&mut tar, &mut manifest, database, DATABASE)?;
    for (path, name) in files {
        append_all(&mut tar, &mut manifest, path, name)?;
    }
    append_json(&mut tar, MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
    let file = tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// A file, or all files below a directory. What vanishes meanwhile (a run was deleted) is left out.
fn append_all(tar: &mut tar::Builder<impl Write>, manifest: &mut Manifest, path: &Path, name: &str) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        meta => meta?,
    };
    if meta.is_file() {
        return match append(tar, manifest, path, name) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        };
    }
    if !meta.is_dir() {
        return Ok(());
    }
    let mut entries: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_name().to_str() {
            Some(file) => append_all(tar, manifest, &entry.path(), &format!("{name}/{file}"))?,
            None => tracing::warn!(path = %entry.path().display(), "left out of the backup: its name is not UTF-8"),
        }
    }
    Ok(())
}

/// One file with the length that it has now: a file that grows is cut there, one that shrinks is filled with zeros.
fn append(tar: &mut tar::Builder<impl Write>, manifest: &mut Manifest, path: &Path, name: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(&meta, tar::HeaderMode::Complete);
    header.set_size(meta.len());
    let content = BufReader::with_capacity(1 << 16, file).chain(io::repeat(0)).take(meta.len());
    let mut content = Hashing { inner: content, hash: Sha256::new(), bytes: 0 };
    tar.append_data(&mut header, name, &mut content)?;
    manifest.insert(name.to_owned(), content.sum());
    Ok(())
}

fn append_json(tar: &mut tar::Builder<impl Write>, name: &str, json: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(json.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, name, json)
}

/// The first file of an archive.
pub(super) fn read_info(path: &Path) -> Result<BackupInfo, StoreError> {
    let read = || -> io::Result<BackupInfo> {
        let mut tar = tar::Archive::new(zstd::Decoder::new(File::open(path)?)?);
        let mut entries = tar.entries()?;
        let entry = entries.next().ok_or_else(|| invalid("it is empty"))??;
        if entry.path()?.as_ref() != Path::new(INFO) {
            return Err(invalid("it is not a backup of slothd"));
        }
        read_json(entry)
    };
    read().map_err(|error| as_corrupt("read", path, error))
}

/// Reads an archive to its end and checks every sum. Files for which `place` names a path are written there. An error
/// may leave some of them behind.
pub(crate) fn unpack(path: &Path, place: impl FnMut(&str) -> Option<PathBuf>) -> Result<Sums, StoreError> {
    try_unpack(path, place).map_err(|error| as_corrupt("unpack", path, error))
}

fn try_unpack(path: &Path, mut place: impl FnMut(&str) -> Option<PathBuf>) -> io::Result<Sums> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(File::open(path)?)?);
    let mut found = Manifest::new();
    let mut manifest: Option<Manifest> = None;
    for entry in tar.entries()? {
        let entry = entry?;
        let name = safe_name(&entry.path()?)?;
        if manifest.is_some() {
            return Err(invalid(&format!("{name} follows the manifest")));
        }
        match name.as_str() {
            INFO => continue,
            MANIFEST => {
                manifest = Some(read_json(entry)?);
                continue;
            }
            _ => {}
        }
        if !entry.header().entry_type().is_file() {
            return Err(invalid(&format!("{name} is not a file")));
        }
        let mut content = Hashing { inner: entry, hash: Sha256::new(), bytes: 0 };
        match place(&name) {
            Some(to) => write_file(&mut content, &to)?,
            None => io::copy(&mut content, &mut io::sink()).map(|_| ())?,
        }
        if found.insert(name.clone(), content.sum()).is_some() {
            return Err(invalid(&format!("{name} is in it twice")));
        }
    }
    let manifest = manifest.ok_or_else(|| invalid("it has no manifest: it was cut off"))?;
    if let Some((name, _)) = manifest.iter().find(|(name, sum)| found.get(*name) != Some(sum)) {
        return Err(invalid(&format!("{name} is missing or has another sum")));
    }
    if found.len() != manifest.len() || !manifest.contains_key(DATABASE) {
        return Err(invalid("the manifest does not fit its files"));
    }
    Ok(Sums { files: found.len(), bytes: found.values().map(|sum| sum.bytes).sum() })
}

fn write_file(content: &mut impl Read, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(content, &mut file)?;
    file.sync_all()
}

/// A name that stays below the directory that it is joined to.
fn safe_name(path: &Path) -> io::Result<String> {
    let safe = path.components().all(|part| matches!(part, Component::Normal(_)));
    match path.to_str() {
        Some(name) if safe && !name.is_empty() => Ok(name.to_owned()),
        _ => Err(invalid(&format!("{} is not a safe name", path.display()))),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(entry: impl Read) -> io::Result<T> {
    serde_json::from_reader(entry.take(JSON_BYTES_MAX)).map_err(|e| invalid(&e.to_string()))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

/// What an archive cannot be read for is its content, unless the system says otherwise.
fn as_corrupt(what: &str, path: &Path, error: io::Error) -> StoreError {
    match (error.raw_os_error(), error.kind()) {
        (None, ErrorKind::Other) => io(what, path, &invalid(&error.to_string())),
        _ => io(what, path, &error),
    }
}

struct Hashing<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Hashing<R> {
    fn sum(self) -> Sum {
        Sum { sha256: hex(&self.hash.finalize()), bytes: self.bytes }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}
