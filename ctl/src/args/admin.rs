//! Events, database, backups, the daemon and its settings.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// List events, the newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  slothctl events list -t 'run.*' --since 1h
  slothctl events list --severity error -l 20 -o json"
    )]
    List(ListEventsArgs),
    /// The last events; -f goes on with new ones
    #[command(
        after_help = "Examples:\n  slothctl events tail -f\n  slothctl events tail -f -t 'schedule.*' -o json | jq .message"
    )]
    Tail(TailArgs),
    /// As tail -f
    #[command(after_help = "Examples:\n  slothctl events watch -t 'run.*'")]
    Watch(TailArgs),
    /// One event
    #[command(alias = "get", after_help = "Examples:\n  slothctl events show 4711")]
    Show {
        /// Id or sequence number
        id: String,
    },
    /// The types of events that exist
    #[command(after_help = "Examples:\n  slothctl events types 'run.*'")]
    Types {
        /// Glob
        pattern: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct EventFilter {
    /// Type or glob, such as 'run.*' (repeatable)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// info warning error critical
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<String>,
    /// Of this run
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ListEventsArgs {
    #[command(flatten)]
    pub(crate) filter: EventFilter,
    /// From this time on
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<String>,
    /// Up to this time
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// At most so many
    #[arg(short = 'l', value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) filter: EventFilter,
    /// Go on with new events
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the past ones
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) count: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Size, tables, last backup
    #[command(after_help = "Examples:\n  slothctl db status")]
    Status,
    /// Where the database is
    #[command(after_help = "Examples:\n  ls -l \"$(slothctl db path)\"")]
    Path,
    /// Tables and their rows
    #[command(after_help = "Examples:\n  slothctl db tables --sort -rows")]
    Tables,
    /// How a table is defined
    #[command(after_help = "Examples:\n  slothctl db schema occurrences")]
    Schema {
        /// Table; without it all
        table: Option<String>,
    },
    /// Ask the database; reads only
    #[command(after_help = "Examples:
  slothctl db query 'SELECT status, count(*) FROM runs GROUP BY 1'
  slothctl db query -o csv - < query.sql")]
    Query {
        /// One SELECT, EXPLAIN or permitted PRAGMA; -: standard input
        sql: String,
    },
    /// Check the integrity of the database
    #[command(after_help = "Examples:\n  slothctl db check")]
    Check,
    /// Give unused space back
    #[command(after_help = "Examples:\n  slothctl db vacuum")]
    Vacuum,
    /// Make a backup (sysadmin backup create)
    #[command(after_help = "Examples:\n  slothctl db backup -d 'before the update'")]
    Backup(BackupArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SysadminCommand {
    /// Backups of the daemon's data
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Check the daemon and its host; exit code 1 when something is critical
    #[command(after_help = "Examples:
  slothctl sysadmin health
  slothctl sysadmin health --strict
  slothctl sysadmin health -o json | jq -r '.checks[] | select(.status!=\"ok\") | .check'")]
    Health(HealthArgs),
}

#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// Exit code 1 for warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// The word check may follow
    #[arg(hide = true, value_parser = ["check"])]
    pub(crate) check: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a consistent copy while the daemon works
    #[command(after_help = "Examples:\n  slothctl sysadmin backup create -d 'before the update'")]
    Create(BackupArgs),
    /// List backups, the newest first
    #[command(visible_alias = "ls", after_help = "Examples:\n  slothctl sysadmin backup list")]
    List,
    /// One backup
    #[command(after_help = "Examples:\n  slothctl sysadmin backup show 0192f0c1")]
    Show(BackupIdArg),
    /// Compare sums, check the database inside
    #[command(after_help = "Examples:\n  slothctl sysadmin backup verify 0192f0c1")]
    Verify(BackupIdArg),
    /// Put a backup in the place of the present data; the daemon restarts
    #[command(
        after_help = "Examples:\n  slothctl sysadmin backup restore 0192f0c1\n  slothctl sysadmin backup restore /mnt/slothd.tar.zst -y"
    )]
    Restore(BackupIdArg),
    /// Delete a backup
    #[command(visible_aliases = ["remove", "rm"], after_help = "Examples:\n  slothctl sysadmin backup delete 0192f0c1")]
    Delete(BackupIdArg),
}

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// For people
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Leave run output out
    #[arg(long)]
    pub(crate) no_logs: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BackupIdArg {
    /// Id; verify and restore also take a file
    pub(crate) id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// The daemon in one look
    #[command(after_help = "Examples:\n  slothctl daemon status")]
    Status,
    /// Read configuration and schedule files again
    #[command(after_help = "Examples:\n  slothctl daemon reload")]
    Reload,
    /// Effective settings
    #[command(after_help = "Examples:\n  slothctl daemon config --origin")]
    Config(OriginArg),
    /// What this build can do
    #[command(after_help = "Examples:\n  slothctl daemon features")]
    Features,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Effective settings
    #[command(visible_alias = "list", after_help = "Examples:\n  slothctl config show --origin")]
    Show(OriginArg),
    /// One setting
    #[command(after_help = "Examples:\n  slothctl config get scheduler.max_running")]
    Get {
        /// Such as scheduler.max_running
        key: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct OriginArg {
    /// Also where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List entries, the newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  slothctl audit list --user ann --since 24h\n  slothctl audit list --result denied"
    )]
    List(ListAuditArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ListAuditArgs {
    /// Who asked
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Such as schedule:create
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// ok denied error
    #[arg(long, value_name = "RESULT")]
    pub(crate) result: Option<String>,
    /// From this time on
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<String>,
}
