//! What surrounds an attempt: directories, environment, and what its function sees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sloth_core::workflow::template::Template;
use sloth_core::workflow::{EdgeKind, TaskId, Workflow};
use sloth_lua::{Cancel, Ctx, LogLevel, LogLine, Sink, Stream, View};

use super::Flow;
use crate::run::Run;

/// The roots of templates, with their values.
pub struct Roots(Map<String, Value>);

impl Roots {
    fn get(&self, root: &str) -> &Value {
        self.0.get(root).unwrap_or(&Value::Null)
    }

    /// Fills a template in.
    pub fn render(&self, text: &str) -> Result<String, String> {
        if !text.contains("${") {
            return Ok(text.to_owned());
        }
        Template::parse(text).render(&|root| self.get(root)).map_err(|missing| no_value(&missing.written))
    }

    /// Fills the template of a shell command in.
    pub fn render_shell(&self, text: &str) -> Result<(String, Vec<(String, String)>), String> {
        if !text.contains("${") {
            return Ok((text.to_owned(), Vec::new()));
        }
        let filled = Template::parse(text).render_shell(&|root| self.get(root));
        filled.map(|shell| (shell.text, shell.env)).map_err(|missing| no_value(&missing.written))
    }
}

fn no_value(written: &str) -> String {
    format!("E302: {written} has no value; give it one, or a default: {}", written.replacen('}', ":-default}", 1))
}

/// The directory in which the tasks of a workflow run, made where that was declared.
pub fn prepare_workdir(run: &Run, workflow: &Workflow) -> Result<PathBuf, String> {
    if workflow.config.create_workdir {
        let path = Path::new(&run.job.run_dir).join("workdirs").join(file_name(&workflow.name));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        return made.map(|()| path.clone()).map_err(|error| format!("work directory {}: {error}", path.display()));
    }
    let Some(text) = &workflow.workdir else { return Ok(run.workdir()) };
    let text = run.roots(&Map::new(), &Map::new(), &workflow.name).render(text)?;
    make_dir(&run.workdir().join(expand_home(&text)))
}

/// A declared work directory is made when it is missing.
fn make_dir(path: &Path) -> Result<PathBuf, String> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map(|()| path.to_owned()).map_err(|error| format!("work directory {}: {error}", path.display()))
}

fn expand_home(text: &str) -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    match text.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

/// A name as a single part of a path.
pub fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.[]@+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

impl Run {
    /// Where everything runs for which nothing else is said.
    pub fn workdir(&self) -> PathBuf {
        if self.job.invocation_dir.is_empty() {
            self.info.file_dir.clone()
        } else {
            PathBuf::from(&self.job.invocation_dir)
        }
    }

    /// Values for templates outside and inside of tasks.
    pub fn roots(&self, params: &Map<String, Value>, deps: &Map<String, Value>, task: &str) -> Roots {
        let mut roots = Map::new();
        roots.insert("values".to_owned(), Value::Object(self.values()));
        roots.insert("params".to_owned(), Value::Object(params.clone()));
        roots.insert("deps".to_owned(), Value::Object(deps.clone()));
        roots.insert("env".to_owned(), self.environment.clone());
        roots.insert("stack".to_owned(), json!({ "name": self.info.stack }));
        roots.insert("run".to_owned(), self.run_data());
        roots.insert("task".to_owned(), json!({ "name": task }));
        Roots(roots)
    }

    /// `run.…` of expressions and templates.
    pub fn run_data(&self) -> Value {
        json!({
            "id": self.info.id, "mode": self.job.mode, "user": self.info.user, "attempt": self.worker,
            "started_at": self.info.started_at,
        })
    }
}

impl Flow {
    /// The context of an attempt; `Err`: its directories or templates are wrong.
    pub fn context(&self, task: TaskId, attempt: u32, cancel: Cancel) -> Result<Arc<Ctx>, String> {
        let declared = &self.workflow.tasks[task.0 as usize];
        let name = self.record_name(&declared.name);
        let temp_dir = self.run.info.temp_dir.join(format!("{}-{attempt}", file_name(&name)));
        let needs_roots = declared.workdir.as_ref().is_some_and(|text| text.contains("${"))
            || declared.env.values().chain(self.workflow.env.values()).flatten().any(|text| text.contains("${"));
        let roots = needs_roots.then(|| self.roots(task));
        let render = |text: &str| roots.as_ref().map_or_else(|| Ok(text.to_owned()), |roots| roots.render(text));
        let workdir = match &declared.workdir {
            Some(text) => make_dir(&self.workdir.join(expand_home(&render(text)?)))?,
            None => self.workdir.clone(),
        };
        let mut env = BTreeMap::new();
        for (key, value) in self.workflow.env.iter().chain(&declared.env) {
            env.insert(key.clone(), value.as_deref().map(render).transpose()?);
        }
        let limit = self.machine.borrow().timeout_of(task);
        Ok(Arc::new(Ctx {
            run: Arc::clone(&self.run.info),
            workflow: Some(self.recorded.clone()),
            task: Some(name),
            attempt,
            workdir,
            user: declared.user.clone(),
            temp_dir,
            env: Arc::new(Mutex::new(env)),
            deadline: limit.map(|limit| Instant::now() + Duration::from_millis(limit)),
            check_safe: declared.check_safe,
            cancel,
            log: Arc::clone(&self.run.log) as Arc<dyn Sink>,
            daemon: Arc::new(self.run.link.clone()),
        }))
    }

