//! How coroutines and calls end: by returning, by an error, by being discarded, and by waiting for each other.

use std::rc::Rc;
use std::time::Instant;

use mlua::{MultiValue, Table, Value};

use super::Inner;
use super::api::{CallEnd, Raised};
use super::convert::{self, Alien, to_data};
use super::fiber::{Fiber, FiberState, Group};
use super::interrupt::{Interrupted, interrupted};
use super::ops::{Finish, Waits};
use super::timers::Due;
use crate::data::Data;
use crate::host::{CancelKind, LogLevel, Stream};
use crate::module::{Family, Reply};

impl Inner {
    /// The main function of a coroutine returned: true and values, or false and `{error, traceback}`.
    pub(crate) fn returned(&self, fiber: &Rc<Fiber>, mut values: MultiValue) {
        let outcome = match values.pop_front() {
            Some(Value::Boolean(true)) => Ok(values),
            _ => Err(match values.front() {
                Some(Value::Table(pair)) => raised_of(pair),
                Some(Value::String(text)) => Raised::new(text.to_string_lossy()),
                other => Raised::new(other.map_or_else(String::new, |value| value.to_string().unwrap_or_default())),
            }),
        };
        self.over(fiber, outcome);
    }

    /// A coroutine died of something that its own handler could not catch.
    pub(crate) fn broke(&self, fiber: &Rc<Fiber>, error: &mlua::Error) {
        self.over(fiber, Err(raised_from(error)));
    }

    /// A coroutine that does not obey is forgotten.
    pub(crate) fn discard(&self, fiber: &Rc<Fiber>) {
        let kind = fiber.scope.borrow().verdict(Instant::now()).unwrap_or(CancelKind::Timeout);
        let why = interrupted(&kind);
        self.over(fiber, Err(Raised::of_kind(why.kind, why.message)));
    }

    fn over(&self, fiber: &Rc<Fiber>, outcome: Result<MultiValue, Raised>) {
        self.forget(fiber);
        let group = fiber.group.borrow().clone();
        if fiber.main {
            let end = outcome.and_then(|values| self.take_results(&group, values));
            *group.main_end.borrow_mut() = Some(end);
            self.begin_join(&group, fiber);
        } else {
            self.goroutines.set(self.goroutines.get().saturating_sub(1));
            if let Err(raised) = outcome {
                self.goroutine_died(fiber, &raised);
            }
        }
        self.settle(&group);
    }

    fn take_results(&self, group: &Rc<Group>, values: MultiValue) -> Result<Vec<Data>, Raised> {
        if group.keep_values {
            *group.keep.borrow_mut() = Some(values);
            return Ok(Vec::new());
        }
        let mut warnings = group.warnings.borrow_mut();
        values
            .iter()
            .map(|value| to_data(value, Alien::Drop(&mut warnings)))
            .collect::<Result<_, _>>()
            .map_err(|problem| Raised::new(format!("the returned values cannot be kept: {problem}")))
    }

    /// Takes a coroutine out of everything.
    fn forget(&self, fiber: &Rc<Fiber>) {
        if let FiberState::Waiting(id) = fiber.state.get() {
            self.ops.borrow_mut().remove(id);
        }
        fiber.state.set(FiberState::Over);
        fiber.thread.take();
        fiber.input.take();
        fiber.group.borrow().fibers.borrow_mut().retain(|known| known.id != fiber.id);
    }

    /// Ended by the host, not by its own function: whoever awaits it is told.
    fn goroutine_died(&self, fiber: &Rc<Fiber>, raised: &Raised) {
        let told: mlua::Result<()> = self.kernel().died.call((fiber.id, raised.message.as_str()));
        if let Err(error) = told {
            fiber.ctx().say(LogLevel::Error, Stream::Log, format!("a goroutine ended badly: {error}"));
        }
    }

    /// The main function is over; its goroutines are waited for.
    fn begin_join(&self, group: &Rc<Group>, main: &Rc<Fiber>) {
        if group.fibers.borrow().is_empty() {
            return;
        }
        let limit = Instant::now() + self.settings.join_timeout;
        let until = main.ctx().deadline.map_or(limit, |deadline| deadline.min(limit));
        group.join_until.set(Some(until));
        self.timers.borrow_mut().add(until, Due::Join { group: group.id });
        self.suspects.borrow_mut().push(Rc::clone(group));
    }

