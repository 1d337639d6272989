//! Names in records: those of tasks that two stages use get their stage before them.

use std::collections::HashMap;

use super::Expander;
use crate::define::fault::Fault;

impl Expander<'_> {
    /// `<stage>/<name>` where a name is used in two stages; two tasks of one name in one stage are an error.
    pub(super) fn name_tasks(&mut self) {
        let mut uses: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, task) in self.workflow.tasks.iter().enumerate() {
            uses.entry(&task.declared).or_default().push(at);
        }
        let mut rename = Vec::new();
        let mut double = Vec::new();
        for places in uses.into_values().filter(|places| places.len() > 1) {
            for (nth, at) in places.iter().enumerate() {
                let stage = self.workflow.tasks[*at].stage;
                if places[..nth].iter().any(|other| self.workflow.tasks[*other].stage == stage) {
                    double.push(*at);
                } else {
                    rename.push(*at);
                }
            }
            // Two of one stage and no other stage: the error is enough.
            let first = self.workflow.tasks[places[0]].stage;
            if places.iter().all(|at| self.workflow.tasks[*at].stage == first) {
                rename.retain(|at| !places.contains(at));
            }
        }
        for at in rename {
            let stage = self.workflow.stages[self.workflow.tasks[at].stage.0 as usize].name.clone();
            let task = &mut self.workflow.tasks[at];
            task.name = format!("{stage}/{}", task.declared);
        }
        double.sort_unstable();
        for at in double {
            let task = &self.workflow.tasks[at];
            let message = format!("workflow {:?} has two tasks named {:?}", self.workflow.name, task.declared);
            self.desk.report_at(Fault::new("E111", message).hint("give one of them another name"), task.place.clone());
        }
    }
}
