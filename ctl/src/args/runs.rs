//! `slothctl runs …` and its short forms.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    #[command(visible_aliases = ["ls", "ps"], after_help = "Examples:
  slothctl runs list --status failed --since 24h
  slothctl runs list --schedule nightly -o wide
  slothctl runs list --workflow site_release --label team=web")]
    List(ListRunsArgs),
    /// Everything about one run
    #[command(after_help = "Examples:\n  slothctl runs show 9f31c2a7\n  slothctl runs show 9f31c2a7 --tasks --values")]
    Show(ShowRunArgs),
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
    /// Follow a run as if it had been started here; exits with its result
    #[command(after_help = "Examples:\n  slothctl runs attach 9f31c2a7\n  slothctl attach 9f31c2a7 -o json")]
    Attach(AttachArgs),
    /// Cancel runs
    #[command(
        after_help = "Examples:\n  slothctl runs cancel 9f31c2a7 --reason 'wrong host'\n  slothctl runs cancel 9f31c2a7 --force"
    )]
    Cancel(CancelArgs),
    /// Start no further tasks; running ones go on
    #[command(after_help = "Examples:\n  slothctl runs pause 9f31c2a7")]
    Pause(RunsArg),
    /// Go on after a pause
    #[command(after_help = "Examples:\n  slothctl runs unpause 9f31c2a7")]
    Unpause(RunsArg),
    /// Go on with an interrupted, failed or cancelled run, under the same id
    #[command(after_help = "Examples:\n  slothctl runs resume 9f31c2a7 --from publish --follow")]
    Resume(ResumeArgs),
    /// A new run of the same program with the same values
    #[command(after_help = "Examples:\n  slothctl runs rerun 9f31c2a7 --follow")]
    Rerun(RerunArgs),
    /// Try failed compensations again
    #[command(after_help = "Examples:\n  slothctl runs compensate 9f31c2a7")]
    Compensate(RunArg),
    /// The graph of a run with the state of its tasks, or of a file
    #[command(after_help = "Examples:
  slothctl runs graph 9f31c2a7
  slothctl runs graph 9f31c2a7 --format svg > run.svg
  slothctl runs graph -f site.sloth --format mermaid")]
    Graph(GraphArgs),
    /// Events of a run
    #[command(after_help = "Examples:\n  slothctl runs events 9f31c2a7")]
    Events(RunArg),
    /// What a run put out
    #[command(after_help = "Examples:\n  slothctl runs outputs 9f31c2a7 -o json | jq .endpoint")]
    Outputs(RunArg),
    /// Checkpoints of a run
    #[command(after_help = "Examples:\n  slothctl runs checkpoints 9f31c2a7")]
    Checkpoints(RunArg),
    /// Stored artifacts of a run
    #[command(after_help = "Examples:\n  slothctl runs artifacts 9f31c2a7")]
    Artifacts(RunArg),
    /// What differs between two runs: program, values, tasks, outputs
    #[command(after_help = "Examples:\n  slothctl runs diff 9f31c2a7 0b77d210")]
    Diff(DiffArgs),
    /// Delete ended runs that are old or many
    #[command(after_help = "Examples:\n  slothctl runs prune --older-than 90d\n  slothctl runs prune --keep 1000 -y")]
    Prune(PruneArgs),
    /// Delete records and output of ended runs
    #[command(visible_aliases = ["remove", "rm"], after_help = "Examples:\n  slothctl runs delete 9f31c2a7")]
    Delete(RunsArg),
}

#[derive(Args, Debug)]
pub(crate) struct ListRunsArgs {
    /// queued starting running paused compensating interrupted completed failed cancelled
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// Of this stack
    #[arg(long, value_name = "STACK")]
    pub(crate) stack: Option<String>,
    /// Of this workflow
    #[arg(long, value_name = "WORKFLOW")]
    pub(crate) workflow: Option<String>,
    /// With this label: KEY or KEY=VALUE
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Option<String>,
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
    /// stdout, stderr or note; of a workflow stdout, stderr or log
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Option<String>,
    /// Only lines of this task of a workflow
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only from this time on, such as 10m
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<String>,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Each line with its time and stream
    #[arg(short = 't', long)]
    pub(crate) timestamps: bool,
    /// Control characters reach the terminal as they are; of a workflow the stored lines
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
    /// KILL at once; no handlers
    #[arg(long)]
    pub(crate) force: bool,
    /// Only this task of a workflow
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Compensate nothing
    #[arg(long)]
    pub(crate) no_compensate: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowRunArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
    /// Also its tasks with their messages
    #[arg(long)]
    pub(crate) tasks: bool,
    /// Also its values
    #[arg(long)]
    pub(crate) values: bool,
    /// Also its program
    #[arg(long)]
    pub(crate) bundle: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) look: FollowLook,
}

/// How a followed run is shown.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FollowLook {
    /// basic enhanced rich modern json yaml
    #[arg(short, long, value_name = "FORMAT",
          value_parser = ["basic", "enhanced", "rich", "modern", "json", "yaml", "table"], hide_possible_values = true)]
    pub(crate) output: Option<String>,
    /// Only the summary at the end
    #[arg(long)]
    pub(crate) summary_only: bool,
    /// Every log line under its task
    #[arg(long)]
    pub(crate) verbose: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
    /// Run this task and everything after it again
    #[arg(long, value_name = "TASK")]
    pub(crate) from: Option<String>,
    /// Stay until the end and exit with the result
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RerunArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    pub(crate) run: String,
    /// Stay until the end and exit with the result
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GraphArgs {
    /// Id, a unique beginning of it, or a unique end of at least 6 characters
    #[arg(required_unless_present = "file")]
    pub(crate) run: Option<String>,
    /// A workflow file instead of a run
    #[arg(short, long, value_name = "PATH", conflicts_with = "run")]
    pub(crate) file: Option<String>,
    /// tree json yaml mermaid dot svg
    #[arg(long, value_name = "FORMAT", value_parser = ["tree", "json", "yaml", "mermaid", "dot", "svg"], hide_possible_values = true)]
    pub(crate) format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// One run
    pub(crate) a: String,
    /// The other
    pub(crate) b: String,
    /// Exit with 6 when something differs
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// Those that ended longer ago
    #[arg(long, value_name = "D", required_unless_present = "keep")]
    pub(crate) older_than: Option<String>,
    /// All but the newest N of each schedule or workflow
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<u64>,
    /// Only say which
    #[arg(long)]
    pub(crate) dry_run: bool,
}
