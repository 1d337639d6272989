//! Random graphs and outcomes: the naive model agrees, slots hold, every task gets exactly one terminal record, and a
//! worker that dies at any record changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use sloth_core::workflow::machine::{Overrides, Settings};
use sloth_core::workflow::{
    Backoff, Details, Edge, EdgeKind, FailurePolicy, Retry, RunnerConfig, Stage, StageId, Task, TaskId, Workflow,
};

use crate::naive;
use crate::sim::{Ending, Rec, Sim};

#[derive(Clone)]
struct Drawn {
    workflow: Workflow,
    endings: BTreeMap<u32, Vec<Ending>>,
    slots: u32,
}

impl std::fmt::Debug for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ends = self.endings.iter().map(|(task, list)| (task, list.len() - 1)).collect::<Vec<_>>();
        write!(f, "{} slots, edges {:?}, failing {ends:?}", self.slots, self.workflow.edges)
    }
}

/// Per task: edges (by distance and kind), failing attempts, retries, duration, flags.
type Row = (Vec<(u8, u8)>, u8, u8, u16, bool, bool);

fn drawn(continues: bool) -> impl Strategy<Value = Drawn> {
    let row = (
        prop::collection::vec((1_u8..8, 0_u8..4), 0..4),
        0_u8..4,
        0_u8..3,
        1_u16..50,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
    );
    let rows = prop::collection::vec(row, 1..30);
    (rows, 1_u32..6, 1_usize..4, any::<bool>()).prop_map(move |(rows, slots, stages, fail_fast)| {
        let mut workflow = Workflow { name: "w".to_owned(), ..Workflow::default() };
        workflow.config.on_task_failure = if continues { FailurePolicy::Continue } else { FailurePolicy::Stop };
        workflow.config.fail_fast = fail_fast && !continues;
        let mut endings = BTreeMap::new();
        let per_stage = rows.len().div_ceil(stages);
        for (at, row) in rows.iter().enumerate() {
            let stage = at / per_stage;
            if workflow.stages.len() <= stage {
                workflow.stages.push(Stage { name: format!("s{stage}"), ..Stage::default() });
            }
            add(&mut workflow, &mut endings, at, stage, per_stage, row);
        }
        Drawn { workflow, endings, slots }
    })
}

fn add(
    workflow: &mut Workflow,
    endings: &mut BTreeMap<u32, Vec<Ending>>,
    at: usize,
    stage: usize,
    per_stage: usize,
    row: &Row,
) {
    let (edges, failing, retries, millis, ignore, is_async) = row;
    let id = TaskId(at as u32);
    let name = format!("t{at}");
    let retry = Retry { backoff: Backoff::Fixed, delay_ms: 7, ..Retry::times(u32::from(*retries)) };
    workflow.tasks.push(Task {
        name: name.clone(),
        declared: name,
        stage: StageId(stage as u32),
        ignore_errors: *ignore,
        is_async: *is_async,
        priority: i32::from(*millis) % 3,
        details: Details { retry: Some(retry), ..Details::default() }.into(),
        ..Task::default()
    });
    workflow.stages[stage].tasks.push(id);
    for (back, kind) in edges {
        let Some(from) = at.checked_sub(usize::from(*back)).filter(|from| from / per_stage == stage) else { continue };
        let kind = [EdgeKind::Needs, EdgeKind::Needs, EdgeKind::Ended, EdgeKind::Order][usize::from(*kind)];
        workflow.edges.push(Edge { from: TaskId(from as u32), to: id, kind });
    }
    let after = Duration::from_millis(u64::from(*millis));
    let ending = |success| Ending { success, kind: "exit", after, branch: None };
    let mut list: Vec<Ending> = (0..*failing).map(|_| ending(false)).collect();
    list.push(ending(true));
    endings.insert(id.0, list);
}

fn sim(drawn: &Drawn) -> Sim {
    let given = Overrides { max_parallel: Some(drawn.slots), ..Overrides::default() };
    let settings = Settings::new(&drawn.workflow, &RunnerConfig::default(), &given);
    let mut sim = Sim::new(drawn.workflow.clone(), settings);
    sim.endings = drawn.endings.clone();
    sim
}

