//! The virtual machine: one Luau state, its coroutines, and the library that scripts see.
//!
//! A host function never blocks the VM: its coroutine yields the number of an operation to the scheduler, which resumes
//! it with the result. A wait inside a coroutine of the script is passed outwards until it reaches the scheduler, so
//! that the whole task waits. Where Luau cannot yield, the VM's thread waits for this one call.

mod api;
mod args;
mod call;
mod convert;
mod ending;
mod fiber;
mod inbox;
mod interrupt;
mod natives;
mod ops;
mod own;
mod prepass;
mod registry;
mod results;
mod sandbox;
mod schedule;
mod timers;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value};
use sloth_core::workflow::{Diagnostic, FnRef, Place};

pub use api::{CallEnd, Engine, LocalBoxFuture, Raised, Shape, Spawner, View, VmSettings};
pub use call::RecordedCall;
pub(crate) use convert::{Alien, to_data, to_lua};
use fiber::{Fiber, Group, Scope};
use inbox::Inbox;
use interrupt::Watch;
use ops::{OpId, Ops};
pub(crate) use own::own_chunk;
use registry::Registry;
use results::Metas;
use schedule::Ready;
use timers::Timers;

use crate::data::Data;
use crate::host::Ctx;
use crate::module::Reply;

/// One VM. Clones are the same; everything happens on the thread that made it.
#[derive(Clone)]
pub struct Vm(pub(crate) Rc<Inner>);

/// Builds the arguments of a call from its shape.
pub(crate) type ShapeBuilder = Rc<dyn Fn(&Vm, Shape, &Arc<Ctx>) -> mlua::Result<MultiValue>>;

pub(crate) struct Inner {
    /// First, so that it is dropped first: its objects hold weak references only.
    pub(crate) lua: Lua,
    pub(crate) settings: VmSettings,
    pub(crate) spawner: Arc<dyn Spawner>,
    pub(crate) engine: Rc<dyn Engine>,
    pub(crate) registry: Registry,
    inbox: Arc<Inbox>,
    ops: RefCell<Ops>,
    ready: RefCell<Ready>,
    current: RefCell<Option<Rc<Fiber>>>,
    groups: RefCell<HashMap<u64, Rc<Group>>>,
    /// Calls that have begun to wait for other coroutines.
    suspects: RefCell<Vec<Rc<Group>>>,
    locals: RefCell<FuturesUnordered<LocalBoxFuture<(OpId, Reply)>>>,
    new_locals: RefCell<Vec<LocalBoxFuture<(OpId, Reply)>>>,
    timers: RefCell<Timers>,
    watch: Watch,
    functions: RefCell<Functions>,
    kernel: OnceCell<Kernel>,
    shapes: RefCell<Option<ShapeBuilder>>,
    pub(crate) journal: RefCell<call::DefinitionJournal>,
    goroutines: Cell<usize>,
    ids: Cell<u64>,
    /// Bytes after the last full collection.
    collected: Cell<usize>,
    /// Goroutines that outlive their tasks, by workflow.
    detached: RefCell<HashMap<String, Rc<Group>>>,
    born: Instant,
}

/// Functions of the script that the engine knows by number.
#[derive(Default)]
struct Functions {
    list: Vec<Function>,
    numbers: HashMap<usize, u32>,
}

/// What the lowest layer in Luau gives to this one.
pub(crate) struct Kernel {
    pub(crate) sys: Table,
    pub(crate) metas: Metas,
    entry: Function,
    site: Function,
    died: Function,
    fail: Value,
    host_tag: Value,
}

impl Vm {
    /// A VM with its library; modules are loaded when they are used first.
    pub fn new(settings: VmSettings, spawner: Arc<dyn Spawner>, engine: Rc<dyn Engine>) -> Result<Vm, Diagnostic> {
        Vm::build(settings, spawner, engine).map_err(|error| Diagnostic {
            code: "E101",
            message: format!("the VM cannot be made: {error}"),
            place: Place::default(),
            excerpt: String::new(),
            hint: Some("raise lua.memory_max".to_owned()),
        })
    }

