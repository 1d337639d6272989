//! `slothctl scheduler …`.

use clap::{Args, Subcommand};

use super::fields::{Fields, TriggerFlags};

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulerCommand {
    /// Add a schedule and print its next three instants
    #[command(after_help = "Examples:
  slothctl scheduler add nightly --cron '30 2 * * *' --tz Europe/Lisbon -- /usr/local/bin/backup --all
  slothctl scheduler add probe --every 90s --timeout 30s --shell 'curl -fsS localhost/health'
  slothctl scheduler add report --manual --after nightly=success --env LANG=C -- /opt/report
  slothctl scheduler add fetch --cron @hourly --retries 3 --retry-delay 1m --limits memory=256Mi -- /opt/fetch
  slothctl scheduler add backup --cron '0 3 * * *' -f backup.sloth --set keep=14")]
    Add(Box<AddArgs>),
    /// List schedules
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  slothctl scheduler list
  slothctl scheduler list --all-users --failed -o wide
  slothctl scheduler list --columns name,next --sort next
  slothctl scheduler list --system"
    )]
    List(ListArgs),
    /// Everything about one schedule
    #[command(
        after_help = "Examples:\n  slothctl scheduler show nightly\n  slothctl scheduler show ann/nightly -o yaml"
    )]
    Show(NameArg),
    /// Change fields of a schedule; the others stay
    #[command(
        visible_alias = "update",
        after_help = "Examples:
  slothctl scheduler edit nightly --cron '0 3 * * *' --timeout 2h
  slothctl scheduler edit nightly --clear timeout --clear tags
  slothctl scheduler edit nightly -- /usr/local/bin/backup --all --verbose"
    )]
    Edit(Box<EditArgs>),
    /// Delete schedules; their history stays
    #[command(visible_aliases = ["remove", "rm"], after_help = "Examples:\n  slothctl scheduler delete nightly probe")]
    Delete(NamesArg),
    /// Let a paused schedule fire again
    #[command(after_help = "Examples:\n  slothctl scheduler enable nightly")]
    Enable(EnableArgs),
    /// Pause a schedule; its instants are recorded as skipped
    #[command(
        after_help = "Examples:\n  slothctl scheduler disable nightly --until 2h --reason 'disk is being replaced'"
    )]
    Disable(DisableArgs),
    /// Run a schedule now, beside its trigger
    #[command(
        visible_alias = "trigger",
        after_help = "Examples:
  slothctl scheduler run nightly
  slothctl scheduler run nightly --wait && echo done
  slothctl scheduler run nightly --follow"
    )]
    Run(RunArgs),
    /// Upcoming instants of a schedule or of an expression
    #[command(after_help = "Examples:
  slothctl scheduler next nightly
  slothctl scheduler next '30 2 * * *' -n 5 --tz America/New_York --from 2026-03-07")]
    Next(NextArgs),
    /// Explain an expression in words
    #[command(after_help = "Examples:\n  slothctl scheduler validate '0 9 * * MON-FRI'")]
    Validate(ValidateArgs),
    /// The ledger of a schedule: what became of each instant
    #[command(
        after_help = "Examples:\n  slothctl scheduler history nightly -n 50\n  slothctl scheduler history nightly --since 7d"
    )]
    History(HistoryArgs),
    /// Why an instant did or did not run
    #[command(
        after_help = "Examples:\n  slothctl scheduler explain nightly\n  slothctl scheduler explain nightly --at '2026-03-08 02:30'"
    )]
    Explain(ExplainArgs),
    /// Compare the ledger with the rules; exit code 1 when they differ
    #[command(after_help = "Examples:\n  slothctl scheduler audit\n  slothctl scheduler audit nightly --since 30d")]
    Audit(AuditArgs),
    /// Make schedules from crontabs, systemd timers or YAML
    #[command(subcommand)]
    Import(ImportCommand),
    /// Print the schedules as a file
    #[command(
        after_help = "Examples:\n  slothctl scheduler export > schedules.toml\n  slothctl scheduler export --format crontab"
    )]
    Export(ExportArgs),
    /// Fire nothing until resume-all; instants are recorded as skipped
    #[command(after_help = "Examples:\n  slothctl scheduler pause-all --reason 'kernel update' -y")]
    PauseAll(PauseAllArgs),
    /// Fire again after pause-all
    #[command(after_help = "Examples:\n  slothctl scheduler resume-all")]
    ResumeAll,
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// Name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) trigger: TriggerFlags,
    #[command(flatten)]
    pub(crate) fields: Fields,
    /// Replace a schedule of this name
    #[arg(long, conflicts_with = "if_changed", help_heading = "If it exists")]
    pub(crate) replace: bool,
    /// Replace it only when a field differs
    #[arg(long, help_heading = "If it exists")]
    pub(crate) if_changed: bool,
    /// Program and arguments, without a shell
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["shell", "file", "saved"], help_heading = "What it runs")]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct EditArgs {
    /// Name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) trigger: TriggerFlags,
    #[command(flatten)]
    pub(crate) fields: Fields,
    /// Set a field back to its default (repeatable)
    #[arg(long, value_name = "FIELD", value_delimiter = ',', help_heading = "Options of the schedule")]
    pub(crate) clear: Vec<String>,
    /// Program and arguments, without a shell
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["shell", "file", "saved"], help_heading = "What it runs")]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Of every user
    #[arg(long)]
    pub(crate) all_users: bool,
    /// The periodic jobs of the daemon itself
    #[arg(long)]
    pub(crate) system: bool,
    /// With this label
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Whose last run failed
    #[arg(long)]
    pub(crate) failed: bool,
}

