//! A world without processes: attempts take the time and end as the table says, records are durable a moment later, and
//! the worker can die after any record.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sloth_core::workflow::expr::{DataRoot, Expr, World as Reads};
use sloth_core::workflow::machine::{
    Effect, End, Handled, Input, Judgement, Machine, Outcome, Past, Scope, Settings, StageStatus, Status, TaskPast,
    Undone, Verdict,
};
use sloth_core::workflow::{Condition, HookWhen, NameIndex, StageId, TaskId, Workflow};

/// How one attempt ends.
#[derive(Clone, Debug)]
pub struct Ending {
    pub success: bool,
    pub kind: &'static str,
    pub after: Duration,
    pub branch: Option<u32>,
}

#[derive(Clone, Debug)]
pub enum Rec {
    Started(TaskId, u32),
    Retried(TaskId, u32),
    Finished(TaskId, End, Option<u32>),
    Handled(Scope, HookWhen),
    Round(Scope, u32),
}

pub struct Sim {
    pub workflow: Arc<Workflow>,
    pub settings: Settings,
    machine: Machine,
    pub now: Duration,
    inbox: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    inputs: Vec<Input>,
    pub endings: BTreeMap<u32, Vec<Ending>>,
    pub journal: Vec<Rec>,
    pub begins: Vec<(Duration, TaskId, u32)>,
    pub trace: Vec<String>,
    stages: BTreeMap<u32, StageStatus>,
    running: HashSet<TaskId>,
    pub most_running: usize,
    pub verdict: Option<Verdict>,
    /// Dies when the journal has this many records.
    pub die_at: Option<usize>,
    pub undone: Undone,
    pub latency: Duration,
}

impl Sim {
    pub fn new(workflow: Workflow, settings: Settings) -> Sim {
        let workflow = Arc::new(workflow);
        Sim {
            machine: Machine::new(Arc::clone(&workflow), settings.clone()),
            workflow,
            settings,
            now: Duration::ZERO,
            inbox: BinaryHeap::new(),
            inputs: Vec::new(),
            endings: BTreeMap::new(),
            journal: Vec::new(),
            begins: Vec::new(),
            trace: Vec::new(),
            stages: BTreeMap::new(),
            running: HashSet::new(),
            most_running: 0,
            verdict: None,
            die_at: None,
            undone: Undone::default(),
            latency: Duration::from_micros(1),
        }
    }

    pub fn at(&mut self, when: Duration, input: Input) {
        let number = self.inputs.len();
        self.inputs.push(input);
        self.inbox.push(Reverse((when, number as u64, number)));
    }

    fn soon(&mut self, input: Input) {
        self.at(self.now + self.latency, input);
    }

    /// Runs to the end, or to the death of the worker. Whether it ended.
    pub fn run(&mut self) -> bool {
        self.input(Input::Started);
        for _ in 0..2_000_000 {
            if self.verdict.is_some() {
                return true;
            }
            if self.die_at.is_some_and(|at| self.journal.len() >= at) {
                return false;
            }
            let next = self.inbox.peek().map(|Reverse((at, _, _))| *at);
            let deadline = self.machine.next_deadline();
            match (next, deadline) {
                (Some(at), deadline) if deadline.is_none_or(|deadline| at <= deadline) => {
                    let Some(Reverse((_, _, number))) = self.inbox.pop() else { unreachable!() };
                    self.now = self.now.max(at);
                    self.input(self.inputs[number].clone());
                }
                (_, Some(deadline)) => {
                    self.now = self.now.max(deadline);
                    self.input(Input::Woken);
                }
                (_, None) => panic!("the machine waits for nothing:\n{}", self.trace.join("\n")),
            }
        }
        panic!("the machine does not come to an end:\n{}", self.trace.join("\n"));
    }

    /// A new worker takes over with what is in the journal.
    pub fn resume(&mut self) {
        self.machine = Machine::new(Arc::clone(&self.workflow), self.settings.clone());
        self.machine.resume(self.past());
        self.inbox.clear();
        self.running.clear();
        self.stages.clear();
        self.trace.push("--- new worker".to_owned());
    }

