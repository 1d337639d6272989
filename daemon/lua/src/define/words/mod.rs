//! The words of the language as data: one table gives the dispatch of builder methods and table keys, suggestions for
//! misspelt ones, and what the documentation and the editor types say about them.

mod config;
mod globals;
mod parts;
mod runner;
mod task;
mod workflow;

use sloth_core::workflow::suggest;

use super::desk::Desk;
use super::draft::{TaskDraft, WorkflowDraft};
use super::fault::Fault;
use super::raw::Raw;

pub(crate) use config::CONFIG;
pub use globals::{FUNCTIONS, GLOBALS, Global};
pub(crate) use parts::{keep_unknown, set_command};
pub(crate) use runner::runner_config;
pub(crate) use task::TASK;
pub(crate) use workflow::{WORKFLOW, apply};

/// Keys of a task's table that are no fields.
pub(crate) const TASK_KEYS: &[&str] = &["name", "run", "action", "uses", "module", "args"];

/// Names of the configuration.
pub(crate) fn config_names() -> Vec<&'static str> {
    CONFIG.iter().flat_map(Word::names).collect()
}

/// Where a word can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a method and as a key of a table.
    Both,
    /// Only as a method.
    Method,
    /// Only as a key.
    Key,
}

/// A method of a builder, a key of its table, or both.
pub struct Word<T: 'static> {
    /// Name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// Where.
    pub form: Form,
    /// Parameters in Luau, such as `n: number, strategy: string?`.
    pub args: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What it does; `None`: reserved, not in this build.
    pub apply: Option<Apply<T>>,
}

/// Changes a draft.
pub(crate) type Apply<T> = fn(&mut T, &[Raw], &Desk) -> Result<(), Fault>;

impl<T> Word<T> {
    /// All its spellings.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// A method by its name.
pub(crate) fn method<T>(words: &'static [Word<T>], name: &str) -> Option<&'static Word<T>> {
    words.iter().find(|word| word.form != Form::Key && word.is(name))
}

/// A key by its name.
pub(crate) fn key<T>(words: &'static [Word<T>], name: &str) -> Option<&'static Word<T>> {
    words.iter().find(|word| word.form != Form::Method && word.is(name))
}

/// The method that was meant.
pub(crate) fn near_method<T>(words: &'static [Word<T>], extra: &[&'static str], name: &str) -> Option<&'static str> {
    let methods = words.iter().filter(|word| word.form != Form::Key).flat_map(Word::names);
    suggest(name, methods.chain(extra.iter().copied()))
}

/// The key that was meant.
pub(crate) fn near_key<T>(words: &'static [Word<T>], extra: &[&'static str], name: &str) -> Option<&'static str> {
    let keys = words.iter().filter(|word| word.form != Form::Method).flat_map(Word::names);
    suggest(name, keys.chain(extra.iter().copied()))
}

/// A word as the documentation sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// Where.
    pub form: Form,
    /// Parameters in Luau.
    pub args: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Works in this build.
    pub here: bool,
}

fn docs<T>(words: &'static [Word<T>]) -> Vec<Doc> {
    words
        .iter()
        .map(|word| Doc {
            name: word.name,
            aliases: word.aliases,
            form: word.form,
            args: word.args,
            about: word.about,
            here: word.apply.is_some(),
        })
        .collect()
}

/// Methods and keys of tasks.
pub fn task_words() -> Vec<Doc> {
    docs(TASK)
}

/// Methods and keys of workflows; those of the configuration are [`config_words`].
pub fn workflow_words() -> Vec<Doc> {
    docs(WORKFLOW)
}

/// Keys of the configuration table, which are also accepted in the table of a workflow.
pub fn config_words() -> Vec<Doc> {
    docs(CONFIG)
}

/// Keys of a stage: name, Luau type, sentence.
pub fn stage_keys() -> &'static [(&'static str, &'static str, &'static str)] {
    &super::read::STAGE_KEYS
}

/// Keys of `runner_config`: name, Luau type, sentence.
pub fn runner_keys() -> &'static [(&'static str, &'static str, &'static str)] {
    runner::KEYS
}

pub(crate) type TaskWord = Word<TaskDraft>;
pub(crate) type WorkflowWord = Word<WorkflowDraft>;

/// Argument number `at`.
pub(crate) fn arg(args: &[Raw], at: usize) -> &Raw {
    args.get(at).unwrap_or(&Raw::Nil)
}
