//! Where entries of an archive go. Every parent is resolved before something is made in it, so neither a link of the archive nor
//! one that was there before leads anything out of the destination.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sloth_lua::Failure;

use super::failed;
use super::owner::Attributes;
use super::unarchive::{Plan, real_directory};

/// One entry, its name below the destination.
pub struct Entry {
    /// Without `..`, not absolute.
    pub name: PathBuf,
    /// What.
    pub kind: Kind,
    /// Permissions in the archive.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// Kinds of entries.
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Link(PathBuf),
    /// Another name of this entry.
    HardLink(PathBuf),
}

/// A destination.
pub struct Place<'a> {
    dest: &'a Path,
    real: PathBuf,
    plan: &'a Plan,
    differences: Vec<String>,
    directories: Vec<(PathBuf, u32, u64)>,
}

impl<'a> Place<'a> {
    /// Makes the directory when it is missing.
    pub fn new(dest: &'a Path, plan: &'a Plan) -> Result<Place<'a>, Failure> {
        let mut differences = Vec::new();
        if !dest.is_dir() {
            differences.push(format!("{}: directory created", dest.display()));
            if !plan.simulated {
                fs::create_dir_all(dest).map_err(|error| failed(dest, error))?;
            }
        }
        let real = if dest.is_dir() { real_directory(dest)? } else { dest.to_owned() };
        Ok(Place { dest, real, plan, differences, directories: Vec::new() })
    }

    /// Takes an entry.
    pub fn take(&mut self, entry: Entry, content: &mut dyn Read) -> Result<(), Failure> {
        let parent = entry.name.parent().unwrap_or(Path::new(""));
        let parent = self.directory(parent)?;
        let name = entry.name.file_name().unwrap_or_default();
        let path = parent.join(name);
        let mode = self.plan.attributes.mode.unwrap_or(entry.mode & 0o777);
        match entry.kind {
            Kind::Directory => {
                self.directory(&entry.name)?;
                self.directories.push((path, entry.mode & 0o777, entry.mtime));
                Ok(())
            }
            Kind::File => self.file(&path, content, mode, entry.size, entry.mtime),
            Kind::Link(target) => self.link(&parent, &path, &target),
            Kind::HardLink(original) => self.hard_link(&path, &original),
        }
    }

    /// Times and modes of directories, when nothing is written into them any more. Gives what differed.
    pub fn finish(self) -> Result<Vec<String>, Failure> {
        if !self.plan.simulated {
            for (path, mode, mtime) in self.directories.iter().rev() {
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).map_err(|error| failed(path, error))?;
                set_time(path, *mtime).map_err(|error| failed(path, error))?;
            }
        }
        Ok(self.differences)
    }

    /// The real path of a directory below the destination, made when missing.
    fn directory(&mut self, name: &Path) -> Result<PathBuf, Failure> {
        let mut path = self.real.clone();
        for component in name.components() {
            path.push(component);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => {}
                Ok(meta) if meta.file_type().is_symlink() => {
                    path = fs::canonicalize(&path).map_err(|error| failed(&path, error))?;
                    if !path.starts_with(&self.real) {
                        return Err(failed(
                            self.dest,
                            format_args!("{}: a link leads out of the destination", name.display()),
                        ));
                    }
                }
                Ok(_) => return Err(failed(&path, "is not a directory")),
                Err(_) => self.make_directory(&path)?,
            }
        }
        Ok(path)
    }

    fn make_directory(&mut self, path: &Path) -> Result<(), Failure> {
        self.differences.push(format!("{}: directory created", path.display()));
        if self.plan.simulated {
            return Ok(());
        }
        fs::create_dir(path).map_err(|error| failed(path, error))?;
        self.owned(path)
    }

    fn file(&mut self, path: &Path, content: &mut dyn Read, mode: u32, size: u64, mtime: u64) -> Result<(), Failure> {
        if let Ok(meta) = fs::symlink_metadata(path) {
            if meta.is_dir() {
                return Err(failed(path, "is a directory"));
            }
            let same_time = u64::try_from(meta.mtime()).is_ok_and(|there| there == mtime);
            if meta.is_file() && meta.len() == size && same_time && meta.mode() & 0o7777 == mode {
                self.differences.extend(self.ownership().ensure(path, self.plan.simulated)?);
                return Ok(());
            }
        }
        self.differences.push(format!("{}: extracted", path.display()));
        if self.plan.simulated {
            return Ok(());
        }
        self.write(path, content, mode, mtime).map_err(|error| failed(path, error))?;
        self.owned(path)
    }

    /// Beside it and then over it, so that a link of this name is replaced and not followed.
    fn write(&self, path: &Path, content: &mut dyn Read, mode: u32, mtime: u64) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.real);
        let mut temporary = tempfile::Builder::new().prefix(".extract.").tempfile_in(directory)?;
        io::copy(content, temporary.as_file_mut())?;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        temporary.as_file().set_modified(UNIX_EPOCH + Duration::from_secs(mtime))?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn link(&mut self, parent: &Path, path: &Path, target: &Path) -> Result<(), Failure> {
        // Only leading `..`, and not more than the real directory is deep: then no other link can bend it outside.
        let depth = parent.strip_prefix(&self.real).map_or(0, |below| below.components().count());
        let mut ups = 0;
        let mut names = false;
        for component in target.components() {
            match component {
                Component::ParentDir if !names => ups += 1,
                Component::CurDir => {}
                Component::Normal(_) => names = true,
                _ => ups = usize::MAX / 2,
            }
        }
        if ups > depth || target.as_os_str().is_empty() {
            let message = format!("link {} -> {} leads out of the destination", path.display(), target.display());
            return Err(failed(self.dest, message));
        }
        let differences = super::copy::link(target, path, true, self.plan.simulated)?;
        self.differences.extend(differences);
        Ok(())
    }

    fn hard_link(&mut self, path: &Path, original: &Path) -> Result<(), Failure> {
        let source = self.directory(original.parent().unwrap_or(Path::new("")))?;
        let source = source.join(original.file_name().unwrap_or_default());
        if self.plan.simulated {
            self.differences.push(format!("{}: linked", path.display()));
            return Ok(());
        }
        let meta = fs::symlink_metadata(&source).map_err(|error| failed(&source, error))?;
        if !meta.is_file() {
            return Err(failed(&source, "is not a file, so it cannot get another name"));
        }
        if super::remove::is_same(path, &source) {
            return Ok(());
        }
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_dir()) {
            fs::remove_file(path).map_err(|error| failed(path, error))?;
        }
        fs::hard_link(&source, path).map_err(|error| failed(path, error))?;
        self.differences.push(format!("{}: linked", path.display()));
        Ok(())
    }

    fn owned(&self, path: &Path) -> Result<(), Failure> {
        self.ownership().apply(path).map_err(|error| failed(path, error))
    }

    fn ownership(&self) -> Attributes {
        Attributes { mode: None, ..self.plan.attributes.clone() }
    }
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    File::open(path)?.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
}
