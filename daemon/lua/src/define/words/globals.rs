//! Globals and functions of the language, for the documentation and the editor types.

/// A global name.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// Name, with its table: `task.checkpoint`.
    pub name: &'static str,
    /// Luau type.
    pub kind: &'static str,
    /// One sentence.
    pub about: &'static str,
}

const fn global(name: &'static str, kind: &'static str, about: &'static str) -> Global {
    Global { name, kind, about }
}

const VALUES: &str = "((defaults: {[string]: any}) -> {[string]: any}) & {[string]: any}";

/// Globals of the definition side; libraries describe themselves.
pub const GLOBALS: &[Global] = &[
    global("define_task", "(table: TaskTable) -> Task", "Registers a task, so that workflows can name it."),
    global("chain", "(elements: {Element}) -> Descriptor", "Each element after the previous."),
    global("sequence", "(elements: {Element}) -> Descriptor", "The same as chain."),
    global("parallel", "(elements: Tasks, options: ParallelOptions?) -> Descriptor", "No order of its own."),
    global("when", "(condition: Condition) -> When", "The first branch whose condition holds."),
    global("values", VALUES, "Values of the run; called, it adds defaults."),
    global("Values", VALUES, "The same as values."),
    global("params", "{[string]: any}", "Parameters of the run."),
    global("outputs", "{[string]: any}?", "Table of the script's outputs, collected when the run ends."),
    global("export", "(name: string | {[string]: any}, value: any?) -> ()", "Adds outputs."),
    global("import", "(path: string) -> any", "Evaluates another file once and returns its value."),
    global("require", "(name: string) -> any", "A built-in module, else a file of the module path."),
    global("sleep", "(seconds: Duration) -> ()", "Waits; other coroutines go on."),
    global("modules", "() -> {string}", "Names of the library modules."),
    global("package", "{loaded: {[string]: any}, path: string}", "Where require looks."),
    global("runner_config", "RunnerConfig?", "Configuration of the run."),
    global("name", "string?", "Name of the implicit workflow."),
    global("version", "string?", "Version of the implicit workflow."),
    global("description", "string?", "Description of the implicit workflow."),
];

/// Functions in the tables of the definition side.
pub const FUNCTIONS: &[Global] = &[
    global("task.checkpoint", "(name: string, state: any?) -> string", "Durable state of the task; returns its id."),
    global("task.last_checkpoint", "(name: string?) -> Checkpoint?", "This task's, else the run's."),
    global("task.restore", "(name_or_id: string) -> (any, string?)", "State of a checkpoint."),
    global("task.checkpoints", "() -> {Checkpoint}", "All, oldest first."),
    global("task.current", "() -> This?", "The running task."),
    global(
        "task.execute",
        "(task: string | Task, params: any?) -> (boolean, string, any)",
        "Runs a task now, as a child of the current one.",
    ),
    global("task.get", "(name: string) -> Task?", "A registered task."),
    global("task.list", "() -> {string}", "Names of the registered tasks."),
    global("task.cancel", "(reason: string?) -> never", "Ends the current task as cancelled."),
    global("workflow.define", "(name: string, table: WorkflowTable?) -> Workflow", "Registers a workflow."),
    global("workflow.parallel", "(elements: Tasks, options: ParallelOptions?) -> Descriptor", "No order of its own."),
    global("workflow.sequence", "(elements: {Element}) -> Descriptor", "Each element after the previous."),
    global(
        "workflow.conditional",
        "(condition: Condition, a: Element, b: Element?) -> When",
        "A when with two branches.",
    ),
    global("workflow.saga", "(name: string, saga: Saga) -> Descriptor", "Participants and what undoes them."),
    global("workflow.get", "(name: string) -> Workflow?", "A registered workflow."),
    global("workflow.list", "() -> {string}", "Names of the registered workflows."),
    global(
        "workflow.run",
        "(workflow: string | Workflow, params: any?) -> (boolean, any)",
        "In a task: a sub-workflow; at file level: selects it.",
    ),
    global(
        "workflow.on",
        "(event: string, f: (event: any) -> ...any) -> ()",
        "Called for lifecycle events of this run.",
    ),
    global("rollback.execute", "(checkpoint: any?) -> (boolean, string?)", "Undoes what completed after a checkpoint."),
    global(
        "rollback.register",
        "(undo: () -> ...any, name: string?) -> ()",
        "Adds a compensation for the current task.",
    ),
    global("rollback.list", "() -> {any}", "Registered compensations."),
    global("saga.begin", "(name: string) -> SagaHandle", "A saga by hand."),
    global("saga.compensate", "(saga: any, undo: (ctx: any) -> ...any) -> ()", "What undoes a participant."),
    global("saga.complete", "(participant: string) -> ()", "Marks a logical participant."),
    global("saga.commit", "(saga: any) -> ()", "Nothing is undone any more."),
    global("saga.abort", "(saga: any, reason: string?) -> ()", "Compensates what was done, and ends the saga."),
    global("resource.allocate", "(request: {[string]: any}) -> (string?, string?)", "Reserves resources."),
    global("resource.release", "(id: string) -> boolean", "Gives them back."),
    global("resource.usage", "() -> {[string]: any}", "What the run uses."),
    global("core.stats", "() -> {[string]: any}", "Numbers of the daemon."),
    global("core.resources", "() -> {[string]: any}", "Capacity, allocated, free."),
    global("core.version", "() -> string", "Version of the daemon."),
    global("core.submit", "(f: () -> ...any, name: string?) -> any", "Runs a function beside the task."),
    global("stack.set_output", "(name: string, value: any) -> boolean", "The same as export."),
    global(
        "error.try",
        "(f: any, catch: any?, finally: any?) -> (any, any)",
        "Result of f, and what was caught; catch gets the message and the error.",
    ),
    global(
        "error.retry",
        "(f: any, max: any?, delay_ms: any?, multiplier: number?) -> (any, string?)",
        "f, until it succeeds.",
    ),
    global("error.new", "(message: any, fields: {[string]: any}?) -> Error", "An error with fields."),
    global("error.wrap", "(err: any, message: string?) -> Error", "An error with a cause."),
    global("error.is", "(err: any, kind: string) -> boolean", "Whether it, or one of its causes, is of a kind."),
];