    /// A context for something that belongs to the workflow and to no attempt.
    pub fn own_context(&self) -> Arc<Ctx> {
        let ctx = self.run.context(self.workdir.clone());
        let mut env = BTreeMap::new();
        for (key, value) in &self.workflow.env {
            env.insert(key.clone(), value.clone());
        }
        Arc::new(Ctx { workflow: Some(self.recorded.clone()), env: Arc::new(Mutex::new(env)), ..ctx })
    }

    /// Values for the templates of a task.
    pub fn roots(&self, task: TaskId) -> Roots {
        let name = &self.workflow.tasks[task.0 as usize].name;
        self.run.roots(&self.params_of(task), &self.deps_of(task).0, name)
    }

    /// "`workflow.params` < task `params` < `workflow.run(…, params)` / `task.execute(…, params)` < `--param`"
    pub fn params_of(&self, task: TaskId) -> Map<String, Value> {
        let mut params = self.workflow.params.clone();
        let declared = &self.workflow.tasks[task.0 as usize].params;
        let layers = [&self.params, declared, &self.overrides, &self.run.job.params];
        params.extend(layers.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        params
    }

    /// Outputs of what a task waits for, and of the step before it in a chain.
    pub fn deps_of(&self, task: TaskId) -> (Map<String, Value>, Option<Value>) {
        let mut deps = Map::new();
        let mut previous = None;
        let slots = self.slots.borrow();
        for (before, kind) in self.machine.borrow().before(task) {
            if !matches!(kind, EdgeKind::Needs | EdgeKind::Previous) {
                continue;
            }
            let declared = &self.workflow.tasks[before.0 as usize];
            let output = slots[before.0 as usize].end.as_ref().map_or_else(|| json!({}), |end| end.output.clone());
            if *kind == EdgeKind::Previous {
                previous = Some(output.clone());
            }
            deps.insert(declared.declared.clone(), output);
        }
        (deps, previous)
    }

    /// What the function of a task sees.
    pub fn view(&self, task: TaskId, ctx: &Ctx) -> Box<View> {
        let declared = &self.workflow.tasks[task.0 as usize];
        let (deps, previous) = self.deps_of(task);
        let stages = &self.workflow.stages;
        Box::new(View {
            name: declared.name.clone(),
            params: self.params_of(task),
            deps,
            previous,
            results: Map::new(),
            attempt: ctx.attempt,
            max_attempts: self.machine.borrow().max_attempts(task),
            stage: Some(stages[declared.stage.0 as usize].name.clone()),
            workflow: self.workflow.name.clone(),
            workdir: ctx.workdir.clone(),
            temp_directory: ctx.temp_dir.clone(),
            last_checkpoint: self.run.last_checkpoint(ctx.task.as_deref(), None),
            agent: self.run.host.clone(),
        })
    }

    /// One line of the engine in the log of the run.
    pub fn say(&self, task: Option<TaskId>, attempt: u32, level: LogLevel, message: impl Into<String>) {
        self.run.log.line(LogLine {
            workflow: Some(self.recorded.clone()),
            task: task.map(|task| self.record_name(&self.workflow.tasks[task.0 as usize].name)),
            attempt,
            level,
            stream: Stream::Log,
            message: message.into(),
            fields: Map::new(),
        });
    }
}

/// The private directory of an attempt. The library makes it when it is needed first; it is removed when this is
/// dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Takes care of it; `now`: it is made at once.
    pub fn new(path: &Path, now: bool) -> Result<TempDir, String> {
        let temp = TempDir(path.to_owned());
        if now {
            let failed = |error: std::io::Error| format!("temporary directory {}: {error}", path.display());
            match fs::DirBuilder::new().mode(0o700).create(path) {
                // Of an earlier worker of the run, which died.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.map_err(failed)?,
            }
        }
        Ok(temp)
    }

    /// So that another user's commands may use it.
    pub fn open_for_others(&self, root: &Path) {
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        // A directory that stays closed shows itself in the command that needs it.
        let _ = open(&self.0, 0o1777);
        for above in [Some(root), root.parent()].into_iter().flatten() {
            let _ = open(above, 0o711);
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let removed = fs::remove_dir(&self.0);
        if removed.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
            // Not empty. What cannot be removed stays below the run's directory, which is removed at its end.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
