//! The library as scripts see it: both calling forms, preludes, callbacks, errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod data;
mod formats;
mod host;
mod pages;
mod shims;
mod small;
mod trust;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sloth_lua::{
    BoxFuture, Cancel, Ctx, Daemon, Data, Engine, LocalBoxFuture, LogLine, Mode, Module, Reply, RunInfo, Sink, Spawner,
    Tier, Trouble, Vm, VmSettings,
};

/// Runs a text as a function, so that tests can be written in the language itself.
static PROBE: Module = Module {
    name: "probe",
    aliases: &[],
    tier: Tier::Here,
    about: "For tests.",
    functions: &[],
    prelude: "local M = ...\nfunction M.run(args) return assert(loadstring(args.source, '=test'))() end",
};

fn modules() -> &'static [&'static Module] {
    static ALL: OnceLock<Vec<&'static Module>> = OnceLock::new();
    ALL.get_or_init(|| sloth_modules::MODULES.iter().copied().chain([&PROBE]).collect())
}

/// The I/O runtime of a worker.
struct Io(tokio::runtime::Handle);

impl Spawner for Io {
    fn spawn(&self, future: BoxFuture<()>) {
        self.0.spawn(future);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.spawn_blocking(work);
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let _inside = self.0.enter();
        Box::pin(tokio::time::sleep(time))
    }
}

struct NoEngine;

impl Engine for NoEngine {
    fn call(&self, what: &str, _: Data, _: Arc<Ctx>) -> LocalBoxFuture<Reply> {
        let what = what.to_owned();
        Box::pin(async move { panic!("the library asked the engine for {what}") })
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Sink for Log {
    fn line(&self, line: LogLine) {
        self.0.lock().unwrap().push(line.message);
    }
}

/// Answers as told, in order; then with an empty object.
#[derive(Default)]
struct Answers {
    replies: Mutex<BTreeMap<String, Vec<Value>>>,
    asked: Mutex<Vec<(String, Value)>>,
}

impl Daemon for Answers {
    fn ask(&self, what: &'static str, body: Value) -> BoxFuture<Result<Value, Trouble>> {
        self.asked.lock().unwrap().push((what.to_owned(), body));
        let mut replies = self.replies.lock().unwrap();
        let reply = replies.get_mut(what).filter(|list| !list.is_empty()).map(|list| list.remove(0));
        Box::pin(std::future::ready(Ok(reply.unwrap_or_else(|| json!({})))))
    }

    fn journal(&self, _: &'static str, _: Value) -> BoxFuture<Result<(), Trouble>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A VM with the library, and a directory in which its scripts work.
struct World {
    runtime: tokio::runtime::Runtime,
    vm: Vm,
    ctx: Arc<Ctx>,
    log: Arc<Log>,
    daemon: Arc<Answers>,
    dir: tempfile::TempDir,
}

fn world() -> World {
    world_in(Mode::Normal)
}

fn world_in(mode: Mode) -> World {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = VmSettings { modules: modules(), ..VmSettings::default() };
    let vm = Vm::new(settings, Arc::new(Io(runtime.handle().clone())), Rc::new(NoEngine)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (log, daemon) = (Arc::new(Log::default()), Arc::new(Answers::default()));
    let run = RunInfo {
        id: uuid::Uuid::new_v4().to_string(),
        stack: String::new(),
        user: "root".into(),
        mode,
        started_at: "2026-01-01T00:00:00Z".into(),
        invocation_dir: dir.path().to_owned(),
        file_dir: dir.path().to_owned(),
        temp_dir: dir.path().to_owned(),
        values: Map::new(),
    };
    let ctx = Ctx {
        run: Arc::new(run),
        workflow: Some("w".into()),
        task: Some("t".into()),
        attempt: 1,
        workdir: dir.path().to_owned(),
        user: None,
        temp_dir: dir.path().to_owned(),
        env: Arc::default(),
        deadline: None,
        check_safe: false,
        cancel: Cancel::default(),
        log: log.clone(),
        daemon: daemon.clone(),
    };
    World { runtime, vm, ctx: Arc::new(ctx), log, daemon, dir }
}

impl World {
    fn run(&self, source: &str) -> Result<Value, String> {
        let args = json!({ "source": source });
        let end = self.runtime.block_on(async {
            tokio::select! {
                () = self.vm.pump() => unreachable!("a pump never ends"),
                end = self.vm.call_module("probe", "run", &args, Arc::clone(&self.ctx)) => end,
            }
        });
        let values = end.result.map_err(|raised| raised.message)?;
        Ok(values.iter().map(Data::to_json).collect())
    }

    /// What a text returns.
    #[track_caller]
    fn values(&self, source: &str) -> Value {
        self.run(source).unwrap_or_else(|error| panic!("{source}\n{error}"))
    }

    /// What a text raises.
    #[track_caller]
    fn error(&self, source: &str) -> String {
        match self.run(source) {
            Err(error) => error,
            Ok(values) => panic!("{source}\ngave {values}"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
