//! The functions in Rust that the lowest layer in Luau stands on. Scripts cannot reach them but through it; all the same
//! each checks what it is given.

use std::rc::{Rc, Weak};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::fiber::{Fiber, Scope};
use super::interrupt::interrupted;
use super::ops::{Finish, OpId, Work};
use super::results::{answer, raised};
use super::{Inner, upgrade};
use crate::data::Data;
use crate::host::{CancelKind, LogLevel, Stream};
use crate::module::{Failure, Reply};

/// How often a waiting VM thread looks whether its task has been ended.
const LOOK: Duration = Duration::from_millis(20);

/// The table of them.
pub(crate) fn table(inner: &Rc<Inner>) -> mlua::Result<Table> {
    let host = inner.lua.create_table()?;
    basic(inner, &host)?;
    coroutines(inner, &host)?;
    waiting(inner, &host)?;
    context(inner, &host)?;
    Ok(host)
}

type Body<A, R> = fn(&Rc<Inner>, A) -> mlua::Result<R>;

fn add<A, R>(inner: &Rc<Inner>, host: &Table, name: &str, body: Body<A, R>) -> mlua::Result<()>
where
    A: mlua::FromLuaMulti + 'static,
    R: IntoLuaMulti + 'static,
{
    let weak: Weak<Inner> = Rc::downgrade(inner);
    host.raw_set(name, inner.lua.create_function(move |_: &Lua, args: A| body(&upgrade(&weak)?, args))?)
}

fn basic(inner: &Rc<Inner>, host: &Table) -> mlua::Result<()> {
    add(inner, host, "invoke", |inner, mut values: MultiValue| {
        let native = match values.pop_front() {
            Some(index) => index_of(&index).and_then(|index| inner.registry.native(index)),
            None => None,
        };
        match native {
            Some(native) => inner.invoke(native, &values),
            None => raised(&inner.lua, None, Failure::new("no such function")),
        }
    })?;
    add(inner, host, "describe", |_, error: Value| {
        let raised = match &error {
            Value::Error(error) => super::ending::raised_from(error),
            _ => super::Raised::new("a value of the host"),
        };
        Ok((raised.message, raised.kind))
    })?;
    add(inner, host, "say", |inner, (level, message): (String, String)| {
        let level = match level.as_str() {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        inner.ctx()?.say(level, Stream::Log, message);
        Ok(())
    })?;
    add(inner, host, "print", |inner, message: mlua::LuaString| {
        inner.ctx()?.say(LogLevel::Info, Stream::Stdout, message.to_string_lossy());
        Ok(())
    })?;
    add(inner, host, "module", |inner, name: String| inner.module(&name))?;
    add(inner, host, "keep", |inner, function: Function| Ok(inner.keep(function).0))?;
    add(inner, host, "memory", |inner, ()| Ok(inner.lua.used_memory()))?;
    add(inner, host, "clock", |inner, ()| Ok(inner.born.elapsed().as_secs_f64() * 1000.0))?;
    add(inner, host, "memory_max", |inner, ()| Ok(inner.settings.memory_max))?;
    add(inner, host, "epoch", |_, ()| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(since.unwrap_or_default().as_secs_f64())
    })?;
    // Milliseconds, or nil.
    add(inner, host, "duration", |_, value: Value| Ok(super::args::duration_ms(&value)))?;
    add(inner, host, "loaded", |inner, name: String| {
        Ok(inner.registry.loaded(&name).filter(|_| !name.starts_with('_')))
    })?;
    add(inner, host, "functions", |inner, name: String| Ok(inner.registry.functions(&name)))?;
    add(inner, host, "module_info", |inner, name: String| inner.module_info(&name))?;
    add(inner, host, "modules", |inner, ()| {
        Ok(inner.registry.visible().map(|module| module.name).collect::<Vec<_>>())
    })?;
    add(inner, host, "module_names", |inner, ()| Ok(inner.registry.names()))?;
    add(inner, host, "load", |inner, (source, name, env): (mlua::LuaString, String, Table)| {
        match inner.compile(&source.as_bytes(), &name, &env) {
            Ok(function) => Ok((Some(function), None)),
            Err(fault) => Ok((None, Some(fault.message))),
        }
    })
}

fn index_of(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(index) => usize::try_from(*index).ok(),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is looked up
        Value::Number(index) => Some(*index as usize),
        _ => None,
    }
}

