//! The definition phase: the main chunk runs once, then everything that it said is put together.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{MultiValue, Value};
use serde_json::Map;
use sloth_core::workflow::{Defined, Diagnostic, FnRef, Level, Place, RunnerConfig};

use super::program::{Given, Program};
use super::{Define, freeze, install, shapes};
use crate::define::desk::Desk;
use crate::define::expand::Metadata;
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::define::words::runner_config;
use crate::host::Ctx;
use crate::vm::{LocalBoxFuture, Raised, Vm};

impl Vm {
    /// Evaluates a program and gives what it defines, or all that is wrong with it. Once per VM.
    pub fn define(
        &self,
        program: Program,
        given: Given,
        ctx: Arc<Ctx>,
    ) -> LocalBoxFuture<Result<Defined, Vec<Diagnostic>>> {
        let vm = self.clone();
        Box::pin(async move {
            let define = match vm.prepare(program, given, &ctx) {
                Ok(define) => define,
                Err(error) => return Err(vec![finding("E100", error.to_string())]),
            };
            vm.definition(&define, ctx).await
        })
    }

    fn prepare(&self, program: Program, given: Given, ctx: &Ctx) -> mlua::Result<Rc<Define>> {
        let lua = self.lua();
        let define = Rc::new(Define {
            desk: Desk::default(),
            vm: Rc::downgrade(&self.0),
            objects: RefCell::default(),
            metas: RefCell::default(),
            methods: RefCell::new(HashMap::new()),
            values: lua.create_table()?,
            given,
            program: RefCell::new(program),
            loaded: RefCell::default(),
            exports: RefCell::default(),
            defining: Cell::new(true),
            mode: ctx.run.mode,
            raised: RefCell::default(),
            subscriptions: RefCell::default(),
            makers: RefCell::default(),
        });
        lua.set_app_data(Rc::clone(&define));
        install::install(lua, &define)?;
        // `values.get` is the function; a value of that name is read with it.
        for (key, value) in define.given.values.iter().filter(|(key, _)| *key != "get") {
            define.values.raw_set(key.as_str(), define.to_lua(lua, value)?)?;
        }
        self.makers(&define);
        self.set_shapes(Rc::new(shapes::arguments));
        {
            let mut journal = self.0.journal.borrow_mut();
            journal.recorded = define.given.recorded.iter().cloned().collect();
            journal.active = true;
        }
        Ok(define)
    }

