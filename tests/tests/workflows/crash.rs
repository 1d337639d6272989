//! kill -9 of the worker, of slothd, and of both, at every journal record of a workflow of 30 tasks with a saga: what is finished never
//! runs again, the compensation finishes, and the end is that of an undisturbed run.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use sloth_tests::Instance;

use crate::proxy::{Blow, Proxy, Victim};
use crate::support::{ended, start, text};

/// Twelve tasks side by side, eight in a row, ten participants of a saga; the last of them fails.
const PROGRAM: &str = r#"
local mark = values.mark
local function work(name, ok)
  task(name):command(function(this)
    fs.append(mark, "did " .. name .. "\n")
    return ok, name, { name = name }
  end)
  return name
end
local fan, line, parts, undo = {}, {}, {}, {}
for i = 1, 12 do fan[i] = work("fan" .. i, true) end
for i = 1, 8 do line[i] = work("line" .. i, true) end
for i = 1, 10 do
  parts[i] = work("part" .. i, i < 10)
  undo["part" .. i] = function(ctx)
    fs.append(mark, "undid part" .. i .. " " .. tostring(ctx.results["part" .. i].output.name) .. "\n")
    return true
  end
end
workflow.define("torture", {
  max_parallel_tasks = 4,
  stages = {
    { name = "fan", tasks = fan },
    { name = "line", tasks = chain(line) },
    { name = "saga", saga = { coordinator = "torture", participants = parts, compensation = undo } },
  },
})
export("said", "something")
"#;

/// What must be the same however a run was disturbed.
#[derive(Debug, PartialEq)]
struct End {
    status: Value,
    reason: Value,
    compensation: Value,
    tasks: BTreeMap<String, Value>,
    undone: Vec<String>,
}

fn end(summary: &Value, marks: &str) -> End {
    let tasks = summary["tasks"].as_array().into_iter().flatten();
    let short = |task: &Value| json!([task["status"], task["message"], task["output"], task["skip_reason"]]);
    let mut undone: Vec<String> = Vec::new();
    for line in marks.lines().filter_map(|line| line.strip_prefix("undid ")) {
        // A compensation that was cut off runs again; twice in a row is once.
        if undone.last().is_none_or(|last| last != line) {
            undone.push(line.to_owned());
        }
    }
    End {
        status: summary["status"].clone(),
        reason: summary["reason"].clone(),
        compensation: summary["compensation"].clone(),
        tasks: tasks.map(|task| (task["name"].as_str().unwrap_or_default().to_owned(), short(task))).collect(),
        undone,
    }
}

/// The journal: number, kind and body of each record.
fn journal(instance: &Instance, run: &str) -> Vec<(u64, String, Value)> {
    let sql = format!(
        "SELECT j.seq, j.kind, j.body FROM journal j JOIN workflow_runs w ON w.n = j.run WHERE w.run_id = '{run}' ORDER BY j.seq"
    );
    let record = |row: &Value| {
        let body = row[2].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        (row[0].as_u64().unwrap_or(0), row[1].as_str().unwrap_or_default().to_owned(), body)
    };
    instance.rows(&sql).iter().map(|row| record(&Value::from(row.clone()))).collect()
}

/// Names of tasks in the order of their terminal records up to a number.
fn finished(journal: &[(u64, String, Value)], upto: u64) -> Vec<String> {
    let ends = journal.iter().filter(|(seq, kind, _)| kind == "task_finished" && *seq <= upto);
    ends.filter_map(|(_, _, body)| {
        let end = if body["end"].is_object() { &body["end"] } else { &body["record"]["end"] };
        end["name"].as_str().map(str::to_owned)
    })
    .collect()
}

struct Torture {
    instance: Instance,
    proxy: Proxy,
    runs: u32,
}

impl Torture {
    fn new() -> Torture {
        let instance = Instance::prepare();
        instance.config("[backup]\nevery = \"0\"\n[log]\nlevel = \"warn\"\n");
        let mut instance = instance;
        instance.up();
        let proxy = Proxy::insert(&instance);
        Torture { instance, proxy, runs: 0 }
    }