    /// Goroutines that are still there are ended.
    pub(crate) fn join_over(&self, group: &Rc<Group>) {
        if group.join_until.get().is_none() {
            return;
        }
        let fibers = group.fibers.borrow().clone();
        let active = fibers.iter().filter(|fiber| !self.is_parked(fiber)).count();
        if let (true, Some(fiber)) = (active > 0, fibers.first()) {
            let text = format!("{active} goroutines are still active after the task has returned: cancelled");
            fiber.ctx().say(LogLevel::Warn, Stream::Log, text);
        }
        self.drop_fibers(group);
        self.settle(group);
    }

    fn drop_fibers(&self, group: &Rc<Group>) {
        if group.detached {
            group.scope.ctx.cancel.cancel(CancelKind::Cancelled("its workflow has ended".to_owned()));
        }
        if let Some(others) = group.others.borrow().as_ref() {
            others.ctx.cancel.cancel(CancelKind::Cancelled("its task has ended".to_owned()));
        }
        let fibers = std::mem::take(&mut *group.fibers.borrow_mut());
        for fiber in fibers {
            if !fiber.main {
                self.goroutines.set(self.goroutines.get().saturating_sub(1));
            }
            self.forget(&fiber);
        }
    }

    fn is_parked(&self, fiber: &Rc<Fiber>) -> bool {
        match fiber.state.get() {
            FiberState::Waiting(id) => matches!(self.ops.borrow().get(id).map(|op| op.waits), Some(Waits::Wake { .. })),
            _ => false,
        }
    }

    fn is_stuck(&self, fiber: &Rc<Fiber>) -> bool {
        match fiber.state.get() {
            FiberState::Waiting(id) => self.ops.borrow().get(id).map(|op| op.waits) == Some(Waits::Wake { own: true }),
            _ => false,
        }
    }

    /// Of groups in which something began to wait for another coroutine.
    pub(crate) fn look_for_deadlocks(&self) {
        let suspects = std::mem::take(&mut *self.suspects.borrow_mut());
        for group in suspects {
            if group.end.borrow().is_some() || group.detached {
                continue;
            }
            let fibers = group.fibers.borrow().clone();
            if fibers.is_empty() || !self.are_stuck(&group, &fibers) {
                continue;
            }
            if group.main_end.borrow().is_none() {
                let message = self.deadlock_text(&fibers);
                *group.main_end.borrow_mut() = Some(Err(Raised::new(message)));
            }
            self.drop_fibers(&group);
            self.settle(&group);
        }
    }

    /// Helpers wait for a time; it counts while the function runs, and not after it has returned.
    fn are_stuck(&self, group: &Rc<Group>, fibers: &[Rc<Fiber>]) -> bool {
        let over = group.main_end.borrow().is_some();
        fibers.iter().all(|fiber| self.is_stuck(fiber) || (over && fiber.helper.get()))
    }

    fn deadlock_text(&self, fibers: &[Rc<Fiber>]) -> String {
        let mut text = "deadlock: all goroutines are asleep".to_owned();
        for fiber in fibers.iter().take(20) {
            let FiberState::Waiting(id) = fiber.state.get() else { continue };
            let label = self.ops.borrow().get(id).map(|op| op.label.clone()).unwrap_or_default();
            let site = fiber.thread.borrow().clone().and_then(|thread| self.kernel().site.call::<String>(thread).ok());
            let who = if fiber.main { "the task".to_owned() } else { format!("goroutine {}", fiber.id) };
            text.push_str(&format!("\n  {who}: {label} at {}", site.unwrap_or_default()));
        }
        if fibers.len() > 20 {
            text.push_str(&format!("\n  and {} more", fibers.len() - 20));
        }
        text
    }