    /// Functions that the definition makes from texts.
    fn makers(&self, define: &Define) {
        let make = |source: &'static str| {
            let weak = Rc::downgrade(&self.0);
            Box::new(move |text: &str| {
                let inner = weak.upgrade()?;
                let made = inner.lua.load(source).set_name("=[sloth define]").into_function().ok()?;
                let function: mlua::Function = made.call(text).ok()?;
                Some(inner.keep(function))
            })
        };
        define.desk.set_hook_maker(make("local text = ... return function() return exec.run(text) end"));
        define
            .desk
            .set_missing_maker(make("local name = ... return function() error(`task \"{name}\" not found`, 0) end"));
    }

    async fn definition(&self, define: &Rc<Define>, ctx: Arc<Ctx>) -> Result<Defined, Vec<Diagnostic>> {
        let (main, bytes) = {
            let program = define.program.borrow();
            (program.main.clone(), program.files.get(&program.main).cloned())
        };
        let Some(bytes) = bytes else {
            return Err(vec![finding("E100", format!("the program has no file {main:?}"))]);
        };
        let chunk = match define.chunk(&main, &bytes) {
            Ok(chunk) => chunk,
            Err(found) => return Err(define.finished(vec![*found])),
        };
        let limit = self.0.settings.definition_timeout;
        let part = Arc::new(ctx.part(Some(Instant::now() + limit)));
        let ended = self.evaluate(chunk, MultiValue::new(), part).await;
        let broken = match ended {
            Ok(values) => {
                define.returned(&values);
                None
            }
            Err(raised) => define.broken(&raised, limit),
        };
        self.0.journal.borrow_mut().active = false;
        let defined = define.assemble(broken.is_some());
        define.defining.set(false);
        let layer = define.workflow_values(&defined);
        if let Err(error) = define.add_values(self.lua(), &layer) {
            define.desk.report(Fault::new("E100", error.to_string()));
        }
        freeze::freeze(&define.values, 0);
        define.conclude(defined, broken)
    }

    /// One registered task as a workflow of its own, for `task.execute` and `task:run()`.
    pub fn single(&self, task: &str) -> Result<sloth_core::workflow::Workflow, Vec<Diagnostic>> {
        self.defined()?.single(task)
    }

    /// A registered workflow as it is now, for `workflow.run` inside a task.
    pub fn workflow(&self, name: &str) -> Result<sloth_core::workflow::Workflow, Vec<Diagnostic>> {
        self.defined()?.workflow(name)
    }

    /// Outputs so far: what was exported and the global table.
    pub fn outputs(&self) -> Map<String, serde_json::Value> {
        self.defined().map(|define| define.outputs()).unwrap_or_default()
    }

    /// Values of the run, with the defaults of the file.
    pub fn values(&self) -> Map<String, serde_json::Value> {
        self.defined().map(|define| define.current_values()).unwrap_or_default()
    }

    /// All files that the evaluation has read: path → bytes.
    pub fn bundle(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        self.defined().map(|define| define.program.borrow().files.clone()).unwrap_or_default()
    }

    /// Functions that asked for lifecycle events with `workflow.on`: event and function.
    pub fn subscriptions(&self) -> Vec<(String, FnRef)> {
        let Ok(define) = self.defined() else { return Vec::new() };
        let all = define.subscriptions.borrow();
        all.iter().map(|(event, function)| (event.clone(), self.keep(function.clone()))).collect()
    }

    fn defined(&self) -> Result<Rc<Define>, Vec<Diagnostic>> {
        super::define_of(self.lua()).map_err(|error| vec![finding("E100", error.to_string())])
    }
}

fn finding(code: &'static str, message: String) -> Diagnostic {
    Diagnostic { code, message, place: Place::default(), excerpt: String::new(), hint: None }
}

/// `main.sloth:7: message` of a compiler or of an error.
pub(super) fn split(text: &str) -> Option<(Place, &str)> {
    let (file, rest) = text.split_once(':')?;
    let (line, message) = rest.split_once(':')?;
    let line = line.trim().parse().ok()?;
    Some((Place { file: file.to_owned(), line, column: 0 }, message.trim_start()))
}

impl Define {
    /// What ended the evaluation early; `None`: the script wanted it.
    fn broken(&self, raised: &Raised, limit: std::time::Duration) -> Option<Diagnostic> {
        if raised.kind.as_deref() == Some("os_exit") {
            let code = raised.exit_code.filter(|code| *code != 0)?;
            let place = self.exit_place();
            return Some(Diagnostic { place, ..finding("E107", format!("os.exit({code}) at file level")) });
        }
        if raised.kind.as_deref() == Some("timeout") {
            let message =
                format!("the file was not evaluated within {} s (lua.definition_timeout)", limit.as_secs_f64());
            let hint = Some("move the work of the file into tasks".to_owned());
            return Some(Diagnostic { place: self.last_place(raised), hint, ..finding("E100", message) });
        }
        let known = self.raised.borrow().iter().rev().find(|(text, _)| raised.message.contains(text.as_str())).cloned();
        if let Some((_, found)) = known {
            return Some(found);
        }
        Some(match split(&raised.message) {
            Some((place, message)) if self.program.borrow().files.contains_key(&place.file) => {
                Diagnostic { place, ..finding("E100", message.to_owned()) }
            }
            _ => Diagnostic { place: self.last_place(raised), ..finding("E100", raised.message.clone()) },
        })
    }

