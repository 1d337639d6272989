//! The scheduler: first in, first out; a coroutine runs until it waits.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mlua::{Function, IntoLua, MultiValue, Value};

use super::Inner;
use super::fiber::{Fiber, FiberState, Group, Scope};
use super::inbox::Inbox;
use super::interrupt::interrupted;
use super::ops::{Op, OpId, Waits, Work};
use super::timers::Due;
use crate::host::{CancelKind, LogLevel, Stream};
use crate::module::{Failure, Reply};

/// How long coroutines run before the rest of the VM's thread gets its turn.
const TURN: Duration = Duration::from_millis(5);

/// Sends a reply when it is dropped without one: the work has panicked, or its runtime is gone.
struct Answer {
    inbox: Arc<Inbox>,
    op: OpId,
    sent: bool,
}

impl Answer {
    fn send(mut self, reply: Reply) {
        self.sent = true;
        self.inbox.push(self.op, reply);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.sent {
            self.inbox.push(self.op, Err(Failure::new("the host gave up on this call; its log may say why")));
        }
    }
}

impl Inner {
    /// Runs what can run. Never completes.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + TURN;
        loop {
            let rung = self.inbox.listen(context.waker());
            if rung {
                for (op, reply) in self.inbox.take() {
                    self.complete(op, reply);
                }
            }
            self.poll_locals(context);
            self.fire();
            if self.ready.borrow().is_empty() {
                self.look_for_deadlocks();
                if self.ready.borrow().is_empty() && !self.inbox.listen(context.waker()) {
                    self.arm();
                    return Poll::Pending;
                }
            }
            while let Some(fiber) = self.next() {
                self.resume(&fiber);
                if Instant::now() >= until {
                    self.arm();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn next(&self) -> Option<Rc<Fiber>> {
        self.ready.borrow_mut().pop_front()
    }

    fn poll_locals(&self, context: &mut Context<'_>) {
        loop {
            // An engine's answer may start a call, which polls nothing: the borrow ends before anything else runs.
            let next = self.locals.borrow_mut().poll_next_unpin(context);
            match next {
                Poll::Ready(Some((op, reply))) => self.complete(op, reply),
                _ => break,
            }
        }
        let added = std::mem::take(&mut *self.new_locals.borrow_mut());
        if !added.is_empty() {
            self.locals.borrow_mut().extend(added);
            self.poll_locals(context);
        }
    }

    /// Timers that are due.
    fn fire(&self) {
        loop {
            let due = self.timers.borrow_mut().pop(Instant::now());
            match due {
                None => break,
                Some(Due::Op(op)) => self.time_out(op),
                Some(Due::Deadline { group }) => {
                    if let Some(group) = self.group(group) {
                        self.notice(&group);
                    }
                }
                Some(Due::Join { group }) => {
                    if let Some(group) = self.group(group) {
                        self.join_over(&group);
                    }
                }
                Some(Due::Grace { group, fiber }) => self.grace_over(group, fiber),
            }
        }
    }

    fn arm(&self) {
        let now = Instant::now();
        if let Some(at) = self.timers.borrow_mut().arm(now) {
            let inbox = Arc::clone(&self.inbox);
            let sleep = self.spawner.sleep(at.saturating_duration_since(now));
            self.spawner.spawn(Box::pin(async move {
                sleep.await;
                inbox.ring();
            }));
        }
    }

    /// Makes a coroutine.
    pub(crate) fn start(
        &self,
        group: &Rc<Group>,
        scope: &Rc<Scope>,
        main: bool,
        function: Function,
        args: MultiValue,
    ) -> mlua::Result<Rc<Fiber>> {
        let thread = self.lua.create_thread(self.kernel().entry.clone())?;
        let mut input = args;
        input.push_front(Value::Function(function));
        let fiber = Rc::new(Fiber::new(self.next_id(), group, scope, main, thread, input));
        group.fibers.borrow_mut().push(Rc::clone(&fiber));
        self.ready.borrow_mut().push_back(Rc::clone(&fiber));
        Ok(fiber)
    }

    fn resume(&self, fiber: &Rc<Fiber>) {
        let Some(thread) = fiber.thread.borrow().clone().filter(|_| fiber.state.get() == FiberState::Ready) else {
            return;
        };
        let input = fiber.input.take().unwrap_or_default();
        fiber.state.set(FiberState::Running);
        *self.current.borrow_mut() = Some(Rc::clone(fiber));
        self.watch.begin();
        let outcome = thread.resume::<MultiValue>(input);
        *self.current.borrow_mut() = None;
        self.mind_memory();
        if fiber.is_over() {
            return;
        }
        match outcome {
            Ok(values) if thread.is_resumable() => self.paused(fiber, values),
            Ok(values) => self.returned(fiber, values),
            Err(error) => self.broke(fiber, &error),
        }
    }

    /// Luau does not collect when an allocation fails: garbage near the limit would make others fail.
    fn mind_memory(&self) {
        let (used, limit) = (self.lua.used_memory(), self.settings.memory_max);
        if used > limit / 2 && used > self.collected.get() + limit / 16 {
            // An error is one of a finalizer, and there are none of the script's.
            let _ = self.lua.gc_collect();
            self.collected.set(self.lua.used_memory());
        } else if used < self.collected.get() {
            self.collected.set(used);
        }
    }

    /// A coroutine gave up control.
    fn paused(&self, fiber: &Rc<Fiber>, values: MultiValue) {
        match (values.front(), values.get(1)) {
            (None, _) if self.watch.doomed.get() => self.discard(fiber),
            (None, _) => {
                if self.watch.asked.get() {
                    fiber.ctx().say(LogLevel::Debug, Stream::Log, "a coroutine ran long without a pause: others first");
                }
                self.make_ready(fiber, MultiValue::new());
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // looked up
            (Some(tag), Some(Value::Number(op))) if *tag == self.kernel().host_tag => self.wait(fiber, *op as OpId),
            #[allow(clippy::cast_sign_loss)] // looked up
            (Some(tag), Some(Value::Integer(op))) if *tag == self.kernel().host_tag => self.wait(fiber, *op as OpId),
            _ => {
                let fail = self.kernel().fail.clone();
                let text = "attempt to yield from outside a coroutine".into_lua(&self.lua).unwrap_or(Value::Nil);
                self.make_ready(fiber, MultiValue::from_vec(vec![fail, text]));
            }
        }
    }

    pub(crate) fn make_ready(&self, fiber: &Rc<Fiber>, input: MultiValue) {
        if fiber.is_over() {
            return;
        }
        *fiber.input.borrow_mut() = Some(input);
        fiber.state.set(FiberState::Ready);
        self.ready.borrow_mut().push_back(Rc::clone(fiber));
    }

    /// A coroutine waits for an operation, which starts now.
    fn wait(&self, fiber: &Rc<Fiber>, id: OpId) {
        let now = Instant::now();
        let verdict = fiber.scope.borrow().verdict(now);
        if let (Some(kind), None) = (verdict, fiber.told.get()) {
            self.ops.borrow_mut().remove(id);
            return self.tell(fiber, &kind, now);
        }
        let work = {
            let mut ops = self.ops.borrow_mut();
            match ops.get_mut(id) {
                Some(op) if op.fiber.is_none() => {
                    op.fiber = Some(Rc::clone(fiber));
                    if let Some(early) = op.early.take() {
                        ops.remove(id);
                        drop(ops);
                        return self.make_ready(fiber, early);
                    }
                    op.work.take()
                }
                _ => None,
            }
        };
        match work {
            Some(work) => {
                fiber.state.set(FiberState::Waiting(id));
                self.begin(id, work, fiber);
            }
            None => {
                let failure = Failure::new("nothing to wait for");
                let values = super::results::raised(&self.lua, None, failure).unwrap_or_default();
                self.make_ready(fiber, values);
            }
        }
    }

    fn begin(&self, id: OpId, work: Work, fiber: &Rc<Fiber>) {
        let answer = || Answer { inbox: Arc::clone(&self.inbox), op: id, sent: false };
        match work {
            Work::Io(future) => {
                let answer = answer();
                self.spawner.spawn(Box::pin(async move { answer.send(future.await) }));
                self.watch_deadline(fiber);
            }
            Work::Blocking(work) => {
                let answer = answer();
                self.spawner.spawn_blocking(Box::new(move || answer.send(work())));
                self.watch_deadline(fiber);
            }
            Work::Local(future) => {
                let named = Box::pin(async move { (id, future.await) });
                self.new_locals.borrow_mut().push(named);
                self.inbox.ring();
                self.watch_deadline(fiber);
            }
            Work::Sleep(at) => {
                self.timers.borrow_mut().add(at, Due::Op(id));
                self.watch_deadline(fiber);
            }
            Work::Turn => self.time_out(id),
            Work::Exit(code) => self.exit(fiber, code),
            Work::Park { until, .. } => {
                if let Some(at) = until {
                    self.timers.borrow_mut().add(at, Due::Op(id));
                }
                let group = fiber.group.borrow().clone();
                self.suspects.borrow_mut().push(group);
                self.watch_deadline(fiber);
            }
        }
    }

    /// Has the deadline of a waiting coroutine noticed, once per scope.
    fn watch_deadline(&self, fiber: &Rc<Fiber>) {
        let scope = fiber.scope.borrow();
        if let (Some(deadline), false) = (scope.ctx.deadline, scope.watched.replace(true)) {
            self.timers.borrow_mut().add(deadline, Due::Deadline { group: fiber.group.borrow().id });
        }
    }

    /// An operation of the host ended.
    pub(crate) fn complete(&self, id: OpId, reply: Reply) {
        if let Some(reply) = self.record(id, reply) {
            let Some(op) = self.ops.borrow_mut().remove(id) else { return };
            self.deliver(op, reply);
        }
    }

    fn deliver(&self, op: Op, reply: Reply) {
        let Some(fiber) = op.fiber else { return };
        if fiber.due.replace(false) {
            let kind = fiber.scope.borrow().verdict(Instant::now()).unwrap_or(CancelKind::Timeout);
            return self.raise_in(&fiber, &kind);
        }
        self.note_change(&fiber, op.finish, &reply);
        let values = super::results::answer(&self.lua, &self.kernel().metas, op.finish, reply)
            .or_else(|error| super::results::raised(&self.lua, None, Failure::new(error.to_string())))
            .unwrap_or_default();
        self.make_ready(&fiber, values);
    }

    /// The time of an operation has come.
    fn time_out(&self, id: OpId) {
        let Some(op) = self.ops.borrow_mut().remove(id) else { return };
        if let Some(fiber) = op.fiber {
            self.make_ready(&fiber, MultiValue::from_vec(vec![Value::Number(0.0), Value::Boolean(false)]));
        }
    }

    /// One coroutine wakes another; false: that does not wait any more.
    pub(crate) fn wake(&self, id: OpId, mut values: MultiValue) -> bool {
        let mut ops = self.ops.borrow_mut();
        let Some(op) = ops.get_mut(id) else { return false };
        if !op.parks {
            return false;
        }
        values.push_front(Value::Boolean(true));
        values.push_front(Value::Number(0.0));
        match op.fiber.clone() {
            Some(fiber) => {
                ops.remove(id);
                drop(ops);
                self.make_ready(&fiber, values);
                true
            }
            None if op.early.is_none() => {
                op.early = Some(values);
                true
            }
            None => false,
        }
    }

    /// Tells all coroutines of a group that must end so.
    pub(crate) fn notice(&self, group: &Rc<Group>) {
        let now = Instant::now();
        let fibers = group.fibers.borrow().clone();
        for fiber in fibers {
            let verdict = fiber.scope.borrow().verdict(now);
            let (Some(kind), None) = (verdict, fiber.told.get()) else { continue };
            let FiberState::Waiting(id) = fiber.state.get() else { continue };
            let waits = self.ops.borrow().get(id).map(|op| op.waits);
            if waits == Some(Waits::Host) {
                // What it waits for has been told, too, and ends what it has started: that comes first.
                fiber.due.set(true);
                self.arm_grace(&fiber, now);
            } else {
                self.ops.borrow_mut().remove(id);
                self.tell(&fiber, &kind, now);
            }
        }
    }

    fn arm_grace(&self, fiber: &Rc<Fiber>, now: Instant) {
        fiber.told.set(Some(now));
        let due = Due::Grace { group: fiber.group.borrow().id, fiber: fiber.id };
        self.timers.borrow_mut().add(now + self.settings.kill_grace, due);
    }

    fn tell(&self, fiber: &Rc<Fiber>, kind: &CancelKind, now: Instant) {
        self.arm_grace(fiber, now);
        self.raise_in(fiber, kind);
    }

    fn raise_in(&self, fiber: &Rc<Fiber>, kind: &CancelKind) {
        let why = interrupted(kind);
        let failure = Failure { kind: Some(why.kind), ..Failure::new(why.message) };
        let values = super::results::raised(&self.lua, None, failure).unwrap_or_default();
        self.make_ready(fiber, values);
    }

    fn grace_over(&self, group: u64, fiber: u64) {
        let Some(group) = self.group(group) else { return };
        let Some(fiber) = group.fibers.borrow().iter().find(|known| known.id == fiber).cloned() else { return };
        if let (true, FiberState::Waiting(id)) = (fiber.due.replace(false), fiber.state.get()) {
            let kind = fiber.scope.borrow().verdict(Instant::now()).unwrap_or(CancelKind::Timeout);
            self.ops.borrow_mut().remove(id);
            return self.tell(&fiber, &kind, Instant::now());
        }
        self.discard(&fiber);
    }
}

/// The queue of the coroutines that can run.
pub(crate) type Ready = VecDeque<Rc<Fiber>>;
