//! Every code has a file that gives it.

use crate::define::testing::*;

#[track_caller]
fn says(source: &str, expected: &str) {
    assert_eq!(finding(source), expected, "{source}");
}

#[test]
fn a_finding_has_code_file_line_column_excerpt_and_hint() {
    let found = &findings("task('a')\n  :shell('x')\n  :retrys(2)")[0];
    assert_eq!(
        (found.code, found.place.file.as_str(), found.place.line, found.place.column),
        ("E112", "main.sloth", 3, 4)
    );
    assert_eq!(found.excerpt, ":retrys(2)");
    assert_eq!(found.hint.as_deref(), Some("did you mean \"retry\"?"));
}

#[test]
fn e100_error_while_the_file_was_evaluated() {
    says("local x\nx.y = 1", "E100 2: attempt to index nil with 'y'");
    says("error('boom')", "E100 1: boom");
    says(
        "\n\nlocal function f() error({ a = 1 }) end\nf()",
        &finding("\n\nlocal function f() error({ a = 1 }) end\nf()"),
    );
    says("require('nowhere')", "E100 1: require: there is no module \"nowhere\"");
}

#[test]
fn e101_syntax_error() {
    let found = finding("task('a'\n");
    assert!(found.starts_with("E101 2: Expected ')'"), "{found}");
    assert!(finding("task('a'):command('x')\nlocal = 5").starts_with("E101 2: "));
}

#[test]
fn e104_and_e105_have_their_place() {
    let found = &findings("task('a'):shell('x')\n  goto done\n::done::")[0];
    assert_eq!((found.code, found.place.line), ("E104", 2), "{found:?}");
    let found = &findings("task \"a\" {\n  command = 'x'\n  retries = 2\n}")[0];
    assert_eq!((found.code, found.place.line), ("E105", 3), "{found:?}");
    let hint = found.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("separated by commas"), "{hint}");
}

#[test]
fn invalid_utf_8_is_allowed_in_strings_only() {
    let world = world();
    let mut program = world.program.clone();
    program.files.insert("main.sloth".into(), b"task('a'):shell('x\xff')".to_vec());
    assert!(world.define_program(program.clone()).is_ok());
    program.files.insert("main.sloth".into(), b"task('a'):shell('x') -- \xff\n\xfe".to_vec());
    let found = crate::define::testing::world().define_program(program).expect_err("not text");
    assert_eq!(found[0].code, "E101");
}

#[test]
fn a_syntax_error_of_an_imported_file_has_the_place_of_that_file() {
    let mut world = world();
    world.program.files.insert("lib.lua".into(), "local x = 1\nlocal = 5".into());
    let found = world.define("import('lib.lua')").expect_err("broken");
    assert_eq!((found[0].code, found[0].place.file.as_str(), found[0].place.line), ("E101", "lib.lua", 2));
    assert_eq!(found[0].excerpt, "local = 5");
}

#[test]
fn e106_import_outside_the_allowed_directories() {
    let mut world = world();
    world.program.dir = "/srv/flow".into();
    let found = world.define("import('../../etc/passwd')").expect_err("outside");
    assert_eq!((found[0].code, found[0].place.line), ("E106", 1));
}

#[test]
fn e107_os_exit_at_file_level_is_an_error_except_with_code_0_which_stops_the_evaluation() {
    says("task('a'):shell('x')\nos.exit(3)", "E107 2: os.exit(3) at file level");
    let flow = workflow("task('a'):shell('x')\nos.exit(0)\ntask('b'):shell('x')");
    assert_eq!(names(&flow), ["a"]);
}

#[test]
fn e110_bad_name() {
    says("task('')", "E110 1: the name is empty");
    says("task(5)", "E110 1: a task is made from a name or a table, not from a number");
    says("task({ command = 'x' })", "E110 1: a task without a name [add name = \"…\"]");
    says("workflow('a/')", "E110 1: the name \"a/\" starts or ends with \"/\"");
    says("task('t'):shell('x'):depends_on('')", "E110 1: task \"t\": depends_on: the name of a task is empty");
}

#[test]
fn e111_two_tasks_with_one_name_in_one_workflow() {
    let source = "workflow('w', { tasks = { { name = 'a', command = 'x' },\n { name = 'a', command = 'y' } } })";
    says(source, "E111 1: workflow \"w\" has two tasks named \"a\" [give one of them another name]");
}

#[test]
fn e112_unknown_method_and_what_is_not_in_this_build() {
    says("task('a'):timout(5)", "E112 1: a task has no method \"timout\" [did you mean \"timeout\"?]");
    says("workflow('w'):task_list({})", "E112 1: a workflow has no method \"task_list\"");
    says("when(true):thn('x')", "E112 1: a descriptor has no method \"thn\" [did you mean \"then\"?]");
    says("task('a'):replicas(3)", "E112 1: the method \"replicas\" of tasks is not available in this build");
    says("local t = task('a')\nt.shell('x')", "E112 2: shell is a method [write it with a colon: x:shell(…)]");
}

