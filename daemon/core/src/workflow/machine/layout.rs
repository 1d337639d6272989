//! The graph as arrays: successors, predecessors, topological order and rank of each task. Everything is linear in
//! tasks and edges, so that ten thousand tasks cost milliseconds.

use super::super::expr::Expr;
use super::super::graph::{Condition, EdgeKind, StageId, TaskId, Workflow};
use super::super::names::{NameIndex, Scope};

/// What the text of a condition means for the rules of starting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// It names a status, so it replaces the implicit `success()`.
    pub(super) replaces_success: bool,
    /// It names a failure, so it is evaluated even in a run that stops.
    pub(super) survives_stop: bool,
}

/// Adjacency in compressed rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    starts: Vec<u32>,
    items: Vec<(TaskId, EdgeKind)>,
}

impl Rows {
    fn new(tasks: usize, edges: impl Iterator<Item = (TaskId, TaskId, EdgeKind)> + Clone) -> Rows {
        let mut starts = vec![0_u32; tasks + 1];
        for (from, _, _) in edges.clone() {
            starts[from.0 as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut free = starts.clone();
        let mut items = vec![(TaskId(0), EdgeKind::Ended); *starts.last().unwrap_or(&0) as usize];
        for (from, to, kind) in edges {
            let place = &mut free[from.0 as usize];
            items[*place as usize] = (to, kind);
            *place += 1;
        }
        Rows { starts, items }
    }

    pub(super) fn of(&self, task: TaskId) -> &[(TaskId, EdgeKind)] {
        let at = task.0 as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Order among ready tasks: the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: i32,
    path: u64,
    pub(super) task: u32,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) successors: Rows,
    pub(super) predecessors: Rows,
    /// Those that are part of a cycle come last.
    pub(super) order: Vec<TaskId>,
    pub(super) ranks: Vec<Rank>,
    pub(super) task_traits: Vec<Traits>,
    pub(super) stage_traits: Vec<Traits>,
}

impl Layout {
    /// `durations`: mean of earlier runs by task, 0: unknown. `by_list`: one at a time, so only priority and place in
    /// the file count.
    pub(super) fn new(workflow: &Workflow, durations: &[u64], by_list: bool) -> Layout {
        let count = workflow.tasks.len();
        let edges = workflow.edges.iter().filter(|edge| edge.from != edge.to);
        let successors = Rows::new(count, edges.clone().map(|edge| (edge.from, edge.to, edge.kind)));
        let predecessors = Rows::new(count, edges.map(|edge| (edge.to, edge.from, edge.kind)));
        let order = topological(&successors, &predecessors, count);
        let mut paths = vec![0_u64; count];
        for task in order.iter().rev() {
            let longest = successors.of(*task).iter().map(|(next, _)| paths[next.0 as usize]).max().unwrap_or(0);
            let own = durations.get(task.0 as usize).copied().filter(|known| *known > 0).unwrap_or(1);
            paths[task.0 as usize] = longest.saturating_add(own);
        }
        let rank = |(at, task): (usize, &super::super::graph::Task)| Rank {
            priority: -task.priority,
            path: if by_list { 0 } else { u64::MAX - paths[at] },
            task: super::task_id(at).0,
        };
        let ranks = workflow.tasks.iter().enumerate().map(rank).collect();
        let names = NameIndex::of(workflow);
        let of_task = |task: &super::super::graph::Task| {
            traits(task.condition.as_ref(), &Scope { names: &names, stage: Some(task.stage), stage_first: false })
        };
        let of_stage = |stage: &super::super::graph::Stage| {
            traits(stage.condition.as_ref(), &Scope { names: &names, stage: None, stage_first: true })
        };
        Layout {
            successors,
            predecessors,
            order,
            ranks,
            task_traits: workflow.tasks.iter().map(of_task).collect(),
            stage_traits: workflow.stages.iter().map(of_stage).collect(),
        }
    }
}

/// Functions, commands and fixed values are combined with `success()`: only an expression says what it reads.
fn traits(condition: Option<&Condition>, scope: &Scope<'_>) -> Traits {
    let Some(Condition::Expression(text)) = condition else { return Traits::default() };
    let Ok(mut expression) = Expr::parse(text) else { return Traits::default() };
    if expression.bind(scope).is_err() {
        return Traits::default();
    }
    Traits { replaces_success: expression.mentions_status(), survives_stop: expression.mentions_failure() }
}

/// Everything that waits for `start` directly or not, through edges and through the order of stages.
pub fn downstream(workflow: &Workflow, start: TaskId) -> Vec<bool> {
    let successors = Rows::new(workflow.tasks.len(), workflow.edges.iter().map(|edge| (edge.from, edge.to, edge.kind)));
    let mut reached = vec![false; workflow.tasks.len()];
    let first: StageId = workflow.tasks[start.0 as usize].stage;
    for (at, task) in workflow.tasks.iter().enumerate() {
        reached[at] = task.stage.0 > first.0;
    }
    let mut open = vec![start];
    while let Some(task) = open.pop() {
        reached[task.0 as usize] = true;
        open.extend(successors.of(task).iter().map(|(next, _)| *next).filter(|next| !reached[next.0 as usize]));
    }
    reached
}

/// Everything that `starts` wait for, and themselves.
pub fn upstream(workflow: &Workflow, starts: &[TaskId]) -> Vec<bool> {
    let predecessors =
        Rows::new(workflow.tasks.len(), workflow.edges.iter().map(|edge| (edge.to, edge.from, edge.kind)));
    let mut reached = vec![false; workflow.tasks.len()];
    let mut open = starts.to_vec();
    while let Some(task) = open.pop() {
        if std::mem::replace(&mut reached[task.0 as usize], true) {
            continue;
        }
        open.extend(predecessors.of(task).iter().map(|(before, _)| *before));
        open.extend(workflow.tasks[task.0 as usize].branch.map(|(decider, _)| decider));
    }
    reached
}

fn topological(successors: &Rows, predecessors: &Rows, count: usize) -> Vec<TaskId> {
    let id = super::task_id;
    let mut left: Vec<usize> = (0..count).map(|at| predecessors.of(id(at)).len()).collect();
    let mut order: Vec<TaskId> = (0..count).filter(|at| left[*at] == 0).map(id).collect();
    let mut at = 0;
    while at < order.len() {
        for (next, _) in successors.of(order[at]) {
            left[next.0 as usize] -= 1;
            if left[next.0 as usize] == 0 {
                order.push(*next);
            }
        }
        at += 1;
    }
    order.extend((0..count).filter(|at| left[*at] > 0).map(id));
    order
}
