//! What must be in the declarations whatever the modules are.

use super::*;

#[test]
fn every_function_is_declared_and_documented() {
    let (types, text) = (definitions(&[]), documentation(&[]));
    assert_eq!(types.matches("declare goroutine: {").count(), 1);
    assert!(types.contains("declare go: {"), "aliases, too");
    assert!(text.contains("| `pool_create(name, options={workers = 4, queue = 1000})` |"), "{text}");
    for module in STANDARD {
        for function in module.functions {
            assert!(types.contains(&format!("  {}: ", luau::key(function.name))), "{}.{}", module.name, function.name);
            assert!(text.contains(&format!("`{}(", function.name)), "{}.{}", module.name, function.name);
            assert!(!function.about.is_empty() && !function.returns.is_empty(), "{}", function.name);
        }
    }
}

#[test]
fn every_word_of_the_language_is_declared() {
    use crate::define::words::{FUNCTIONS, GLOBALS, task_words};
    let types = definitions(&[]);
    for global in GLOBALS {
        assert!(types.contains(&format!("declare {}: ", global.name)), "{}", global.name);
    }
    for function in FUNCTIONS {
        let (table, name) = function.name.split_once('.').expect("in a table");
        let body = types.split(&format!("\ndeclare {table}: ")).nth(1).expect("the table");
        assert!(
            body.split("\n}").next().is_some_and(|body| body.contains(&format!("  {name}: "))),
            "{}",
            function.name
        );
    }
    for word in task_words() {
        assert!(
            types.contains(&format!("function {}(self", word.name)) || types.contains(&format!("  {}: ", word.name))
        );
    }
}

/// The forms that editors depend on, one of each.
#[test]
fn words_have_the_types_of_their_tables() {
    let types = definitions(&[]);
    for line in [
        "  function depends_on(self, ...: Reference): Task\n",
        "  function execute(self, command: Command): Task\n",
        "  function run_locally(self): Task\n",
        "  function timeout(self, value: Duration): Workflow\n",
        "  on_fail: ((this: This, params: any, err: any) -> ...any)?,\n",
        "  concurrency: (string | {any} | {[string]: any})?,\n",
        "declare values: ((defaults: {[string]: any}) -> {[string]: any}) & {[string]: any}\n",
        "declare task: ((name: string | TaskTable, table: any?) -> Task) & {\n",
    ] {
        assert!(types.contains(line), "{line}");
    }
}

/// What is said of a table's keys by hand is what readers of these tables accept.
#[test]
fn shapes_have_the_keys_that_are_read() {
    let types = definitions(&[]);
    for (name, keys) in crate::define::read::shapes() {
        let body = types.split(&format!("export type {name} = {{")).nth(1).and_then(|rest| rest.split("\n}").next());
        let body = body.unwrap_or_else(|| panic!("no {name}"));
        for key in keys {
            assert!(body.contains(&format!("  {key}: ")), "{name}.{key}");
        }
    }
}