#[derive(Args, Debug)]
pub(crate) struct NameArg {
    /// Name; another's is user/name
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct NamesArg {
    /// Names; another's is user/name
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct EnableArgs {
    /// Name; another's is user/name
    pub(crate) name: String,
    /// With an expression the name is a stack's
    #[arg(hide = true)]
    pub(crate) cron: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DisableArgs {
    /// Name; another's is user/name
    pub(crate) name: String,
    /// Time at which it is enabled again, or a duration from now
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Name; another's is user/name
    pub(crate) name: String,
    /// Wait for the end and exit with the result of the run
    #[arg(short, long)]
    pub(crate) wait: bool,
    /// Print the output until the end, and exit with the result of the run
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct NextArgs {
    /// Name, or an expression such as '30 2 * * *' or '@daily'
    #[arg(value_name = "NAME|EXPR")]
    pub(crate) what: String,
    /// How many
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 10)]
    pub(crate) count: u32,
    /// Time zone of an expression
    #[arg(long, visible_alias = "timezone", value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// After this time instead of now
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    /// Expression
    pub(crate) expr: String,
    /// Time zone
    #[arg(long, visible_alias = "timezone", value_name = "ZONE")]
    pub(crate) tz: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// Name; another's is user/name
    pub(crate) name: String,
    /// How many
    #[arg(short = 'n', long = "count", value_name = "N")]
    pub(crate) count: Option<u64>,
    /// From this time on
    #[arg(long, visible_alias = "from", value_name = "T")]
    pub(crate) since: Option<String>,
    /// Up to this time, default now; a later one also shows what is planned
    #[arg(long, visible_alias = "to", value_name = "T")]
    pub(crate) until: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Name; another's is user/name
    pub(crate) name: String,
    /// The instant; without it the situation now
    #[arg(long, value_name = "T")]
    pub(crate) at: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Name; without it every schedule
    pub(crate) name: Option<String>,
    /// Only instants from this time on
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// toml or crontab
    #[arg(long, value_name = "FORMAT", default_value = "toml", value_parser = ["toml", "crontab"])]
    pub(crate) format: String,
    /// Of every user
    #[arg(long)]
    pub(crate) all_users: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PauseAllArgs {
    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// From crontabs; without FILE the caller's own
    #[command(after_help = "Examples:
  slothctl scheduler import crontab --dry-run
  slothctl scheduler import crontab --all-system
  slothctl scheduler import crontab /etc/cron.d backup.cron
  crontab -l -u ann | slothctl scheduler import crontab - --user ann")]
    Crontab(CrontabArgs),
    /// From systemd timers and the services that they start
    #[command(after_help = "Examples:
  slothctl scheduler import systemd logrotate.timer --dry-run
  slothctl scheduler import systemd --all --dry-run")]
    Systemd(SystemdArgs),
    /// From a file with scheduled_tasks
    #[command(after_help = "Examples:\n  slothctl scheduler import yaml tasks.yml --dry-run")]
    Yaml(YamlArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ImportOptions {
    /// Only say what would be made
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace schedules of the same name
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CrontabArgs {
    /// Files or directories; -: standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Whose jobs they are
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The files have a user column (certain below /etc/cron.d)
    #[arg(long)]
    pub(crate) system: bool,
    /// /etc/crontab, /etc/cron.d, /etc/anacrontab and /etc/cron.{hourly,daily,weekly,monthly}
    #[arg(long, conflicts_with_all = ["files", "user"])]
    pub(crate) all_system: bool,
    #[command(flatten)]
    pub(crate) options: ImportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct SystemdArgs {
    /// Timer units, by name or path
    #[arg(value_name = "UNIT.timer", required_unless_present = "all")]
    pub(crate) units: Vec<String>,
    /// Every timer of the system
    #[arg(long, conflicts_with = "units")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) options: ImportOptions,
}

#[derive(Args, Debug)]
pub(crate) struct YamlArgs {
    /// File; -: standard input
    pub(crate) file: String,
    #[command(flatten)]
    pub(crate) options: ImportOptions,
}