    /// Where the file ends itself, by its look: the coroutine that did it is gone.
    fn exit_place(&self) -> Place {
        let program = self.program.borrow();
        let line = program
            .files
            .get(&program.main)
            .and_then(|bytes| String::from_utf8_lossy(bytes).lines().position(|line| line.contains("os.exit")));
        let line = line.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(1);
        Place { file: program.main.clone(), line, column: 0 }
    }

    /// The innermost line of the program in a traceback.
    fn last_place(&self, raised: &Raised) -> Place {
        let program = self.program.borrow();
        let mut lines = raised.traceback.lines().chain(raised.message.lines());
        let found = lines.find_map(|line| {
            let (file, rest) = line.trim().split_once(':')?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let line = digits.parse().ok()?;
            program.files.contains_key(file).then(|| Place { file: file.to_owned(), line, column: 0 })
        });
        found.unwrap_or_else(|| Place { file: program.main.clone(), line: 1, column: 1 })
    }

    /// `return { tasks = … }` of the main chunk is a workflow.
    fn returned(&self, values: &MultiValue) {
        let Some(value @ Value::Table(_)) = values.front() else { return };
        let Ok(Raw::Table(table)) = self.raw(value) else { return };
        if table.any(&["tasks", "stages"]).is_none() {
            return;
        }
        let main = self.program.borrow().main.clone();
        self.desk.moved_to(Place { file: main.clone(), line: 1, column: 1 });
        let own = table.get("name").and_then(Raw::str).map(str::to_owned);
        let name = own
            .or_else(|| self.metadata().name)
            .or_else(|| std::path::Path::new(&main).file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        let done = self.desk.new_workflow(&name.unwrap_or_else(|| "workflow".to_owned())).and_then(|workflow| {
            let mut draft = workflow.borrow_mut();
            self.desk.workflow_table(&mut draft, &table)
        });
        if let Err(fault) = done {
            self.desk.report(fault);
        }
    }

    /// A global that the script has set.
    fn global(&self, name: &str) -> Value {
        self.vm.upgrade().and_then(|inner| inner.lua.globals().raw_get(name).ok()).unwrap_or(Value::Nil)
    }

    fn metadata(&self) -> Metadata {
        let text = |name: &str| match self.global(name) {
            Value::String(text) => Some(text.to_string_lossy()),
            _ => None,
        };
        Metadata { name: text("name"), version: text("version"), description: text("description") }
    }

    fn assemble(&self, broken: bool) -> Defined {
        let main = Place { file: self.program.borrow().main.clone(), line: 0, column: 0 };
        self.desk.moved_to(main.clone());
        let runner = match self.raw(&self.global("runner_config")) {
            Ok(raw) => runner_config(&raw, &self.desk),
            Err(fault) => {
                self.desk.report(fault.about("runner_config"));
                RunnerConfig::default()
            }
        };
        if let Some(stack) = self.desk.stack()
            && !self.given.stack.is_empty()
            && stack != self.given.stack
        {
            let message = format!("the file is for stack {stack:?}, but the run is for {:?}", self.given.stack);
            self.desk.report_at(Fault::new("W130", message), main);
        }
        // After an error at file level the rest is not known: a graph of a part would only add errors that follow.
        if broken { Defined::default() } else { self.graphs(runner, &self.metadata()) }
    }

    fn conclude(&self, mut defined: Defined, broken: Option<Diagnostic>) -> Result<Defined, Vec<Diagnostic>> {
        let mut findings = self.desk.take_findings();
        findings.extend(broken);
        let findings = self.finished(findings);
        let bad = |finding: &Diagnostic| self.given.strict || finding.level() == Level::Error;
        if findings.iter().any(bad) {
            return Err(findings);
        }
        defined.diagnostics = findings;
        Ok(defined)
    }
}
