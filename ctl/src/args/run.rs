//! `slothctl run …`: a workflow, now.

use clap::Args;

#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "Examples:
  slothctl run backup.sloth --set keep=7
  slothctl run lab -f site.sloth -v eu.yaml --set region=eu --check
  slothctl run site.sloth -o json | jq -r 'select(.type==\"summary\").status'
  slothctl run --resume 9f31c2a7 --from publish
  slothctl run -- rsync -a /srv/ /mnt/copy/
  slothctl run report.sloth --standalone        # no daemon needed

As sub-commands: run list, run show, run logs, run cancel, ... are runs list, runs show, ...")]
pub(crate) struct RunWorkflow {
    /// A workflow file (.sloth, .lua, or any that exists; -: standard input), else the name of a stack
    #[arg(value_name = "FILE|STACK")]
    pub(crate) target: Option<String>,
    /// One shell command instead of a file: a workflow named adhoc
    #[arg(value_name = "TEXT", conflicts_with_all = ["file", "saved", "command"])]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) what: What,
    #[command(flatten)]
    pub(crate) values: ValueFlags,
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    #[command(flatten)]
    pub(crate) follow: Follow,
    #[command(flatten)]
    pub(crate) context: Context,
    #[command(flatten)]
    pub(crate) later: Later,
    /// Program and arguments, without a shell: a workflow named adhoc
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["file", "saved"], help_heading = "What it runs")]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What it runs")]
pub(crate) struct What {
    /// Workflow file; -: standard input
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: Option<String>,
    /// Saved workflow; wins over --file
    #[arg(long, alias = "sloth", value_name = "NAME")]
    pub(crate) saved: Option<String>,
    /// Stack, instead of the name of the file
    #[arg(long, value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// One of several workflows in the file
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Go on with an interrupted, failed or cancelled run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["rerun", "file", "saved", "target", "command"])]
    pub(crate) resume: Option<String>,
    /// A new run of the same program with the same values
    #[arg(long, value_name = "RUN", conflicts_with_all = ["file", "saved", "target", "command"])]
    pub(crate) rerun: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Values")]
