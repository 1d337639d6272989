//! `import` and `require`: which file is meant, and its chunk.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value};
use sloth_core::workflow::{Diagnostic, Place};

use super::phase::split;
use super::program::tidy_path;
use super::{Define, define_of};
use crate::define::fault::Fault;

/// Endings that `require` tries.
const ENDINGS: [&str; 4] = [".lua", ".sloth", ".luau", "/init.lua"];

impl Define {
    /// Compiles a file of the program.
    pub(super) fn chunk(&self, key: &str, bytes: &[u8]) -> Result<Function, Box<Diagnostic>> {
        let found = |code, message: String, line, column, hint: Option<&str>| {
            let place = Place { file: key.to_owned(), line, column };
            Box::new(Diagnostic { code, message, place, excerpt: String::new(), hint: hint.map(str::to_owned) })
        };
        let broken = |message: String| found("E100", message, 1, 1, None);
        let inner = self.vm.upgrade().ok_or_else(|| broken("the VM has ended".to_owned()))?;
        let env = crate::vm::Vm(Rc::clone(&inner)).file_env().map_err(|error| broken(error.to_string()))?;
        inner.compile(bytes, &format!("={key}"), &env).map_err(|fault| {
            let message = split(&fault.message).map_or(fault.message.as_str(), |(_, message)| message).to_owned();
            found(fault.code, message, fault.line.max(1), fault.column, fault.hint)
        })
    }

    fn may_import(&self, path: &Path, invocation: &Path) -> bool {
        let program = self.program.borrow();
        path.starts_with(&program.dir)
            || path.starts_with(invocation)
            || program.import_paths.iter().any(|allowed| path.starts_with(allowed))
            || !path.is_absolute()
    }

    /// The first of some places that has a file: its key and its chunk.
    fn first(&self, places: &[PathBuf]) -> Result<Option<(String, Vec<u8>)>, Fault> {
        let mut program = self.program.borrow_mut();
        for place in places {
            match program.read(place) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(problem) => return Err(Fault::new("E101", problem)),
            }
        }
        Ok(None)
    }
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"))
}

/// What is to be evaluated: the key, and the chunk unless it was evaluated before.
type Found = (String, Option<Function>);

/// Where a path of the script may be: relative to the file that names it, then to the main file, then to the invocation
/// directory. Only directories that may be imported from.
fn allowed(define: &Define, path: &str) -> mlua::Result<Vec<PathBuf>> {
    let invocation = define.inner()?.ctx().map(|ctx| ctx.run.invocation_dir.clone()).unwrap_or_default();
    let wanted = match path.strip_prefix("~/") {
        Some(rest) => home().join(rest),
        None => PathBuf::from(path),
    };
    let mut places: Vec<PathBuf> = {
        let program = define.program.borrow();
        let bases = [program.dir_of(&define.desk.place().file), program.dir.clone(), invocation.clone()];
        bases.iter().map(|base| tidy_path(&base.join(&wanted))).collect()
    };
    places.dedup();
    places.retain(|place| define.may_import(place, &invocation));
    if places.is_empty() {
        let fault = Fault::new("E106", format!("{path:?} is outside the directories that may be imported from"));
        return Err(
            define.raise(fault.hint("move it below the file's directory, or name its directory in lua.import_paths"))
        );
    }
    Ok(places)
}

fn tried(places: &[PathBuf]) -> String {
    let tried: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    format!("tried {}", tried.join(", "))
}

/// `import(path)`.
pub(super) fn import(lua: &Lua, path: String) -> mlua::Result<Found> {
    let define = define_of(lua)?;
    define.enter(lua);
    let allowed = allowed(&define, &path)?;
    match define.first(&allowed).map_err(|fault| define.raise(fault))? {
        Some((key, bytes)) => found(&define, key, &bytes),
        None => Err(define.raise(Fault::new("E100", format!("import: {path:?} is not there")).hint(tried(&allowed)))),
    }
}

