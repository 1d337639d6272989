//! Which workflow is meant: a file, standard input, a saved one, or words of the command line.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sloth_api::worker::Bundle;

use super::adhoc::Adhoc;
use super::bundle::Gatherer;
use crate::args::run::{RunWorkflow, What};
use crate::failure::Failure;

/// What `POST /runs` calls `source`.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Bundle(Bundle),
    Saved(String),
}

/// A source, and the stack that the line names.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) source: Source,
    pub(crate) stack: Option<String>,
}

/// Looks up a variable of the environment.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Source {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Source::Bundle(bundle) => json!({ "bundle": bundle }),
            Source::Saved(name) => json!({ "saved": name }),
        }
    }
}

/// Reads what the line of `run` means.
pub(crate) fn of_run(args: &RunWorkflow, env: Env<'_>) -> Result<Input, Failure> {
    let What { file, saved, stack, .. } = &args.what;
    let target_is_file = file.is_none() && saved.is_none() && args.target.as_deref().is_some_and(is_file);
    let named = args.target.clone().filter(|_| !target_is_file);
    if let (Some(flag), Some(word)) = (stack, &named) {
        return Err(Failure::usage(format!("two stacks: --stack {flag} and {word}")));
    }
    let stack = stack.clone().or(named);
    if let Some(name) = saved {
        return Ok(Input { source: Source::Saved(name.clone()), stack });
    }
    if let Some(adhoc) = adhoc(args) {
        if target_is_file {
            let word = args.target.as_deref().unwrap_or_default();
            return Err(Failure::usage(format!("{word} is a workflow file; it and a command exclude each other")));
        }
        let bundle =
            gatherer(env, |gatherer| gatherer.of_text(gatherer.cwd.join("adhoc.sloth"), adhoc.program().into()))?;
        return Ok(Input { source: Source::Bundle(bundle), stack: stack.or(Some("adhoc".to_owned())) });
    }
    let file = file.as_deref().or(args.target.as_deref().filter(|_| target_is_file));
    let Some(file) = file else {
        let said = match &stack {
            Some(stack) => {
                format!("there is no workflow file \"{stack}\", and nothing says what stack \"{stack}\" shall run")
            }
            None => "nothing to run".to_owned(),
        };
        return Err(Failure::usage(said).hint("slothctl run FILE, run STACK -f FILE, run --saved NAME, or run -- CMD"));
    };
    let stack = stack.or_else(|| stem(file));
    Ok(Input { source: Source::Bundle(of_file(file, env)?), stack })
}

fn adhoc(args: &RunWorkflow) -> Option<Adhoc> {
    let words = || (!args.command.is_empty()).then(|| Adhoc::Argv(args.command.clone()));
    args.text.clone().map(Adhoc::Shell).or_else(words)
}

/// A file, or standard input for `-`, with what it imports.
pub(crate) fn of_file(name: &str, env: Env<'_>) -> Result<Bundle, Failure> {
    gatherer(env, |gatherer| {
        if name != "-" {
            return gatherer.of_file(name);
        }
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text)?;
        gatherer.of_text(gatherer.cwd.join("stdin.sloth"), text)
    })
}

fn gatherer<T>(env: Env<'_>, read: impl FnOnce(&Gatherer<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let cwd = present_directory()?;
    let home = env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    read(&Gatherer { cwd: &cwd, home: home.as_deref() })
}

/// Where `slothctl` was called.
pub(crate) fn present_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::usage(format!("the present directory: {error}")))
}

/// "an existing file or ends in `.sloth`/`.lua`"
fn is_file(word: &str) -> bool {
    word == "-" || word.ends_with(".sloth") || word.ends_with(".lua") || Path::new(word).is_file()
}

/// The stack of a file without another: its name without ending. None when that is no name of a stack.
fn stem(file: &str) -> Option<String> {
    if file == "-" {
        return None;
    }
    let stem = Path::new(file).file_stem()?.to_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = stem.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    name.starts_with(|c: char| c.is_ascii_alphanumeric()).then(|| name.chars().take(128).collect())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::args::{Cli, Command};

    fn read(words: &[&str]) -> Result<Input, Failure> {
        let matches = crate::tree().try_get_matches_from([&["slothctl", "run"], words].concat());
        match Cli::from_arg_matches(&matches.unwrap_or_else(|error| panic!("{error}"))).expect("a command").command {
            Command::Run(args) => of_run(&args, &|_| None),
            other => panic!("{other:?}"),
        }
    }

    fn short(words: &[&str]) -> (String, Option<String>) {
        let input = read(words).unwrap_or_else(|failure| panic!("{words:?}: {failure:?}"));
        let name = match input.source {
            Source::Saved(name) => format!("saved {name}"),
            Source::Bundle(bundle) => bundle.files[&bundle.main].clone(),
        };
        (name, input.stack)
    }

    /// "With one positional that is an existing file or ends in `.sloth`/`.lua`, that is the file and the stack is named after it"
    #[test]
    fn the_line_says_what_runs_and_for_which_stack() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, name).expect("a file");
            path.display().to_string()
        };
        let (site, odd, plain) = (put("site.sloth"), put("Ünï code.lua"), put("plain"));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(short(&[&site]), ("site.sloth".to_owned(), some("site")));
        assert_eq!(short(&[&plain]), ("plain".to_owned(), some("plain")));
        assert_eq!(short(&[&odd]).1, None);
        assert_eq!(short(&["lab", "-f", &site]), ("site.sloth".to_owned(), some("lab")));
        assert_eq!(short(&["--stack", "lab", &site]).1, some("lab"));
        assert_eq!(short(&["--stack", "list", "--file", &site]).1, some("list"));
        assert_eq!(short(&["lab", "-f", &site, "--saved", "x"]), ("saved x".to_owned(), some("lab")));
        let adhoc = short(&["--", "echo", "a b"]);
        assert!(adhoc.0.contains(r#"command = { "echo", "a b" }"#), "{adhoc:?}");
        assert_eq!(adhoc.1, some("adhoc"));
        let text = short(&["lab", "df | tail -1"]);
        assert!(text.0.contains(r#"command = "df | tail -1""#) && text.1 == some("lab"), "{text:?}");
    }

    #[test]
    fn contradictions_and_missing_files_are_usage_errors() {
        let missing = "/nonexistent/x.sloth";
        for (words, said) in [
            (&[][..], "nothing to run"),
            (&["lab"], "no workflow file \"lab\""),
            (&[missing], "No such file"),
            (&["lab", "-f", missing], "No such file"),
            (&["a", "--stack", "b", "-f", missing], "two stacks"),
            (&[missing, "--", "true"], "exclude"),
        ] {
            let failure = read(words).expect_err(said);
            assert_eq!(failure.exit, 2);
            assert!(failure.message.contains(said), "{words:?}: {}", failure.message);
        }
    }
}
