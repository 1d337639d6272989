//! `workdir`: the directory in which a task works.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sloth_lua::{Body, Call, Ctx, Failure, Family, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{also, blocking, family, give, may, need, value};
use crate::files::change::{Change, simulated};
use crate::files::{failed, remove};
use crate::fs::make_directory;

/// The directory of a task.
pub static MODULE: Module = Module {
    name: "workdir",
    aliases: &[],
    tier: Tier::Here,
    about: "The directory in which a task works",
    functions: FUNCTIONS,
    prelude: "",
};

/// Directories to remove when their task ends: workflow, task, attempt, directory.
static DOOMED: Mutex<Vec<(Key, PathBuf)>> = Mutex::new(Vec::new());

type Key = (Option<String>, Option<String>, u32);

const PATH: Param = may("path", Type::Str, "");

const fn message(name: &'static str, about: &'static str, body: fn(Call) -> Reply) -> Function {
    let function = blocking(name, &[PATH], "boolean, string, ChangeInfo", about, body);
    Function { family: Family::M, mutates: true, ..function }
}

const FUNCTIONS: &[Function] = &[
    value("get", &[], "string", "The directory", Body::Now(get)),
    family(blocking("exists", &[PATH], "boolean", "Whether it exists", exists), Family::Raw),
    also(message("create", "Makes it, and its parents", create), &["ensure"]),
    message("cleanup", "Removes it when the task ends", cleanup),
    value("path", &[need("name", Type::Str)], "string", "A path in it", Body::Now(path)),
];

#[allow(clippy::unnecessary_wraps)] // the shape of bodies
fn get(call: &Call) -> Reply {
    give(call.ctx.workdir.to_string_lossy().into_owned())
}

fn place(call: &Call) -> PathBuf {
    call.args.opt_text("path").map_or_else(|| call.ctx.workdir.clone(), |path| call.ctx.resolve(&path))
}

fn exists(call: Call) -> Reply {
    give(place(&call).exists())
}

fn path(call: &Call) -> Reply {
    give(call.ctx.workdir.join(call.args.text("name")?).to_string_lossy().into_owned())
}

fn create(call: Call) -> Reply {
    let change = make_directory(&call, &place(&call))?;
    done(&call, change)
}

#[allow(clippy::unnecessary_wraps)] // the shape of bodies
fn done(call: &Call, change: Change) -> Reply {
    Ok(vec![change.message.as_str().into(), change.info(simulated(call))])
}

fn cleanup(call: Call) -> Reply {
    let path = place(&call);
    let Ok(real) = path.canonicalize() else {
        return done(&call, Change::none(format!("{} does not exist", path.display())));
    };
    let own = call.ctx.workdir.canonicalize().map_err(|error| failed(&call.ctx.workdir, error))?;
    if !real.starts_with(&own) {
        return Err(failed(&path, format_args!("is not inside of the work directory {}", own.display())));
    }
    remove::refuse(&real, false, &call.ctx)?;
    // Where the run was asked for is somebody's own directory, not one that a task made.
    if is_above(&real, &call.ctx.run.invocation_dir) || is_above(&real, &call.ctx.run.file_dir) {
        return Err(failed(&path, "refused: the run was started from there"));
    }
    if !simulated(&call) {
        let mut doomed = DOOMED.lock().unwrap_or_else(PoisonError::into_inner);
        doomed.push((key(&call.ctx), real));
    }
    done(&call, Change::made(format!("{} is removed when the task ends", path.display())))
}

fn is_above(path: &Path, other: &Path) -> bool {
    other.canonicalize().is_ok_and(|other| other.starts_with(path))
}

fn key(ctx: &Ctx) -> Key {
    (ctx.workflow.clone(), ctx.task.clone(), ctx.attempt)
}

/// Whether [`clean_up`] has something to do.
pub fn is_doomed(ctx: &Ctx) -> bool {
    let key = key(ctx);
    DOOMED.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(of, _)| *of == key)
}

/// Removes what the attempt wanted removed. Called by the worker when the attempt is over, from a thread that may block. Says
/// what could not be removed.
pub fn clean_up(ctx: &Ctx) -> Vec<String> {
    let key = key(ctx);
    let paths: Vec<PathBuf> = {
        let mut doomed = DOOMED.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, others) = std::mem::take(&mut *doomed).into_iter().partition(|(of, _)| *of == key);
        *doomed = others;
        let own: Vec<(Key, PathBuf)> = own;
        own.into_iter().map(|(_, path)| path).collect()
    };
    let remove = |path: &PathBuf| remove::remove(path).err().map(|error| failed(path, error));
    paths.iter().filter_map(remove).map(|failure: Failure| failure.message).collect()
}

#[cfg(test)]
mod tests {
    use sloth_lua::{Args, Data, Mode};

    use super::*;
    use crate::testing::{Caller, call as invoke};

    /// "deletes the task's work directory (only inside it) when the task ends"
    #[test]
    fn a_directory_is_removed_when_its_task_ends() {
        let caller = Caller::with(Mode::Normal, |ctx| ctx.workdir = ctx.workdir.join("own"));
        let call = |name: &str, args: Args| invoke(&MODULE, &caller, name, args);
        let created = call("ensure", Args::default()).unwrap();
        assert_eq!(created[1].get("changed"), Some(&Data::Bool(true)));
        assert_eq!(call("exists", Args::default()).unwrap(), [Data::Bool(true)]);
        let inside = call("path", Args::default().with("name", "x")).unwrap().remove(0);
        assert_eq!(inside, caller.work().join("x").to_str().unwrap().into());
        assert!(call("cleanup", Args::default().with("path", "..")).unwrap_err().message.contains("not inside"));
        call("cleanup", Args::default()).unwrap();
        assert!(caller.work().exists(), "not before the task ends");
        assert_eq!(clean_up(&caller.ctx), Vec::<String>::new());
        assert!(!caller.work().exists());
    }

    #[test]
    fn where_the_run_was_started_stays() {
        let caller = Caller::new();
        let failure = invoke(&MODULE, &caller, "cleanup", Args::default()).unwrap_err();
        assert!(failure.message.contains("started from there"), "{}", failure.message);
    }
}
