//! What a script sees of Luau: everything that is harmless, and nothing that reaches the host by itself.

use std::rc::Rc;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, LightUserData, Table, Value};

use super::own::own_chunk;
use super::prepass::{SourceFault, looks_like_blocks, prepass};
use super::results::Metas;
use super::{Inner, Kernel, natives, upgrade};

/// Global names of Luau that stay.
const GLOBALS: &[&str] = &[
    "assert",
    "bit32",
    "buffer",
    "coroutine",
    "error",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "utf8",
    "vector",
    "xpcall",
    "_VERSION",
];

/// Sets up the globals of a new VM.
pub(crate) fn build(inner: &Rc<Inner>) -> mlua::Result<()> {
    let lua = &inner.lua;
    let globals = lua.globals();
    let debug: Table = globals.raw_get("debug")?;
    let os: Table = globals.raw_get("os")?;
    keep_only(&globals, GLOBALS)?;
    let harmless_debug = lua.create_table()?;
    for name in ["traceback", "info"] {
        harmless_debug.raw_set(name, debug.raw_get::<Value>(name)?)?;
    }
    globals.raw_set("debug", harmless_debug)?;
    globals.raw_set("_G", &globals)?;

    let host = natives::table(inner)?;
    for name in ["time", "date", "clock", "difftime"] {
        host.raw_set(format!("os_{name}"), os.raw_get::<Value>(name)?)?;
    }
    let host_tag = Value::LightUserData(LightUserData(std::ptr::without_provenance_mut(1)));
    let user_tag = Value::LightUserData(LightUserData(std::ptr::without_provenance_mut(2)));
    let chunk = own_chunk(lua, include_str!("kernel.luau"), "=[sloth]")?;
    let sys: Table = chunk.call((host.clone(), host_tag.clone(), user_tag))?;
    sys.raw_set("host", host)?;
    for source in
        [include_str!("../std/base.luau"), include_str!("../std/error.luau"), include_str!("../std/late.luau")]
    {
        let chunk = own_chunk(lua, source, "=[sloth]")?;
        chunk.call::<()>((sys.clone(), globals.clone()))?;
    }
    lua.set_named_registry_value("sloth.error_object", sys.raw_get::<Function>("error_object")?)?;
    let kernel = Kernel {
        metas: Metas { list: sys.raw_get("List")?, info: sys.raw_get("Info")?, result: sys.raw_get("Result")? },
        entry: sys.raw_get("entry")?,
        site: sys.raw_get("site")?,
        died: sys.raw_get("died")?,
        fail: sys.raw_get("FAIL")?,
        host_tag,
        sys,
    };
    inner.kernel.set(kernel).map_err(|_| mlua::Error::runtime("the VM has been made twice"))?;
    lazy_modules(inner, &globals)
}

fn keep_only(globals: &Table, names: &[&str]) -> mlua::Result<()> {
    let all = globals.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
    for (key, _) in all {
        let known = matches!(&key, Value::String(name) if names.contains(&name.to_string_lossy().as_str()));
        if !known {
            globals.raw_set(key, Value::Nil)?;
        }
    }
    Ok(())
}

/// A global that is not set is a module, when there is one of that name.
fn lazy_modules(inner: &Rc<Inner>, globals: &Table) -> mlua::Result<()> {
    let lua = &inner.lua;
    let meta = lua.create_table()?;
    let weak = Rc::downgrade(inner);
    let index = lua.create_function(move |_, (globals, key): (Table, Value)| {
        let Value::String(name) = &key else { return Ok(Value::Nil) };
        let inner = upgrade(&weak)?;
        match inner.module(&name.to_string_lossy())? {
            Some(table) if !name.to_string_lossy().starts_with('_') => {
                globals.raw_set(key, &table)?;
                Ok(Value::Table(table))
            }
            _ => Ok(Value::Nil),
        }
    })?;
    meta.raw_set("__index", index)?;
    meta.raw_set("__metatable", "locked")?;
    globals.set_metatable(Some(meta))?;
    // Modules of the name of a library of Luau (`math`) are loaded at the first use of a name that the library has not.
    for name in ["math", "string", "table"] {
        if let Some(module) = inner.registry.find(name) {
            let library: Table = globals.raw_get(name)?;
            // What the module replaces must be missed, too.
            for function in module.functions {
                library.raw_set(function.name, Value::Nil)?;
            }
            extend(inner, library, name)?;
        }
    }
    Ok(())
}

fn extend(inner: &Rc<Inner>, library: Table, name: &'static str) -> mlua::Result<()> {
    let weak = Rc::downgrade(inner);
    let index = inner.lua.create_function(move |_, (library, key): (Table, Value)| {
        let inner = upgrade(&weak)?;
        library.set_metatable(None)?;
        inner.module(name)?;
        library.get::<Value>(key)
    })?;
    let meta = inner.lua.create_table()?;
    meta.raw_set("__index", index)?;
    library.set_metatable(Some(meta))
}

impl Inner {
    /// Compiles source text, never bytecode. The name begins with `=` or `@`, which messages leave out.
    pub(crate) fn compile(&self, source: &[u8], name: &str, env: &Table) -> Result<Function, SourceFault> {
        let shown = name.trim_start_matches(['=', '@']);
        let placed =
            |fault: SourceFault| SourceFault { message: format!("{shown}:{}: {}", fault.line, fault.message), ..fault };
        let text = prepass(source).map_err(placed)?;
        self.lua
            .load(text.as_ref())
            .set_name(name)
            .set_mode(ChunkMode::Text)
            // The library's `math.round` has digits; the compiler's own would be called instead of it.
            .set_compiler(
                Compiler::new().set_optimization_level(1).set_debug_level(1).add_disabled_builtin("math.round"),
            )
            .set_environment(env.clone())
            .into_function()
            .map_err(|error| {
                let message = match error {
                    mlua::Error::SyntaxError { message, .. } => message,
                    other => other.to_string(),
                };
                let blocks = looks_like_blocks(source);
                SourceFault {
                    code: if blocks { "E105" } else { "E101" },
                    line: line_of(&message),
                    column: 0,
                    message,
                    hint: blocks.then_some("fields of a table are separated by commas: task \"x\" { a = 1, b = 2 }"),
                }
            })
    }
}

/// Line number in a message of the compiler, `file:12: …`.
fn line_of(message: &str) -> u32 {
    message.split(':').filter_map(|part| part.parse().ok()).next().unwrap_or(0)
}

impl super::Vm {
    /// Globals of one file: what it assigns goes to the globals that all files share, except that assigning to the
    /// name of a module shadows that for the file only (W101).
    pub(crate) fn file_env(&self) -> mlua::Result<Table> {
        let lua = &self.0.lua;
        let globals = lua.globals();
        let env = lua.create_table()?;
        let meta = lua.create_table()?;
        meta.raw_set("__index", &globals)?;
        let shadow: Function = self.0.kernel().sys.raw_get("shadow")?;
        meta.raw_set("__newindex", shadow)?;
        meta.raw_set("__metatable", "locked")?;
        env.set_metatable(Some(meta))?;
        env.raw_set("_G", &env)?;
        Ok(env)
    }
}
