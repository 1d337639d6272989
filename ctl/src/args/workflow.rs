//! `slothctl workflow …`, `slothctl saved …` and their short forms.

use clap::{Args, Subcommand};

use super::run::RunWorkflow;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// Saved workflows and those seen in runs
    #[command(visible_alias = "ls", after_help = "Examples:\n  slothctl workflow list\n  slothctl workflow list --all")]
    List(ListWorkflows),
    /// Tasks, stages, conditions and sagas of a workflow
    #[command(
        visible_alias = "preview",
        after_help = "Examples:
  slothctl workflow show -f site.sloth
  slothctl workflow show nightly --format mermaid"
    )]
    Show(ShowWorkflow),
    /// The graph of a workflow
    #[command(after_help = "Examples:\n  slothctl workflow graph -f site.sloth --format dot | dot -Tsvg > site.svg")]
    Graph(ShowWorkflow),
    /// Look for mistakes without running anything; exit code 2 when there are some
    #[command(
        after_help = "Examples:\n  slothctl workflow validate *.sloth\n  slothctl validate site.sloth --strict -o json"
    )]
    Validate(ValidateWorkflow),
    /// Run a workflow (slothctl run)
    Run(Box<RunWorkflow>),
    /// Save a workflow under a name (saved add)
    #[command(after_help = "Examples:\n  slothctl workflow add nightly -f nightly.sloth -d 'Night jobs'")]
    Add(SaveWorkflow),
    /// Remove saved workflows (saved remove)
    #[command(visible_aliases = ["delete", "rm"], after_help = "Examples:\n  slothctl workflow remove nightly")]
    Remove(Names),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SavedCommand {
    /// Save a workflow file with what it imports
    #[command(after_help = "Examples:\n  slothctl saved add nightly -f nightly.sloth -d 'Night jobs'")]
    Add(SaveWorkflow),
    /// Replace the program of a saved workflow
    #[command(after_help = "Examples:\n  slothctl saved update nightly -f nightly.sloth")]
    Update(UpdateSaved),
    /// List saved workflows
    #[command(visible_alias = "ls", after_help = "Examples:\n  slothctl saved list\n  slothctl saved list -a")]
    List(ListSaved),
    /// One saved workflow; -c content: its program
    #[command(
        visible_alias = "show",
        after_help = "Examples:\n  slothctl saved get nightly -c content > nightly.sloth"
    )]
    Get(GetSaved),
    /// Let them run again
    #[command(after_help = "Examples:\n  slothctl saved activate nightly")]
    Activate(Names),
    /// Let them refuse to run
    #[command(after_help = "Examples:\n  slothctl saved deactivate nightly")]
    Deactivate(Names),
    /// Remove them; their runs stay
    #[command(visible_aliases = ["delete", "rm"], after_help = "Examples:\n  slothctl saved remove nightly")]
    Remove(Names),
    /// Write the program to a file, or to standard output
    #[command(after_help = "Examples:\n  slothctl saved export nightly nightly.sloth")]
    Export(ExportSaved),
}

#[derive(Args, Debug)]
pub(crate) struct ListWorkflows {
    /// Also inactive ones
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowWorkflow {
    /// A saved workflow, or a workflow file
    #[arg(value_name = "NAME", required_unless_present = "file")]
    pub(crate) name: Option<String>,
    /// Workflow file; -: standard input
    #[arg(short, long, value_name = "PATH", conflicts_with = "name")]
    pub(crate) file: Option<String>,
    /// One of several workflows in the file
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// tree json yaml mermaid dot svg
    #[arg(long, value_name = "FORMAT", value_parser = ["tree", "json", "yaml", "mermaid", "dot", "svg"], hide_possible_values = true)]
    pub(crate) format: Option<String>,
    #[command(flatten)]
    pub(crate) values: super::run::ValueFlags,
}

#[derive(Args, Debug)]
pub(crate) struct ValidateWorkflow {
    /// Workflow files; -: standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Evaluate the definition, with every change simulated; it is always done
    #[arg(long)]
    evaluate: bool,
    /// Warnings are errors
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) values: super::run::ValueFlags,
}

#[derive(Args, Debug)]
pub(crate) struct SaveWorkflow {
    /// Name
    pub(crate) name: String,
    /// Workflow file; -: standard input
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: String,
    /// For people
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Whether it may run
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = clap::builder::BoolishValueParser::new(), hide_possible_values = true)]
    pub(crate) active: Option<bool>,
    /// Replace one of this name
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UpdateSaved {
    /// Name
    pub(crate) name: String,
    /// Workflow file; -: standard input
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: String,
}

#[derive(Args, Debug)]
pub(crate) struct ListSaved {
    /// Also inactive ones
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GetSaved {
    /// Name
    pub(crate) name: String,
    /// Only this: content
    #[arg(short, value_name = "PART", value_parser = ["content"], hide_possible_values = true)]
    pub(crate) content: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExportSaved {
    /// Name
    pub(crate) name: String,
    /// Where to; without it standard output
    pub(crate) file: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Names {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
