//! A world for tests of the definition side: a VM, a log, and an engine that answers as told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use serde_json::{Value, json};
use sloth_core::workflow::{Defined, Diagnostic, EdgeKind, Task, Workflow};

use super::bridge::{Given, Program};
use crate::data::Data;
use crate::host::*;
use crate::module::*;
use crate::vm::{CallEnd, Engine, LocalBoxFuture, Shape, Spawner, View, Vm, VmSettings};

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

#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<LogLine>>);

impl Sink for Lines {
    fn line(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

/// Remembers definition calls, and what it is asked.
#[derive(Default)]
pub(crate) struct Slothd(pub(crate) Mutex<Vec<Value>>, pub(crate) Mutex<Vec<(&'static str, Value)>>);

impl Daemon for Slothd {
    fn ask(&self, what: &'static str, body: Value) -> BoxFuture<Result<Value, Trouble>> {
        self.1.lock().unwrap().push((what, body));
        Box::pin(std::future::ready(Ok(json!({ "uptime_seconds": 5 }))))
    }
    fn journal(&self, _: &'static str, body: Value) -> BoxFuture<Result<(), Trouble>> {
        self.0.lock().unwrap().push(body);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Remembers what it is asked and answers from a table, else with what it was asked.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) asked: RefCell<Vec<(String, Value)>>,
    pub(crate) replies: RefCell<BTreeMap<String, Vec<Data>>>,
}

impl Engine for Answers {
    fn call(&self, what: &str, body: Data, _: Arc<Ctx>) -> LocalBoxFuture<Reply> {
        self.asked.borrow_mut().push((what.to_owned(), body.to_json()));
        let reply = self.replies.borrow().get(what).cloned().unwrap_or_else(|| vec![body]);
        Box::pin(std::future::ready(Ok(reply)))
    }
}

fn run(call: Call) -> Reply {
    let text = call.args.opt_text("cmd").unwrap_or_default();
    let code = if text.starts_with("fail") { 3.0 } else { 0.0 };
    Ok(vec![Data::map([
        ("stdout", Data::from(text)),
        ("stderr", Data::from(if code > 0.0 { "it failed" } else { "" })),
        ("exit_code", Data::Num(code)),
        ("success", Data::from(code == 0.0)),
    ])])
}

const CMD: &[Param] = &[Param { name: "cmd", aliases: &[], kind: Type::Str, required: true, default: "" }];

static EXEC: Module = Module {
    name: "exec",
    aliases: &[],
    tier: Tier::Here,
    about: "For tests.",
    functions: &[crate::module::Function {
        name: "run",
        aliases: &[],
        params: CMD,
        options: &[],
        variadic: false,
        family: Family::R,
        returns: "",
        mutates: true,
        about: "",
        body: Body::Blocking(run),
    }],
    prelude: "",
};

const MODULES: &[&Module] = &[&EXEC];

/// A VM and its world.
pub(crate) struct World {
    pub(crate) vm: Vm,
    pub(crate) log: Arc<Lines>,
    pub(crate) slothd: Arc<Slothd>,
    pub(crate) engine: Rc<Answers>,
    pub(crate) mode: Mode,
    pub(crate) given: Given,
    pub(crate) program: Program,
}

pub(crate) fn world() -> World {
    world_with(VmSettings::default())
}

pub(crate) fn world_with(settings: VmSettings) -> World {
    let engine = Rc::new(Answers::default());
    let settings = VmSettings { modules: MODULES, ..settings };
    let vm = Vm::new(settings, Arc::new(Threads), Rc::clone(&engine) as Rc<dyn Engine>).unwrap();
    World {
        vm,
        log: Arc::default(),
        slothd: Arc::default(),
        engine,
        mode: Mode::Normal,
        given: Given::default(),
        program: Program::single("main.sloth", ""),
    }
}

impl World {
    pub(crate) fn ctx(&self, task: Option<&str>) -> Arc<Ctx> {
        let run = RunInfo {
            id: "run-1".to_owned(),
            stack: "edge".to_owned(),
            user: "tester".to_owned(),
            mode: self.mode,
            started_at: "2026-11-24T19:00:00Z".to_owned(),
            invocation_dir: "/work".into(),
            file_dir: "/".into(),
            temp_dir: "/tmp".into(),
            values: Default::default(),
        };
        Arc::new(Ctx {
            run: Arc::new(run),
            workflow: Some("w".to_owned()),
            task: task.map(str::to_owned),
            attempt: u32::from(task.is_some()),
            workdir: "/work".into(),
            user: None,
            temp_dir: "/tmp".into(),
            env: Arc::default(),
            deadline: None,
            check_safe: false,
            cancel: Cancel::default(),
            log: Arc::clone(&self.log) as Arc<dyn Sink>,
            daemon: Arc::clone(&self.slothd) as Arc<dyn Daemon>,
        })
    }

    fn drive<T: 'static>(&self, mut call: LocalBoxFuture<T>) -> T {
        let mut pump = self.vm.pump();
        block_on(std::future::poll_fn(move |context| {
            let _ = pump.as_mut().poll(context);
            call.as_mut().poll(context)
        }))
    }

    /// Defines a file.
    pub(crate) fn define(&self, source: &str) -> Result<Defined, Vec<Diagnostic>> {
        let mut program = self.program.clone();
        program.files.insert("main.sloth".to_owned(), source.as_bytes().to_vec());
        self.drive(self.vm.define(program, self.given.clone(), self.ctx(None)))
    }

    /// Defines a program.
    pub(crate) fn define_program(&self, program: Program) -> Result<Defined, Vec<Diagnostic>> {
        self.drive(self.vm.define(program, self.given.clone(), self.ctx(None)))
    }

    /// Defines a file that must be good.
    #[track_caller]
    pub(crate) fn good(&self, source: &str) -> Defined {
        match self.define(source) {
            Ok(defined) => defined,
            Err(findings) => panic!("{findings:#?}"),
        }
    }

    /// Runs the command function of a task as the engine does.
    pub(crate) fn call(&self, task: &Task, change: impl FnOnce(&mut View)) -> CallEnd {
        let Some(sloth_core::workflow::Command::Function(function)) = task.command else {
            panic!("{:?} is no function", task.command)
        };
        let mut view = View {
            name: task.name.clone(),
            params: task.params.clone(),
            attempt: 1,
            max_attempts: 1,
            workflow: "w".into(),
            workdir: "/work".into(),
            agent: "host".into(),
            ..View::default()
        };
        change(&mut view);
        let ctx = self.ctx(Some(&task.name));
        self.drive(self.vm.call(function, Shape::Command(Box::new(view)), ctx))
    }

    /// Calls any function with a shape.
    pub(crate) fn shaped(&self, function: sloth_core::workflow::FnRef, shape: Shape) -> CallEnd {
        self.drive(self.vm.call(function, shape, self.ctx(Some("t"))))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.0.lock().unwrap().iter().map(|line| line.message.clone()).collect()
    }
}

/// Defines a file and gives its only workflow.
#[track_caller]
pub(crate) fn workflow(source: &str) -> Workflow {
    let mut defined = world().good(source);
    assert_eq!(defined.workflows.len(), 1, "{:?}", defined.workflows.iter().map(|w| &w.name).collect::<Vec<_>>());
    Arc::unwrap_or_clone(defined.workflows.remove(0))
}

/// The only task of a file.
#[track_caller]
pub(crate) fn task(source: &str) -> Task {
    let mut workflow = workflow(source);
    assert_eq!(workflow.tasks.len(), 1);
    workflow.tasks.remove(0)
}

/// Codes and lines of what is found in a file, errors and warnings.
#[track_caller]
pub(crate) fn findings(source: &str) -> Vec<Diagnostic> {
    match world().define(source) {
        Ok(defined) => defined.diagnostics,
        Err(findings) => findings,
    }
}

/// The only finding of a file, as `code line column: message [hint]`.
#[track_caller]
pub(crate) fn finding(source: &str) -> String {
    let found = findings(source);
    assert_eq!(found.len(), 1, "{found:#?}");
    said(&found[0])
}

pub(crate) fn said(finding: &Diagnostic) -> String {
    let hint = finding.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
    format!("{} {}: {}{hint}", finding.code, finding.place.line, finding.message)
}

/// Edges as `to <- from (kind)`, sorted.
pub(crate) fn edges(workflow: &Workflow) -> Vec<String> {
    let name = |id: sloth_core::workflow::TaskId| workflow.tasks[id.0 as usize].name.clone();
    let mut all: Vec<String> = workflow
        .edges
        .iter()
        .map(|edge| {
            let kind = match edge.kind {
                EdgeKind::Needs => "",
                EdgeKind::Previous => " previous",
                EdgeKind::Ended => " ended",
                EdgeKind::Order => " order",
            };
            format!("{} <- {}{kind}", name(edge.to), name(edge.from))
        })
        .collect();
    all.sort();
    all
}

/// Names of all tasks.
pub(crate) fn names(workflow: &Workflow) -> Vec<&str> {
    workflow.tasks.iter().map(|task| task.name.as_str()).collect()
}
