//! The program of a run: the main file and the files that it imports, read now, so that a run is the same program for ever.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sloth_api::worker::Bundle;

use super::scan::{Named, named_files};
use crate::failure::Failure;

/// Largest file, bytes.
const FILE_BYTES_MAX: usize = 4 << 20;
/// Largest program, bytes.
const BUNDLE_BYTES_MAX: usize = 16 << 20;

/// Marks text that is in base64, because it is no UTF-8.
const ENCODED: &str = "base64:";

/// Where programs look for modules beside the directory that `run` was called in.
const MODULE_DIRS: &[&str] = &["~/.sloth/modules", "/usr/lib/sloth/modules"];

/// Reads files and the files that they name.
pub(crate) struct Gatherer<'a> {
    /// The directory in which `run` was called.
    pub(crate) cwd: &'a Path,
    pub(crate) home: Option<&'a Path>,
}

impl Gatherer<'_> {
    /// A program in a file.
    pub(crate) fn of_file(&self, name: &str) -> Result<Bundle, Failure> {
        let main = lexical(&self.cwd.join(name));
        let text = std::fs::read(&main).map_err(|error| {
            let failure = Failure::usage(format!("{name}: {error}"));
            if error.kind() == std::io::ErrorKind::NotFound {
                failure.hint("name a workflow file, such as backup.sloth")
            } else {
                failure
            }
        })?;
        self.of_text(main, text)
    }

    /// A program that was read already; `main`: the absolute path that it shall have.
    pub(crate) fn of_text(&self, main: PathBuf, text: Vec<u8>) -> Result<Bundle, Failure> {
        let mut files = BTreeMap::new();
        let mut bytes = 0;
        let mut open = vec![(main.clone(), text)];
        while let Some((path, text)) = open.pop() {
            let shown = path.display();
            if text.len() > FILE_BYTES_MAX {
                let said =
                    format!("{shown}: {} bytes; a workflow file has at most {} MiB", text.len(), FILE_BYTES_MAX >> 20);
                return Err(Failure::definition(said));
            }
            bytes += text.len();
            if bytes > BUNDLE_BYTES_MAX {
                let said = format!("{shown}: with its imports larger than {} MiB", BUNDLE_BYTES_MAX >> 20);
                return Err(Failure::definition(said));
            }
            let Some(key) = path.to_str().map(str::to_owned) else {
                return Err(Failure::usage(format!("{shown}: the path is no UTF-8")));
            };
            let named = named_files(&text);
            if files.insert(key, encoded(text)).is_some() {
                continue;
            }
            for name in named {
                let found = self.candidates(&name, &path, &main).into_iter().find(|path| path.is_file());
                if let Some(path) = found
                    && !path.to_str().is_some_and(|key| files.contains_key(key))
                {
                    let text =
                        std::fs::read(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                    open.push((path, text));
                }
            }
        }
        Ok(Bundle { main: main.to_string_lossy().into_owned(), files })
    }

    /// The places where a name may lead, in the order of the language.
    fn candidates(&self, name: &Named, from: &Path, main: &Path) -> Vec<PathBuf> {
        let beside = |file: &Path| file.parent().unwrap_or(Path::new("/")).to_owned();
        match name {
            Named::Import(path) => {
                [beside(from), beside(main), self.cwd.to_owned()].iter().map(|dir| lexical(&dir.join(path))).collect()
            }
            Named::Require(name) => {
                let relative = format!("{}.lua", name.replace('.', "/"));
                let mut dirs = vec![beside(main).join("modules"), self.cwd.join("modules")];
                for dir in MODULE_DIRS {
                    match (dir.strip_prefix("~/"), self.home) {
                        (Some(rest), Some(home)) => dirs.push(home.join(rest)),
                        (Some(_), None) => {}
                        (None, _) => dirs.push(PathBuf::from(dir)),
                    }
                }
                dirs.iter().map(|dir| lexical(&dir.join(&relative))).collect()
            }
        }
    }
}

/// The text of the main file, for those who show it.
pub(crate) fn main_text(bundle: &Bundle) -> Vec<u8> {
    bundle.files.get(&bundle.main).map(|text| decoded(text)).unwrap_or_default()
}

/// The bytes of a file of a bundle.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.strip_prefix(ENCODED).and_then(|rest| STANDARD.decode(rest).ok());
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn encoded(text: Vec<u8>) -> String {
    match String::from_utf8(text) {
        Ok(text) if !text.starts_with(ENCODED) => text,
        Ok(text) => format!("{ENCODED}{}", STANDARD.encode(text)),
        Err(error) => format!("{ENCODED}{}", STANDARD.encode(error.as_bytes())),
    }
}

/// Without `.` and `..`, and without following links: the path as the author sees it.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_where_the_language_looks() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        put(
            "flows/main.sloth",
            b"import('lib/a.lua') import('../shared.lua') require('tools.disk') require('exec') import('gone')",
        );
        put("flows/lib/a.lua", b"import('b.lua') import('lib/a.lua')");
        put("flows/lib/b.lua", b"return '\xff'");
        put("shared.lua", b"base64:is just text");
        put("modules/tools/disk.lua", b"return {}");
        let gatherer = Gatherer { cwd: dir.path(), home: None };
        let bundle = gatherer.of_file("flows/./main.sloth").expect("a bundle");
        let root = dir.path().display().to_string();
        assert_eq!(bundle.main, format!("{root}/flows/main.sloth"));
        let names: Vec<&str> = bundle.files.keys().map(|name| &name[root.len() + 1..]).collect();
        assert_eq!(
            names,
            ["flows/lib/a.lua", "flows/lib/b.lua", "flows/main.sloth", "modules/tools/disk.lua", "shared.lua"]
        );
        assert_eq!(decoded(&bundle.files[&format!("{root}/flows/lib/b.lua")]), b"return '\xff'");
        assert_eq!(decoded(&bundle.files[&format!("{root}/shared.lua")]), b"base64:is just text");
        assert!(main_text(&bundle).starts_with(b"import("));
    }

    /// "at most 4 MiB per file, 16 MiB for a file with its imports"
    #[test]
    fn what_is_too_large_is_a_definition_error() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("big.sloth"), vec![b' '; FILE_BYTES_MAX + 1]).expect("a file");
        let gatherer = Gatherer { cwd: dir.path(), home: None };
        let failure = gatherer.of_file("big.sloth").expect_err("too large");
        assert_eq!((failure.exit, failure.code), (2, "definition_error"));
        let main: String = (0..5).map(|n| format!("import('{n}.lua')\n")).collect();
        for n in 0..5 {
            std::fs::write(dir.path().join(format!("{n}.lua")), vec![b' '; FILE_BYTES_MAX]).expect("a file");
        }
        let failure = gatherer.of_text(dir.path().join("main"), main.into()).expect_err("too large");
        assert!(failure.message.contains("with its imports"), "{}", failure.message);
    }
}
