//! The command line of slothd.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Runs what has to happen when nobody is watching.
///
/// slothd runs in the foreground. It keeps everything in one database and starts commands when they are due; what it has started
/// goes on when it stops, and is found again when it starts. Control it with slothctl.
#[derive(Debug, Parser)]
#[command(
    name = "slothd",
    version,
    after_help = "Examples:\n  slothd --root /tmp/try        a private instance below one directory\n  slothd check-config           all problems of the configuration, with file and key\n  slothd restore b20310309-070000\n\nSignals: TERM and INT stop, HUP reads the configuration again.\nExit codes: 0 stopped, 1 failed, 70 contradiction in the database (restart recovers), 75 another slothd runs, 78 configuration or\ndatabase must be repaired first."
)]
pub struct Arguments {
    /// The daemon of the system (default for root).
    #[arg(long, global = true, conflicts_with = "user")]
    pub system: bool,
    /// The daemon of one user.
    #[arg(long, global = true)]
    pub user: bool,
    /// Read this file instead of the default one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A whole private instance below this directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How processes are started.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub executor: ExecutorChoice,
    /// What else.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExecutorChoice {
    /// Units of systemd where it is there and allows it (not with --root), else processes.
    Auto,
    /// A transient unit of systemd for each run.
    Systemd,
    /// Its own supervisor, sloth-exec.
    Process,
}

/// Other things that slothd can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every problem of configuration and schedule files, then exit 0 or 78.
    CheckConfig,
    /// Restore a backup while no daemon runs.
    Restore {
        /// Identity or file.
        backup: String,
    },
    /// Write the manual page.
    #[command(hide = true)]
    Man {
        /// Directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print a completion script.
    #[command(hide = true)]
    Completion {
        /// Shell.
        shell: clap_complete::Shell,
    },
}
