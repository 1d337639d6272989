//! The program, and what it is evaluated with.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::vm::RecordedCall;

/// Largest file, bytes.
pub const FILE_MAX: usize = 4 << 20;

/// A program: the main file and what it imports.
#[derive(Clone, Default)]
pub struct Program {
    /// Key of the main file in `files`, as the person who asked sees it.
    pub main: String,
    /// Path → bytes: relative to the directory of the main file, or absolute.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directory of the main file, absolute.
    pub dir: PathBuf,
    /// Reads files that are not there yet; without one, what is there is all.
    pub loader: Option<Rc<dyn Loader>>,
    /// Directories outside the file's own and the invocation directory from which may be imported.
    pub import_paths: Vec<PathBuf>,
}

/// Reads files of a program that has not been gathered yet.
pub trait Loader {
    /// The bytes; `Ok(None)`: there is no such file.
    fn read(&self, path: &Path) -> std::io::Result<Option<Vec<u8>>>;
}

/// What an evaluation is given.
#[derive(Clone, Default)]
pub struct Given {
    /// Values of schedule, files and command line, merged.
    pub values: Map<String, Value>,
    /// Parameters of the run.
    pub params: Map<String, Value>,
    /// Stack that was asked for; empty: none.
    pub stack: String,
    /// Warnings are errors.
    pub strict: bool,
    /// Host calls of an earlier evaluation of the same run.
    pub recorded: Vec<RecordedCall>,
}

impl Program {
    /// One file.
    pub fn single(main: &str, bytes: impl Into<Vec<u8>>) -> Program {
        let mut program = Program { main: main.to_owned(), dir: PathBuf::from("/"), ..Program::default() };
        program.files.insert(main.to_owned(), bytes.into());
        program
    }

    /// The key of an absolute path: relative to the main file's directory where that is possible.
    pub(super) fn key(&self, path: &Path) -> String {
        path.strip_prefix(&self.dir).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// A file by its absolute path; what a loader reads becomes part of the program.
    pub(super) fn read(&mut self, path: &Path) -> Result<Option<(String, Vec<u8>)>, String> {
        let key = self.key(path);
        if let Some(bytes) = self.files.get(&key) {
            return Ok(Some((key, bytes.clone())));
        }
        let Some(loader) = &self.loader else { return Ok(None) };
        match loader.read(path) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) if bytes.len() > FILE_MAX => Err(format!("{key}: has more than 4 MiB")),
            Ok(Some(bytes)) => {
                if self.size() + bytes.len() > 4 * FILE_MAX {
                    return Err(format!("{key}: the file and its imports have more than 16 MiB"));
                }
                self.files.insert(key.clone(), bytes.clone());
                Ok(Some((key, bytes)))
            }
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// The directory of a file of the program.
    pub(super) fn dir_of(&self, key: &str) -> PathBuf {
        let file = self.dir.join(key);
        file.parent().map_or_else(|| self.dir.clone(), Path::to_path_buf)
    }

    /// The line of a key of `runner_config`, by its look: the table is read when the file has ended. 0: not found.
    pub(super) fn setting(&self, file: &str, message: &str) -> u32 {
        let Some(bytes) = self.files.get(file) else { return 0 };
        let text = String::from_utf8_lossy(bytes);
        let key: String = message
            .split("runner_config.")
            .nth(1)
            .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
            .unwrap_or_default();
        let Some(table) = text.lines().position(|line| line.trim_start().starts_with("runner_config")) else {
            return 0;
        };
        let own = text.lines().skip(table).position(|line| !key.is_empty() && line.contains(&key));
        u32::try_from(table + own.unwrap_or(0) + 1).unwrap_or(0)
    }

    /// A line of a file, shortened.
    pub(super) fn line(&self, file: &str, line: u32) -> Option<String> {
        let bytes = self.files.get(file)?;
        let at = usize::try_from(line).ok()?.checked_sub(1)?;
        let text = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').nth(at)?).into_owned();
        Some(text.trim_end().chars().take(120).collect())
    }
}

/// A path without `.` and `..`, by its letters alone.
pub(super) fn tidy_path(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}