    /// Ends a call whose coroutines have all ended.
    pub(crate) fn settle(&self, group: &Rc<Group>) {
        if group.main_end.borrow().is_none() || group.end.borrow().is_some() {
            return;
        }
        if group.fibers.borrow().iter().any(|fiber| !fiber.helper.get()) {
            return;
        }
        self.drop_fibers(group);
        group.flush();
        let mut result = group.main_end.borrow_mut().take().unwrap_or_else(|| Ok(Vec::new()));
        if let (Ok(_), Some(failure)) = (&result, group.failures.borrow().first()) {
            result = Err(Raised::new(format!("goroutine failed: {failure}")));
        }
        *group.end.borrow_mut() = Some(CallEnd {
            result,
            changed: group.changed.get(),
            output: std::mem::take(&mut *group.output.borrow_mut()),
            cancelled: group.cancelled.borrow_mut().take(),
            warnings: std::mem::take(&mut *group.warnings.borrow_mut()),
        });
        self.groups.borrow_mut().remove(&group.id);
        if let Some(waker) = group.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// `os.exit`: ends the whole call.
    pub(crate) fn exit(&self, fiber: &Rc<Fiber>, code: i32) {
        let group = fiber.group.borrow().clone();
        let end = match (group.keep_values, code) {
            (false, 0) => Ok(Vec::new()),
            (false, code) => {
                Err(Raised { exit_code: Some(code), ..Raised::of_kind("exit", format!("exit code {code}")) })
            }
            // At file level it stops the evaluation, which its caller tells apart.
            (true, code) => {
                Err(Raised { exit_code: Some(code), ..Raised::of_kind("os_exit", format!("os.exit({code})")) })
            }
        };
        *group.main_end.borrow_mut() = Some(end);
        self.drop_fibers(&group);
        self.settle(&group);
    }

    /// The call is given up by the engine.
    pub(crate) fn abandon(&self, group: &Rc<Group>) {
        self.groups.borrow_mut().remove(&group.id);
        self.drop_fibers(group);
    }

    /// Keeps whether a resource call changed something.
    pub(crate) fn note_change(&self, fiber: &Rc<Fiber>, finish: Finish, reply: &Reply) {
        let Finish::Family { function, .. } = finish else { return };
        if !function.mutates || !matches!(function.family, Family::C | Family::M | Family::T | Family::V) {
            return;
        }
        let Ok(values) = reply else { return };
        if let Some(Data::Bool(changed)) = values.iter().rev().find_map(|value| value.get("changed")) {
            fiber.group.borrow().note_change(*changed);
        }
    }
}

/// From `{error, traceback}`.
fn raised_of(pair: &Table) -> Raised {
    let error: Value = pair.raw_get(1).unwrap_or(Value::Nil);
    let traceback: String = pair.raw_get(2).unwrap_or_default();
    Raised { traceback: traceback.trim_start().to_owned(), ..raised_value(&error) }
}

/// From what a script raised: a text, an error object, the result of a command, anything.
pub(crate) fn raised_value(error: &Value) -> Raised {
    match error {
        Value::Table(table) => {
            let text = |key: &str| -> Option<String> {
                let value: Value = table.raw_get(key).ok()?;
                convert::text(&value).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            };
            let message = convert::text(error)
                .ok()
                .flatten()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .or_else(|| text("message"))
                .or_else(|| text("error"))
                .unwrap_or_else(|| "an error that is a table without a message".to_owned());
            let exit_code = table.raw_get::<Option<i32>>("exit_code").ok().flatten();
            Raised { message, traceback: String::new(), kind: text("kind"), exit_code }
        }
        Value::Nil => Raised::new("an error without a message"),
        other => Raised::new(other.to_string().unwrap_or_else(|_| "an error without a message".to_owned())),
    }
}

/// From an error of the VM.
pub(crate) fn raised_from(error: &mlua::Error) -> Raised {
    if let Some(why) = error.downcast_ref::<Interrupted>() {
        return Raised::of_kind(why.kind, why.message.clone());
    }
    let text = match error {
        mlua::Error::CallbackError { cause, .. } => return raised_from(cause),
        mlua::Error::MemoryError(_) => {
            return Raised::of_kind("resource_limit", "not enough memory: the limit of the VM is lua.memory_max");
        }
        mlua::Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    };
    let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((&text, ""));
    Raised { message: message.to_owned(), traceback: traceback.trim_start().to_owned(), ..Raised::default() }
}
