//! `slothd restore`: puts a backup in the place of the database while no daemon runs.

use std::process::ExitCode;

use sloth_store::Backups;

use crate::arguments::Arguments;
use crate::clock;
use crate::life::{EXIT_CONFIG, EXIT_FAILED};
use crate::places::Places;
use crate::settings::Merged;

/// Restores and says how to go back.
pub fn run(arguments: &Arguments, source: &str) -> ExitCode {
    let places = match Places::of(arguments) {
        Ok(places) => places,
        Err(problem) => {
            eprintln!("slothd: {problem}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match restore(&places, source) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("slothd: {problem}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Restores; the message says what was done and how to undo it.
pub fn restore(places: &Places, source: &str) -> Result<String, String> {
    let configured = Merged::read(places).validate().ok().and_then(|settings| settings.backup_dir);
    let dir = configured.unwrap_or_else(|| places.data.join("backups"));
    let restored = sloth_store::restore(&places.database(), &Backups::at(&dir), source, clock::now())
        .map_err(|error| error.to_string())?;
    let mut message = format!("restored {} into {}", restored.info.id, places.database().display());
    if let Some(replaced) = &restored.replaced {
        message.push_str(&format!("\nthe replaced database is {}", replaced.display()));
    }
    if let Some(undo) = &restored.undo {
        message.push_str(&format!("\nto go back: {undo}"));
    }
    Ok(message)
}
