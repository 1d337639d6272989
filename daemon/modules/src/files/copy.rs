//! Copies of files and trees that know whether anything is different.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobSet;
use sloth_lua::{Ctx, Failure};
use walkdir::WalkDir;

use super::atomic::{How, replace};
use super::owner::Attributes;
use super::remove::is_same;
use super::{digest, failed};

/// How a tree is copied.
#[derive(Default)]
pub struct Plan {
    /// For each file.
    pub how: How,
    /// Remove what the source has not.
    pub delete: bool,
    /// Paths, relative to the source, that are left alone on both sides.
    pub exclude: GlobSet,
    /// Replace what differs; otherwise only add what is missing.
    pub force: bool,
    /// Only say what would be done.
    pub simulated: bool,
}

/// Makes `to` equal to the file `from`. Says what differed.
pub fn file(from: &Path, to: &Path, plan: &Plan, ctx: &Arc<Ctx>) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    let source = fs::metadata(from).map_err(|error| failed(from, error))?;
    if is_same(from, to) {
        return plan.how.attributes.ensure(to, plan.simulated);
    }
    let old = fs::metadata(to).ok();
    if old.is_none() || (plan.force && !is_equal(from, &source, to, old.as_ref())?) {
        differences.push(format!("{}: {}", to.display(), if old.is_none() { "created" } else { "content replaced" }));
        if !plan.simulated {
            let mut content = File::open(from).map_err(|error| failed(from, error))?;
            // A new file looks like its source, as cp(1) makes it.
            let mut how = plan.how.clone();
            if old.is_none() {
                how.attributes.mode = how.attributes.mode.or(Some(source.mode() & 0o777));
            }
            replace(to, &mut content, &how, ctx)?;
        }
        return Ok(differences);
    }
    differences.extend(plan.how.attributes.ensure(to, plan.simulated)?);
    Ok(differences)
}

fn is_equal(from: &Path, source: &Metadata, to: &Path, old: Option<&Metadata>) -> Result<bool, Failure> {
    if old.is_none_or(|old| old.len() != source.len() || !old.is_file()) {
        return Ok(false);
    }
    let sum = |path: &Path| digest::sha256(path).map_err(|error| failed(path, error));
    Ok(sum(from)? == sum(to)?)
}

/// Makes the tree `to` equal to the tree `from`. Links are copied as links. Says what differed.
pub fn tree(from: &Path, to: &Path, plan: &Plan, ctx: &Arc<Ctx>) -> Result<Vec<String>, Failure> {
    let (outer, inner) = (real(from), real(to));
    if inner.starts_with(&outer) && inner != outer {
        return Err(failed(to, format_args!("is inside of its source {}", from.display())));
    }
    let mut differences = Vec::new();
    for entry in WalkDir::new(from).sort_by_file_name() {
        let entry = entry.map_err(|error| failed(from, error))?;
        let relative = entry.path().strip_prefix(from).unwrap_or(entry.path());
        if is_excluded(relative, &plan.exclude) {
            continue;
        }
        let target = if relative == Path::new("") { to.to_owned() } else { to.join(relative) };
        differences.extend(one(entry.path(), &target, plan, ctx)?);
        if ctx.cancel.kind().is_some() {
            return Err(Failure { kind: Some("cancelled"), ..Failure::new("cancelled") });
        }
    }
    if plan.delete {
        differences.extend(prune(from, to, plan)?);
    }
    Ok(differences)
}

/// Where a path leads, even when its end does not exist yet.
fn real(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

fn one(from: &Path, to: &Path, plan: &Plan, ctx: &Arc<Ctx>) -> Result<Vec<String>, Failure> {
    let meta = fs::symlink_metadata(from).map_err(|error| failed(from, error))?;
    if meta.is_dir() {
        return directory(to, &meta, plan);
    }
    if meta.file_type().is_symlink() {
        let target = fs::read_link(from).map_err(|error| failed(from, error))?;
        return link(&target, to, plan.force, plan.simulated);
    }
    if !meta.is_file() {
        return Err(failed(from, "is neither a file, a directory nor a link"));
    }
    file(from, to, plan, ctx)
}

fn directory(to: &Path, source: &Metadata, plan: &Plan) -> Result<Vec<String>, Failure> {
    if to.is_dir() {
        return Ok(Vec::new());
    }
    if !plan.simulated {
        fs::create_dir_all(to).map_err(|error| failed(to, error))?;
        fs::set_permissions(to, fs::Permissions::from_mode(source.mode() & 0o777))
            .map_err(|error| failed(to, error))?;
        let attributes = Attributes { mode: None, ..plan.how.attributes.clone() };
        attributes.apply(to).map_err(|error| failed(to, error))?;
    }
    Ok(vec![format!("{}: directory created", to.display())])
}

/// Makes `link` a symbolic link to `target`, by a rename, so that it exists at every moment. Says what differed.
pub fn link(target: &Path, link: &Path, force: bool, simulated: bool) -> Result<Vec<String>, Failure> {
    let there = fs::symlink_metadata(link).ok();
    if let Some(meta) = &there {
        if meta.file_type().is_symlink() && fs::read_link(link).is_ok_and(|old| old == target) {
            return Ok(Vec::new());
        }
        if meta.is_dir() || !(force || meta.file_type().is_symlink()) {
            return Err(failed(link, "exists and is not a symbolic link"));
        }
    }
    if !simulated {
        let directory = link.parent().unwrap_or(Path::new("/"));
        let made = tempfile::Builder::new().prefix(".link.").make_in(directory, |path| symlink(target, path));
        let temporary = made.map_err(|error| failed(link, error))?.into_temp_path();
        temporary.persist(link).map_err(|error| failed(link, error.error))?;
    }
    let what = if there.is_none() { "link created" } else { "link replaced" };
    Ok(vec![format!("{}: {what} -> {}", link.display(), target.display())])
}

/// Removes what the source has not, deepest first.
fn prune(from: &Path, to: &Path, plan: &Plan) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    for entry in WalkDir::new(to).min_depth(1).contents_first(true).into_iter().filter_map(Result::ok) {
        let relative = entry.path().strip_prefix(to).unwrap_or(entry.path());
        if is_excluded(relative, &plan.exclude) || fs::symlink_metadata(from.join(relative)).is_ok() {
            continue;
        }
        if !plan.simulated {
            let is_dir = entry.file_type().is_dir();
            let done = if is_dir { fs::remove_dir(entry.path()) } else { fs::remove_file(entry.path()) };
            match done {
                // It holds something that is excluded.
                Err(error) if is_dir && error.kind() == std::io::ErrorKind::DirectoryNotEmpty => continue,
                other => other.map_err(|error| failed(entry.path(), error))?,
            }
        }
        differences.push(format!("{}: removed", entry.path().display()));
    }
    Ok(differences)
}

/// Whether a path, or a directory above it, is excluded.
pub fn is_excluded(relative: &Path, exclude: &GlobSet) -> bool {
    !exclude.is_empty() && relative.ancestors().any(|path| path != Path::new("") && exclude.is_match(path))
}

/// Patterns as a set. One without a slash also means a name at any depth.
pub fn globs(patterns: &[String]) -> Result<GlobSet, Failure> {
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
        let wrong = |error: globset::Error| Failure::new(format!("pattern {pattern:?}: {}", error.kind()));
        let build = |text: &str| globset::GlobBuilder::new(text).literal_separator(true).build().map_err(wrong);
        set.add(build(trimmed)?);
        if !trimmed.contains('/') {
            set.add(build(&format!("**/{trimmed}"))?);
        }
    }
    set.build().map_err(|error| Failure::new(error.to_string()))
}