fn words(sim: &Sim) -> BTreeMap<TaskId, String> {
    (0..sim.workflow.tasks.len() as u32).map(|at| (TaskId(at), sim.word(TaskId(at)))).collect()
}

fn once_each(sim: &Sim) {
    let mut ends: HashMap<TaskId, u32> = HashMap::new();
    for record in &sim.journal {
        if let Rec::Finished(task, ..) = record {
            *ends.entry(*task).or_default() += 1;
        }
    }
    assert_eq!(ends.len(), sim.workflow.tasks.len(), "each task ends");
    assert!(ends.values().all(|count| *count == 1), "and only once: {ends:?}");
}

/// No attempt of a task begins after its terminal record.
fn finished_never_run_again(sim: &Sim) {
    let mut finished = std::collections::HashSet::new();
    for record in &sim.journal {
        match record {
            Rec::Finished(task, ..) => {
                finished.insert(*task);
            }
            Rec::Started(task, _) => assert!(!finished.contains(task), "{task:?} runs again"),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn continue_agrees_with_the_naive_model(drawn in drawn(true)) {
        let mut sim = sim(&drawn);
        sim.run();
        let fails = |task: TaskId| {
            let retries = drawn.workflow.tasks[task.0 as usize].retry.as_ref().map_or(1, |retry| retry.max_attempts);
            drawn.endings[&task.0].iter().take(retries as usize).all(|ending| !ending.success)
        };
        prop_assert_eq!(words(&sim), naive::ends(&drawn.workflow, &fails), "{}", sim.trace.join("\n"));
        prop_assert!(sim.most_running <= drawn.slots as usize);
        once_each(&sim);
    }

    #[test]
    fn a_stopping_run_ends_each_task_once(drawn in drawn(false)) {
        let mut sim = sim(&drawn);
        sim.run();
        once_each(&sim);
        finished_never_run_again(&sim);
        prop_assert!(sim.most_running <= drawn.slots as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Without failing attempts a repeated attempt succeeds as the first would have, so the ends must be the same.
    #[test]
    fn a_death_at_any_record_changes_nothing(mut drawn in drawn(true)) {
        for (task, endings) in &mut drawn.endings {
            // A task fails always or never: how often it was interrupted must not matter.
            let success = task % 5 != 0;
            endings.truncate(1);
            endings[0].success = success;
        }
        let mut whole = sim(&drawn);
        whole.run();
        let records = whole.journal.len();
        for die_at in 1..records {
            let mut sim = sim(&drawn);
            sim.die_at = Some(die_at);
            if !sim.run() {
                sim.resume();
                sim.die_at = None;
                sim.run();
            }
            prop_assert_eq!(words(&sim), words(&whole), "died at {}:\n{}", die_at, sim.trace.join("\n"));
            prop_assert_eq!(&sim.verdict, &whole.verdict);
            once_each(&sim);
            finished_never_run_again(&sim);
        }
    }
}

/// Ten thousand tasks cost well under a second, in a build without optimisation, too.
#[test]
fn ten_thousand_tasks_are_linear() {
    let mut workflow = Workflow { name: "big".to_owned(), ..Workflow::default() };
    workflow.stages.push(Stage { name: "tasks".to_owned(), ..Stage::default() });
    for at in 0..10_000_u32 {
        let name = format!("t{at}");
        workflow.tasks.push(Task { name: name.clone(), declared: name, ..Task::default() });
        workflow.stages[0].tasks.push(TaskId(at));
        if at % 2 == 1 {
            workflow.edges.push(Edge { from: TaskId(at - 1), to: TaskId(at), kind: EdgeKind::Previous });
        }
    }
    let mut sim = sim(&Drawn { workflow, endings: BTreeMap::new(), slots: 8 });
    let inputs_each = 4;
    sim.run();
    assert_eq!(sim.begins.len(), 10_000);
    assert!(sim.trace.iter().filter(|line| line.contains("<-")).count() <= 10_000 * inputs_each + 10);
}