    fn build(settings: VmSettings, spawner: Arc<dyn Spawner>, engine: Rc<dyn Engine>) -> mlua::Result<Vm> {
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::OS
            | StdLib::BUFFER
            | StdLib::DEBUG
            | StdLib::VECTOR;
        let lua = Lua::new_with(libraries & StdLib::ALL_SAFE, LuaOptions::new().catch_rust_panics(true))?;
        lua.set_memory_limit(settings.memory_max)?;
        let inner = Rc::new(Inner {
            registry: Registry::new(settings.modules),
            lua,
            settings,
            spawner,
            engine,
            inbox: Arc::default(),
            ops: RefCell::default(),
            ready: RefCell::default(),
            current: RefCell::default(),
            groups: RefCell::default(),
            suspects: RefCell::default(),
            locals: RefCell::default(),
            new_locals: RefCell::default(),
            timers: RefCell::default(),
            watch: Watch::new(),
            functions: RefCell::default(),
            kernel: OnceCell::new(),
            shapes: RefCell::default(),
            journal: RefCell::default(),
            goroutines: Cell::default(),
            ids: Cell::default(),
            collected: Cell::default(),
            detached: RefCell::default(),
            born: Instant::now(),
        });
        // Nothing that the library makes is garbage: looking for some five times takes longer than making it.
        inner.lua.gc_stop();
        sandbox::build(&inner)?;
        inner.lua.gc_restart();
        let weak = Rc::downgrade(&inner);
        inner.lua.set_interrupt(move |_| match weak.upgrade() {
            Some(inner) => inner.safepoint(),
            None => Ok(mlua::VmState::Continue),
        });
        Ok(Vm(inner))
    }

    /// Must be polled for coroutines to run. Never completes.
    pub fn pump(&self) -> LocalBoxFuture<()> {
        let inner = Rc::clone(&self.0);
        Box::pin(std::future::poll_fn(move |context| inner.poll(context)))
    }

    /// Calls a function of the script in a coroutine of its own; the goroutines that it starts are joined before this
    /// resolves. Dropping the future discards the call.
    pub fn call(&self, function: FnRef, shape: Shape, ctx: Arc<Ctx>) -> LocalBoxFuture<CallEnd> {
        let vm = self.clone();
        Box::pin(async move {
            let prepared = vm
                .function(function)
                .ok_or_else(|| mlua::Error::runtime(format!("function {} of the script is not known", function.0)))
                .and_then(|function| Ok((function, vm.arguments(shape, &ctx)?)));
            match prepared {
                Ok((function, args)) => vm.run(function, args, ctx).await,
                Err(error) => CallEnd::failed(ending::raised_from(&error)),
            }
        })
    }

    /// Runs a function of a module, as `module = "…", action = "…", args = {…}` of a task does.
    pub fn call_module(
        &self,
        module: &str,
        action: &str,
        args: &serde_json::Value,
        ctx: Arc<Ctx>,
    ) -> LocalBoxFuture<CallEnd> {
        let vm = self.clone();
        let prepared = vm.module_function(module, action).and_then(|function| {
            let args = to_lua(&vm.0.lua, &Data::from_json(args), &vm.0.kernel().metas.list)?;
            Ok((function, if args.is_nil() { MultiValue::new() } else { MultiValue::from_vec(vec![args]) }))
        });
        Box::pin(async move {
            match prepared {
                Ok((function, args)) => vm.run(function, args, ctx).await,
                Err(error) => CallEnd::failed(ending::raised_from(&error)),
            }
        })
    }

    /// Cancels the goroutines that tasks have detached to a workflow: it ends.
    pub fn end_workflow(&self, workflow: &str) {
        let group = self.0.detached.borrow_mut().remove(workflow);
        if let Some(group) = group {
            self.0.abandon(&group);
        }
    }

    /// Bytes of all Lua objects.
    pub fn memory(&self) -> usize {
        self.0.lua.used_memory()
    }

    /// Calls a function with values of the VM; the results are data.
    pub(crate) fn run(&self, function: Function, args: MultiValue, ctx: Arc<Ctx>) -> LocalBoxFuture<CallEnd> {
        let started = self.0.open(function, args, ctx, false);
        let vm = self.clone();
        Box::pin(async move {
            match started {
                Ok(group) => Running { vm, group }.await,
                Err(error) => CallEnd::failed(ending::raised_from(&error)),
            }
        })
    }

    /// Calls a function with values of the VM and gets values of the VM: for the main chunk.
    pub(crate) fn evaluate(
        &self,
        function: Function,
        args: MultiValue,
        ctx: Arc<Ctx>,
    ) -> LocalBoxFuture<Result<MultiValue, Raised>> {
        let started = self.0.open(function, args, ctx, true);
        let vm = self.clone();
        Box::pin(async move {
            let group = started.map_err(|error| ending::raised_from(&error))?;
            let end = Running { vm, group: Rc::clone(&group) }.await;
            end.result.map(|_| group.keep.take().unwrap_or_default())
        })
    }

    /// Gives a function of the script its number.
    pub(crate) fn keep(&self, function: Function) -> FnRef {
        self.0.keep(function)
    }

    /// The function of a number.
    pub(crate) fn function(&self, number: FnRef) -> Option<Function> {
        self.0.functions.borrow().list.get(number.0 as usize).cloned()
    }