fn coroutines(inner: &Rc<Inner>, host: &Table) -> mlua::Result<()> {
    // (mode, milliseconds or nil, function, arguments…) → number, or nil and a message. Mode 0: part of the call;
    // 1: with an end of its own; 2: a helper that nobody waits for.
    type Spawn = (u8, Option<f64>, Function, MultiValue);
    add(inner, host, "spawn", |inner, (mode, ms, function, args): Spawn| {
        let limit = inner.settings.max_coroutines;
        if inner.goroutines.get() >= limit {
            let text = format!("too many goroutines (limit {limit}, lua.max_coroutines)");
            return (Value::Nil, text).into_lua_multi(&inner.lua);
        }
        let fiber = inner.spawn(mode, ms, function, args)?;
        fiber.id.into_lua_multi(&inner.lua)
    })?;
    add(inner, host, "cancel", |inner, (fiber, why, timeout): (u64, String, bool)| {
        inner.cancel_fiber(fiber, &why, timeout);
        Ok(())
    })?;
    add(inner, host, "detach", |inner, fiber: u64| Ok(inner.detach(fiber)))?;
    add(inner, host, "failed", |inner, message: String| {
        if let Some(fiber) = inner.fiber() {
            fiber.ctx().say(LogLevel::Error, Stream::Log, format!("goroutine failed: {message}"));
            fiber.group.borrow().failures.borrow_mut().push(message);
        }
        Ok(())
    })?;
    add(inner, host, "ids", |inner, ()| {
        let fiber = inner.fiber();
        Ok((fiber.as_ref().map(|fiber| fiber.id), fiber.map(|fiber| fiber.group.borrow().id)))
    })?;
    add(inner, host, "group", |inner, ()| Ok(inner.fiber().map_or(0, |fiber| fiber.group.borrow().id)))?;
    add(inner, host, "count", |inner, ()| {
        Ok(inner.fiber().map_or(0, |fiber| fiber.group.borrow().fibers.borrow().len()))
    })
}

fn waiting(inner: &Rc<Inner>, host: &Table) -> mlua::Result<()> {
    add(inner, host, "park", |inner, (label, home, ms): (String, u64, Option<f64>)| {
        let own = inner.fiber().is_some_and(|fiber| fiber.group.borrow().id == home);
        let until = ms.map(|ms| Instant::now() + milliseconds(ms));
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        Ok(inner.ops.borrow_mut().add(label, Work::Park { until, own }, Finish::Values) as f64)
    })?;
    add(inner, host, "wake", |inner, (op, values): (f64, MultiValue)| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is looked up
        Ok(inner.wake(op as OpId, values))
    })?;
    add(inner, host, "sleep", |inner, ms: f64| {
        let work = Work::Sleep(Instant::now() + milliseconds(ms));
        Ok(inner.suspend("sleep", work, Finish::Values, None))
    })?;
    add(inner, host, "turn", |inner, ()| Ok(inner.suspend("yield", Work::Turn, Finish::Values, None)))?;
    // Ends the whole call; nothing catches it.
    add(inner, host, "exit", |inner, code: f64| {
        #[allow(clippy::cast_possible_truncation)] // saturates
        Ok(inner.suspend("os.exit", Work::Exit(code as i32), Finish::Values, None))
    })?;
    add(inner, host, "wait", |inner, op: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is looked up
        inner.wait_here(op as OpId)
    })?;
    add(inner, host, "ask", |inner, (what, body): (String, Value)| {
        let ctx = inner.ctx()?;
        let Some(what) = ASKS.iter().find(|known| **known == what) else {
            return raised(&inner.lua, None, Failure::new(format!("unknown request {what}")));
        };
        let body = super::to_data(&body, super::Alien::Refuse).map_err(mlua::Error::runtime)?.to_json();
        let asked = ctx.daemon.ask(what, body);
        let work = Work::Io(Box::pin(async move {
            match asked.await {
                Ok(value) => Ok(vec![Data::from_json(&value)]),
                Err(trouble) => Err(Failure::new(trouble.message)),
            }
        }));
        Ok(inner.suspend(*what, work, Finish::Values, None))
    })?;
    add(inner, host, "engine", |inner, (what, body): (String, Value)| {
        let ctx = inner.ctx()?;
        let keep = |function: Function| inner.keep(function).0;
        let body = match super::to_data(&body, super::Alien::Keep(&keep)) {
            Ok(body) => body,
            Err(problem) => return raised(&inner.lua, None, Failure::new(problem)),
        };
        let work = Work::Local(inner.engine.call(&what, body, ctx));
        Ok(inner.suspend(what, work, Finish::Values, None))
    })
}

