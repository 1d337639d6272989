//! What must hold of a workflow before anything of it runs: size and freedom from cycles.

use super::graph::{StageId, TaskId, Workflow};

/// Most tasks of a workflow after expansion.
pub const TASKS_MAX: usize = 10_000;

/// Above this many, a warning.
pub const TASKS_MANY: usize = 1_000;

/// Deepest nesting of descriptors.
pub const NESTING_MAX: usize = 16;

/// Longest name of a task, stage or workflow, bytes.
pub const NAME_MAX: usize = 200;

/// Something that waits: a task, or everything of a stage for everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A task.
    Task(TaskId),
    /// The start of a stage.
    Stage(StageId),
}

/// A name of a task, stage or workflow: 1 to 200 bytes without control characters, no `/` at the ends. The error is one
/// sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let short: String = name.chars().take(40).collect();
    if name.is_empty() {
        Err("the name is empty".to_owned())
    } else if name.len() > NAME_MAX {
        Err(format!("the name {short:?}… has {} bytes, at most {NAME_MAX} are allowed", name.len()))
    } else if name.chars().any(char::is_control) {
        Err(format!("the name {short:?} has a control character"))
    } else if name.starts_with('/') || name.ends_with('/') {
        Err(format!("the name {short:?} starts or ends with \"/\""))
    } else {
        Ok(())
    }
}

/// A circle of waiting, each waits for the next and the last for the first; `None`: there is none. The order of stages
/// counts, so a task that waits for one of a later stage is in a circle.
pub fn cycle(workflow: &Workflow) -> Option<Vec<Waiting>> {
    let graph = Waits::of(workflow);
    let stuck = graph.stuck();
    let start = stuck.iter().position(|stuck| *stuck)?;
    // Every stuck node waits for a stuck one, so that walking comes back to where it has been.
    let mut walked: Vec<usize> = Vec::new();
    let mut place = vec![usize::MAX; stuck.len()];
    let mut node = start;
    while place[node] == usize::MAX {
        place[node] = walked.len();
        walked.push(node);
        node = graph.waits_for(node).find(|other| stuck[*other])?;
    }
    Some(walked[place[node]..].iter().map(|node| graph.name(*node)).collect())
}

/// The circle in words: `a -> b -> a`.
pub fn describe_cycle(workflow: &Workflow, cycle: &[Waiting]) -> String {
    let name = |waiting: &Waiting| match waiting {
        Waiting::Task(id) => workflow.tasks.get(id.0 as usize).map_or_else(String::new, |task| task.name.clone()),
        Waiting::Stage(id) => {
            let name = workflow.stages.get(id.0 as usize).map_or("", |stage| stage.name.as_str());
            format!("stage {name:?}")
        }
    };
    let mut names: Vec<String> = cycle.iter().map(name).collect();
    names.extend(names.first().cloned());
    names.join(" -> ")
}

/// Who waits for whom. Nodes are the tasks, then the starts of the stages.
struct Waits {
    tasks: usize,
    /// `from[first[n]..first[n + 1]]`: what node `n` waits for.
    first: Vec<u32>,
    from: Vec<u32>,
}

impl Waits {
    fn of(workflow: &Workflow) -> Waits {
        let tasks = workflow.tasks.len();
        let nodes = tasks + workflow.stages.len();
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(workflow.edges.len() + 2 * tasks);
        pairs.extend(workflow.edges.iter().map(|edge| (edge.to.0, edge.from.0)));
        for (at, task) in (0u32..).zip(&workflow.tasks) {
            let stage = task.stage.0 as usize;
            let start = |stage: usize| u32::try_from(tasks + stage).unwrap_or(u32::MAX);
            if stage > 0 {
                pairs.push((at, start(stage)));
            }
            if stage + 1 < workflow.stages.len() {
                pairs.push((start(stage + 1), at));
            }
        }
        // An empty stage still lies between its neighbours.
        for stage in 1..workflow.stages.len().saturating_sub(1) {
            let node = |stage: usize| u32::try_from(tasks + stage).unwrap_or(u32::MAX);
            pairs.push((node(stage + 1), node(stage)));
        }
        pairs.retain(|(to, from)| (*to as usize) < nodes && (*from as usize) < nodes);
        pairs.sort_unstable();
        pairs.dedup();
        let mut first = vec![0u32; nodes + 1];
        for (to, _) in &pairs {
            first[*to as usize + 1] += 1;
        }
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        Waits { tasks, first, from: pairs.into_iter().map(|(_, from)| from).collect() }
    }

    fn waits_for(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.from[self.first[node] as usize..self.first[node + 1] as usize].iter().map(|from| *from as usize)
    }

