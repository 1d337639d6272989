//! Calls of modules, their two forms and their results.

use serde_json::json;

use super::*;

#[test]
fn positional_arguments_or_one_table_or_options_last() {
    let world = world();
    assert_eq!(world.values("return probe.echo('a', 2)"), json!(["a|2|"]));
    assert_eq!(world.values("return probe.echo{text = 'a', count = '2', mode = 'm'}"), json!(["a|2|m"]));
    assert_eq!(world.values("return probe.echo('a', {mode = 'm'})"), json!(["a||m"]));
    assert_eq!(world.values("return probe.echo(7)"), json!(["7||"]), "numbers are accepted for strings");
}

#[test]
fn a_wrong_type_raises_with_the_names() {
    let world = world();
    let error = world.error("probe.echo({1, 2})");
    assert!(error.contains("bad argument 'text' to 'probe.echo' (string expected, got"), "{error}");
    let error = world.error("probe.echo()");
    assert!(error.ends_with("bad argument 'text' to 'probe.echo' (string expected, got nil)"), "{error}");
    assert!(error.starts_with("main.sloth:1:"), "{error}");
}
