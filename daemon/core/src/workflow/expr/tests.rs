//! Rules of expressions.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::*;
use crate::workflow::names::{NameIndex, Scope};
use crate::workflow::{Stage, StageId, Task, TaskId, Workflow};

/// Tasks `smoke` (failed) and `build` (completed, of stage `push`), stages `prepare` and `push`.
fn world_workflow() -> Workflow {
    let task =
        |name: &str, stage| Task { declared: name.into(), name: name.into(), stage: StageId(stage), ..Task::default() };
    Workflow {
        stages: ["prepare", "push"].map(|name| Stage { name: name.into(), ..Stage::default() }).to_vec(),
        tasks: vec![task("smoke", 0), task("build", 1), task("x y", 0), task("push", 0)],
        ..Workflow::default()
    }
}

struct Run {
    values: Value,
}

impl World for Run {
    fn task(&self, task: TaskId, field: &str) -> Cow<'_, Value> {
        Cow::Owned(match (task.0, field) {
            (0, "failed") => json!(true),
            (0, "success") => json!(false),
            (0, "status") => json!("failed"),
            (1, "success") => json!(true),
            (1, "status") => json!("completed"),
            (1, "output") => json!({"files": ["a", "b"], "n": 3}),
            (2, "success") => json!(true),
            (3, "status") => json!("task push"),
            _ => Value::Null,
        })
    }
    fn stage(&self, stage: StageId, field: &str) -> Cow<'_, Value> {
        Cow::Owned(json!(format!("stage {} {field}", stage.0)))
    }
    fn data(&self, root: DataRoot) -> Cow<'_, Value> {
        if root == DataRoot::Values { Cow::Borrowed(&self.values) } else { Cow::Owned(json!({"name": root.name()})) }
    }
    fn status(&self, function: StatusFunction) -> bool {
        matches!(function, StatusFunction::Failure | StatusFunction::Always)
    }
    fn exists(&self, path: &str) -> bool {
        path == "here"
    }
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".into())
    }
    fn agent_online(&self, name: &str) -> bool {
        name == "a1"
    }
    fn matches(&self, text: &str, pattern: &str) -> Result<bool, String> {
        if pattern == "(" { Err("bad regex".into()) } else { Ok(text.contains(pattern.trim_start_matches('^'))) }
    }
}

