//! slothd: runs what has to happen when nobody is watching. Wiring only; see `docs/architecture.md`.

mod arguments;
mod boot;
mod clock;
mod executor;
mod housekeeping;
mod journal;
mod life;
mod listen;
mod logging;
mod machine;
mod machine_health;
mod notify;
mod output;
mod pages;
mod places;
mod ports;
mod reload;
mod restore;
mod setting_checks;
mod setting_engine;
mod setting_keys;
mod settings;
mod setup;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => life::run(&arguments),
        Some(Command::CheckConfig) => settings::check_config(&arguments),
        Some(Command::Restore { ref backup }) => restore::run(&arguments, backup),
        Some(Command::Man { ref out }) => pages::man(out),
        Some(Command::Completion { shell }) => pages::completion(shell),
    }
}
