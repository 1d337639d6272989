//! What is undone, and in which order.

use serde_json::json;
use sloth_core::workflow::machine::{Ledger, Scope, Status, Undo};
use sloth_core::workflow::{Command, FnRef, Saga, Stage, StageId, Step, Task, TaskId, Workflow};

fn shop() -> Workflow {
    let compensation = |name: &str, number| (name.to_owned(), Command::Function(FnRef(number)));
    let saga = Saga {
        coordinator: "order".to_owned(),
        participants: vec![Step::Task(TaskId(0)), Step::Task(TaskId(1)), Step::Logical("courier".to_owned())],
        compensation: vec![compensation("reserve", 1), compensation("charge", 2), compensation("courier", 3)],
        ..Saga::default()
    };
    let task = |name: &str| Task { name: name.to_owned(), declared: name.to_owned(), ..Task::default() };
    let mut loose = task("loose");
    loose.compensate = Some(FnRef(9));
    Workflow {
        tasks: vec![task("reserve"), task("charge"), loose],
        stages: vec![Stage {
            name: "order".to_owned(),
            tasks: vec![TaskId(0), TaskId(1), TaskId(2)],
            saga: Some(saga),
            ..Stage::default()
        }],
        ..Workflow::default()
    }
}

fn plan(ledger: &mut Ledger, workflow: &Workflow, what: Undo) -> Vec<String> {
    let plan = ledger.plan(workflow, what, 0);
    plan.into_iter().map(|id| ledger.entry(id).participant.clone()).collect()
}

const STAGE: Undo = Undo::Sagas(Scope::Stage(StageId(0)));

/// "Participants whose work completed are compensated in reverse order of completion."
#[test]
fn reverse_order_of_completion() {
    let (workflow, mut ledger) = (shop(), Ledger::default());
    ledger.task_ended(&workflow, TaskId(1), Status::Completed);
    ledger.task_ended(&workflow, TaskId(2), Status::Completed);
    ledger.task_ended(&workflow, TaskId(0), Status::Completed);
    ledger.mark("other");
    assert_eq!(plan(&mut ledger, &workflow, STAGE), ["courier", "reserve", "charge"]);
    assert_eq!(plan(&mut ledger, &workflow, Undo::Rollback), ["courier", "reserve", "loose", "charge"]);
}

/// "Logical participants count as completed when marked by `saga.complete`; if none is marked, all logical participants
/// with a compensation count once the stage's first task has started."
#[test]
fn logical_participants() {
    let (mut workflow, mut ledger) = (shop(), Ledger::default());
    assert!(plan(&mut ledger, &workflow, STAGE).is_empty(), "nothing has started");
    if let Some(saga) = &mut workflow.stages[0].saga {
        saga.participants.push(Step::Logical("mail".to_owned()));
        saga.compensation.push(("mail".to_owned(), Command::Function(FnRef(4))));
    }
    ledger.task_ended(&workflow, TaskId(0), Status::Failed);
    let mut marked = Ledger::default();
    marked.task_ended(&workflow, TaskId(0), Status::Failed);
    marked.mark("mail");
    assert_eq!(plan(&mut marked, &workflow, STAGE), ["mail"]);
    assert_eq!(plan(&mut ledger, &workflow, STAGE), ["mail", "courier"]);
}

/// "A participant that failed is not compensated unless its task has `compensate_on_failure=true` in its metadata."
#[test]
fn a_failed_participant() {
    let (mut workflow, mut ledger) = (shop(), Ledger::default());
    ledger.mark("nobody");
    workflow.stages[0].saga.as_mut().expect("a saga").participants.pop();
    ledger.task_ended(&workflow, TaskId(0), Status::Failed);
    assert!(plan(&mut ledger, &workflow, STAGE).is_empty());
    workflow.tasks[0].metadata.insert("compensate_on_failure".to_owned(), json!(true));
    ledger.task_ended(&workflow, TaskId(0), Status::Failed);
    assert_eq!(plan(&mut ledger, &workflow, STAGE), ["reserve"]);
}

/// "`rollback.execute` called inside a handler marks those compensations done; they are never run twice."
#[test]
fn never_twice() {
    let (workflow, mut ledger) = (shop(), Ledger::default());
    ledger.task_ended(&workflow, TaskId(0), Status::Completed);
    ledger.task_ended(&workflow, TaskId(1), Status::Completed);
    for id in ledger.plan(&workflow, Undo::Rollback, 0) {
        ledger.done(id);
    }
    assert!(plan(&mut ledger, &workflow, STAGE).is_empty());
}

/// "`running → committed` when all participants completed and the stage ended": then its end undoes nothing more.
#[test]
fn committed_sagas_stay() {
    let (workflow, mut ledger) = (shop(), Ledger::default());
    ledger.task_ended(&workflow, TaskId(0), Status::Completed);
    assert_eq!(ledger.commit_scope(Scope::Stage(StageId(0))), ["order"]);
    assert_eq!(plan(&mut ledger, &workflow, STAGE), ["courier"], "only what came after the commit");
    ledger.commit("order");
    assert!(plan(&mut ledger, &workflow, STAGE).is_empty());
}

/// "collects compensations registered by tasks that completed after `cp`"
#[test]
fn rollback_to_a_point() {
    let (workflow, mut ledger) = (shop(), Ledger::default());
    ledger.task_ended(&workflow, TaskId(0), Status::Completed);
    let point = ledger.now();
    ledger.register(Scope::Workflow, None, None, "remove the file", FnRef(7));
    ledger.task_ended(&workflow, TaskId(2), Status::Completed);
    let plan: Vec<String> = ledger
        .plan(&workflow, Undo::Rollback, point)
        .into_iter()
        .map(|id| ledger.entry(id).participant.clone())
        .filter(|name| name != "courier")
        .collect();
    assert_eq!(plan, ["loose", "remove the file"]);
}
