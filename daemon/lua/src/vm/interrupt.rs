//! What happens at the safepoints of Lua code (loop back edges, calls, steps of pattern matching): a coroutine that must
//! end is told so, and discarded when it does not obey; one that runs for too long goes to the end of the queue.

use std::cell::Cell;
use std::time::Instant;

use mlua::VmState;

use super::Inner;
use super::fiber::FiberState;
use super::timers::Due;
use crate::host::CancelKind;

/// Safepoints between two looks at the clock.
const TICKS: u32 = 64;

/// Of the coroutine that runs now.
pub(crate) struct Watch {
    pub(crate) ticks: Cell<u32>,
    pub(crate) since: Cell<Instant>,
    /// It has to end, and did not within its time: every safepoint ends a part of it.
    pub(crate) doomed: Cell<bool>,
    /// It was asked to yield.
    pub(crate) asked: Cell<bool>,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch {
            ticks: Cell::new(0),
            since: Cell::new(Instant::now()),
            doomed: Cell::new(false),
            asked: Cell::new(false),
        }
    }

    pub(crate) fn begin(&self) {
        self.since.set(Instant::now());
        self.doomed.set(false);
        self.asked.set(false);
    }
}

/// What the interrupt raises.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Interrupted {
    pub(crate) message: String,
    pub(crate) kind: &'static str,
}

/// Text and kind of an ending from outside.
pub(crate) fn interrupted(kind: &CancelKind) -> Interrupted {
    match kind {
        CancelKind::Timeout => Interrupted { message: "timeout".to_owned(), kind: "timeout" },
        CancelKind::Cancelled(why) if why.is_empty() => {
            Interrupted { message: "cancelled".to_owned(), kind: "cancelled" }
        }
        CancelKind::Cancelled(why) => Interrupted { message: format!("cancelled: {why}"), kind: "cancelled" },
    }
}

impl Inner {
    /// At every safepoint.
    pub(crate) fn safepoint(&self) -> mlua::Result<VmState> {
        let ticks = self.watch.ticks.get().wrapping_add(1);
        self.watch.ticks.set(ticks);
        if !ticks.is_multiple_of(TICKS) && !self.watch.doomed.get() {
            return Ok(VmState::Continue);
        }
        let Ok(current) = self.current.try_borrow() else { return Ok(VmState::Continue) };
        let Some(fiber) = current.as_ref() else { return Ok(VmState::Continue) };
        if fiber.state.get() != FiberState::Running {
            return Ok(VmState::Continue);
        }
        let now = Instant::now();
        let scope = fiber.scope.borrow();
        if let Some(kind) = scope.verdict(now) {
            let raise = || Err(mlua::Error::external(interrupted(&kind)));
            return match fiber.told.get() {
                None => {
                    fiber.told.set(Some(now));
                    let due = Due::Grace { group: fiber.group.borrow().id, fiber: fiber.id };
                    self.timers.borrow_mut().add(now + self.settings.kill_grace, due);
                    raise()
                }
                Some(told) if now < told + self.settings.kill_grace => Ok(self.slice(now)),
                // The first request to yield is obeyed where the coroutine can yield; where it cannot (a metamethod,
                // a comparator), each safepoint raises until it is out of there.
                Some(_) if self.watch.doomed.replace(true) => raise(),
                Some(_) => Ok(VmState::Yield),
            };
        }
        Ok(self.slice(now))
    }

    fn slice(&self, now: Instant) -> VmState {
        if now < self.watch.since.get() + self.settings.slice {
            return VmState::Continue;
        }
        self.watch.asked.set(true);
        VmState::Yield
    }
}