#[test]
fn e113_bad_duration_or_quantity() {
    says(
        "task('a'):shell('x'):timeout('5y')",
        "E113 1: task \"a\": timeout: \"5y\" unknown unit \"y\" [example: \"90s\", \"1h30m\" or \"850ms\"]",
    );
    says(
        "task('a'):shell('x'):timeout(-1)",
        "E113 1: task \"a\": timeout: -1 is negative [a number of seconds, or \"90s\", \"1h30m\"]",
    );
    says(
        "task('a'):shell('x'):retries(1.5)",
        "E113 1: task \"a\": retries: 1.5 is not a whole number from 0 to 1000000",
    );
    says(
        "task('a'):shell('x'):priority(500)",
        "E113 1: task \"a\": priority: 500 is not a whole number from -100 to 100 [or low, normal, high, critical]",
    );
    says(
        "task('a'):shell('x'):resources({ memory = '1zb' })",
        "E113 1: task \"a\": resources: resources.memory: \"1zb\" unknown unit \"zb\" [example: \"512Mi\", \"10GB\" or plain bytes]",
    );
    says(
        "task('a'):shell('x'):retries({ strategy = 'linaer' })",
        "E113 1: task \"a\": retries: unknown strategy \"linaer\" [did you mean \"linear\"?]",
    );
    says(
        "workflow('w', { tasks = { a = { command = 'x' } }, config = { on_conflict = 'x' } })",
        "E113 1: workflow \"w\": config: workflow \"w\": on_conflict: on_conflict: \"x\" is none of queue, skip, cancel_running",
    );
}

#[test]
fn all_wrong_values_of_a_file_are_told_not_only_the_first() {
    let found = findings(
        "task('a'):shell('x'):timeout('5y'):retries(-1)\ntask('b'):shell('x'):env(5)\ntask('c'):shell('y'):run_if('')",
    );
    let codes: Vec<(&str, u32)> = found.iter().map(|finding| (finding.code, finding.place.line)).collect();
    assert_eq!(codes, [("E113", 1), ("E113", 1), ("E115", 2), ("E205", 3)]);
}

#[test]
fn e114_two_commands() {
    let hint = "[keep one of command, run, shell, execute, action, module]";
    says("task({ name = 'a', command = 'x', run = 'y' })", &format!("E114 1: task \"a\" has two commands {hint}"));
    says("task('a'):shell('x'):command('y')", &format!("E114 1: task \"a\" has two commands {hint}"));
}

#[test]
fn e115_wrong_type() {
    says(
        "task('a'):command(5)",
        "E115 1: task \"a\": command: function, string, list of strings or descriptor expected, got a number",
    );
    says("task('a'):shell('x'):on_success('y')", "E115 1: task \"a\": on_success: function expected, got a string");
    says(
        "task('a'):shell('x'):params({ f = print })",
        "E115 1: task \"a\": params: data expected, got a function or object inside it",
    );
}

#[test]
fn e121_unsupported_state_store() {
    let source = "task('a'):shell('x')\nrunner_config = { state_store = 'redis' }";
    says(source, "E121 2: runner_config.state_store: unsupported state store \"redis\" [sqlite or memory]");
}

#[test]
fn e201_lists_all_unresolved_references_and_validate_only_warns() {
    let source = "task('build'):shell('x'):depends_on('biuld', 'nowhere')\ntask('b'):shell('x'):depends_on('build2')";
    let found: Vec<String> = findings(source).iter().map(said).collect();
    let wanted = [
        "E201 1: task \"build\": there is no task or stage \"biuld\" [did you mean \"build\"?]",
        "E201 1: task \"build\": there is no task or stage \"nowhere\"",
        "E201 2: task \"b\": there is no task or stage \"build2\" [did you mean \"build\"?]",
    ];
    assert_eq!(found, wanted);
    for mode in [crate::Mode::Validate, crate::Mode::Plan] {
        let world = World { mode, ..world() };
        let codes: Vec<&str> = world.good(source).diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(codes, ["W201", "W201", "W201"]);
    }
}

#[test]
fn e202_circular_dependency_with_its_path() {
    says(
        "task('a'):shell('x'):depends_on('b')\ntask('b'):shell('x'):depends_on('a')",
        "E202 1: circular dependency: a -> b -> a",
    );
    let mut source = "task('a'):shell('x'):depends_on('b')\ntask('b'):shell('x'):depends_on('a')\n".to_owned();
    source += "runner_config = { cycle_detection = false }";
    assert!(findings(&source).is_empty(), "cycle members fail at run time instead");
}

