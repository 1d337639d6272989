//! Where the definition phase writes down what the file says: tasks and workflows by name, and what is wrong with them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};
use sloth_core::workflow::{Command, Diagnostic, FnRef, HookEntry, HookWhen, Place, check, suggest};

use super::draft::{Doing, TaskDraft, TaskRef, WorkflowDraft, WorkflowRef};
use super::fault::Fault;
use super::raw::{Raw, RawTable};
use super::words::{self, key, near_key};

/// Most findings that are kept of one file.
const FINDINGS_MAX: usize = 1_000;

/// Most tasks that a file may register.
const REGISTERED_MAX: usize = 20_000;

/// The desk.
#[derive(Default)]
pub struct Desk {
    /// By name; an order is kept apart, so that a replaced task keeps its place.
    tasks: RefCell<HashMap<String, TaskRef>>,
    order: RefCell<Vec<String>>,
    workflows: RefCell<Vec<WorkflowRef>>,
    findings: RefCell<Vec<Diagnostic>>,
    place: RefCell<Place>,
    hook_maker: RefCell<Option<HookMaker>>,
    missing_maker: RefCell<Option<HookMaker>>,
    stack: RefCell<Option<String>>,
    ran: Cell<bool>,
}

/// Makes a function of the script from a text.
pub type HookMaker = Box<dyn Fn(&str) -> Option<FnRef>>;

impl Desk {
    /// Where the script is.
    pub fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    /// The script is here now.
    pub fn moved_to(&self, place: Place) {
        *self.place.borrow_mut() = place;
    }

    /// For hooks that are command texts.
    pub fn set_hook_maker(&self, maker: HookMaker) {
        *self.hook_maker.borrow_mut() = Some(maker);
    }

    /// For branches that name a task that is not there.
    pub fn set_missing_maker(&self, maker: HookMaker) {
        *self.missing_maker.borrow_mut() = Some(maker);
    }

    /// A function that fails because a task is not there.
    pub(crate) fn missing_function(&self, name: &str) -> Option<FnRef> {
        self.missing_maker.borrow().as_ref().and_then(|make| make(name))
    }

    /// What a hook runs.
    pub(crate) fn hook_function(&self, raw: &Raw) -> Result<FnRef, Fault> {
        match (raw, &*self.hook_maker.borrow()) {
            (Raw::Fn(function), _) => Ok(*function),
            (Raw::Str(text), Some(make)) => make(text).ok_or_else(|| Fault::wrong("function", "a string")),
            (other, _) => Err(Fault::wrong("function", other.type_name())),
        }
    }

    /// A handler that was registered by a method or key.
    pub(crate) fn handler(&self, when: HookWhen, run: FnRef) -> HookEntry {
        HookEntry { when, run, with_ctx: false, name: None, condition: None, is_async: false, timeout_ms: None }
    }

    /// A finding at the place where the script is.
    pub fn report(&self, fault: Fault) {
        self.report_at(fault, self.place());
    }

    /// The same, for a fault that is a warning.
    pub(crate) fn warn(&self, fault: Fault) {
        self.report(fault);
    }

