//! Extracts archives, never outside of the destination: `..`, absolute names and links that lead out are errors, and so is a
//! link that somebody laid in the way.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobSet;
use sloth_lua::{Ctx, Failure};
use tar::EntryType;

use super::extract::{Entry, Kind, Place};
use super::failed;
use super::owner::Attributes;
use super::packed::{Format, unpack};

/// How an archive is extracted.
#[derive(Default)]
pub struct Plan {
    /// Leading directories of names to drop.
    pub strip: usize,
    /// Only these, when there are any.
    pub include: Option<GlobSet>,
    /// Not these.
    pub exclude: GlobSet,
    /// Owner and group of what is extracted, and a mode in place of those of the archive.
    pub attributes: Attributes,
    /// Only say what would be done.
    pub simulated: bool,
}

/// Extracts `source` into the directory `dest`. Says what differed; what is there already with the same size and time is not
/// written again.
pub fn unarchive(source: &Path, dest: &Path, plan: &Plan, ctx: &Arc<Ctx>) -> Result<Vec<String>, Failure> {
    let mut file = File::open(source).map_err(|error| failed(source, error))?;
    let mut start = Vec::new();
    file.by_ref().take(512).read_to_end(&mut start).map_err(|error| failed(source, error))?;
    file.rewind().map_err(|error| failed(source, error))?;
    let format = Format::from_bytes(&start).or_else(|| Format::from_name(&source.to_string_lossy()));
    let mut place = Place::new(dest, plan)?;
    match format {
        None => {
            return Err(failed(
                source,
                "is not an archive of a known format (tar, tar.gz, tar.xz, tar.zst, tar.bz2, zip)",
            ));
        }
        Some(Format::Zip) => zip(file, source, &mut place, plan, ctx)?,
        Some(Format::Tar(packing)) => {
            let inside = unpack(file, packing).map_err(|error| failed(source, error))?;
            tar(inside, source, &mut place, plan, ctx)?;
        }
    }
    place.finish()
}

fn tar(inside: impl Read, source: &Path, place: &mut Place, plan: &Plan, ctx: &Ctx) -> Result<(), Failure> {
    let mut archive = tar::Archive::new(inside);
    for entry in archive.entries().map_err(|error| failed(source, error))? {
        let mut entry = entry.map_err(|error| failed(source, error))?;
        stop_if_cancelled(ctx)?;
        let name = entry.path().map_err(|error| failed(source, error))?.into_owned();
        let target = entry.link_name().map_err(|error| failed(source, error))?.map(|name| name.into_owned());
        let link =
            || target.clone().ok_or_else(|| failed(source, format_args!("{}: link without a target", name.display())));
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link(link()?),
            EntryType::Link => match wanted(&link()?, plan, source)? {
                Some(original) => Kind::HardLink(original),
                None => continue,
            },
            EntryType::XGlobalHeader => continue,
            other => {
                let message = format!("{}: an entry of kind {other:?} is not extracted", name.display());
                return Err(failed(source, message));
            }
        };
        let mode = header.mode().unwrap_or(0o644);
        let (size, mtime) = (entry.size(), header.mtime().unwrap_or(0));
        let Some(name) = wanted(&name, plan, source)? else { continue };
        place.take(Entry { name, kind, mode, size, mtime }, &mut entry)?;
    }
    Ok(())
}

fn zip(file: File, source: &Path, place: &mut Place, plan: &Plan, ctx: &Ctx) -> Result<(), Failure> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|error| failed(source, error))?;
    for index in 0..archive.len() {
        stop_if_cancelled(ctx)?;
        let mut entry = archive.by_index(index).map_err(|error| failed(source, error))?;
        let raw = entry.name().map_err(|error| failed(source, error))?.into_owned();
        let Some(name) = wanted(Path::new(&raw), plan, source)? else { continue };
        let mode = entry.unix_mode().unwrap_or(if entry.is_dir() { 0o755 } else { 0o644 });
        let kind = if entry.is_dir() {
            Kind::Directory
        } else if entry.is_symlink() {
            let mut target = String::new();
            entry.by_ref().take(4096).read_to_string(&mut target).map_err(|error| failed(source, error))?;
            Kind::Link(PathBuf::from(target))
        } else {
            Kind::File
        };
        let (size, mtime) = (entry.size(), entry.last_modified().map_or(0, seconds));
        place.take(Entry { name, kind, mode, size, mtime }, &mut entry)?;
    }
    Ok(())
}

/// Zip has no time zone; it is read as UTC, as it is written here.
fn seconds(time: zip::DateTime) -> u64 {
    let number = |n: u8| i8::try_from(n).unwrap_or(0);
    let year = i16::try_from(time.year()).unwrap_or(1980);
    let civil = jiff::civil::DateTime::new(
        year,
        number(time.month()),
        number(time.day()),
        number(time.hour()),
        number(time.minute()),
        number(time.second()),
        0,
    );
    let stamp = civil.ok().and_then(|civil| jiff::tz::TimeZone::UTC.to_timestamp(civil).ok());
    stamp.and_then(|stamp| u64::try_from(stamp.as_second()).ok()).unwrap_or(0)
}

/// The name of an entry below the destination; `None` when it is not wanted; an error when it leads out.
fn wanted(name: &Path, plan: &Plan, source: &Path) -> Result<Option<PathBuf>, Failure> {
    use std::path::Component;
    let escapes =
        || failed(source, format_args!("entry {:?} leads out of the destination", name.display().to_string()));
    let mut clean = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return Err(escapes()),
        }
    }
    if name.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(escapes());
    }
    let stripped: PathBuf = clean.components().skip(plan.strip).collect();
    if stripped.as_os_str().is_empty() {
        return Ok(None);
    }
    let is_included = plan.include.as_ref().is_none_or(|set| super::copy::is_excluded(&stripped, set));
    Ok((is_included && !super::copy::is_excluded(&stripped, &plan.exclude)).then_some(stripped))
}

fn stop_if_cancelled(ctx: &Ctx) -> Result<(), Failure> {
    match ctx.cancel.kind() {
        Some(_) => Err(Failure { kind: Some("cancelled"), ..Failure::new("cancelled") }),
        None => Ok(()),
    }
}

/// Whether a destination is usable, and its real path.
pub fn real_directory(dest: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(dest).map_err(|error| failed(dest, error))
}
