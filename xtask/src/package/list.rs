//! `packaging/files.toml`: what is installed, where, with which mode. Patterns are resolved here, so that whoever reads the result
//! sees every single file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Format of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Deb,
    Rpm,
}

/// What package managers treat in a way of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    Plain,
    Config,
    Doc,
}

/// Where the content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Directory,
    Program(String),
    File(PathBuf),
}

/// One thing to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute.
    pub path: String,
    pub source: Source,
    pub mode: u32,
    pub role: Role,
    pub only: Option<Kind>,
}

impl Entry {
    pub fn belongs_to(&self, kind: Kind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    entry: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    path: String,
    from: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    kind: Role,
    only: Option<Kind>,
}

/// Reads the list of the project; `generated` is where `made:` files are.
pub fn read(root: &Path, generated: &Path) -> Result<Vec<Entry>> {
    let path = root.join("packaging/files.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, root, generated).with_context(|| path.display().to_string())
}

fn parse(text: &str, root: &Path, generated: &Path) -> Result<Vec<Entry>> {
    let table: Table = toml::from_str(text)?;
    let mut entries = Vec::new();
    for row in table.entry {
        let path = row.path.clone();
        entries.extend(resolve(row, root, generated).with_context(|| path)?);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    for pair in entries.windows(2) {
        let both = pair[0].only.is_none() || pair[1].only.is_none() || pair[0].only == pair[1].only;
        if pair[0].path == pair[1].path && both {
            bail!("{} is listed twice", pair[0].path);
        }
    }
    Ok(entries)
}

fn resolve(row: Row, root: &Path, generated: &Path) -> Result<Vec<Entry>> {
    if !row.path.starts_with('/') || row.path.split('/').any(|part| part == "..") {
        bail!("is no absolute path");
    }
    let mode = match &row.mode {
        None => None,
        Some(text) => Some(u32::from_str_radix(text, 8).with_context(|| format!("mode {text} is not octal"))?),
    };
    let entry = |path: String, source: Source, usual: u32| Entry {
        path,
        source,
        mode: mode.unwrap_or(usual),
        role: row.kind,
        only: row.only,
    };
    let Some(from) = &row.from else {
        return Ok(vec![entry(row.path.clone(), Source::Directory, 0o755)]);
    };
    if let Some(name) = from.strip_prefix("program:") {
        return Ok(vec![entry(row.path.clone(), Source::Program(name.to_owned()), 0o755)]);
    }
    let base = from.strip_prefix("made:").map_or_else(|| root.join(from), |path| generated.join(path));
    let (Some(target), Some(dir)) =
        (row.path.strip_suffix("/*"), base.to_str().and_then(|base| base.strip_suffix("/*")))
    else {
        if !base.is_file() {
            bail!("{} is not there", base.display());
        }
        return Ok(vec![entry(row.path.clone(), Source::File(base), 0o644)]);
    };
    let mut found = Vec::new();
    for file in fs::read_dir(dir).with_context(|| format!("cannot read {dir}"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            let path = format!("{target}/{}", file.file_name().to_string_lossy());
            found.push(entry(path, Source::File(file.path()), 0o644));
        }
    }
    if found.is_empty() {
        bail!("{dir} has no file");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Entry>> {
        let root = crate::workspace::root().expect("a workspace");
        parse(text, &root, &root.join("packaging/deb"))
    }

    fn refused(text: &str) -> String {
        format!("{:#}", parsed(text).expect_err("wrong"))
    }

    #[test]
    fn patterns_become_files_and_directories_have_no_source() {
        let text =
            "[[entry]]\npath = '/usr/share/x'\n[[entry]]\npath = '/usr/share/x/*'\nfrom = 'made:*'\nkind = 'doc'";
        let entries = parsed(text).expect("good");
        assert_eq!(entries[0].source, Source::Directory);
        let control = entries.iter().find(|entry| entry.path == "/usr/share/x/control").expect("resolved");
        assert_eq!((control.mode, control.role), (0o644, Role::Doc));
    }

    #[test]
    fn wrong_rows_are_named() {
        assert!(refused("[[entry]]\npath = '/a'\nfrom = 'no/such'").contains("/a: "));
        assert!(refused("[[entry]]\npath = 'a'").contains("absolute"));
        assert!(refused("[[entry]]\npath = '/a'\nmode = '9'").contains("octal"));
        assert!(refused("[[entry]]\npath = '/a'\nform = 'x'").contains("form"));
        assert!(refused("[[entry]]\npath = '/a'\n[[entry]]\npath = '/a'\nonly = 'deb'").contains("twice"));
    }
}