pub(crate) struct ValueFlags {
    /// Files of values: YAML, JSON or TOML; later ones win (repeatable)
    #[arg(short = 'v', long = "values", value_name = "FILE")]
    pub(crate) value_files: Vec<String>,
    #[allow(rustdoc::broken_intra_doc_links)] // it is no link, and the text is that of the help
    /// A value, such as db.hosts[0]=a; true, false, null and numbers are no text (repeatable)
    #[arg(long, value_name = "K=V")]
    pub(crate) set: Vec<String>,
    /// A value that is text (repeatable)
    #[arg(long, value_name = "K=V")]
    pub(crate) set_string: Vec<String>,
    /// A value that is the content of a file (repeatable)
    #[arg(long, value_name = "K=PATH")]
    pub(crate) set_file: Vec<String>,
    /// A parameter of the tasks (repeatable)
    #[arg(long = "param", value_name = "K=V")]
    pub(crate) params: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which tasks")]
pub(crate) struct Selection {
    /// Only these tasks and what they depend on
    #[arg(long = "task", value_name = "TASK", value_delimiter = ',')]
    pub(crate) tasks: Vec<String>,
    /// --task without what they depend on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// This task and everything after it
    #[arg(long, value_name = "TASK")]
    pub(crate) from: Option<String>,
    /// Not these tasks
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
    /// Only tasks with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
    /// No task with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) skip_tags: Vec<String>,
    /// Only this stage
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Without changing anything")]
pub(crate) struct Mode {
    /// Run the tasks, change nothing, say what would change
    #[arg(long, conflicts_with = "plan")]
    pub(crate) check: bool,
    /// Only show the graph and what would be done; no run is made
    #[arg(long, visible_alias = "dry-run")]
    pub(crate) plan: bool,
    /// Store the plan
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(crate) out: Option<String>,
    /// Exit with 6 when the plan holds changes
    #[arg(long, requires = "plan")]
    pub(crate) exit_code: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Instead of what the workflow says")]
pub(crate) struct Overrides {
    /// Tasks at once
    #[arg(long, value_name = "N")]
    pub(crate) max_parallel: Option<u32>,
    /// One task at a time, in their order
    #[arg(long, conflicts_with = "max_parallel")]
    pub(crate) sequential: bool,
    /// Go on with what does not depend on a failed task
    #[arg(long, conflicts_with = "fail_fast")]
    pub(crate) continue_on_error: bool,
    /// End running tasks at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// End the run after this time
    #[arg(long, value_name = "D")]
    pub(crate) timeout: Option<String>,
    /// Retries of tasks without their own
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// Place in the queue, -100 to 100
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub(crate) priority: Option<i32>,
    /// Compensate nothing after a failure
    #[arg(long)]
    pub(crate) no_compensate: bool,
    /// Warnings of the definition are errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Debug lines in the log, too
    #[arg(long)]
    pub(crate) debug: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Following it")]
pub(crate) struct Follow {
    /// Print the id and leave it alone
    #[arg(long, conflicts_with = "attach_lifetime")]
    pub(crate) detach: bool,
    /// Stay until the end (the default)
    #[arg(long, conflicts_with = "detach")]
    pub(crate) follow: bool,
    /// Cancel the run when slothctl is told to end
    #[arg(long)]
    pub(crate) attach_lifetime: bool,
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
    /// No daemon needed: a private one lives for this command, below --root DIR or a temporary directory
    #[arg(long, conflicts_with_all = ["detach", "resume", "rerun"])]
    pub(crate) standalone: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Process context")]
pub(crate) struct Context {
    /// Who it runs as
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Sandbox profile
    #[arg(long, value_name = "PROFILE")]
    pub(crate) sandbox: Option<String>,
    /// Variable (repeatable)
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<String>,
    /// Directory that paths and commands start from, default the present one
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// Label (repeatable)
    #[arg(long = "label", value_name = "K=V")]
    pub(crate) labels: Vec<String>,
}

/// Flags that the command line reserves; each is answered with `not_supported`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Later {
    #[arg(short = 'd', long, hide = true, value_name = "AGENT", num_args = 1..)]
    delegate_to: Vec<String>,
    #[arg(long, hide = true)]
    force_delegate: bool,
    #[arg(long, hide = true, value_name = "PROFILE")]
    ssh: Option<String>,
    #[arg(long, hide = true)]
    ssh_password_stdin: bool,
    #[arg(long, hide = true)]
    diff: bool,
    #[arg(long, hide = true, value_name = "FILE")]
    plan_file: Option<String>,
    #[arg(long, hide = true)]
    no_lock: bool,
    #[arg(long, hide = true, value_name = "D")]
    lock_wait: Option<String>,
    #[arg(long, hide = true, value_name = "TEXT")]
    lock_reason: Option<String>,
    #[arg(long, hide = true)]
    snapshot: bool,
    #[arg(long, hide = true)]
    no_snapshot: bool,
    #[arg(long, hide = true)]
    prune: bool,
    #[arg(long, hide = true)]
    with_deps: bool,
    #[arg(long, hide = true)]
    no_cache: bool,
    #[arg(long, hide = true)]
    refresh_cache: bool,
    #[arg(long, hide = true, value_name = "D", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    wait_hooks: Option<String>,
    #[arg(long, hide = true, value_name = "FORMAT")]
    log_format: Option<String>,
    #[arg(short = 'i', long, hide = true)]
    interactive: bool,
    #[arg(long, hide = true, value_name = "K=V")]
    unit_property: Vec<String>,
    #[arg(long, hide = true)]
    password_stdin: bool,
}

impl Later {
    /// The first flag that was given, with what to do instead.
    pub(crate) fn given(&self) -> Option<(&'static str, &'static str)> {
        let agents = "agents are not part of this version; tasks run on this machine";
        let stacks = "stacks hold no locks, snapshots or resources in this version";
        let later = "leave it out";
        let flags = [
            ("--delegate-to", !self.delegate_to.is_empty(), agents),
            ("--force-delegate", self.force_delegate, agents),
            ("--ssh", self.ssh.is_some(), agents),
            ("--ssh-password-stdin", self.ssh_password_stdin, agents),
            ("--diff", self.diff, "--check says what would change"),
            ("--plan-file", self.plan_file.is_some(), "run the workflow itself"),
            ("--no-lock", self.no_lock, stacks),
            ("--lock-wait", self.lock_wait.is_some(), stacks),
            ("--lock-reason", self.lock_reason.is_some(), stacks),
            ("--snapshot", self.snapshot, stacks),
            ("--no-snapshot", self.no_snapshot, stacks),
            ("--prune", self.prune, stacks),
            ("--with-deps", self.with_deps, stacks),
            ("--no-cache", self.no_cache, "results are not cached in this version"),
            ("--refresh-cache", self.refresh_cache, "results are not cached in this version"),
            ("--wait-hooks", self.wait_hooks.is_some(), later),
            ("--log-format", self.log_format.is_some(), "use --output json"),
            ("--interactive", self.interactive, "choose tasks with --task, --from and --skip"),
            ("--unit-property", !self.unit_property.is_empty(), later),
            ("--password-stdin", self.password_stdin, later),
        ];
        flags.into_iter().find(|(_, given, _)| *given).map(|(flag, _, hint)| (flag, hint))
    }
}