fn with_scope<T>(stage_first: bool, f: impl FnOnce(&Scope<'_>) -> T) -> T {
    let names = NameIndex::of(&world_workflow());
    f(&Scope { names: &names, stage: None, stage_first })
}

fn read(text: &str) -> Result<Expr, ExprError> {
    let mut expr = Expr::parse(text)?;
    with_scope(false, |scope| expr.bind(scope)).map(|()| expr)
}

fn eval(text: &str) -> Result<Value, String> {
    let run = Run { values: json!({"env": "prod", "n": 2, "tags": ["x", "y"], "map": {"a b": 1}, "off": false}) };
    read(text).map_err(|error| format!("{} (column {})", error.message, error.column))?.eval(&run)
}

#[track_caller]
fn gives(rows: &[(&str, Value)]) {
    for (text, expected) in rows {
        assert_eq!(eval(text).as_ref(), Ok(expected), "{text}");
    }
}

#[test]
fn literals_and_operators_bind_as_in_the_grammar() {
    gives(&[
        ("1 + 2 * 3", json!(7.0)),
        ("(1 + 2) * 3", json!(9.0)),
        ("7 % 4 - 1", json!(2.0)),
        ("-7 % 4", json!(1.0)),
        ("10 / 4", json!(2.5)),
        ("1 < 2 and 2 <= 2 && 3 > 2 && 3 >= 3", json!(true)),
        ("false || true && false", json!(false)),
        ("not false", json!(true)),
        ("!true or !!true", json!(true)),
        ("'a' + \"b\" == 'ab'", json!(true)),
        ("'it\\'s' == \"it's\"", json!(true)),
        ("nil == nil", json!(true)),
        ("1e3 == 1000 && 0.5 < 1", json!(true)),
        ("'a' ~= 'b' && 'a' < 'b'", json!(true)),
        ("1 == 1.0", json!(true)),
    ]);
}

#[test]
fn comparison_of_different_types_is_false_and_not_equal_is_true() {
    gives(&[
        ("1 == '1'", json!(false)),
        ("1 != '1'", json!(true)),
        ("1 < '2'", json!(false)),
        ("1 >= '2'", json!(false)),
        ("nil < 1", json!(false)),
        ("values.env == true", json!(false)),
    ]);
}

#[test]
fn and_or_stop_early_and_yield_booleans() {
    gives(&[
        ("1 && 'x'", json!(true)),
        ("nil || false", json!(false)),
        ("false && (1 + 'x')", json!(false)),
        ("true || (1 + 'x')", json!(true)),
    ]);
    assert_eq!(eval("true && (1 + 'x')"), Err("cannot calculate with a number and a string".into()));
    assert!(eval("1 / 0").is_err());
}

#[test]
fn paths_reach_into_data_and_missing_ones_are_nil() {
    gives(&[
        ("values.env", json!("prod")),
        ("values['env'] == 'prod'", json!(true)),
        ("values.map[\"a b\"]", json!(1)),
        ("values.tags[2]", json!("y")),
        ("values.tags[3]", json!(null)),
        ("values.no.such.path", json!(null)),
        ("values.env.deeper", json!(null)),
        ("stack.name", json!("stack")),
        ("build.output.files[1]", json!("a")),
        ("build.output.n + 1", json!(4.0)),
        ("smoke.failed && build.success", json!(true)),
        ("tasks[\"x y\"].success", json!(true)),
        ("prepare.status", json!("stage 0 status")),
    ]);
}

#[test]
fn a_name_that_is_both_is_the_task_except_in_conditions_of_stages() {
    gives(&[
        ("push.status", json!("task push")),
        ("stages['push'].status", json!("stage 1 status")),
        ("tasks['push'].status", json!("task push")),
        ("push.build.success", json!(true)),
    ]);
    let mut expr = Expr::parse("push.status").expect("parses");
    with_scope(true, |scope| expr.bind(scope)).expect("binds");
    assert_eq!(expr.eval(&Run { values: Value::Null }), Ok(json!("stage 1 status")));
    assert_eq!(expr.stages(), [StageId(1)]);
}

#[test]
fn functions() {
    gives(
        &[
            ("success()", json!(false)),
            ("failure() && always()", json!(true)),
            ("cancelled()", json!(false)),
            ("defined(values.env) && !defined(values.no)", json!(true)),
            ("contains(values.tags, 'x') && contains('hello', 'ell') && !contains(nil, 'x')", json!(true)),
            ("'x' in values.tags && 'a b' in values.map && 'ro' in values.env", json!(true)),
            ("starts_with(values.env, 'pr') && ends_with(values.env, 'od')", json!(true)),
            ("matches(values.env, '^pr')", json!(true)),
            ("len(values.tags) + len('abc') + len(nil)", json!(5)),
            ("lower('ÄB') == 'äb' && upper('ab') == 'AB'", json!(true)),
            ("exists('here') && !exists('there')", json!(true)),
            ("env('HOME') == '/root' && env('NO', 'd') == 'd' && env('NO') == nil", json!(true)),
            ("agent_online('a1')", json!(true)),
        ]
        .map(|(text, value)| if text.starts_with("len") { (text, json!(5.0)) } else { (text, value) }),
    );
    assert_eq!(eval("matches('x', '(')"), Err("bad regex".into()));
}

#[test]
fn an_unknown_root_or_function_is_told_with_a_suggestion() {
    let error = read("smok.success").expect_err("unknown");
    assert_eq!((error.problem, error.suggestion.as_deref()), (Problem::Root, Some("smoke")));
    let error = read("1 == 1 && vlaues.x").expect_err("unknown");
    assert_eq!((error.column, error.suggestion.as_deref()), (11, Some("values")));
    let error = read("contain(values.tags, 'x')").expect_err("unknown");
    assert_eq!((error.problem, error.suggestion.as_deref()), (Problem::Function, Some("contains")));
    assert_eq!(read("len()").expect_err("too few").message, "len() takes 1 arguments, not 0");
}

#[test]
fn what_is_no_expression_is_refused_with_its_column() {
    for (text, column) in [
        ("", 1),
        ("  ", 1),
        ("1 +", 4),
        ("(1", 3),
        ("1 1", 3),
        ("'open", 1),
        ("a.", 3),
        ("a[", 3),
        ("a[0]", 3),
        ("a['x'", 6),
        ("1x", 1),
        ("&& 1", 1),
        ("a ; b", 3),
        ("f(1,", 5),
        ("1e999", 1),
        ("in", 1),
    ] {
        let error = Expr::parse(text).expect_err(text);
        assert_eq!((error.problem, error.column), (Problem::Syntax, column), "{text}: {error}");
    }
    for hostile in ["(".repeat(10_000), "!".repeat(10_000), "a && ".repeat(3_000), "x".repeat(20_000)] {
        assert!(Expr::parse(&hostile).is_err());
    }
}

#[test]
fn a_condition_that_names_a_status_replaces_the_implicit_success() {
    for (text, expected) in [
        ("smoke.failed", true),
        ("smoke.changed == true", true),
        ("always()", true),
        ("values.success", false),
        ("build.output.n > 2", false),
        ("smoke.message == 'x'", false),
    ] {
        assert_eq!(read(text).expect(text).mentions_status(), expected, "{text}");
    }
    assert!(read("smoke.failed").expect("reads").mentions_failure());
    assert!(!read("smoke.success").expect("reads").mentions_failure());
    let both = read("smoke.failed || prepare.failed || smoke.success").expect("reads");
    assert_eq!((both.tasks(), both.stages()), (vec![TaskId(0)], vec![StageId(0)]));
}

#[test]
fn a_string_whose_roots_are_all_known_is_an_expression_and_any_other_a_shell_command() {
    let shell = |text: &str| with_scope(false, |scope| matches!(read_condition(text, scope), Ok(Reading::Shell(_))));
    for text in ["test -f x", "smok.success", "ls", "[ -e /etc/passwd ]", "sh:smoke.success", "grep -q a b && true"] {
        assert!(shell(text), "{text}");
    }
    for text in ["smoke.success", "true", "values.n > 1", "expr:smoke.failed", "not cancelled()"] {
        assert!(!shell(text), "{text}");
    }
    let forced = with_scope(false, |scope| read_condition("expr:smok.success", scope)).expect_err("forced");
    assert_eq!(forced.suggestion.as_deref(), Some("smoke"));
    let mistake = with_scope(false, |scope| read_condition("values.n > 1 && smok.success", scope));
    assert!(mistake.is_err(), "no shell command reads values");
    let command = with_scope(false, |scope| read_condition("sh: true", scope));
    assert_eq!(command, Ok(Reading::Shell("true".into())));
}
