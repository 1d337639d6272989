//! Boots a Debian system with its own systemd in a namespace, puts files into `/root`, and runs a command there: `sloth-booted FILE... --
//! COMMAND...`. Prints what the command prints and ends as it does; 75 where no system can be booted, with the reason.

use std::path::Path;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};
use sloth_tests::booted::{Booted, Tree};

/// `EX_TEMPFAIL`: there is nothing wrong with the request, it cannot be had here.
const CANNOT: u8 = 75;

fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let files: Vec<String> = words.by_ref().take_while(|word| word != "--").collect();
    let command: Vec<String> = words.collect();
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    anyhow::ensure!(!words.is_empty(), "usage: sloth-booted FILE... -- COMMAND...");
    let Some(machine) = Booted::boot(Tree::Plain) else { return Ok(ExitCode::from(CANNOT)) };
    for file in &files {
        let name = Path::new(file).file_name().with_context(|| format!("{file} is no file"))?;
        machine.put(Path::new(file), &format!("/root/{}", name.to_string_lossy()));
    }
    let status = machine.command(&words).stdout(Stdio::inherit()).stderr(Stdio::inherit()).status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