    fn past(&self) -> Past {
        let mut tasks: BTreeMap<TaskId, TaskPast> = BTreeMap::new();
        let mut past = Past::default();
        for record in &self.journal {
            match record {
                Rec::Started(task, n) => {
                    tasks.insert(*task, TaskPast::Begun { attempts: *n, running: true });
                }
                Rec::Retried(task, n) => {
                    tasks.insert(*task, TaskPast::Begun { attempts: *n, running: false });
                }
                Rec::Finished(task, end, branch) => {
                    tasks.insert(*task, TaskPast::Ended(end.clone(), *branch));
                }
                Rec::Handled(scope, when) => {
                    past.handled.insert((*scope, *when));
                }
                Rec::Round(Scope::Workflow, round) => past.round = *round,
                Rec::Round(Scope::Stage(stage), round) => past.rounds.push((*stage, *round)),
            }
        }
        past.tasks = tasks.into_iter().collect();
        past
    }

    fn input(&mut self, input: Input) {
        self.trace.push(format!("{:?} <- {input:?}", self.now));
        let mut effects = Vec::new();
        self.machine.handle(self.now, input, &mut effects);
        for effect in effects {
            self.trace.push(format!("    {effect:?}"));
            if self.die_at.is_some_and(|at| self.journal.len() >= at) {
                return;
            }
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::RunHandlers(scope, when) => {
                self.journal.push(Rec::Handled(scope, when));
                self.soon(Input::HandlersEnded(Handled::default()));
            }
            Effect::JudgeStage(stage) => {
                let condition = self.workflow.stages[stage.0 as usize].condition.clone();
                let judgement = self.judge(condition.as_ref(), None);
                self.soon(Input::StageJudged(stage, judgement));
            }
            Effect::Judge(task) => {
                let declared = &self.workflow.tasks[task.0 as usize];
                let aborts = declared.abort_if == Some(Condition::Fixed(true));
                let condition = declared.condition.clone();
                let judgement = self.judge(condition.as_ref(), Some(task));
                let judgement = if aborts { Judgement::Aborts } else { judgement };
                self.soon(Input::Judged(task, judgement));
            }
            Effect::AcquireKey(task) => self.soon(Input::KeyAnswered(task, Ok(()))),
            Effect::Announce(task, n) => {
                self.journal.push(Rec::Started(task, n));
                self.soon(Input::Announced(task));
            }
            Effect::Begin(task, n) => self.begin(task, n),
            Effect::Kill(task, ..) => self.soon(Input::AttemptEnded(task, Outcome::failure("error"))),
            Effect::AskRetry { task, .. } => self.soon(Input::RetryAnswered(task, true)),
            Effect::Retry { task, attempt, .. } => {
                self.running.remove(&task);
                self.journal.push(Rec::Retried(task, attempt));
            }
            Effect::Finish(task, end) => {
                let branch = self.ending(task, end.attempts).branch;
                self.running.remove(&task);
                self.journal.push(Rec::Finished(task, end, branch));
                self.soon(Input::Released(task));
                self.soon(Input::Recorded(task));
            }
            Effect::StageEnded(stage, status) => {
                self.stages.insert(stage.0, status);
            }
            Effect::NewRound(scope, round) => self.journal.push(Rec::Round(scope, round)),
            Effect::Compensate(_) => self.soon(Input::Compensated(self.undone)),
            Effect::Commit(_) | Effect::Status(_) | Effect::ReleaseKey(_) => {}
            Effect::Done(verdict) => self.verdict = Some(verdict),
        }
    }

    fn begin(&mut self, task: TaskId, n: u32) {
        self.begins.push((self.now, task, n));
        self.running.insert(task);
        let is_async = |task: &&TaskId| self.workflow.tasks[task.0 as usize].is_async;
        self.most_running = self.most_running.max(self.running.iter().filter(|task| !is_async(task)).count());
        let ending = self.ending(task, n);
        let outcome = if ending.success {
            Outcome { branch: ending.branch, ..Outcome::success() }
        } else {
            Outcome::failure(ending.kind)
        };
        self.at(self.now + ending.after, Input::AttemptEnded(task, outcome));
    }

