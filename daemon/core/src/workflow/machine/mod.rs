//! The state machine of one workflow: which task may begin, which is tried again, what is skipped, what is undone. It
//! owns no clock, no process and no script.
//!
//! Facts come in as [`Input`]s; what must follow goes out as [`Effect`]s, to be carried out in their order. Time is that
//! since the machine began.
//!
//! ```text
//!            edges ended      conditions     key        slot near      durable       slot
//!  pending ──────────────▶ judging ──────▶ keying ──▶ ready ──────▶ announced ──▶ cleared ──▶ running
//!     │                       │                        ▲                                        │
//!     │ stop, cancel          │ false                  │ back-off over         failure          │
//!     ▼                       ▼                     waiting ◀── asking ◀────────────────────────┤
//!   ended ◀───────────────  ending ◀────────────────────────────────────────────────────────────┘
//!            recorded, released
//! ```
//!
//! A record that an attempt begins may be on its way to the disk before a slot is free ([`Settings::window`]): many
//! short tasks then wait for the disk together.

mod attempts;
mod cancel;
mod effects;
mod ending;
mod layout;
mod ready;
mod resume;
mod rounds;
mod select;
mod settings;
mod stages;
mod stop;
mod tasks;
mod undo;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use effects::{
    CancelReason, Effect, End, Handled, Input, Judgement, KillReason, Outcome, Scope, StageStatus, Status, Undo,
    Undone, Verdict, Why,
};
pub use layout::downstream;
pub use resume::{Past, TaskPast};
pub use select::{Selection, Unselectable, select};
pub use settings::{Overrides, Settings, TooLarge};
pub use tasks::closing_hooks;
pub use undo::{Entry, EntryId, Ledger, Source};

use super::graph::{EdgeKind, HookWhen, StageId, TaskId, Workflow};
use crate::random::Random;
use layout::{Layout, Rank};

/// See the module.
pub struct Machine {
    workflow: Arc<Workflow>,
    settings: Settings,
    layout: Layout,
    nodes: Vec<Node>,
    stages: Vec<StageState>,
    now: Duration,
    random: Random,
    /// The stage that is executing or being judged.
    current: Option<StageId>,
    /// Tasks of the current stage between `pending` and `ended`.
    active: u32,
    /// Of tasks that need a slot, and of async ones, which do not.
    queues: [Queues; 2],
    /// Tasks to look at again, because something that they waited for has ended.
    fresh: VecDeque<TaskId>,
    /// Slots in use.
    running: u32,
    /// Ready, but their resources are taken.
    starved: Vec<TaskId>,
    used: BTreeMap<String, u64>,
    timers: BinaryHeap<Reverse<(Duration, u64, Timer)>>,
    timer_seq: u64,
    deadline: Option<Duration>,
    paused: bool,
    cancelled: Option<Cancelled>,
    timed_out: bool,
    refused: Option<String>,
    round: u32,
    openings: u32,
    /// What still has to happen before the next stage or the end.
    steps: VecDeque<Step>,
    /// Ends that are being recorded for good after the last round.
    unsettled: u32,
    after_settling: Option<AfterSettling>,
    handled_before: HashSet<(Scope, HookWhen)>,
    undone: Undone,
    handled: bool,
    recovered: bool,
    done: bool,
}

/// Tasks near their beginning, first ones first.
#[derive(Clone, Debug, Default)]
struct Queues {
    ready: BTreeSet<Rank>,
    announced: BTreeSet<Rank>,
    cleared: BTreeSet<Rank>,
}

impl Queues {
    fn of(&mut self, phase: Phase) -> Option<&mut BTreeSet<Rank>> {
        match phase {
            Phase::Ready => Some(&mut self.ready),
            Phase::Announced => Some(&mut self.announced),
            Phase::Cleared => Some(&mut self.cleared),
            _ => None,
        }
    }
}

