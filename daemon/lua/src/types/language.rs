//! Declarations and documentation of the definition language, from the tables that drive it.

use std::fmt::Write;

use sloth_core::workflow::Backoff;

use super::luau::{is_keyword, key, optional, part, split};
use crate::define::words::{
    Doc, FUNCTIONS, Form, GLOBALS, Global, config_words, runner_keys, stage_keys, task_words, workflow_words,
};

/// Types that the tables name, and objects that are no builders.
const SHAPES: &str = include_str!("shapes.d.luau");

/// Keys of a task's table that are no words.
const TASK_KEYS: &[(&str, &str, &str)] = &[
    ("name", "string", "Its name."),
    ("run", "Command", "What the task does."),
    ("action", "(...any) -> ...any", "A function that the task calls."),
    ("uses", "string | Task", "A task whose fields are the defaults."),
    ("module", "string", "A library function that the task calls: `module.function`, or with `action`."),
    ("args", "any", "Arguments of `module`."),
];

/// Tables that can also be called, and how.
const CALLABLE: &[(&str, &str)] = &[
    ("task", "(name: string | TaskTable, table: any?) -> Task"),
    ("workflow", "(name: string | WorkflowTable, table: WorkflowTable?) -> Workflow"),
    ("error", "(message: any, level: number?) -> never"),
    ("stack", "(name: string) -> any"),
];

/// Names that are known and not in this build.
const ABSENT: &[&str] = &["secrets", "group", "pipeline", "job", "module_info"];

/// All of it.
pub(super) fn declare(text: &mut String) {
    text.push_str(SHAPES);
    let names: Vec<String> = Backoff::ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "--- How delays between attempts grow.\nexport type Strategy = {}", names.join(" | "));

    let (task, workflow, config) = (task_words(), workflow_words(), config_words());
    builder(text, "A task.", "Task", task.iter());
    builder(text, "A workflow.", "Workflow", workflow.iter().chain(config.iter().filter(|word| !has(&workflow, word))));

    let keys = task_keys().into_iter().chain(word_keys(task.iter()));
    table(text, "The table of a task.", "TaskTable", keys);
    let name = ("name".to_owned(), "string?".to_owned(), "Its name.".to_owned());
    let others = config.iter().filter(|word| !has(&workflow, word));
    let keys = std::iter::once(name).chain(word_keys(workflow.iter().chain(others)));
    table(text, "The table of a workflow.", "WorkflowTable", keys);
    table(text, "The configuration of a workflow.", "Config", word_keys(config.iter()).into_iter());
    table(text, "A stage.", "StageTable", plain_keys(stage_keys()).into_iter());
    let _ =
        writeln!(text, "--- A stage, or a composition without a name.\nexport type Stage = StageTable | Descriptor");
    table(text, "The configuration of a run.", "RunnerConfig", plain_keys(runner_keys()).into_iter());
    globals(text);
}

fn has(words: &[Doc], wanted: &Doc) -> bool {
    words.iter().any(|word| word.name == wanted.name)
}

fn names(word: &Doc) -> impl Iterator<Item = &'static str> {
    std::iter::once(word.name).chain(word.aliases.iter().copied())
}

fn about(word: &Doc) -> String {
    if word.here { word.about.to_owned() } else { format!("{} Not in this build.", word.about) }
}

/// A class whose methods give the object back.
fn builder<'a>(text: &mut String, sentence: &str, class: &str, words: impl Iterator<Item = &'a Doc>) {
    let _ = writeln!(text, "\n--- {sentence}\ndeclare extern type {class} with\n  name: string");
    for word in words.filter(|word| word.form != Form::Key) {
        for name in names(word).filter(|name| !is_keyword(name)) {
            let _ = writeln!(text, "  --- {}", about(word));
            let _ = writeln!(text, "  function {name}({}): {class}", parameters(word.args));
        }
    }
    let _ = writeln!(text, "  --- Nothing may be changed any more.\n  function build(self): {class}");
    let _ = writeln!(text, "  --- Runs it; in a task, as its child.\n  function run(self, ...: any): ...any");
    let _ = writeln!(text, "  function __call(self, table: {class}Table): {class}\nend");
}

/// `self`, then the parameters of a word; a type alone is that of its value.
fn parameters(args: &str) -> String {
    let mut list = vec!["self".to_owned()];
    for parameter in split(args, ',') {
        list.push(if named(parameter).is_some() { parameter.to_owned() } else { format!("value: {parameter}") });
    }
    list.join(", ")
}

/// Name and type of `name: type`.
fn named(parameter: &str) -> Option<(&str, &str)> {
    let (name, kind) = parameter.split_once(':')?;
    let is_name = name == "..." || name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_name.then(|| (name, kind.trim()))
}

type Key = (String, String, String);

/// Key, type and sentence of what can be written in a table.
fn word_keys<'a>(words: impl Iterator<Item = &'a Doc>) -> Vec<Key> {
    let words = words.filter(|word| word.form != Form::Method);
    words
        .flat_map(|word| names(word).map(move |name| (name.to_owned(), optional(&value(word.args)), about(word))))
        .collect()
}