    /// Nodes that can never start (Kahn 1962: take away what waits for nothing, as long as there is such).
    fn stuck(&self) -> Vec<bool> {
        let nodes = self.first.len() - 1;
        let mut open: Vec<u32> = (0..nodes).map(|node| self.first[node + 1] - self.first[node]).collect();
        let mut followers: Vec<Vec<u32>> = vec![Vec::new(); nodes];
        for node in 0..nodes {
            for from in self.waits_for(node) {
                followers[from].push(u32::try_from(node).unwrap_or(u32::MAX));
            }
        }
        let mut free: Vec<usize> = (0..nodes).filter(|node| open[*node] == 0).collect();
        let mut stuck = vec![true; nodes];
        while let Some(node) = free.pop() {
            stuck[node] = false;
            for follower in &followers[node] {
                let follower = *follower as usize;
                open[follower] -= 1;
                if open[follower] == 0 {
                    free.push(follower);
                }
            }
        }
        stuck
    }

    fn name(&self, node: usize) -> Waiting {
        let number = |node: usize| u32::try_from(node).unwrap_or(u32::MAX);
        match node.checked_sub(self.tasks) {
            None => Waiting::Task(TaskId(number(node))),
            Some(stage) => Waiting::Stage(StageId(number(stage))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::{Edge, EdgeKind, Stage, Task};

    /// Tasks by name and stage, edges as "a b" (a waits for b).
    fn workflow(tasks: &[(&str, u32)], edges: &[(usize, usize)]) -> Workflow {
        let mut workflow = Workflow::default();
        let stages = tasks.iter().map(|(_, stage)| stage + 1).max().unwrap_or(1);
        workflow.stages = (0..stages).map(|n| Stage { name: format!("s{n}"), ..Stage::default() }).collect();
        for (at, (name, stage)) in (0u32..).zip(tasks) {
            let task = Task { name: (*name).into(), stage: StageId(*stage), ..Task::default() };
            workflow.tasks.push(task);
            workflow.stages[*stage as usize].tasks.push(TaskId(at));
        }
        let id = |at: &usize| TaskId(u32::try_from(*at).expect("small"));
        workflow.edges =
            edges.iter().map(|(to, from)| Edge { from: id(from), to: id(to), kind: EdgeKind::Needs }).collect();
        workflow
    }

    fn said(workflow: &Workflow) -> Option<String> {
        cycle(workflow).map(|found| describe_cycle(workflow, &found))
    }

    #[test]
    fn a_cycle_is_told_with_its_path() {
        let three = [("a", 0), ("b", 0), ("c", 0)];
        assert_eq!(said(&workflow(&three, &[(0, 1), (1, 2)])), None);
        assert_eq!(said(&workflow(&three, &[(0, 1), (1, 0), (2, 0)])).as_deref(), Some("a -> b -> a"));
        assert_eq!(said(&workflow(&three, &[(2, 2)])).as_deref(), Some("c -> c"));
        assert_eq!(said(&workflow(&[], &[])), None);
    }

    #[test]
    fn the_path_has_only_what_is_in_the_circle() {
        let four = [("a", 0), ("b", 0), ("c", 0), ("d", 0)];
        assert_eq!(said(&workflow(&four, &[(0, 1), (1, 2), (2, 3), (3, 1)])).as_deref(), Some("b -> c -> d -> b"));
    }

    #[test]
    fn a_task_that_waits_for_a_later_stage_is_in_a_circle() {
        let tasks = [("a", 0), ("b", 1), ("c", 2)];
        assert_eq!(said(&workflow(&tasks, &[(2, 0)])), None);
        let found = said(&workflow(&tasks, &[(0, 2)])).expect("a circle");
        assert_eq!(found, "a -> c -> stage \"s2\" -> b -> stage \"s1\" -> a");
    }

    #[test]
    fn ten_thousand_tasks_are_quick_and_a_long_chain_does_not_overflow() {
        let names: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let mut edges: Vec<(usize, usize)> = (1..10_000).map(|n| (n, n - 1)).collect();
        assert_eq!(cycle(&workflow(&tasks, &edges)), None);
        edges.push((0, 9_999));
        assert_eq!(cycle(&workflow(&tasks, &edges)).map(|path| path.len()), Some(10_000));
    }

    #[test]
    fn a_name_has_1_to_200_bytes_without_control_characters_or_slash_at_the_ends() {
        for good in ["a", "a b", "übung", "a/b", "edge[1]", &"x".repeat(200)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a/", "a\nb", "\u{7f}", &"x".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
