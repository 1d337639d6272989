//! The expansion without a VM: drafts in, graph out.

use std::cell::RefCell;
use std::rc::Rc;

use sloth_core::workflow::Command;

use super::{Rules, expand};
use crate::define::desk::Desk;
use crate::define::draft::{Desc, Doing, Element, WorkflowDraft};

/// A registered task with a command.
fn task(desk: &Desk, name: &str) -> Element {
    let task = desk.new_task(name).expect("a name");
    task.borrow_mut().doing = Some(Doing::Command(Command::Shell(name.to_owned())));
    desk.register(task.clone()).expect("room");
    Element::Task(task)
}

fn graph(desk: &Desk, tasks: Vec<Element>) -> sloth_core::workflow::Workflow {
    let draft = WorkflowDraft { tasks, ..WorkflowDraft::default() };
    expand(&Rc::new(RefCell::new(draft)), desk, Rules::default()).expect("a graph")
}

#[test]
fn a_sequence_inside_a_set_has_an_order_and_the_set_has_none() {
    let desk = Desk::default();
    let (a, b, c) = (task(&desk, "a"), task(&desk, "b"), task(&desk, "c"));
    let flow = graph(&desk, vec![c, Element::Desc(Desc::Sequence(vec![a, b]).shared())]);
    let edges: Vec<_> = flow.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect();
    assert_eq!(edges, [(1, 2)]);
    assert!(desk.take_findings().is_empty());
}

#[test]
fn one_object_named_twice_is_one_task() {
    let desk = Desk::default();
    let a = task(&desk, "a");
    let flow = graph(&desk, vec![a.clone(), a, Element::Name("a".into(), desk.place())]);
    assert_eq!(flow.tasks.len(), 1);
    assert_eq!(flow.stages[0].tasks.len(), 1);
}

#[test]
fn a_name_that_means_nothing_is_an_error_at_its_place() {
    let desk = Desk::default();
    graph(&desk, vec![Element::Name("ghost".into(), desk.place())]);
    assert_eq!(desk.take_findings().iter().map(|finding| finding.code).collect::<Vec<_>>(), ["E201"]);
}
