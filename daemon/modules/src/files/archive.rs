//! Makes archives. Entries are sorted and carry the times of their files, so the same tree gives the same archive.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobSet;
use sloth_lua::{Ctx, Failure};
use walkdir::WalkDir;
use zip::write::SimpleFileOptions;

use super::atomic::{How, replace};
use super::copy::is_excluded;
use super::packed::{Format, pack};
use super::{digest, failed};

/// Packs a file or a tree into `dest`. Gives whether `dest` is different from what was there, and its checksum.
pub fn archive(
    source: &Path,
    dest: &Path,
    format: Format,
    exclude: &GlobSet,
    how: &How,
    simulated: bool,
    ctx: &Arc<Ctx>,
) -> Result<(bool, String), Failure> {
    let mut packed = tempfile::Builder::new()
        .prefix("archive-")
        .tempfile_in(crate::temp::directory(ctx))
        .map_err(|error| failed(&ctx.temp_dir, error))?;
    let entries = entries(source, dest, exclude)?;
    write(packed.as_file_mut(), format, &entries).map_err(|error| failed(source, error))?;
    let sum = digest::sha256(packed.path()).map_err(|error| failed(packed.path(), error))?;
    let is_same = digest::sha256(dest).is_ok_and(|old| old == sum);
    if !is_same && !simulated {
        let mut content = File::open(packed.path()).map_err(|error| failed(packed.path(), error))?;
        replace(dest, &mut content, how, ctx)?;
    }
    Ok((!is_same, sum))
}

/// Name in the archive, path, and what it is.
type Item = (PathBuf, PathBuf, Metadata);

fn entries(source: &Path, dest: &Path, exclude: &GlobSet) -> Result<Vec<Item>, Failure> {
    let meta = fs::metadata(source).map_err(|error| failed(source, error))?;
    if meta.is_file() {
        let name = source.file_name().unwrap_or_default();
        return Ok(vec![(PathBuf::from(name), source.to_owned(), meta)]);
    }
    let mut items = Vec::new();
    for entry in WalkDir::new(source).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|error| failed(source, error))?;
        let name = entry.path().strip_prefix(source).unwrap_or(entry.path()).to_owned();
        // An archive made inside of what it packs does not pack itself.
        if is_excluded(&name, exclude) || super::remove::is_same(entry.path(), dest) {
            continue;
        }
        let meta = entry.metadata().map_err(|error| failed(entry.path(), error))?;
        items.push((name, entry.path().to_owned(), meta));
    }
    Ok(items)
}

fn write(file: &mut File, format: Format, entries: &[Item]) -> io::Result<()> {
    match format {
        Format::Zip => zip(file, entries),
        Format::Tar(packing) => pack(io::BufWriter::new(file), packing, |sink| tar(sink, entries))?.flush(),
    }
}

fn tar(sink: &mut dyn Write, entries: &[Item]) -> io::Result<()> {
    let mut builder = tar::Builder::new(sink);
    builder.follow_symlinks(false);
    for (name, path, _) in entries {
        builder.append_path_with_name(path, name)?;
    }
    builder.into_inner()?.flush()
}

fn zip(file: &mut File, entries: &[Item]) -> io::Result<()> {
    let mut writer = zip::ZipWriter::new(io::BufWriter::new(file));
    for (name, path, meta) in entries {
        let name = name.to_string_lossy().into_owned();
        let options = SimpleFileOptions::default()
            .unix_permissions(meta.mode() & 0o777)
            .large_file(meta.len() >= u64::from(u32::MAX))
            .last_modified_time(time(meta.mtime()));
        if meta.is_dir() {
            writer.add_directory(name, options)?;
        } else if meta.file_type().is_symlink() {
            writer.add_symlink(name, fs::read_link(path)?.to_string_lossy(), options)?;
        } else if meta.is_file() {
            writer.start_file(name, options)?;
            io::copy(&mut File::open(path)?, &mut writer)?;
        }
    }
    writer.finish()?.flush()
}

/// Zip knows years from 1980 and even seconds, in no time zone; UTC is written.
fn time(seconds: i64) -> zip::DateTime {
    let stamp =
        jiff::Timestamp::from_second(seconds).ok().map(|stamp| stamp.to_zoned_datetime(jiff::tz::TimeZone::UTC));
    let made = stamp.and_then(|t| {
        let part = |n: i8| u8::try_from(n).ok();
        let year = u16::try_from(t.year()).ok()?;
        let (month, day) = (part(t.month())?, part(t.day())?);
        let (hour, minute, second) = (part(t.hour())?, part(t.minute())?, part(t.second())?);
        zip::DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
    });
    made.unwrap_or_default()
}
