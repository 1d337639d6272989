//! A caller for tests: a context with a directory of its own and a log that can be read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use sloth_lua::{Args, BoxFuture, Call, Cancel, Ctx, Daemon, LogLine, Mode, RunInfo, Sink, Trouble};

/// Remembers the log.
#[derive(Default)]
pub struct Log(pub Mutex<Vec<LogLine>>);

impl Log {
    /// All messages.
    pub fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|line| line.message.clone()).collect()
    }
}

impl Sink for Log {
    fn line(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

struct Nobody;

impl Daemon for Nobody {
    fn ask(&self, _: &'static str, _: Value) -> BoxFuture<Result<Value, Trouble>> {
        Box::pin(async { Err(Trouble { code: "unavailable".into(), message: "no daemon in this test".into() }) })
    }

    fn journal(&self, _: &'static str, _: Value) -> BoxFuture<Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

/// A caller.
pub struct Caller {
    /// Its context.
    pub ctx: Arc<Ctx>,
    /// Its log.
    pub log: Arc<Log>,
    /// Its directory; removed with it.
    _dir: tempfile::TempDir,
}

impl Caller {
    /// For real.
    pub fn new() -> Caller {
        Caller::with(Mode::Normal, |_| {})
    }

    /// In check mode.
    pub fn checking() -> Caller {
        Caller::with(Mode::Check, |_| {})
    }

    /// Changed as told.
    pub fn with(mode: Mode, change: impl FnOnce(&mut Ctx)) -> Caller {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::default());
        let temp_dir = dir.path().join("temp");
        std::fs::create_dir(&temp_dir).unwrap();
        let work = dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let run = RunInfo {
            id: "run-1".into(),
            stack: "edge".into(),
            user: "root".into(),
            mode,
            started_at: "2026-01-01T00:00:00Z".into(),
            invocation_dir: work.clone(),
            file_dir: work.clone(),
            temp_dir: temp_dir.clone(),
            values: Map::new(),
        };
        let mut ctx = Ctx {
            run: Arc::new(run),
            workflow: Some("release".into()),
            task: Some("ship".into()),
            attempt: 2,
            workdir: work,
            user: None,
            temp_dir,
            env: Mutex::new(BTreeMap::new()).into(),
            deadline: None,
            check_safe: false,
            cancel: Cancel::default(),
            log: log.clone(),
            daemon: Arc::new(Nobody),
        };
        change(&mut ctx);
        Caller { ctx: Arc::new(ctx), log, _dir: dir }
    }

    /// A call of a function with these arguments.
    pub fn call(&self, args: Args) -> Call {
        Call { args, ctx: Arc::clone(&self.ctx) }
    }

    /// The working directory.
    pub fn work(&self) -> &Path {
        &self.ctx.workdir
    }
}

/// Calls a function of a module by its name or alias, on this thread.
pub fn call(module: &sloth_lua::Module, caller: &Caller, name: &str, args: Args) -> sloth_lua::Reply {
    use sloth_lua::Body;
    let found = module.functions.iter().find(|f| f.name == name || f.aliases.contains(&name));
    let function = found.unwrap_or_else(|| panic!("{} has no function {name}", module.name));
    match function.body {
        Body::Pure(body) => body(&args),
        Body::Now(body) => body(&caller.call(args)),
        Body::Blocking(body) => body(caller.call(args)),
        Body::Async(body) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(body(caller.call(args)))
        }
        Body::Luau => panic!("{name} is in the prelude"),
    }
}