/// The type of a key's value: the first parameter; where a method has several, a table has them all.
fn value(args: &str) -> String {
    let parameters = split(args, ',');
    let first = parameters.first().copied().unwrap_or("boolean");
    let (name, kind) = named(first).unwrap_or(("", first));
    match (name, parameters.len()) {
        ("...", _) => format!("{} | {{any}}", part(kind)),
        (_, 0 | 1) => kind.to_owned(),
        _ => format!("{} | {{any}} | {{[string]: any}}", part(kind)),
    }
}

fn task_keys() -> Vec<Key> {
    plain_keys(TASK_KEYS)
}

fn plain_keys(keys: &[(&str, &str, &str)]) -> Vec<Key> {
    keys.iter().map(|(name, kind, about)| ((*name).to_owned(), optional(kind), (*about).to_owned())).collect()
}

fn table(text: &mut String, sentence: &str, name: &str, keys: impl Iterator<Item = Key>) {
    let _ = writeln!(text, "\n--- {sentence}\nexport type {name} = {{");
    for (name, kind, about) in keys {
        let _ = writeln!(text, "  --- {about}\n  {}: {kind},", key(&name));
    }
    text.push_str("}\n");
}

fn globals(text: &mut String) {
    for global in GLOBALS {
        let _ = writeln!(text, "\n--- {}\ndeclare {}: {}", global.about, global.name, global.kind);
    }
    for name in tables() {
        let called = CALLABLE.iter().find(|(known, _)| *known == name).map(|(_, kind)| format!("({kind}) & "));
        let _ = writeln!(text, "\ndeclare {name}: {}{{", called.unwrap_or_default());
        for (function, global) in functions(name) {
            let _ = writeln!(text, "  --- {}\n  {}: {},", global.about, key(function), global.kind);
        }
        text.push_str("}\n");
    }
    text.push('\n');
    for name in ABSENT {
        let _ = writeln!(text, "--- Not in this build.\ndeclare {name}: any");
    }
}

/// Tables of [`FUNCTIONS`], each once, in order.
pub(super) fn tables() -> Vec<&'static str> {
    let mut found: Vec<&str> = FUNCTIONS.iter().filter_map(|global| Some(global.name.split_once('.')?.0)).collect();
    found.dedup();
    found
}

fn functions(table: &str) -> impl Iterator<Item = (&'static str, &'static Global)> {
    FUNCTIONS.iter().filter_map(move |global| {
        let (owner, name) = global.name.split_once('.')?;
        (owner == table).then_some((name, global))
    })
}

/// The language in Markdown.
pub(super) fn document(text: &mut String) {
    text.push_str("\n## The language\n");
    let word = |word: &Doc| {
        let form = match word.form {
            Form::Both => "method, key",
            Form::Method => "method",
            Form::Key => "key",
        };
        [names(word).collect::<Vec<_>>().join("`, `"), word.args.to_owned(), format!("{form}. {}", about(word))]
    };
    let plain =
        |(name, kind, about): &(&str, &str, &str)| [(*name).to_owned(), (*kind).to_owned(), (*about).to_owned()];
    let global = |global: &Global| [global.name.to_owned(), global.kind.to_owned(), global.about.to_owned()];
    let tasks = task_keys();
    let tasks = tasks.iter().map(|(name, kind, about)| [name.clone(), kind.clone(), format!("key. {about}")]);
    rows(text, "Globals", GLOBALS.iter().map(global));
    rows(text, "Functions", FUNCTIONS.iter().map(global));
    rows(text, "Words of tasks", tasks.chain(task_words().iter().map(word)));
    rows(text, "Words of workflows", workflow_words().iter().map(word));
    rows(text, "Words of `config`", config_words().iter().map(word));
    rows(text, "Keys of stages", stage_keys().iter().map(plain));
    rows(text, "Keys of `runner_config`", runner_keys().iter().map(plain));
}

fn rows(text: &mut String, title: &str, rows: impl Iterator<Item = [String; 3]>) {
    let _ = writeln!(text, "\n### {title}\n\n| Name | Luau | |\n|---|---|---|");
    for [name, kind, about] in rows {
        let kind = if kind.is_empty() { String::new() } else { format!("`{}`", super::cell(&kind)) };
        let _ = writeln!(text, "| `{name}` | {kind} | {} |", super::cell(&about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_type_of_the_first_parameter() {
        assert_eq!(value("time: Duration"), "Duration");
        assert_eq!(value("...: Reference"), "Reference | {any}");
        assert_eq!(value("key: string, n: number?"), "string | {any} | {[string]: any}");
        assert_eq!(value("undo: (ctx: any) -> ...any"), "(ctx: any) -> ...any");
        assert_eq!(value("{[string]: any}"), "{[string]: any}");
        assert_eq!(
            parameters("boolean | ((result: any) -> boolean)"),
            "self, value: boolean | ((result: any) -> boolean)"
        );
    }

    #[test]
    fn every_key_that_the_dispatch_knows_is_described() {
        let described: Vec<&str> = TASK_KEYS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(described, crate::define::words::TASK_KEYS);
    }
}
