//! How long it takes. Numbers are told; only orders of magnitude are asserted, because the machine is shared.

use std::time::{Duration, Instant};

use crate::define::testing::*;

/// A typical file of 50 lines.
fn typical() -> String {
    let mut source =
        String::from("values({ region = 'eu', replicas = 2 })\nlocal function note(this) return true end\n");
    for n in 0..6 {
        source += &format!(
            "local t{n} = task('step_{n}')\n  :description('Step number {n}')\n  :command(function(this, params)\n    local r = exec.run('make step_{n}')\n    return r.success, 'done', {{ n = {n} }}\n  end)\n  :timeout('2m'):retries(2)\n"
        );
    }
    source += "task('last'):shell('true'):depends_on(t0, t1, 'step_2'):run_if(\"values.region == 'eu'\")\n";
    source += "workflow.define('typical'):description('A typical one'):tasks({ t0, t1, t2, t3, chain({ t4, t5 }), 'last' })\n  :config({ timeout = '20m', max_parallel_tasks = 3 })\n";
    source
}

#[test]
fn ten_thousand_tasks_are_accepted_and_validated() {
    let source = "local t = {}\nfor i = 1, 10000 do t[i] = { name = 'n' .. i, command = 'true', depends_on = i > 1 and 'n' .. (i - 1) or nil } end\nworkflow('w', { tasks = t })";
    let world = world();
    let started = Instant::now();
    let defined = world.good(source);
    let took = started.elapsed();
    assert_eq!((defined.workflows[0].tasks.len(), defined.workflows[0].edges.len()), (10_000, 9_999));
    println!("10000 tasks: {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_typical_file_is_quick() {
    let source = typical();
    assert!((45..=60).contains(&source.lines().count()), "{}", source.lines().count());
    let (count, started) = (200, Instant::now());
    let (mut made, mut defined) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..count {
        let begin = Instant::now();
        let world = world();
        made += begin.elapsed();
        let begin = Instant::now();
        world.good(&source);
        defined += begin.elapsed();
    }
    println!("{:?} per file: VM {:?}, definition {:?}", started.elapsed() / count, made / count, defined / count);
}

/// Pages of this process in memory, bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
fn ten_thousand_small_tasks_take_little_memory() {
    let source = "for i = 1, 10000 do task('n' .. i):command(function() return true end):build() end";
    let world = world();
    let before = resident();
    let defined = world.good(source);
    let after = resident();
    assert_eq!(defined.workflows[0].tasks.len(), 10_000);
    let task = size_of::<sloth_core::workflow::Task>();
    let draft = size_of::<crate::define::draft::TaskDraft>();
    println!(
        "memory: {} KiB, of it Lua {} KiB; task {task}, draft {draft}",
        (after - before) >> 10,
        world.vm.memory() >> 10
    );
    assert!(defined.workflows[0].tasks.iter().all(|task| task.details.is_usual()), "details that nobody wrote");
    // Half of it was once the fields of tasks that most tasks do not have.
    assert!(after - before < 24 << 20, "{} MiB", (after - before) >> 20);
}
