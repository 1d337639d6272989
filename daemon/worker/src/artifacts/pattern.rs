//! Patterns of files: `*`, `?`, `[…]` within a name, `**` for any directories.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Most files that one pattern may find.
const FOUND_MAX: usize = 100_000;

/// Whether a text has signs of a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The files below `base` that match, relative to it, in order. A directory means everything in it.
pub fn find(base: &Path, text: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !is_pattern(text) {
        let relative = PathBuf::from(text);
        match fs::symlink_metadata(base.join(&relative)) {
            Ok(data) if data.is_dir() => walk(base, &relative, None, &mut found)?,
            Ok(_) => found.push(relative),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    } else {
        let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(io::Error::other)?;
        let fixed = Path::new(text).components().take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()));
        let start: PathBuf = fixed.collect();
        walk(base, &start, Some(&glob.compile_matcher()), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(base: &Path, start: &Path, matcher: Option<&GlobMatcher>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut open = vec![start.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = match fs::read_dir(base.join(&directory)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if matcher.is_none_or(|matcher| matcher.is_match(&path)) {
                if found.len() >= FOUND_MAX {
                    return Err(io::Error::other(format!("more than {FOUND_MAX} files")));
                }
                found.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(base: &Path, text: &str) -> Vec<String> {
        find(base, text).unwrap().iter().map(|path| path.display().to_string()).collect()
    }

    /// "globs relative to the workdir"
    #[test]
    fn patterns_find_files_below_the_directory() {
        let base = tempfile::tempdir().unwrap();
        for path in ["dist/a.tar", "dist/b.tar", "dist/c.txt", "dist/deep/d.tar", "e.tar"] {
            let path = base.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        assert_eq!(names(base.path(), "dist/*.tar"), ["dist/a.tar", "dist/b.tar"]);
        assert_eq!(names(base.path(), "**/*.tar"), ["dist/a.tar", "dist/b.tar", "dist/deep/d.tar", "e.tar"]);
        assert_eq!(names(base.path(), "dist"), ["dist/a.tar", "dist/b.tar", "dist/c.txt", "dist/deep/d.tar"]);
        assert_eq!(names(base.path(), "e.tar"), ["e.tar"]);
        assert!(names(base.path(), "none").is_empty() && names(base.path(), "none/*").is_empty());
    }
}
