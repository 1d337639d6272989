//! Rules of the language that the VM keeps, each quoted where it is tested.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mlua::MultiValue;

use super::*;
use crate::data::Data;
use crate::host::*;
use crate::module::*;

mod basics;
mod errors;
mod goroutines;
mod goroutines_more;
mod hostile;
mod model;
mod stdlib;

/// Threads stand in for the I/O runtime.
struct Threads;

impl Spawner for Threads {
    fn spawn(&self, future: BoxFuture<()>) {
        std::thread::spawn(move || block_on(future));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        std::thread::spawn(work);
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let mut slept = false;
        Box::pin(std::future::poll_fn(move |_| {
            // The thread is this future's own.
            if !std::mem::replace(&mut slept, true) {
                std::thread::sleep(time);
            }
            Poll::Ready(())
        }))
    }
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

fn block_on<T>(mut future: impl Future<Output = T> + Unpin) -> T {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = std::pin::Pin::new(&mut future).poll(&mut context) {
            return value;
        }
        let mut rung = bell.rung.lock().unwrap();
        while !*rung {
            rung = bell.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Remembers the log.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<LogLine>>);

impl Sink for Lines {
    fn line(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

/// A slothd that answers requests as told, and remembers the journal.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) asked: Mutex<Vec<(String, serde_json::Value)>>,
    pub(super) journal: Mutex<Vec<serde_json::Value>>,
    pub(super) replies: Mutex<BTreeMap<String, Vec<serde_json::Value>>>,
}

impl Daemon for Answers {
    fn ask(&self, what: &'static str, body: serde_json::Value) -> BoxFuture<Result<serde_json::Value, Trouble>> {
        self.asked.lock().unwrap().push((what.to_owned(), body));
        let reply =
            self.replies.lock().unwrap().get_mut(what).and_then(|list| (!list.is_empty()).then(|| list.remove(0)));
        Box::pin(std::future::ready(Ok(reply.unwrap_or_default())))
    }

    fn journal(&self, kind: &'static str, body: serde_json::Value) -> BoxFuture<Result<(), Trouble>> {
        let mut record = body;
        record["kind"] = kind.into();
        self.journal.lock().unwrap().push(record);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An engine that remembers and echoes.
#[derive(Default)]
pub(super) struct Echo(pub(super) RefCell<Vec<(String, Data)>>);

impl Engine for Echo {
    fn call(&self, what: &str, body: Data, _: Arc<Ctx>) -> LocalBoxFuture<Reply> {
        self.0.borrow_mut().push((what.to_owned(), body.clone()));
        Box::pin(std::future::ready(Ok(vec![body])))
    }
}

/// A VM and its world.
pub(super) struct World {
    pub(super) vm: Vm,
    pub(super) log: Arc<Lines>,
    pub(super) daemon: Arc<Answers>,
    pub(super) engine: Rc<Echo>,
    pub(super) env: Table,
}

pub(super) fn world() -> World {
    world_with(|_| {})
}

pub(super) fn world_with(change: impl FnOnce(&mut VmSettings)) -> World {
    let mut settings = VmSettings { modules: MODULES, kill_grace: Duration::from_millis(300), ..VmSettings::default() };
    change(&mut settings);
    let engine = Rc::new(Echo::default());
    let vm = Vm::new(settings, Arc::new(Threads), Rc::clone(&engine) as Rc<dyn Engine>).unwrap();
    let env = vm.file_env().unwrap();
    World { vm, log: Arc::default(), daemon: Arc::default(), engine, env }
}

impl World {
    pub(super) fn ctx(&self, task: Option<&str>) -> Ctx {
        let run = RunInfo {
            id: "00000000-0000-7000-8000-000000000001".to_owned(),
            stack: String::new(),
            user: "tester".to_owned(),
            mode: Mode::Normal,
            started_at: "2026-11-24T19:00:00Z".to_owned(),
            invocation_dir: "/tmp".into(),
            file_dir: "/tmp".into(),
            temp_dir: "/tmp".into(),
            values: Default::default(),
        };
        Ctx {
            run: Arc::new(run),
            workflow: Some("w".to_owned()),
            task: task.map(str::to_owned),
            attempt: 1,
            workdir: "/tmp".into(),
            user: None,
            temp_dir: "/tmp".into(),
            env: Arc::default(),
            deadline: None,
            check_safe: false,
            cancel: Cancel::default(),
            log: Arc::clone(&self.log) as Arc<dyn Sink>,
            daemon: Arc::clone(&self.daemon) as Arc<dyn Daemon>,
        }
    }

    /// Runs a chunk as a task.
    pub(super) fn run(&self, source: &str) -> CallEnd {
        self.run_in(source, self.ctx(Some("t")))
    }

    pub(super) fn run_in(&self, source: &str, ctx: Ctx) -> CallEnd {
        let function = self.vm.0.compile(source.as_bytes(), "@main.sloth", &self.env).unwrap();
        let call = self.vm.run(function, MultiValue::new(), Arc::new(ctx));
        self.drive(call)
    }

    pub(super) fn drive<T: 'static>(&self, mut call: LocalBoxFuture<T>) -> T {
        let mut pump = self.vm.pump();
        block_on(std::future::poll_fn(move |context| {
            let _ = pump.as_mut().poll(context);
            call.as_mut().poll(context)
        }))
    }

    /// Returned values as JSON.
    pub(super) fn values(&self, source: &str) -> serde_json::Value {
        match self.run(source).result {
            Ok(values) => serde_json::Value::Array(values.iter().map(Data::to_json).collect()),
            Err(raised) => panic!("raised: {}\n{}", raised.message, raised.traceback),
        }
    }

    /// The message of what was raised.
    pub(super) fn error(&self, source: &str) -> String {
        match self.run(source).result {
            Ok(values) => panic!("returned {values:?}"),
            Err(raised) => raised.message,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.log.0.lock().unwrap().iter().map(|line| line.message.clone()).collect()
    }
}

const fn param(name: &'static str, kind: Type, required: bool) -> Param {
    Param { name, aliases: &[], kind, required, default: "" }
}

const fn function(
    name: &'static str,
    params: &'static [Param],
    options: &'static [Param],
    family: Family,
    body: Body,
) -> Function {
    Function {
        name,
        aliases: &[],
        params,
        options,
        variadic: false,
        family,
        returns: "",
        mutates: false,
        about: "",
        body,
    }
}

type Function = crate::module::Function;

fn echo(args: &Args) -> Reply {
    Ok(vec![Data::text(format!(
        "{}|{}|{}",
        args.opt_text("text").unwrap_or_default(),
        args.opt_text("count").unwrap_or_default(),
        args.opt_text("mode").unwrap_or_default()
    ))])
}

fn slow(call: Call) -> Reply {
    std::thread::sleep(Duration::from_millis(call.args.int("ms").unwrap_or(0).unsigned_abs()));
    Ok(vec![Data::from("slept")])
}

fn waits(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let _ = call.ctx.cancel.cancelled().await;
        Ok(vec![Data::from("ended")])
    })
}

fn command(call: Call) -> Reply {
    let out = call.args.opt_text("out").unwrap_or_default();
    let code = call.args.int("code").unwrap_or(0);
    Ok(vec![Data::map([
        ("stdout", Data::from(out)),
        ("stderr", Data::from(call.args.opt_text("err").unwrap_or_default())),
        ("exit_code", Data::from(code)),
        ("success", Data::from(code == 0)),
    ])])
}

fn change(call: Call) -> Reply {
    match call.args.opt_text("fail") {
        Some(message) => Err(Failure::new(message)),
        None => Ok(vec![Data::map([
            ("changed", Data::from(call.args.flag("changed"))),
            ("message", Data::from("it was done")),
        ])]),
    }
}

const CHANGE: &[Param] = &[param("changed", Type::Bool, false), param("fail", Type::Str, false)];

static PROBE: Module = Module {
    name: "probe",
    aliases: &["prb"],
    tier: Tier::Here,
    about: "For tests.",
    functions: &[
        function(
            "echo",
            &[param("text", Type::Str, true), param("count", Type::Int, false)],
            &[param("mode", Type::Str, false)],
            Family::V,
            Body::Pure(echo),
        ),
        function("slow", &[param("ms", Type::Int, true)], &[], Family::V, Body::Blocking(slow)),
        function("waits", &[], &[], Family::V, Body::Async(waits)),
        function(
            "command",
            &[param("out", Type::Str, false), param("code", Type::Int, false), param("err", Type::Str, false)],
            &[],
            Family::R,
            Body::Blocking(command),
        ),
        Function { mutates: true, ..function("change_c", CHANGE, &[], Family::C, Body::Blocking(change)) },
        Function { mutates: true, ..function("change_t", CHANGE, &[], Family::T, Body::Blocking(change)) },
        Function { mutates: true, ..function("change_m", CHANGE, &[], Family::M, Body::Blocking(change)) },
        function(
            "value",
            &[param("value", Type::Any, false)],
            &[],
            Family::V,
            Body::Pure(|args| Ok(vec![args.get("value").cloned().unwrap_or_default()])),
        ),
    ],
    prelude: "local M = ...\nfunction M.twice(f) return f(), f() end",
};

static AWAY: Module = Module { name: "away", aliases: &[], tier: Tier::Absent, about: "", functions: &[], prelude: "" };

const MODULES: &[&Module] = &[&PROBE, &AWAY];
