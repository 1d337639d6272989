//! Functions of `fs` that look for files. Lists are sorted, so that a run is the same each time.

use std::fs::FileType;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sloth_core::units::{parse_duration, parse_size};
use sloth_lua::{Args, Call, Data, Failure, Reply};
use walkdir::{DirEntry, WalkDir};

use super::names::tidy;
use super::reading::{path, text_of};
use crate::describe::give;
use crate::files::failed;

/// Most paths in one list.
const FOUND_MAX: usize = 1_000_000;

/// `ls`.
pub fn ls(call: Call) -> Reply {
    let path = match call.args.get("path") {
        Some(_) => path(&call, "path")?,
        None => call.ctx.workdir.clone(),
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(|error| failed(&path, error))? {
        let entry = entry.map_err(|error| failed(&path, error))?;
        names.push(entry.file_name().into_encoded_bytes());
    }
    names.sort();
    give(Data::List(names.into_iter().map(Data::Str).collect()))
}

/// `glob`: `*`, `?`, `[…]`, `{a,b}`, `**`. A relative pattern gives relative paths. Hidden names only where the pattern has a dot.
pub fn glob(call: Call) -> Reply {
    let pattern = call.args.text("pattern")?;
    let full = tidy(&call.ctx.resolve(&pattern)).to_string_lossy().into_owned();
    let glob = globset::GlobBuilder::new(&full)
        .literal_separator(true)
        .build()
        .map_err(|error| Failure::argument("pattern", error.kind()))?
        .compile_matcher();
    let parts: Vec<&str> = full.split('/').collect();
    let fixed = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '{', '\\'])).count();
    let base = parts[..fixed].join("/");
    let base = if base.is_empty() { "/".to_owned() } else { base };
    let base = if fixed == parts.len() { full.clone() } else { base };
    let depth = if full.contains("**") { usize::MAX } else { parts.len() - fixed };
    let wants_hidden = parts[fixed..].iter().any(|part| part.starts_with('.'));
    let is_relative = !pattern.starts_with(['/', '~']);
    let mut found = Vec::new();
    for entry in WalkDir::new(&base).max_depth(depth).sort_by_file_name().into_iter().filter_entry(|entry| {
        wants_hidden || entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    }) {
        stop_if_cancelled(&call)?;
        // What may not be read does not match.
        let Ok(entry) = entry else { continue };
        if glob.is_match(entry.path()) {
            let shown = if is_relative { entry.path().strip_prefix(&call.ctx.workdir).ok() } else { None };
            push(&mut found, shown.unwrap_or(entry.path()))?;
        }
    }
    give(Data::List(found))
}

/// The list of `walk`: everything below, as `{path, name, is_dir, is_file, is_link, size, depth}`.
pub fn walk(call: Call) -> Reply {
    let base = path(&call, "path")?;
    if !base.exists() {
        return Err(failed(&base, "No such file or directory"));
    }
    let mut found = Vec::new();
    for entry in WalkDir::new(&base).min_depth(1).sort_by_file_name() {
        stop_if_cancelled(&call)?;
        let entry = entry.map_err(|error| failed(&base, error))?;
        if found.len() == FOUND_MAX {
            return Err(too_many());
        }
        let kind = entry.file_type();
        found.push(Data::map([
            ("path", text_of(entry.path().to_owned())),
            ("name", Data::Str(entry.file_name().as_encoded_bytes().to_vec())),
            ("is_dir", kind.is_dir().into()),
            ("is_file", kind.is_file().into()),
            ("is_link", kind.is_symlink().into()),
            ("size", entry.metadata().map_or(0, |meta| meta.len()).into()),
            ("depth", (entry.depth() as u64).into()),
        ]));
    }
    give(Data::List(found))
}

/// `find`.
pub fn find(call: Call) -> Reply {
    let base = path(&call, "path")?;
    if !base.exists() {
        return Err(failed(&base, "No such file or directory"));
    }
    let tests = Tests::from(&call.args)?;
    let mut walk = WalkDir::new(&base).min_depth(1).sort_by_file_name();
    if let Some(depth) = call.args.int("depth") {
        walk = walk.max_depth(usize::try_from(depth).unwrap_or(0));
    }
    let mut found = Vec::new();
    for entry in walk {
        stop_if_cancelled(&call)?;
        let entry = entry.map_err(|error| failed(&base, error))?;
        if tests.hold(&entry) {
            push(&mut found, entry.path())?;
        }
    }
    give(Data::List(found))
}