/// A task.
#[derive(Clone, Debug, Default)]
struct Node {
    phase: Phase,
    /// Edges whose beginning has not ended.
    left: u32,
    /// Number of the last attempt that was announced.
    attempts: u32,
    /// Attempts that began, in any worker.
    begun: u32,
    end: Option<End>,
    /// Ended, but another round may follow; not recorded yet.
    provisional: bool,
    slot: bool,
    key: bool,
    resources: bool,
    kill: Option<KillReason>,
    branch: Option<u32>,
    delay_ms: u64,
    /// Successors by order alone were let go when it began.
    passed: bool,
    unrecorded: bool,
    unreleased: bool,
    /// Was running when an earlier worker was lost.
    interrupted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Pending,
    Judging,
    Keying,
    Ready,
    Announced,
    Cleared,
    Running,
    Asking,
    Waiting,
    Ending,
    Ended,
}

#[derive(Clone, Debug, Default)]
struct StageState {
    /// Tasks that have not ended.
    open: u32,
    failures: u32,
    /// Failures accepted so far.
    tolerated: u32,
    /// Nothing but what names a failure may begin.
    stopped: Option<Why>,
    timed_out: bool,
    /// Its own condition is false.
    unwanted: bool,
    opened: bool,
    round: u32,
    /// Which opening this is, so that a timer of an earlier one is known.
    opening: u32,
    status: Option<StageStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Attempt(u32, u32),
    Backoff(u32, u32),
    Stage(u32, u32),
    Round(u32),
    Run,
}

#[derive(Clone, Copy, Debug)]
struct Cancelled {
    reason: CancelReason,
    force: bool,
    compensate: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Handlers(Scope, HookWhen),
    Commit(Scope),
    Undo(Undo),
    NextStage,
    Done,
}

#[derive(Clone, Copy, Debug)]
enum AfterSettling {
    Stage(StageId),
    Run,
}

impl Machine {
    /// A machine at its beginning; [`Input::Started`] sets it going.
    pub fn new(workflow: Arc<Workflow>, settings: Settings) -> Machine {
        let layout = Layout::new(&workflow, &settings.durations, settings.slots == 1);
        let node = |at: usize| Node {
            left: u32::try_from(layout.predecessors.of(task_id(at)).len()).unwrap_or(u32::MAX),
            ..Node::default()
        };
        let stage = |stage: &super::graph::Stage| StageState {
            open: u32::try_from(stage.tasks.len()).unwrap_or(u32::MAX),
            ..StageState::default()
        };
        Machine {
            nodes: (0..workflow.tasks.len()).map(node).collect(),
            stages: workflow.stages.iter().map(stage).collect(),
            now: Duration::ZERO,
            random: Random::new(settings.seed),
            current: None,
            active: 0,
            queues: Default::default(),
            fresh: VecDeque::new(),
            running: 0,
            starved: Vec::new(),
            used: BTreeMap::new(),
            timers: BinaryHeap::new(),
            timer_seq: 0,
            deadline: settings.timeout_ms.map(Duration::from_millis),
            paused: settings.paused,
            cancelled: None,
            timed_out: false,
            refused: None,
            round: 0,
            openings: 0,
            steps: VecDeque::new(),
            unsettled: 0,
            after_settling: None,
            handled_before: HashSet::new(),
            undone: Undone::default(),
            handled: false,
            recovered: false,
            done: false,
            layout,
            settings,
            workflow,
        }
    }

    /// Takes one fact in. What must follow is added to `effects`. Answers to questions that are no longer open are
    /// ignored.
    pub fn handle(&mut self, now: Duration, input: Input, effects: &mut Vec<Effect>) {
        self.now = now;
        if self.done {
            return;
        }
        match input {
            Input::Started => self.start(effects),
            Input::HandlersEnded(said) => self.handlers_ended(said, effects),
            Input::StageJudged(stage, judgement) => self.stage_judged(stage, judgement, effects),
            Input::Judged(task, judgement) => self.judged(task, judgement, effects),
            Input::KeyAnswered(task, answer) => self.key_answered(task, answer, effects),
            Input::Announced(task) => self.cleared(task),
            Input::AttemptEnded(task, outcome) => self.attempt_ended(task, outcome, effects),
            Input::RetryAnswered(task, again) => self.retry_answered(task, again, effects),
            Input::Released(task) => self.released(task, effects),
            Input::Recorded(task) => self.recorded(task, effects),
            Input::Compensated(undone) => self.compensated(undone, effects),
            Input::Woken => self.fire(effects),
            Input::Cancelled { reason, force, compensate } => self.cancel(reason, force, compensate, effects),
            Input::TaskCancelled(task) => self.cancel_task(task, effects),
            Input::Paused => self.pause(true, effects),
            Input::Unpaused => self.pause(false, effects),
        }
        self.settle_all(effects);
        self.unstick(effects);
        self.settle_all(effects);
    }