    /// Who makes arguments of shapes.
    pub(crate) fn set_shapes(&self, builder: ShapeBuilder) {
        *self.0.shapes.borrow_mut() = Some(builder);
    }

    fn arguments(&self, shape: Shape, ctx: &Arc<Ctx>) -> mlua::Result<MultiValue> {
        let builder = self.0.shapes.borrow().clone();
        match (shape, builder) {
            (Shape::Plain(values), _) => values
                .iter()
                .map(|value| to_lua(&self.0.lua, &Data::from_json(value), &self.0.kernel().metas.list))
                .collect(),
            (shape, Some(builder)) => builder(self, shape, ctx),
            (_, None) => Err(mlua::Error::runtime("nothing has been defined yet")),
        }
    }
}

impl CallEnd {
    /// A call that could not begin.
    pub(crate) fn failed(raised: Raised) -> CallEnd {
        CallEnd {
            result: Err(raised),
            changed: None,
            output: Default::default(),
            cancelled: None,
            warnings: Vec::new(),
        }
    }
}

/// A call that goes on. Dropped early, it discards its coroutines.
struct Running {
    vm: Vm,
    group: Rc<Group>,
}

impl Future for Running {
    type Output = CallEnd;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<CallEnd> {
        if let Some(end) = self.group.end.borrow_mut().take() {
            return Poll::Ready(end);
        }
        *self.group.waker.borrow_mut() = Some(context.waker().clone());
        if self.group.scope.ctx.cancel.poll(context.waker()).is_ready() && !self.group.noticed.replace(true) {
            self.vm.0.notice(&self.group);
            self.vm.0.inbox.ring();
        }
        Poll::Pending
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.group.end.borrow().is_none() {
            self.vm.0.abandon(&self.group);
        }
    }
}

impl Inner {
    pub(crate) fn kernel(&self) -> &Kernel {
        self.kernel.get().expect("set while the VM was made")
    }

    fn next_id(&self) -> u64 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    fn group(&self, id: u64) -> Option<Rc<Group>> {
        self.groups.borrow().get(&id).cloned()
    }

    /// The coroutine that runs now.
    pub(crate) fn fiber(&self) -> Option<Rc<Fiber>> {
        self.current.borrow().clone()
    }

    /// The context of what runs now.
    pub(crate) fn ctx(&self) -> mlua::Result<Arc<Ctx>> {
        self.fiber().map(|fiber| fiber.ctx()).ok_or_else(|| mlua::Error::runtime("nothing runs"))
    }

    fn open(&self, function: Function, args: MultiValue, ctx: Arc<Ctx>, keep: bool) -> mlua::Result<Rc<Group>> {
        let scope = Scope::new(ctx);
        let group = Rc::new(Group::new(self.next_id(), Rc::clone(&scope), keep));
        self.groups.borrow_mut().insert(group.id, Rc::clone(&group));
        if let Err(error) = self.start(&group, &scope, true, function, args) {
            self.groups.borrow_mut().remove(&group.id);
            return Err(error);
        }
        self.inbox.ring();
        Ok(group)
    }

    /// Where goroutines of a task live that outlive it.
    fn detached_group(&self, fiber: &Rc<Fiber>) -> Rc<Group> {
        let ctx = fiber.ctx();
        let name = ctx.workflow.clone().unwrap_or_default();
        if let Some(group) = self.detached.borrow().get(&name) {
            return Rc::clone(group);
        }
        let mut free = ctx.part(None);
        free.deadline = None;
        free.cancel = Default::default();
        let group = Rc::new(Group { detached: true, ..Group::new(self.next_id(), Scope::new(Arc::new(free)), false) });
        self.groups.borrow_mut().insert(group.id, Rc::clone(&group));
        self.detached.borrow_mut().insert(name, Rc::clone(&group));
        group
    }

    pub(crate) fn keep(&self, function: Function) -> FnRef {
        let mut functions = self.functions.borrow_mut();
        let pointer = function.to_pointer() as usize;
        if let Some(number) = functions.numbers.get(&pointer) {
            return FnRef(*number);
        }
        let number = u32::try_from(functions.list.len()).unwrap_or(u32::MAX);
        functions.list.push(function);
        functions.numbers.insert(pointer, number);
        FnRef(number)
    }
}

/// For closures of the VM, which must not keep it alive.
pub(crate) fn upgrade(weak: &Weak<Inner>) -> mlua::Result<Rc<Inner>> {
    weak.upgrade().ok_or_else(|| mlua::Error::runtime("the VM has ended"))
}

#[cfg(test)]
mod tests;
