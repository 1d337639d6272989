//! What can be typed: the command tree. Parsing decides nothing; values go to the daemon as they were written.

use clap::{Args, Parser, Subcommand};

pub(crate) mod admin;
pub(crate) mod fields;
pub(crate) mod globals;
pub(crate) mod nearest;
pub(crate) mod rewrite;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod scheduler;
#[cfg(test)]
mod tests;
pub(crate) mod workflow;

use admin::{AuditCommand, ConfigCommand, DaemonCommand, DbCommand, EventsCommand, SysadminCommand};
use run::RunWorkflow;
use runs::{AttachArgs, CancelArgs, ListRunsArgs, LogsArgs, RunsCommand, WaitArgs};
use scheduler::SchedulerCommand;
use workflow::{SavedCommand, ValidateWorkflow, WorkflowCommand};

/// Controls slothd: workflows, schedules, their runs, and the daemon itself
#[derive(Debug, Parser)]
#[command(
    name = "slothctl",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 120,
    after_help = "Examples:
  slothctl scheduler add nightly --cron '30 2 * * *' -- /usr/local/bin/backup --all
  slothctl run backup.sloth --set keep=7
  slothctl scheduler list
  slothctl runs logs -f 9f31c2a7
  slothctl status

More: slothctl COMMAND --help, slothctl help TOPIC (exit-codes, output, daemon, values, triggers, time, overlap, import)"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Schedules: add, change, look at, run, import
    #[command(subcommand, visible_alias = "sched")]
    Scheduler(SchedulerCommand),
    /// Run a workflow and follow it; exits with its result
    Run(Box<RunWorkflow>),
    /// Runs: list, show, follow, output, cancel, resume, graph
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Workflow files: show, validate, graph
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Workflows saved in the daemon
    #[command(subcommand, alias = "sloth")]
    Saved(SavedCommand),
    /// Look for mistakes in workflow files (workflow validate)
    #[command(
        visible_alias = "check",
        after_help = "Examples:\n  slothctl validate site.sloth\n  slothctl check *.sloth --strict"
    )]
    Validate(ValidateWorkflow),
    /// Tasks of the workflow file in the present directory
    #[command(after_help = "Examples:\n  slothctl list")]
    List,
    /// Follow a run (runs attach)
    #[command(after_help = "Examples:\n  slothctl attach 9f31c2a7")]
    Attach(AttachArgs),
    /// Output of a run (runs logs)
    #[command(after_help = "Examples:\n  slothctl logs -f 9f31c2a7")]
    Logs(LogsArgs),
    /// Wait for runs and exit with their result (runs wait)
    #[command(after_help = "Examples:\n  slothctl wait 9f31c2a7 --timeout 10m")]
    Wait(WaitArgs),
    /// Cancel runs (runs cancel)
    #[command(after_help = "Examples:\n  slothctl cancel 9f31c2a7 --reason 'wrong host'")]
    Cancel(CancelArgs),
    /// List runs (runs list)
    #[command(after_help = "Examples:\n  slothctl ps --status running")]
    Ps(ListRunsArgs),
    /// The event feed
    #[command(subcommand)]
    Events(EventsCommand),
    /// The database of the daemon
    #[command(subcommand)]
    Db(DbCommand),
    /// Health and backups
    #[command(subcommand)]
    Sysadmin(SysadminCommand),
    /// The daemon in one look (daemon status)
    #[command(after_help = "Examples:\n  slothctl status\n  slothctl status -o json | jq .running")]
    Status,
    /// The daemon: status, reload, settings, features
    #[command(subcommand)]
    Daemon(DaemonCommand),
    /// Settings of the daemon
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The audit trail: who asked for what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Who the daemon takes the caller for
    #[command(after_help = "Examples:\n  slothctl whoami")]
    Whoami,
    /// Versions of slothctl and slothd
    #[command(after_help = "Examples:\n  slothctl version\n  slothctl version -o json")]
    Version,
    /// Print a completion script
    #[command(after_help = "Examples:
  slothctl completion bash > /etc/bash_completion.d/slothctl
  slothctl completion zsh > \"${fpath[1]}/_slothctl\"")]
    Completion {
        /// Shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Every command in one list
    #[command(after_help = "Examples:\n  slothctl commands\n  slothctl commands -o json | jq -r '.commands[].name'")]
    Commands,
    /// Help on a command or a topic
    #[command(after_help = "Examples:\n  slothctl help scheduler add\n  slothctl help exit-codes")]
    Help {
        /// A command, or one of: exit-codes output daemon values triggers time overlap import
        #[arg(value_name = "COMMAND|TOPIC")]
        words: Vec<String>,
    },
    /// Write the manual pages
    #[command(hide = true, after_help = "Examples:\n  slothctl man --out /usr/share/man/man1")]
    Man(ManArgs),
    /// Candidates for completion scripts
    #[command(name = "__complete", hide = true)]
    Complete {
        /// schedules, runs, workflows or backups
        what: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: std::path::PathBuf,
}