/// What `find` looks for.
struct Tests {
    name: Option<globset::GlobMatcher>,
    kind: Option<fn(&FileType) -> bool>,
    size: Option<(Sign, u64)>,
    age: Option<(Sign, u64)>,
}

#[derive(Clone, Copy)]
enum Sign {
    More,
    Less,
    Equal,
}

impl Sign {
    fn split(text: &str) -> (Sign, &str) {
        match text.as_bytes().first() {
            Some(b'+' | b'>') => (Sign::More, text[1..].trim()),
            Some(b'-' | b'<') => (Sign::Less, text[1..].trim()),
            _ => (Sign::Equal, text),
        }
    }

    fn holds(self, value: u64, limit: u64) -> bool {
        match self {
            Sign::More => value > limit,
            Sign::Less => value < limit,
            Sign::Equal => value == limit,
        }
    }
}

impl Tests {
    fn from(args: &Args) -> Result<Tests, Failure> {
        let name = args.opt_text("name").map(|text| {
            let glob = globset::Glob::new(&text).map_err(|error| Failure::argument("name", error.kind()));
            glob.map(|glob| glob.compile_matcher())
        });
        let kind = args.opt_text("type").map(|text| match text.as_str() {
            "f" | "file" => Ok(FileType::is_file as fn(&FileType) -> bool),
            "d" | "dir" | "directory" => Ok(FileType::is_dir as fn(&FileType) -> bool),
            "l" | "link" => Ok(FileType::is_symlink as fn(&FileType) -> bool),
            other => {
                let message = format!("\"file\", \"dir\" or \"link\" expected, got {other:?}");
                Err(Failure::argument("type", message))
            }
        });
        let size = args.opt_text("size").map(|text| {
            let (sign, number) = Sign::split(&text);
            parse_size(number).map(|size| (sign, size)).map_err(|error| Failure::argument("size", error))
        });
        let age = args.opt_text("mtime").map(|text| {
            let (sign, number) = Sign::split(&text);
            let seconds = match number.parse::<u64>() {
                // Like find(1): a bare number is days.
                Ok(days) => Ok(days * 86_400),
                Err(_) => parse_duration(number).map(|time| time.as_secs()),
            };
            seconds.map(|seconds| (sign, seconds)).map_err(|error| Failure::argument("mtime", error))
        });
        Ok(Tests { name: name.transpose()?, kind: kind.transpose()?, size: size.transpose()?, age: age.transpose()? })
    }

    fn hold(&self, entry: &DirEntry) -> bool {
        if self.name.as_ref().is_some_and(|glob| !glob.is_match(Path::new(entry.file_name()))) {
            return false;
        }
        if self.kind.is_some_and(|kind| !kind(&entry.file_type())) {
            return false;
        }
        if self.size.is_none() && self.age.is_none() {
            return true;
        }
        let Ok(meta) = entry.metadata() else { return false };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let age = now.saturating_sub(u64::try_from(meta.mtime()).unwrap_or(0));
        self.size.is_none_or(|(sign, limit)| meta.is_file() && sign.holds(meta.len(), limit))
            && self.age.is_none_or(|(sign, limit)| sign.holds(age, limit))
    }
}

fn push(found: &mut Vec<Data>, path: &Path) -> Result<(), Failure> {
    if found.len() == FOUND_MAX {
        return Err(too_many());
    }
    found.push(text_of(path.to_owned()));
    Ok(())
}

fn too_many() -> Failure {
    Failure::new(format!("more than {FOUND_MAX} paths: narrow the search"))
}

fn stop_if_cancelled(call: &Call) -> Result<(), Failure> {
    match call.ctx.cancel.kind() {
        Some(_) => Err(Failure { kind: Some("cancelled"), ..Failure::new("cancelled") }),
        None => Ok(()),
    }
}