    /// When the machine wants [`Input::Woken`] next.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The graph.
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// Attempts in all that a task may have.
    pub fn max_attempts(&self, task: TaskId) -> u32 {
        self.retry_of(task).max_attempts.max(1)
    }

    /// Of one attempt, milliseconds.
    pub fn timeout_of(&self, task: TaskId) -> Option<u64> {
        let own = self.workflow.tasks[index(task)].timeout_ms;
        Some(own.unwrap_or(self.settings.task_timeout_ms)).filter(|limit| *limit > 0)
    }

    /// Terminal state of a task.
    pub fn end_of(&self, task: TaskId) -> Option<&End> {
        self.nodes[index(task)].end.as_ref()
    }

    /// What a task waits for, and how.
    pub fn before(&self, task: TaskId) -> &[(TaskId, EdgeKind)] {
        self.layout.predecessors.of(task)
    }

    /// Whether somebody ended the run.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }

    /// Whether handlers that may be left out must not run any more.
    pub fn is_forced(&self) -> bool {
        self.cancelled.is_some_and(|cancelled| cancelled.force)
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        if let Some(deadline) = self.deadline {
            self.set_timer(deadline, Timer::Run);
        }
        self.steps.extend([Step::Handlers(Scope::Workflow, HookWhen::OnStart), Step::NextStage]);
        self.next_step(effects);
    }

    fn set_timer(&mut self, at: Duration, timer: Timer) {
        self.timer_seq += 1;
        self.timers.push(Reverse((at, self.timer_seq, timer)));
    }

    fn fire(&mut self, effects: &mut Vec<Effect>) {
        while let Some(Reverse((at, _, timer))) = self.timers.peek().copied() {
            if at > self.now {
                break;
            }
            self.timers.pop();
            match timer {
                Timer::Attempt(task, attempt) => self.attempt_timed_out(TaskId(task), attempt, effects),
                Timer::Backoff(task, attempt) => self.backoff_over(TaskId(task), attempt),
                Timer::Stage(stage, round) => self.stage_timed_out(StageId(stage), round, effects),
                Timer::Round(round) => self.round_begins(round, effects),
                Timer::Run => self.run_timed_out(effects),
            }
        }
    }

    /// The only place where a task changes its phase, so that the count of active tasks is right.
    fn set_phase(&mut self, task: TaskId, phase: Phase) {
        let is_active = |phase: Phase| !matches!(phase, Phase::Pending | Phase::Ended);
        let rank = self.layout.ranks[index(task)];
        let queues = &mut self.queues[usize::from(self.workflow.tasks[index(task)].is_async)];
        let before = std::mem::replace(&mut self.nodes[index(task)].phase, phase);
        if let Some(queue) = queues.of(before) {
            queue.remove(&rank);
        }
        if let Some(queue) = queues.of(phase) {
            queue.insert(rank);
        }
        self.active = self.active + u32::from(is_active(phase)) - u32::from(is_active(before));
    }

    /// Looks at tasks and fills slots until nothing follows any more.
    fn settle_all(&mut self, effects: &mut Vec<Effect>) {
        loop {
            while let Some(task) = self.fresh.pop_front() {
                self.consider(task, effects);
            }
            self.fill(effects);
            if self.fresh.is_empty() {
                return;
            }
        }
    }

    fn name(&self, task: TaskId) -> String {
        self.workflow.tasks[index(task)].name.clone()
    }
}

fn index(task: TaskId) -> usize {
    task.0 as usize
}

fn task_id(at: usize) -> TaskId {
    TaskId(u32::try_from(at).expect("a graph has at most 10 000 tasks"))
}
