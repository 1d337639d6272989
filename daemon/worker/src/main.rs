//! `sloth-worker`: the process of one workflow run.
//!
//! The main thread has the VM, the machine and whatever talks to them; a second one does the waiting for the world: the
//! connection to slothd, commands, files. `validate`, `graph` and `plan` look at files without a daemon; `types` and `docs`
//! print what the library is.

mod artifacts;
mod clock;
mod errand;
mod flow;
mod graph_json;
mod io;
mod link;
mod log;
mod modes;
mod run;
mod script;
mod spawner;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("run") => errand::serve(),
        Some(word @ ("validate" | "graph" | "plan")) => modes::look(word, words.collect()),
        Some(word @ ("types" | "docs")) => modes::library(word),
        Some("--version") => {
            println!("sloth-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: sloth-worker run < ERRAND");
            eprintln!("       sloth-worker validate|graph|plan [--json] [--assignment | FILE…]");
            eprintln!("       sloth-worker types|docs");
            ExitCode::from(2)
        }
    }
}