    /// A finding somewhere else.
    pub fn report_at(&self, fault: Fault, place: Place) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < FINDINGS_MAX {
            let finding = Diagnostic {
                code: fault.code,
                message: fault.message,
                place,
                excerpt: String::new(),
                hint: fault.hint,
            };
            // A loop in the file says the same thing only once.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }

    /// All findings, which are taken away.
    pub fn take_findings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.findings.borrow_mut())
    }

    /// W112 for keys of a table that are not among `known`.
    pub(crate) fn unknown_keys(&self, what: &str, table: &RawTable, known: &[&str]) {
        for (name, _) in &table.map {
            if !known.contains(&name.as_str()) {
                self.unknown_key(what, name, suggest(name, known.iter().copied()));
            }
        }
    }

    /// W112.
    pub(crate) fn unknown_key(&self, what: &str, name: &str, near: Option<&str>) {
        let short: String = name.chars().take(60).collect();
        self.warn(Fault::new("W112", format!("unknown key {short:?} of {what}")).did_you_mean(near));
    }

    /// E110 for what is no name.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), Fault> {
        check::check_name(name).map_err(|problem| Fault::new("E110", problem))
    }

    /// A new task under its name; an earlier one is replaced for look-ups (W110).
    pub fn register(&self, task: TaskRef) -> Result<(), Fault> {
        let name = task.borrow().task.name.clone();
        let mut tasks = self.tasks.borrow_mut();
        if tasks.len() >= REGISTERED_MAX {
            return Err(Fault::new("E204", format!("a file registers at most {REGISTERED_MAX} tasks")));
        }
        if tasks.insert(name.clone(), task).is_some() {
            drop(tasks);
            let message = format!("task {name:?} replaces an earlier one of the same name");
            self.warn(Fault::new("W110", message).hint("give one of them another name"));
        } else {
            self.order.borrow_mut().push(name);
        }
        Ok(())
    }

    /// A registered task.
    pub fn task(&self, name: &str) -> Option<TaskRef> {
        self.tasks.borrow().get(name).cloned()
    }

    /// Names of the registered tasks, in order.
    pub fn task_names(&self) -> Vec<String> {
        self.order.borrow().clone()
    }

    /// A new task without content.
    pub fn new_task(&self, name: &str) -> Result<TaskRef, Fault> {
        self.check_name(name)?;
        let mut draft = TaskDraft::default();
        draft.task.name = name.to_owned();
        draft.task.declared = name.to_owned();
        draft.task.place = self.place();
        Ok(Rc::new(RefCell::new(draft)))
    }

    /// A task from its table. `name` is that of the call or of the map's key. The table's own name wins over a key.
    pub(crate) fn task_from_table(
        &self,
        name: Option<&str>,
        table: &RawTable,
        register: bool,
    ) -> Result<TaskRef, Fault> {
        let own = match table.get("name") {
            None | Some(Raw::Nil) => None,
            Some(Raw::Str(name)) => Some(name.as_str()),
            Some(other) => return Err(Fault::new("E110", format!("the name of a task is {}", other.type_name()))),
        };
        let name = own.or(name).ok_or_else(|| Fault::new("E110", "a task without a name").hint("add name = \"…\""))?;
        let task = self.new_task(name)?;
        self.fill_task(&mut task.borrow_mut(), table)?;
        if register {
            self.register(task.clone())?;
        }
        Ok(task)
    }

    /// The keys of a task's table.
    pub(crate) fn fill_task(&self, draft: &mut TaskDraft, table: &RawTable) -> Result<(), Fault> {
        if draft.frozen {
            return Err(Fault::new("E112", format!("task {:?} is built already", draft.task.name)));
        }
        self.inherit(draft, table)?;
        for (key, value) in &table.map {
            self.task_key(draft, key, value, table)?;
        }
        draft.inherited = false;
        match table.list.first() {
            None => Ok(()),
            Some(item) => Err(Fault::wrong("keys in the table of a task", item.type_name())),
        }
    }

    /// `uses`: everything of another task, which the given keys override; dependencies, tags and environment merge.
    fn inherit(&self, draft: &mut TaskDraft, table: &RawTable) -> Result<(), Fault> {
        let base = match table.get("uses") {
            None => return Ok(()),
            Some(Raw::Task(task)) => task.clone(),
            Some(Raw::Str(name)) => self.task(name).ok_or_else(|| {
                Fault::new("E201", format!("uses: there is no task {name:?} before this line"))
                    .did_you_mean(suggest(name, self.order.borrow().iter().map(String::as_str)))
            })?,
            Some(other) => return Err(Fault::wrong("task or name", other.type_name()).about("uses")),
        };
        let base = base.try_borrow().map_err(|_| Fault::new("E115", "uses: a task cannot use itself"))?;
        let (name, place) = (draft.task.name.clone(), draft.task.place.clone());
        *draft = TaskDraft { inherited: true, frozen: false, ran: false, ..base.clone() };
        draft.task.declared.clone_from(&name);
        draft.task.name = name;
        draft.task.place = place;
        Ok(())
    }

    fn task_key(&self, draft: &mut TaskDraft, name: &str, value: &Raw, table: &RawTable) -> Result<(), Fault> {
        let label = |fault: Fault, draft: &TaskDraft| match fault.code {
            "E114" => fault,
            _ => fault.about(&format!("task {:?}: {name}", draft.task.name)),
        };
        match (name, value) {
            ("name" | "uses" | "args", _) => Ok(()),
            ("run", value) => super::read::doing(value).and_then(|doing| words::set_command(draft, doing, self)),
            ("action", Raw::Fn(function)) => {
                words::set_command(draft, Doing::Command(Command::Function(*function)), self)
            }
            ("action", Raw::Str(_)) if table.get("module").is_some() => Ok(()),
            ("action", other) => {
                Err(Fault::wrong("function, or the name of a module's function beside `module`", other.type_name()))
            }
            ("module", _) => self.module_command(table).and_then(|doing| words::set_command(draft, doing, self)),
            _ => match key(words::TASK, name) {
                Some(word) => match word.apply {
                    Some(apply) => apply(draft, std::slice::from_ref(value), self),
                    None => Err(Fault::absent("this key")),
                },
                None => {
                    self.unknown_key("a task", name, near_key(words::TASK, words::TASK_KEYS, name));
                    words::keep_unknown(draft, name, value);
                    Ok(())
                }
            },
        }
        .map_err(|fault| label(fault, draft))
    }

    fn module_command(&self, table: &RawTable) -> Result<Doing, Fault> {
        let module = super::read::text(table.get("module").unwrap_or(&Raw::Nil))?;
        let action = match table.get("action") {
            Some(Raw::Str(action)) => action.clone(),
            _ => return Err(Fault::wrong("`action`, the name of a function of the module", "none")),
        };
        let args = match table.get("args") {
            None => Value::Object(Map::new()),
            Some(args) => super::read::json(args)?,
        };
        Ok(Doing::Command(Command::Module { module, action, args: Box::new(args) }))
    }

    /// A workflow under its name; an earlier one is replaced (W111).
    pub fn new_workflow(&self, name: &str) -> Result<WorkflowRef, Fault> {
        self.check_name(name)?;
        let mut draft = WorkflowDraft { place: self.place(), ..WorkflowDraft::default() };
        draft.workflow.name = name.to_owned();
        let workflow = Rc::new(RefCell::new(draft));
        let mut workflows = self.workflows.borrow_mut();
        match workflows.iter().position(|known| known.borrow().workflow.name == name) {
            Some(at) => {
                workflows[at] = workflow.clone();
                drop(workflows);
                self.warn(Fault::new("W111", format!("workflow {name:?} replaces an earlier one of the same name")));
            }
            None => workflows.push(workflow.clone()),
        }
        Ok(workflow)
    }

    /// A registered workflow.
    pub fn workflow(&self, name: &str) -> Option<WorkflowRef> {
        self.workflows.borrow().iter().find(|known| known.borrow().workflow.name == name).cloned()
    }

    /// All workflows, in order.
    pub fn workflows(&self) -> Vec<WorkflowRef> {
        self.workflows.borrow().clone()
    }

    /// The keys of a workflow's table.
    pub(crate) fn workflow_table(&self, draft: &mut WorkflowDraft, table: &RawTable) -> Result<(), Fault> {
        for (name, value) in &table.map {
            if name == "name" {
                continue;
            }
            match key(words::WORKFLOW, name).or_else(|| key(words::CONFIG, name)) {
                Some(word) => words::apply(word, draft, value, self)?,
                None => self.unknown_key("a workflow", name, near_key(words::WORKFLOW, &words::config_names(), name)),
            }
        }
        match table.list.first() {
            None => Ok(()),
            Some(_) => Err(Fault::wrong("keys in the table of a workflow", "a list").hint("write tasks = { … }")),
        }
    }

    /// `stack("name")`.
    pub fn declare_stack(&self, name: &str) {
        *self.stack.borrow_mut() = Some(name.to_owned());
    }

    /// What was declared.
    pub fn stack(&self) -> Option<String> {
        self.stack.borrow().clone()
    }

    /// A task was run at once.
    pub fn note_immediate(&self) {
        self.ran.set(true);
    }

    /// Whether one was.
    pub fn has_run(&self) -> bool {
        self.ran.get()
    }
}