    /// One run: its id, its end, what its tasks wrote, and up to which record everything was certainly durable before the blow.
    fn run(&mut self, blow: Option<Blow>) -> (String, Value, String, u64) {
        self.runs += 1;
        let mark = self.instance.dir().join(format!("mark-{}", self.runs));
        if let Some(blow) = blow {
            self.proxy.arm(blow);
        }
        let run = start(&self.instance, PROGRAM, &["--set", &format!("mark={}", mark.display())]);
        let mut durable = 0;
        if let Some(blow) = blow {
            durable = self.proxy.wait();
            if blow.victim != Victim::Worker {
                self.instance.restart();
                self.proxy = Proxy::insert(&self.instance);
            }
        }
        let summary = ended(&self.instance, &run);
        (run, summary, text(&mark), durable)
    }

    fn strike(&mut self, blow: Blow, undisturbed: &End) {
        let (run, summary, marks, durable) = self.run(Some(blow));
        let found = end(&summary, &marks);
        assert_eq!(&found, undisturbed, "{blow:?}\n{marks}");
        let journal = journal(&self.instance, &run);
        let mut all = finished(&journal, u64::MAX);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!((count, all.len()), (30, 30), "{blow:?}: a task has two terminal records or none");
        let seqs: Vec<u64> = journal.iter().map(|(seq, _, _)| *seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "{blow:?}: numbers are missing");
        let before = finished(&journal, durable);
        for name in all {
            let times = marks.lines().filter(|line| *line == format!("did {name}")).count();
            let once = blow.victim == Victim::Daemon || before.contains(&name);
            assert!(times == 1 || (!once && times == 2), "{blow:?}: {name} ran {times} times\n{marks}");
        }
    }
}

fn torture(victim: Victim) {
    let mut torture = Torture::new();
    let (run, summary, marks, _) = torture.run(None);
    let undisturbed = end(&summary, &marks);
    assert_eq!(
        (&undisturbed.status, &undisturbed.compensation),
        (&json!("failed"), &json!("compensated")),
        "{summary:#}"
    );
    assert_eq!((undisturbed.tasks.len(), undisturbed.undone.len()), (30, 9), "{summary:#}\n{marks}");
    let last = journal(&torture.instance, &run).len() as u64;
    assert!(last >= 62, "{last} records are less than a start and an end for each task");
    let began = Instant::now();
    for record in 1..=last {
        for after in [false, true] {
            torture.strike(Blow { victim, record, after }, &undisturbed);
        }
    }
    println!("{victim:?}: {} blows at {last} records in {:.1} s", 2 * last, began.elapsed().as_secs_f64());
}

#[test]
fn the_worker_dies_at_every_record() {
    torture(Victim::Worker);
}

#[test]
fn the_daemon_dies_at_every_record() {
    torture(Victim::Daemon);
}

#[test]
fn both_die_at_every_record() {
    torture(Victim::Both);
}

/// "worker dies: run `interrupted`; resumed at once up to `engine.auto_resume` (default 1) times, else `failed`, reason `worker_lost`"
#[test]
fn a_worker_that_dies_again_and_again_fails_its_run() {
    let instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!("task('a'):command('echo x >> {}; kill -9 $PPID; sleep 5')", mark.display());
    let run = start(&instance, &program, &[]);
    let summary = ended(&instance, &run);
    assert_eq!((&summary["status"], &summary["reason"]), (&json!("failed"), &json!("worker_lost")), "{summary:#}");
    assert_eq!(text(&mark), "x\nx\n");
}

/// A run goes on while slothd is away for long, and loses nothing.
#[test]
fn a_run_does_not_need_the_daemon_to_go_on() {
    let mut instance = Instance::start();
    let mark = instance.dir().join("mark");
    let program = format!(
        "task('a'):command('echo begun >> {0}; sleep 0.5; echo ended >> {0}') task('b'):depends_on('a'):command('echo b >> {0}')",
        mark.display()
    );
    let run = start(&instance, &program, &[]);
    crate::support::holds(&mark, "begun");
    instance.kill9();
    crate::support::holds(&mark, "ended");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(text(&mark), "begun\nended\n", "a dependent has started before the end of the first was durable");
    instance.up();
    assert_eq!(ended(&instance, &run)["status"], "completed");
    assert_eq!(text(&mark), "begun\nended\nb\n");
}
