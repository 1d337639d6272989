//! The driver of the machine, as the engine does it: batches in order, early orders at once, late ones when durable.

use std::collections::VecDeque;
use std::sync::Arc;

use sloth_core::launch::Order;
use sloth_core::machine::{Answer, Arms, Early, Edit, Effects, Input, Late, Machine, Refusal, Token};
use sloth_core::record::{Record, Stats};
use sloth_core::run::RunTrigger;
use sloth_core::trigger::Trigger;
use sloth_core::{Moment, RunId, Schedule, ScheduleId};

use super::world::Event;

pub struct Daemon {
    pub machine: Machine,
    pub life: u64,
    pub boot_id: String,
    pub current: Effects,
    pub pending: VecDeque<Batch>,
    pub in_flight: bool,
    pub retry_at: Option<i64>,
    pub blocked: bool,
    /// Orders that wait for the executor.
    pub orders: Vec<Order>,
    /// What was asked of the world in this step, to be put in the queue.
    pub out: Vec<Event>,
    pub edits: VecDeque<Change>,
    pub answers: Vec<(Token, Result<Answer, Refusal>)>,
    tokens: u64,
}

#[derive(Debug)]
pub struct Batch {
    pub records: Vec<Record>,
    pub late: Vec<Late>,
    pub arms: Arms,
    pub purpose: Purpose,
}

#[derive(Debug)]
pub enum Purpose {
    Machine,
    Run { run: Option<RunId> },
    Edit { id: ScheduleId, success: Edit },
    Quiesce(Option<String>),
}

#[derive(Clone, Debug)]
pub enum Change {
    Create(Box<Schedule>),
    Replace { schedule: Box<Schedule>, new_trigger: bool, stats: Box<Stats>, mark: Moment },
    Delete(ScheduleId),
}

impl Daemon {
    pub fn new(machine: Machine, life: u64, boot_id: String) -> Self {
        Daemon {
            machine,
            life,
            boot_id,
            current: Effects::default(),
            pending: VecDeque::new(),
            in_flight: false,
            retry_at: None,
            blocked: false,
            orders: Vec::new(),
            out: Vec::new(),
            edits: VecDeque::new(),
            answers: Vec::new(),
            tokens: 0,
        }
    }

    pub fn input(&mut self, now: Moment, input: Input) {
        self.machine.handle(now, input, &mut self.current);
        let early = std::mem::take(&mut self.current.early);
        self.carry_out(early);
    }

    fn carry_out(&mut self, early: Vec<Early>) {
        self.orders.extend(early.into_iter().map(|early| match early {
            Early::Prepare { start, .. } => Order::Prepare(Box::new(start.launch())),
            Early::Order(order) => order,
        }));
    }

    fn close_current(&mut self) {
        if !self.current.is_empty() {
            self.pending.push_back(machine_batch(std::mem::take(&mut self.current)));
        }
    }

    pub fn request(&mut self, now: Moment, make: impl FnOnce(Token) -> Input) {
        self.close_current();
        self.tokens += 1;
        let mut effects = Effects::default();
        let input = make(Token(self.tokens));
        let is_run = matches!(input, Input::RunAsked { .. });
        self.machine.handle(now, input, &mut effects);
        let run = effects.late.iter().find_map(|late| match late {
            Late::Reply(_, Ok(Answer::Run { run, .. })) => Some(*run),
            _ => None,
        });
        if is_run {
            assert!(effects.early.is_empty(), "a run that was asked for acts before it is durable");
        }
        self.carry_out(std::mem::take(&mut effects.early));
        let mut batch = machine_batch(effects);
        if is_run {
            batch.purpose = Purpose::Run { run };
        }
        self.pending.push_back(batch);
    }

    pub fn quiesce(&mut self, reason: Option<String>) {
        self.close_current();
        let records = vec![Record::Meta("quiesced", reason.clone())];
        self.pending.push_back(batch(records, Purpose::Quiesce(reason)));
    }

    /// Changes that may begin now, in order.
    pub fn begin_edits(&mut self, now: Moment) {
        while let Some(change) = self.edits.front() {
            let id = match change {
                Change::Create(schedule) | Change::Replace { schedule, .. } => schedule.id,
                Change::Delete(id) => *id,
            };
            if self.blocked || !self.machine.may_edit(now, id) {
                return;
            }
            if let Some(change) = self.edits.pop_front() {
                self.begin_edit(now, id, change);
            }
        }
    }