/// What the library asks of slothd.
const ASKS: &[&str] = &[
    "circuit.enter",
    "circuit.result",
    "circuit.status",
    "circuit.list",
    "circuit.reset",
    "circuit.trip",
    "rate.take",
    "throttle.take",
    "engine.stats",
    "config.user",
];

fn context(inner: &Rc<Inner>, host: &Table) -> mlua::Result<()> {
    add(inner, host, "getenv", |inner, name: String| {
        let ctx = inner.ctx()?;
        let set = ctx.env.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&name).cloned();
        Ok(set.unwrap_or_else(|| std::env::var(&name).ok()))
    })?;
    add(inner, host, "setenv", |inner, (name, value): (String, Option<String>)| {
        let ctx = inner.ctx()?;
        ctx.env.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name, value);
        Ok(())
    })?;
    add(inner, host, "place", |inner, ()| {
        let ctx = inner.ctx()?;
        Ok((ctx.task.clone(), ctx.workflow.clone(), ctx.attempt, ctx.workdir.to_string_lossy().into_owned()))
    })?;
    // Milliseconds until the deadline, or nil.
    add(inner, host, "remaining", |inner, ()| {
        let left = |at: Instant| at.saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0;
        Ok(inner.ctx()?.deadline.map(left))
    })?;
    add(inner, host, "is_over", |inner, ()| {
        Ok(inner.fiber().is_some_and(|fiber| fiber.scope.borrow().verdict(Instant::now()).is_some()))
    })?;
    add(inner, host, "in_definition", |inner, ()| Ok(inner.journal.borrow().active))?;
    add(inner, host, "write", |inner, (stream, text): (String, mlua::LuaString)| {
        if let Some(fiber) = inner.fiber() {
            let stream = if stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
            fiber.group.borrow().write(&fiber.ctx(), stream, &text.to_string_lossy());
        }
        Ok(())
    })?;
    add(inner, host, "is_cancelled", |inner, ()| Ok(inner.ctx()?.cancel.kind().is_some()))?;
    add(inner, host, "output", |inner, (key, value): (String, Value)| {
        let data = super::to_data(&value, super::Alien::Refuse).map_err(mlua::Error::runtime)?;
        if let Some(fiber) = inner.fiber() {
            fiber.group.borrow().output.borrow_mut().insert(key, data.to_json());
        }
        Ok(())
    })?;
    add(inner, host, "cancel_task", |inner, reason: String| {
        if let Some(fiber) = inner.fiber() {
            *fiber.group.borrow().cancelled.borrow_mut() = Some(reason);
        }
        Ok(())
    })?;
    add(inner, host, "changed", |inner, changed: bool| {
        if let Some(fiber) = inner.fiber() {
            fiber.group.borrow().note_change(changed);
        }
        Ok(())
    })
}

/// Negative and absurd times are no time and a very long one.
fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(if ms > 0.0 { FAR } else { Duration::ZERO }).min(FAR)
}

/// A century.
const FAR: Duration = Duration::from_secs(3_155_760_000);

impl Inner {
    fn spawn(&self, mode: u8, ms: Option<f64>, function: Function, args: MultiValue) -> mlua::Result<Rc<Fiber>> {
        let current = self.fiber().ok_or_else(|| mlua::Error::runtime("nothing runs"))?;
        let group = current.group.borrow().clone();
        let scope = {
            let scope = current.scope.borrow();
            let base = if Rc::ptr_eq(&scope, &group.scope) { group.others() } else { Rc::clone(&scope) };
            match mode == 1 {
                true => Scope::new(Arc::new(base.ctx.part(ms.map(|ms| Instant::now() + milliseconds(ms))))),
                false => base,
            }
        };
        let fiber = self.start(&group, &scope, false, function, args)?;
        fiber.helper.set(mode == 2);
        self.goroutines.set(self.goroutines.get() + 1);
        Ok(fiber)
    }

    fn find_fiber(&self, id: u64) -> Option<Rc<Fiber>> {
        let groups = self.groups.borrow();
        let current = self.fiber().map(|fiber| fiber.group.borrow().clone());
        let in_group = |group: &Rc<super::Group>| group.fibers.borrow().iter().find(|fiber| fiber.id == id).cloned();
        current.as_ref().and_then(in_group).or_else(|| groups.values().find_map(in_group))
    }

