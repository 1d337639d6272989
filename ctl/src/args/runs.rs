//! `slothctl runs …` and its short forms.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    #[command(visible_aliases = ["ls", "ps"], after_help = "Examples:
  slothctl runs list --status failed --since 24h
  slothctl runs list --schedule nightly -o wide")]
    List(ListRunsArgs),
    /// Everything about one run
    #[command(after_help = "Examples:\n  slothctl runs show 9f31c2a7")]
    Show(RunArg),
    /// Output of a run
    #[command(after_help = "Examples:
  slothctl runs logs 9f31c2a7
  slothctl runs logs -f 9f31c2a7
  slothctl runs logs 9f31c2a7 --stream stderr --tail 20
  slothctl runs logs 9f31c2a7 > output.bin")]
    Logs(LogsArgs),
    /// Wait for runs and exit with their result
    #[command(after_help = "Examples:\n  slothctl runs wait 9f31c2a7 --timeout 10m")]
    Wait(WaitArgs),
    /// Cancel runs
    #[command(
        after_help = "Examples:\n  slothctl runs cancel 9f31c2a7 --reason 'wrong host'\n  slothctl runs cancel 9f31c2a7 --force"
    )]
    Cancel(CancelArgs),
    /// Delete records and output of ended runs
    #[command(visible_aliases = ["remove", "rm"], after_help = "Examples:\n  slothctl runs delete 9f31c2a7")]
    Delete(RunsArg),
}

#[derive(Args, Debug)]
pub(crate) struct ListRunsArgs {
    /// queued starting running completed failed cancelled
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// Of this schedule
    #[arg(long, value_name = "NAME")]
    pub(crate) schedule: Option<String>,
    /// Of this owner
    #[arg(long, visible_alias = "owner", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// schedule manual after api boot
    #[arg(long, value_name = "TRIGGER")]
    pub(crate) trigger: Option<String>,
    /// Accepted from this time on, such as 24h or 2026-03-08
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<String>,
    /// Accepted up to this time
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArg {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArg {
    /// Ids, or unique parts of them
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
    /// Go on until the run ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// stdout, stderr or note
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Option<String>,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Each line with its time and stream
    #[arg(short = 't', long)]
    pub(crate) timestamps: bool,
    /// Control characters reach the terminal as they are
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// Ids, or unique parts of them
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<String>,
    /// Give up after this time (exit code 5); the runs go on
    #[arg(long, value_name = "D")]
    pub(crate) timeout: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// Ids, or unique parts of them
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// KILL at once
    #[arg(long)]
    pub(crate) force: bool,
}