    fn ending(&self, task: TaskId, n: u32) -> Ending {
        let known =
            self.endings.get(&task.0).and_then(|list| list.get(n.saturating_sub(1) as usize).or(list.last()).cloned());
        known.unwrap_or(Ending { success: true, kind: "exit", after: Duration::from_secs(1), branch: None })
    }

    fn judge(&self, condition: Option<&Condition>, task: Option<TaskId>) -> Judgement {
        let holds = match condition {
            None => true,
            Some(Condition::Fixed(value)) => *value,
            Some(Condition::Expression(text)) => {
                let names = NameIndex::of(&self.workflow);
                let stage = task.map(|task| self.workflow.tasks[task.0 as usize].stage);
                let scope = sloth_core::workflow::Scope { names: &names, stage, stage_first: task.is_none() };
                let mut expression = Expr::parse(text).expect("an expression");
                expression.bind(&scope).expect("known names");
                match expression.holds(&View(self)) {
                    Ok(holds) => holds,
                    Err(why) => return Judgement::Error(why),
                }
            }
            Some(other) => return Judgement::Error(format!("{other:?}")),
        };
        if holds { Judgement::Holds } else { Judgement::Fails }
    }

    pub fn end_of(&self, task: TaskId) -> Option<&End> {
        self.journal.iter().rev().find_map(|record| match record {
            Rec::Finished(of, end, _) if *of == task => Some(end),
            _ => None,
        })
    }

    /// `completed`, `skipped:condition`, ….
    pub fn word(&self, task: TaskId) -> String {
        let Some(end) = self.end_of(task) else { return "open".to_owned() };
        match (&end.why, end.status) {
            (Some(why), Status::Skipped) => format!("skipped:{}", why.word()),
            _ if end.ignored => "ignored".to_owned(),
            _ => end.status.word().to_owned(),
        }
    }
}

struct View<'s>(&'s Sim);

impl Reads for View<'_> {
    fn task(&self, task: TaskId, field: &str) -> Cow<'_, Value> {
        let status = self.0.machine.end_of(task).map(|end| end.status);
        Cow::Owned(field_of(status.map(Status::word), field))
    }
    fn stage(&self, stage: StageId, field: &str) -> Cow<'_, Value> {
        Cow::Owned(field_of(self.0.stages.get(&stage.0).map(|status| status.word()), field))
    }
    fn data(&self, _root: DataRoot) -> Cow<'_, Value> {
        Cow::Owned(Value::Null)
    }
    fn status(&self, function: sloth_core::workflow::expr::StatusFunction) -> bool {
        use sloth_core::workflow::expr::StatusFunction as F;
        let failed =
            self.0.journal.iter().any(
                |record| matches!(record, Rec::Finished(_, end, _) if end.status == Status::Failed && !end.ignored),
            );
        match function {
            F::Always => true,
            F::Success => !failed,
            F::Failure => failed,
            F::Cancelled => false,
        }
    }
    fn exists(&self, _path: &str) -> bool {
        false
    }
    fn env(&self, _name: &str) -> Option<String> {
        None
    }
    fn matches(&self, _text: &str, _pattern: &str) -> Result<bool, String> {
        Ok(false)
    }
    fn agent_online(&self, _name: &str) -> bool {
        false
    }
}

fn field_of(status: Option<&str>, field: &str) -> Value {
    match field {
        "success" => Value::Bool(status == Some("completed")),
        "failed" => Value::Bool(status == Some("failed")),
        "skipped" => Value::Bool(status == Some("skipped")),
        "cancelled" => Value::Bool(status == Some("cancelled")),
        "status" => status.map_or(Value::Null, Value::from),
        _ => Value::Null,
    }
}
