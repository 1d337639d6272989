//! `packaging/files.toml` read by itself, so that a package can be compared with it.

use std::collections::BTreeMap;

use crate::paths;

/// What has to be at each path of a format (`deb` or `rpm`): `None` for a pattern's directory, else the mode.
pub struct Listed {
    /// Modes of single paths.
    pub modes: BTreeMap<String, u32>,
    /// Directories of patterns: everything below comes from one.
    pub patterns: Vec<String>,
}

/// Reads the list.
#[track_caller]
pub fn listed(format: &str) -> Listed {
    let text = std::fs::read_to_string(paths::project().join("packaging/files.toml")).expect("a list");
    let table: toml::Table = text.parse().expect("TOML");
    let mut listed = Listed { modes: BTreeMap::new(), patterns: Vec::new() };
    for entry in table["entry"].as_array().expect("rows") {
        let word = |key: &str| entry.get(key).and_then(toml::Value::as_str);
        if word("only").is_some_and(|only| only != format) {
            continue;
        }
        let path = word("path").expect("a path");
        if let Some(dir) = path.strip_suffix("/*") {
            listed.patterns.push(format!("{dir}/"));
            continue;
        }
        let usual = match word("from") {
            Some(from) if !from.starts_with("program:") => 0o644,
            _ => 0o755,
        };
        let mode = word("mode").map_or(usual, |mode| u32::from_str_radix(mode, 8).expect("octal"));
        listed.modes.insert(path.to_owned(), mode);
    }
    listed
}
