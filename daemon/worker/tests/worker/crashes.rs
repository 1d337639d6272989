//! "kill -9 of the worker at every journal record of a 30-task workflow with a saga: finished tasks never run again,
//! compensation finishes, the final state equals the undisturbed one."

use std::collections::{BTreeMap, BTreeSet};

use sloth_api::worker::Record;

use crate::fake::Fake;

/// Thirty tasks in three stages; the last stage has a saga of which the last participant fails.
const FILE: &str = r#"
    local function mark(name) return function() exec.run("echo " .. name .. " >> ran") return { name = name } end end
    local function list(from, to, more)
      local tasks = {}
      for i = from, to do
        table.insert(tasks, task("t" .. i):command(mark("t" .. i)):depends_on(i > from + 3 and ("t" .. (i - 3)) or {}))
      end
      for _, one in ipairs(more or {}) do table.insert(tasks, one) end
      return tasks
    end
    workflow.define("big", { stages = {
      { name = "first", tasks = list(1, 12) },
      { name = "second", tasks = list(13, 25), on_success = mark("second over") },
      { name = "order", tasks = chain({
          task("reserve"):command(mark("reserve")), task("charge"):command(mark("charge")),
          task("pack"):command(mark("pack")), task("call"):command(mark("call")),
          task("ship"):command(function() return false, "no courier" end),
        }),
        saga = { coordinator = "order", participants = { "reserve", "charge", "pack", "call", "ship" }, compensation = {
          reserve = mark("undo reserve"), charge = mark("undo charge"), pack = mark("undo pack"), call = mark("undo call"),
        } } },
    } })
"#;

/// What must be the same however often the worker died.
fn state(fake: &Fake) -> (String, Option<String>, String, BTreeMap<String, String>) {
    let end = fake.end();
    let tasks = fake.tasks();
    let names: BTreeSet<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names.len(), tasks.len(), "each task has one terminal record");
    let tasks = tasks.iter().map(|task| (task.name.clone(), format!("{} {}", task.status, task.output))).collect();
    (end.status, end.reason, end.compensation, tasks)
}

/// Nothing begins of a task that has ended, and nothing is undone twice.
fn check(fake: &Fake) {
    let mut ended = BTreeSet::new();
    let mut undone = BTreeSet::new();
    for record in fake.journal() {
        match record {
            Record::TaskFinished { end } => drop(ended.insert(end.name.clone())),
            Record::TaskStarted { task, .. } => assert!(!ended.contains(&task), "{task} began again after its end"),
            Record::Saga { step, participant: Some(participant), .. } if step == "compensation_done" => {
                assert!(undone.insert(participant.clone()), "{participant} was undone twice");
            }
            Record::Saga { step, participant: Some(participant), .. } if step == "compensation_started" => {
                assert!(!undone.contains(&participant), "{participant} is undone again");
            }
            _ => {}
        }
    }
    assert_eq!(undone.len(), 4, "every participant that completed is undone");
    let ran: Vec<String> = fake.read("ran").lines().map(str::to_owned).collect();
    assert!(ran.iter().any(|line| line == "undo reserve"), "{ran:?}");
}

fn positions(step: usize) {
    let mut whole = Fake::new(FILE);
    whole.run();
    check(&whole);
    let expected = state(&whole);
    assert_eq!(expected.0, "failed");
    assert_eq!(expected.2, "compensated");
    let records = whole.journal().len();
    for position in (1..records).step_by(step) {
        let mut fake = Fake::new(FILE);
        fake.faults.kill_at = Some(position);
        let first = fake.run();
        fake.faults.kill_at = None;
        if !first.success {
            let second = fake.run();
            assert!(second.success, "killed at {position}: {}", second.stderr);
        }
        check(&fake);
        assert_eq!(state(&fake), expected, "killed at {position}");
    }
}

#[test]
fn killed_at_every_record() {
    positions(1);
}