/// Text of a file for `loadfile`, or nothing and why. Outside the definition phase only what the program has: that a
/// file is read then belongs to the task, not to the program.
pub(super) fn source(lua: &Lua, path: String) -> mlua::Result<(Option<mlua::LuaString>, Option<String>)> {
    let define = define_of(lua)?;
    define.enter(lua);
    if !define.defining.get() {
        let program = define.program.borrow();
        let text = program.files.get(&program.key(&tidy_path(&program.dir.join(&path))));
        return Ok((text.map(|bytes| lua.create_string(bytes)).transpose()?, None));
    }
    let allowed = allowed(&define, &path)?;
    match define.first(&allowed) {
        Ok(Some((_, bytes))) => Ok((Some(lua.create_string(bytes)?), None)),
        Ok(None) => Ok((None, Some(format!("{path}: no such file ({})", tried(&allowed))))),
        Err(fault) => Ok((None, Some(fault.message))),
    }
}

fn found(define: &Define, key: String, bytes: &[u8]) -> mlua::Result<Found> {
    if define.loaded.borrow().contains_key(&key) {
        return Ok((key, None));
    }
    let chunk = define.chunk(&key, bytes).map_err(|found| define.raise_at(*found))?;
    Ok((key, Some(chunk)))
}

/// `require(name)` of something that is no module: files of `package.path`, then of the module directories.
pub(super) fn require(lua: &Lua, (name, path): (String, Option<String>)) -> mlua::Result<Found> {
    let define = define_of(lua)?;
    define.enter(lua);
    let invocation = define.inner()?.ctx().map(|ctx| ctx.run.invocation_dir.clone()).unwrap_or_default();
    let file = name.replace('.', "/");
    if file.is_empty() || file.split('/').any(|part| part.is_empty()) {
        return Err(define.raise(Fault::new("E100", format!("require: {name:?} is no name of a module"))));
    }
    let dir = define.program.borrow().dir.clone();
    let mut places = Vec::new();
    for base in [&dir, &invocation] {
        for pattern in path.as_deref().unwrap_or_default().split(';').filter(|pattern| pattern.contains('?')) {
            places.push(tidy_path(&base.join(pattern.replace('?', &file))));
        }
    }
    let roots = [
        dir.clone(),
        dir.join("modules"),
        invocation.join("modules"),
        home().join(".sloth/modules"),
        "/usr/lib/sloth/modules".into(),
    ];
    for root in roots {
        places.extend(ENDINGS.iter().map(|ending| tidy_path(&root.join(format!("{file}{ending}")))));
    }
    match define.first(&places).map_err(|fault| define.raise(fault))? {
        Some((key, bytes)) => found(&define, key, &bytes),
        None => {
            let fault = Fault::new("E100", format!("require: there is no module {name:?}"));
            let near = define.inner()?.registry.visible().map(|module| module.name).collect::<Vec<_>>();
            Err(define.raise(fault.did_you_mean(sloth_core::workflow::suggest(&name, near))))
        }
    }
}

/// What a file gave, for everybody who imports it later.
pub(super) fn keep(lua: &Lua, (key, value): (String, Value)) -> mlua::Result<()> {
    define_of(lua)?.loaded.borrow_mut().insert(key, value);
    Ok(())
}

/// What a file gave before.
pub(super) fn kept(lua: &Lua, key: String) -> mlua::Result<Value> {
    Ok(define_of(lua)?.loaded.borrow().get(&key).cloned().unwrap_or(Value::Nil))
}

/// The functions of this file.
pub(super) fn install(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.raw_set("import", lua.create_function(import)?)?;
    host.raw_set("require", lua.create_function(require)?)?;
    host.raw_set("source", lua.create_function(source)?)?;
    host.raw_set("keep", lua.create_function(keep)?)?;
    host.raw_set("kept", lua.create_function(kept)?)?;
    host.raw_set(
        "module",
        lua.create_function(|lua, name: String| {
            // What begins so is of the library itself.
            if name.starts_with('_') {
                return Ok(Value::Nil);
            }
            let define = define_of(lua)?;
            let inner = define.inner()?;
            let base: Value = lua.globals().raw_get(name.as_str())?;
            match (inner.module(&name)?, base) {
                (Some(table), _) => Ok(Value::Table(table)),
                // Libraries of the language itself: `require("string")`.
                (None, base @ Value::Table(_)) => Ok(base),
                _ => Ok(Value::Nil),
            }
        })?,
    )?;
    Ok(())
}