    fn begin_edit(&mut self, now: Moment, id: ScheduleId, change: Change) {
        self.input(now, Input::EditBegun(id));
        let epoch = self.machine.epoch();
        let (records, success) = match change {
            Change::Delete(schedule) => {
                (vec![Record::ScheduleDeleted { schedule, at: now, epoch }], Edit::Deleted(now))
            }
            Change::Create(schedule) => self.stored(now, *schedule, true, Stats::default(), now),
            Change::Replace { schedule, new_trigger, stats, mark } => {
                self.stored(now, *schedule, new_trigger, *stats, mark)
            }
        };
        self.close_current();
        self.pending.push_back(batch(records, Purpose::Edit { id, success }));
    }

    fn stored(&self, now: Moment, mut s: Schedule, new: bool, mut stats: Stats, mark: Moment) -> (Vec<Record>, Edit) {
        if new {
            s.trigger_since = now;
            s.trigger_epoch = self.machine.epoch();
            s.trigger = s.trigger.with_anchor(now);
        }
        let schedule = Arc::new(s);
        let mut records = vec![match schedule.revision {
            1 => Record::ScheduleCreated(schedule.clone()),
            _ => Record::ScheduleChanged(schedule.clone()),
        }];
        if new && matches!(schedule.trigger, Trigger::Reboot) {
            stats.fired_boot = Some(self.boot_id.clone());
            records.push(Record::ScheduleStats { schedule: schedule.id, stats: stats.clone() });
        }
        let (mark, next_due) = if new { (now, Some(now)) } else { (mark, Some(mark)) };
        let loaded = sloth_core::machine::Loaded { schedule, mark, next_due, stats };
        (records, Edit::Changed(Box::new(loaded)))
    }

    /// The next batch, when none is on its way.
    pub fn next_batch(&mut self, real: i64) -> Option<Batch> {
        if self.in_flight || self.retry_at.is_some_and(|at| at > real) {
            return None;
        }
        self.retry_at = None;
        self.close_current();
        self.pending.pop_front()
    }

    /// The batch is durable: orders go out, and the machine learns of it.
    pub fn succeeded(&mut self, now: Moment, batch: Batch, forget_arms: bool) {
        match batch.purpose {
            Purpose::Machine | Purpose::Run { .. } => {}
            Purpose::Edit { id, success } => self.input(now, Input::EditEnded(id, success)),
            Purpose::Quiesce(reason) => self.input(now, Input::Quiesced(reason)),
        }
        for late in batch.late {
            match late {
                Late::Order(order) => self.orders.push(order),
                Late::Prepare(start) => self.orders.push(Order::Prepare(Box::new(start.launch()))),
                Late::Worker(..) => {}
                Late::Refill { until, max } => self.out.push(Event::Refill { life: self.life, until, max }),
                Late::Reply(token, answer) => self.answers.push((token, answer)),
            }
        }
        if !forget_arms {
            self.input(now, Input::Committed(batch.arms));
        }
    }

    /// It could not be written.
    pub fn failed(&mut self, now: Moment, batch: Batch, retry_at: i64) {
        if !self.blocked {
            self.blocked = true;
            self.input(now, Input::StorageBlocked);
        }
        match batch.purpose {
            Purpose::Machine => {
                self.retry_at = Some(retry_at);
                self.pending.push_front(batch);
            }
            _ => {
                self.withdrawn(now, batch);
                // Somebody has to find out when it works again.
                self.retry_at = Some(retry_at);
                self.pending.push_back(probe());
            }
        }
    }

    /// A request that failed for good.
    pub fn withdrawn(&mut self, now: Moment, batch: Batch) {
        match batch.purpose {
            Purpose::Run { run: Some(run) } => self.input(now, Input::RunWithdrawn(run)),
            Purpose::Edit { id, .. } => self.input(now, Input::EditEnded(id, Edit::Nothing)),
            _ => {}
        }
    }

    pub fn storage_free(&mut self, now: Moment) {
        if std::mem::take(&mut self.blocked) {
            self.input(now, Input::StorageFree);
        }
    }

    pub fn ask_run(&mut self, now: Moment, loaded: sloth_core::machine::Loaded) {
        let loaded = Box::new(loaded);
        let (trigger, asked_by) = (RunTrigger::Manual, "uid 1000 (ann)".to_owned());
        self.request(now, |token| Input::RunAsked { loaded, trigger, asked_by, token });
    }
}

fn machine_batch(effects: Effects) -> Batch {
    Batch { records: effects.records, late: effects.late, arms: effects.arms, purpose: Purpose::Machine }
}

fn probe() -> Batch {
    batch(vec![Record::Meta("last_alive", None)], Purpose::Machine)
}

fn batch(records: Vec<Record>, purpose: Purpose) -> Batch {
    Batch { records, late: Vec::new(), arms: Arms::default(), purpose }
}
