//! From what was defined to graphs: at the end of the definition phase, and for a task or workflow that is run from
//! within.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Map;
use sloth_core::workflow::expr::Expr;
use sloth_core::workflow::{Defined, Diagnostic, Level, Place, RunnerConfig, Workflow};

use super::Define;
use crate::define::draft::{Cond, Element, WorkflowDraft};
use crate::define::expand::{Metadata, Rules, expand, implicit, sort};
use crate::define::fault::Fault;
use crate::host::Mode;

/// What an expansion gave.
pub type Graph = Result<Workflow, Vec<Diagnostic>>;

impl Define {
    pub(super) fn rules(&self, runner: &RunnerConfig) -> Rules {
        Rules {
            lenient: matches!(self.mode, Mode::Plan | Mode::Validate),
            cycles_allowed: runner.no_cycle_detection,
            retries: runner.retry_default,
        }
    }

    /// All workflows of the file.
    pub(super) fn graphs(&self, runner: RunnerConfig, metadata: &Metadata) -> Defined {
        let main = self.program.borrow().main.clone();
        let mut drafts = self.desk.workflows();
        if drafts.is_empty() {
            drafts.extend(implicit(&self.desk, &main, metadata));
        }
        let mut defined = Defined { runner, stack: self.desk.stack(), ..Defined::default() };
        if drafts.is_empty() && !self.desk.has_run() {
            let fault = Fault::new("E203", "no workflows or tasks defined").hint("task(\"name\"):command(\"…\")");
            self.desk.report_at(fault, Place { file: main, line: 1, column: 1 });
        }
        let rules = self.rules(&defined.runner);
        for draft in drafts {
            let Some(workflow) = expand(&draft, &self.desk, rules) else { continue };
            let draft = draft.borrow();
            let name = workflow.name.clone();
            defined.selected.extend(draft.selected.clone().map(|params| (name.clone(), params)));
            let schedules = draft.schedules.iter();
            defined.schedules.extend(schedules.map(|(when, options)| (name.clone(), when.clone(), options.clone())));
            defined.workflows.push(Arc::new(workflow));
        }
        defined
    }

    /// One task as a workflow of its own.
    pub(crate) fn single(&self, name: &str) -> Graph {
        let Some(task) = self.desk.task(name) else {
            return Err(vec![self.lost(format!("task {name:?} not found"))]);
        };
        // It is wanted now, whatever it would wait for in a workflow.
        let mut alone = match task.try_borrow() {
            Ok(task) => task.clone(),
            Err(_) => return Err(vec![self.lost(format!("task {name:?} is being changed"))]),
        };
        alone.depends.clear();
        alone.next_if_fail.clear();
        alone.condition.take_if(|cond| self.names_tasks(cond));
        alone.abort_if.take_if(|cond| self.names_tasks(cond));
        let alone = Element::Task(Rc::new(RefCell::new(alone)));
        let mut draft = WorkflowDraft { tasks: vec![alone], ..WorkflowDraft::default() };
        draft.workflow.name = name.to_owned();
        self.graph_of(draft)
    }

    /// Whether a condition is about other tasks of the file.
    fn names_tasks(&self, cond: &Cond) -> bool {
        match cond {
            Cond::Text(text, _) | Cond::Expression(text, _) => {
                let text = text.strip_prefix("expr:").unwrap_or(text);
                Expr::parse(text).is_ok_and(|expr| expr.names().iter().any(|name| self.desk.task(name).is_some()))
            }
            Cond::When(_) => true,
            Cond::Fixed(_) | Cond::Function(_) => false,
        }
    }

    /// A registered workflow, as it is now.
    pub(crate) fn workflow(&self, name: &str) -> Graph {
        let Some(workflow) = self.desk.workflow(name) else {
            return Err(vec![self.lost(format!("workflow {name:?} not found"))]);
        };
        let draft = workflow.borrow().clone();
        self.graph_of(draft)
    }

    fn graph_of(&self, draft: WorkflowDraft) -> Graph {
        // What the definition phase has found so far is not of this graph.
        let before = self.desk.take_findings();
        let draft = Rc::new(RefCell::new(draft));
        let workflow = expand(&draft, &self.desk, self.rules(&RunnerConfig::default()));
        let findings = self.finished(self.desk.take_findings());
        before.into_iter().for_each(|finding| {
            let fault = Fault { code: finding.code, message: finding.message, hint: finding.hint };
            self.desk.report_at(fault, finding.place);
        });
        let errors: Vec<Diagnostic> = findings.into_iter().filter(|finding| finding.level() == Level::Error).collect();
        match workflow {
            Some(workflow) if errors.is_empty() => Ok(workflow),
            _ => Err(errors),
        }
    }

    fn lost(&self, message: String) -> Diagnostic {
        Diagnostic { code: "E201", message, place: self.desk.place(), excerpt: String::new(), hint: None }
    }

    /// Findings with their lines, in order.
    pub(super) fn finished(&self, mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let program = self.program.borrow();
        for finding in &mut findings {
            if finding.place.line == 0 && finding.message.contains("runner_config") {
                finding.place.line = program.setting(&finding.place.file, &finding.message);
            }
            if finding.excerpt.is_empty()
                && let Some(line) = program.line(&finding.place.file, finding.place.line)
            {
                if finding.place.column == 0 {
                    finding.place.column = column(&line, &finding.message);
                }
                finding.excerpt = line.trim_start().to_owned();
            }
        }
        sort(&mut findings);
        findings
    }

    /// Values of a workflow under those that were given.
    pub(super) fn workflow_values(&self, defined: &Defined) -> Map<String, serde_json::Value> {
        let mut layer = Map::new();
        for workflow in &defined.workflows {
            for (key, value) in &workflow.values {
                layer.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        layer
    }
}

/// The VM knows lines only; the column is that of the word that the message quotes, else of the first letter.
fn column(line: &str, message: &str) -> u32 {
    let quoted = message.split('"').skip(1).step_by(2).filter(|word| !word.is_empty());
    let at = quoted.filter_map(|word| line.find(word)).last();
    let at = at.unwrap_or_else(|| line.len() - line.trim_start().len());
    u32::try_from(line[..at].chars().count() + 1).unwrap_or(1)
}
