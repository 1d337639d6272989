//! Mistakes in files, as slothctl shows them: with code, file, line, column and excerpt.

use serde_json::Value;
use sloth_tests::Instance;

use crate::support::{ctl, file, run};

fn validate(instance: &Instance, program: &str, words: &[&str]) -> (i32, Value) {
    let path = file(instance, "flow.sloth", program);
    let ran = ctl(instance, &[&["validate", &path, "-o", "json"], words].concat());
    let report = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
    (ran.code, report)
}

/// a code of each kind, found without a daemon.
#[test]
fn each_mistake_has_its_code_and_place() {
    let instance = Instance::prepare();
    for (program, code, line) in [
        ("local x = = 1", "E101", 1),
        ("goto out\n::out::", "E104", 1),
        ("\ntask('a/')", "E110", 2),
        ("workflow.define('w'):tasks({ {name='a', command='true'}, {name='a', command='true'} })", "E111", 0),
        ("task('a'):comand('true')", "E112", 1),
        ("task('a'):command('true'):timeout('soon')", "E113", 1),
        ("task({ name = 'a', command = 'true', shell = 'true' })", "E114", 1),
        ("task('a'):command('true') runner_config = { state_store = 'redis' }", "E121", 0),
        ("task('a'):command('true'):depends_on('b') task('b'):command('true'):depends_on('a')", "E202", 0),
        ("local x = 1", "E203", 0),
        ("task('a'):command('true'):condition('expr: nobody.success')", "E205", 0),
    ] {
        let (exit, report) = validate(&instance, program, &["--evaluate"]);
        let found = report["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found: Vec<&Value> = found.iter().filter(|one| one["code"] == code).collect();
        assert_eq!((exit, found.len().min(1)), (2, 1), "{program}: {report:#}");
        assert!(found[0]["file"].as_str().is_some_and(|file| file.ends_with("flow.sloth")), "{report:#}");
        if line > 0 {
            assert_eq!(found[0]["line"], line, "{program}: {report:#}");
        }
    }
}

#[test]
fn an_unresolved_name_is_a_warning_until_it_is_run() {
    let instance = Instance::start();
    let program = "workflow.define('w'):tasks({ 'shipp', { name = 'ship', command = 'true' } })";
    let (code, report) = validate(&instance, program, &["--evaluate"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["diagnostics"][0]["code"], "W201", "{report:#}");
    assert_eq!(validate(&instance, program, &["--evaluate", "--strict"]).0, 2);
    let (code, summary) = run(&instance, program, &[]);
    assert_eq!((code, summary["reason"].as_str()), (2, Some("unresolved")));
    assert_eq!(summary["diagnostics"][0]["code"], "E201", "{summary:#}");
}

#[test]
fn what_is_wrong_is_shown_to_people_with_its_line() {
    let instance = Instance::start();
    let path = file(&instance, "flow.sloth", "task('a')\n  :command('true')\n  :retrys(3)\n");
    let ran = ctl(&instance, &["validate", &path, "--evaluate"]);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("flow.sloth:3") && ran.out.contains("error E112") && ran.out.contains("did you mean \"retr"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains(":retrys(3)"), "the line itself: {}", ran.out);
    let ran = ctl(&instance, &["run", &path]);
    assert_eq!(ran.code, 2);
    assert!(ran.out.contains("error E112"), "{}", ran.out);
}

#[test]
fn graphs_are_shown_without_a_daemon() {
    let instance = Instance::prepare();
    let path = file(
        &instance,
        "g.sloth",
        "task('a'):command('true') task('b'):depends_on('a'):command('true') workflow.define('w'):tasks({'a','b'})",
    );
    let tree = ctl(&instance, &["workflow", "show", "-f", &path]);
    assert_eq!(tree.code, 0, "{}{}", tree.out, tree.err);
    assert!(tree.out.contains("b  <- a"), "{}", tree.out);
    assert!(ctl(&instance, &["workflow", "graph", "-f", &path, "--format", "dot"]).out.contains(" -> "));
    let here = ctl(&instance, &["list"]);
    assert!(here.out.contains("g.sloth") || here.out.contains('b'), "{}{}", here.out, here.err);
}
