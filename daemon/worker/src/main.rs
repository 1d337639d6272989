//! `sloth-worker`: the process of one workflow run.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("sloth-worker is started by slothd");
    ExitCode::from(2)
}