#[test]
fn e203_nothing_defined() {
    says("local x = 1", "E203 1: no workflows or tasks defined [task(\"name\"):command(\"…\")]");
    says("", "E203 1: no workflows or tasks defined [task(\"name\"):command(\"…\")]");
}

#[test]
fn e204_too_many_tasks_and_w203_many() {
    let source = |n: usize| {
        format!(
            "local t = {{}}\nfor i = 1, {n} do t[i] = {{ name = 'n' .. i, command = 'x' }} end\nworkflow('w', {{ tasks = t }})"
        )
    };
    assert!(finding(&source(10_001)).starts_with("E204 3: workflow \"w\" has more than 10000 tasks after expansion"));
    assert!(finding(&source(1_001)).starts_with("W203 3: workflow \"w\" has 1001 tasks"));
    let deep = "local x = chain({ function() end })\nfor i = 1, 20 do x = chain({ x }) end\nworkflow('w'):tasks({ x })";
    assert!(findings(deep).iter().any(|found| found.code == "E204" && found.message.contains("nested deeper than 16")));
}

#[test]
fn e205_bad_expression() {
    says(
        "task('smoke'):shell('x')\ntask('b'):shell('x'):run_if('expr:smok.success')",
        "E205 2: bad expression \"smok.success\": unknown name \"smok\" (at character 1) [did you mean \"smoke\"?]",
    );
    says(
        "task('b'):shell('x'):run_if('contain(values.tags, 1)')",
        "E205 1: bad expression \"contain(values.tags, 1)\": unknown function \"contain\" (at character 1) [did you mean \"contains\"?]",
    );
    let when = "workflow('w'):tasks({ when('values.x =='):then_(function() end) })";
    assert!(finding(when).starts_with("E205 1: bad expression \"values.x ==\": the expression ends too early"));
}

#[test]
fn w101_shadowed_module() {
    let found = findings("exec = 5\ntask('a'):shell('x')");
    assert_eq!((found[0].code, found[0].place.line), ("W101", 1));
}

#[test]
fn w104_task_without_command_w110_task_replaced_w111_workflow_replaced() {
    says("task('a')", "W104 1: task \"a\" has no command: it only waits for others");
    says(
        "task('a'):shell('x')\ntask('a'):shell('y')",
        "W110 2: task \"a\" replaces an earlier one of the same name [give one of them another name]",
    );
    let twice =
        "workflow('w', { tasks = { a = { command = 'x' } } })\nworkflow('w', { tasks = { b = { command = 'x' } } })";
    says(twice, "W111 2: workflow \"w\" replaces an earlier one of the same name");
    assert_eq!(names(&workflow(twice)), ["b"]);
}

#[test]
fn w112_unknown_key_is_kept_in_the_metadata() {
    let source = "task({ name = 'a', command = 'x', retrys = 3 })";
    says(source, "W112 1: unknown key \"retrys\" of a task [did you mean \"retry\"?]");
    assert_eq!(serde_json::json!(task(source).metadata), serde_json::json!({"retrys": 3}));
    says(
        "workflow('w', { tasksx = {}, tasks = { a = { command = 'x' } } })",
        "W112 1: unknown key \"tasksx\" of a workflow [did you mean \"tasks\"?]",
    );
    says(
        "workflow('w', { tasks = { a = { command = 'x' } } }):config({ fail_fats = true })",
        "W112 1: unknown key \"fail_fats\" of config [did you mean \"fail_fast\"?]",
    );
    says(
        "workflow('w', { stages = { { nam = 'x', tasks = { a = { command = 'x' } } } } })",
        "W112 1: unknown key \"nam\" of stage [did you mean \"name\"?]",
    );
}

#[test]
fn w120_unknown_runner_config_key() {
    says(
        "task('a'):shell('x')\nrunner_config = { max_concurency = 3 }",
        "W120 2: unknown key runner_config.max_concurency [did you mean \"max_concurrency\"?]",
    );
}

#[test]
fn w103_what_is_known_but_not_in_this_build() {
    assert!(finding("task('a'):shell('x'):cache(true)").starts_with("W103 1: "));
}

#[test]
fn strict_turns_warnings_into_errors() {
    let mut world = world();
    world.given.strict = true;
    let found = world.define("task('a')").expect_err("a warning");
    assert_eq!(found[0].code, "W104");
}

#[test]
fn an_error_that_the_script_catches_is_no_finding() {
    assert!(findings("local ok, why = pcall(function() task('a'):nonsense() end)\nassert(not ok and string.find(why, 'E112'))\ntask('b'):shell('x')").iter().all(|found| found.code == "W104"));
}

#[test]
fn every_code_is_in_the_table() {
    let codes: Vec<&str> = crate::define::CODES.iter().map(|(code, _)| *code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, codes, "sorted and without doubles");
}
