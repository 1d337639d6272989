//! Controls slothd: reads the command line, asks the daemon, prints the answer. It opens no database and decides nothing.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

mod args;
mod commands;
mod endpoint;
mod failure;
mod input;
mod output;
mod session;
mod views;

use args::{Cli, globals, nearest, rewrite};
use failure::Failure;
use output::Format;

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    rewrite::run_to_runs(&globals::all(), &mut words);
    let json = wants_json(&words);
    match run(words) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ExitCode::from(report(&failure, json)),
    }
}

/// The whole tree, with the global flags.
pub(crate) fn tree() -> clap::Command {
    globals::spread(Cli::command(), None)
}

fn run(words: Vec<OsString>) -> Result<u8, Failure> {
    let mut tree = globals::spread(Cli::command(), Some(&words));
    let parsed = tree.try_get_matches_from_mut(&words);
    std::mem::forget(tree); // freeing it piece by piece takes longer than parsing
    let matches = match parsed {
        Ok(matches) => matches,
        Err(error) => return wrong_words(&error, &words),
    };
    let globals = globals::take(&matches);
    let cli = Cli::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string()))?;
    let env = |name: &str| std::env::var_os(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(Box::pin(commands::dispatch(cli.command, globals, &env)));
    runtime.shutdown_background();
    code
}

/// Help and version are answers; everything else is wrong.
fn wrong_words(error: &clap::Error, words: &[OsString]) -> Result<u8, Failure> {
    if !error.use_stderr() {
        output::print(&error.render().to_string())?;
        return Ok(0);
    }
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(failure) = nearest::reserved(error, &words) {
        return Err(failure);
    }
    let text = error.render().to_string();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        write!(std::io::stderr(), "{text}")?;
        return Err(Failure::exit(sloth_api::ExitCode::Usage as u8));
    }
    let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
    Err(Failure::usage(text))
}

/// Prints a failure where it belongs, and gives the exit code.
fn report(failure: &Failure, json: bool) -> u8 {
    if failure.silent {
        return failure.exit;
    }
    let written = if json {
        output::print(&output::json_text(&failure.to_json(), false)).map_err(|_| ())
    } else {
        let mut text = format!("error: {}\n", output::text::clean_lines(&failure.message));
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("hint: {}\n", output::text::clean_lines(hint)));
        }
        write!(std::io::stderr(), "{text}").map_err(|_| ())
    };
    written.map_or(failure.exit, |()| failure.exit)
}

/// Whether errors are wanted as JSON; also known when the rest of the line is wrong.
fn wants_json(words: &[OsString]) -> bool {
    let mut named = std::env::var("SLOTHCTL_OUTPUT").ok();
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word {
            "-o" | "--output" => named = words.next().map(str::to_owned),
            _ => {
                let value = word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o"));
                named = value.map(|value| value.trim_start_matches('=').to_owned()).or(named);
            }
        }
    }
    named.as_deref().and_then(Format::parse).is_some_and(Format::is_json)
}