    /// Ends a coroutine that has a scope of its own.
    fn cancel_fiber(&self, id: u64, why: &str, timeout: bool) {
        let Some(fiber) = self.find_fiber(id) else { return };
        let kind = if timeout { CancelKind::Timeout } else { CancelKind::Cancelled(why.to_owned()) };
        fiber.scope.borrow().ctx.cancel.cancel(kind);
        let group = fiber.group.borrow().clone();
        self.notice(&group);
    }

    /// Moves a goroutine to its workflow.
    fn detach(&self, id: u64) -> bool {
        let Some(fiber) = self.find_fiber(id).filter(|fiber| !fiber.main) else { return false };
        let from = fiber.group.borrow().clone();
        let to = self.detached_group(&fiber);
        from.fibers.borrow_mut().retain(|known| known.id != id);
        *fiber.scope.borrow_mut() = Rc::clone(&to.scope);
        to.fibers.borrow_mut().push(Rc::clone(&fiber));
        *fiber.group.borrow_mut() = to;
        true
    }

    /// A call where Luau cannot yield: the VM's thread waits for it.
    fn wait_here(&self, id: OpId) -> mlua::Result<MultiValue> {
        let Some(mut op) = self.ops.borrow_mut().remove(id) else {
            return raised(&self.lua, None, Failure::new("nothing to wait for"));
        };
        let ctx = self.ctx()?;
        if let Some(values) = op.early.take() {
            return Ok(values);
        }
        ctx.say(
            LogLevel::Debug,
            Stream::Log,
            format!("{} completes while the VM waits: it cannot be suspended here", op.label),
        );
        let reply: Reply = match op.work.take() {
            Some(Work::Blocking(work)) => work(),
            Some(Work::Io(future)) => {
                let (sender, receiver) = mpsc::channel();
                self.spawner.spawn(Box::pin(async move {
                    let _ = sender.send(future.await);
                }));
                return self.await_here(&receiver, &op);
            }
            Some(Work::Sleep(at)) => {
                let (_sender, receiver) = mpsc::channel::<Reply>();
                return self.sleep_here(&receiver, at);
            }
            Some(Work::Turn) => Ok(Vec::new()),
            Some(Work::Local(mut future)) => {
                // What the engine knows at once it may say here; what it has to do first, it cannot.
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                match future.as_mut().poll(&mut context) {
                    std::task::Poll::Ready(reply) => reply,
                    std::task::Poll::Pending => return raised(&self.lua, None, cannot_wait(&op.label)),
                }
            }
            Some(Work::Exit(_) | Work::Park { .. }) | None => {
                return raised(&self.lua, None, cannot_wait(&op.label));
            }
        };
        answer(&self.lua, &self.kernel().metas, op.finish, reply)
    }

    fn await_here(&self, receiver: &mpsc::Receiver<Reply>, op: &super::ops::Op) -> mlua::Result<MultiValue> {
        let mut ended: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(reply) => {
                    if let Some(fiber) = self.fiber() {
                        self.note_change(&fiber, op.finish, &reply);
                    }
                    return answer(&self.lua, &self.kernel().metas, op.finish, reply);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let failure = Failure::new("the host gave up on this call; its log may say why");
                    return answer(&self.lua, &self.kernel().metas, op.finish, Err(failure));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if let Some(kind) = self.verdict() {
                let since = *ended.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.settings.kill_grace {
                    return self.interrupted_here(&kind);
                }
            }
        }
    }

    fn sleep_here(&self, receiver: &mpsc::Receiver<Reply>, until: Instant) -> mlua::Result<MultiValue> {
        loop {
            if let Some(kind) = self.verdict() {
                return self.interrupted_here(&kind);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(MultiValue::from_vec(vec![Value::Number(0.0), Value::Boolean(false)]));
            }
            // Nobody sends: this is a sleep.
            let _ = receiver.recv_timeout(left.min(LOOK));
        }
    }

    fn verdict(&self) -> Option<CancelKind> {
        self.fiber().and_then(|fiber| fiber.scope.borrow().verdict(Instant::now()))
    }

    fn interrupted_here(&self, kind: &CancelKind) -> mlua::Result<MultiValue> {
        let why = interrupted(kind);
        raised(&self.lua, None, Failure { kind: Some(why.kind), ..Failure::new(why.message) })
    }
}

fn cannot_wait(label: &str) -> Failure {
    Failure::new(format!("{label} cannot wait inside a metamethod, an iterator or a callback of a library"))
}
