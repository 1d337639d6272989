//! What a look at files is given: options and files, or an assignment on standard input.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sloth_api::worker::{Assignment, Bundle, MESSAGE_MAX};

/// Options of the command line.
pub(super) struct Options {
    json: bool,
    assignment: bool,
    files: Vec<String>,
}

impl Options {
    pub(super) fn read(words: Vec<String>) -> Result<Options, String> {
        let mut options = Options { json: false, assignment: false, files: Vec::new() };
        for word in words {
            match word.as_str() {
                "--json" => options.json = true,
                "--assignment" => options.assignment = true,
                flag if flag.starts_with("--") => return Err(format!("unknown option {flag}")),
                _ => options.files.push(word),
            }
        }
        if options.files.is_empty() && !options.assignment {
            return Err("name a file, or give --assignment".to_owned());
        }
        Ok(options)
    }

    /// One assignment for each thing to look at.
    pub(super) fn jobs(&self, word: &str) -> Result<Vec<Assignment>, String> {
        let mode = if word == "plan" { "plan" } else { "validate" };
        let mut jobs = Vec::new();
        if self.assignment {
            let mut text = Vec::new();
            let read = std::io::stdin().lock().take(MESSAGE_MAX as u64).read_to_end(&mut text);
            read.map_err(|error| format!("standard input: {error}"))?;
            let job: Assignment = serde_json::from_slice(&text)
                .map_err(|error| format!("standard input is not an assignment: {error}"))?;
            jobs.push(Assignment { mode: mode.to_owned(), ..job });
        }
        for file in &self.files {
            jobs.push(of_file(file, mode)?);
        }
        Ok(jobs)
    }

    /// One answer on a line, or for people.
    pub(super) fn print(&self, value: &Value) {
        if self.json {
            println!("{value}");
        } else {
            println!("{value:#}");
        }
    }
}

fn of_file(file: &str, mode: &str) -> Result<Assignment, String> {
    let here = std::env::current_dir().map_err(|error| format!("current directory: {error}"))?;
    let path = here.join(Path::new(file));
    let path = fs::canonicalize(&path).map_err(|error| format!("{file}: {error}"))?;
    let bytes = fs::read(&path).map_err(|error| format!("{file}: {error}"))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) if !text.starts_with("base64:") => text,
        Ok(text) => encode(text.as_bytes()),
        Err(error) => encode(error.as_bytes()),
    };
    let main = path.to_string_lossy().into_owned();
    Ok(Assignment {
        bundle: Bundle { files: BTreeMap::from([(main.clone(), text)]), main },
        mode: mode.to_owned(),
        user: std::env::var("USER").unwrap_or_default(),
        invocation_dir: here.to_string_lossy().into_owned(),
        next_seq: 1,
        ..Assignment::default()
    })
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("base64:{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}
