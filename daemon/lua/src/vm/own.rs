//! Chunks of the language itself: compiled once per process, because a worker's first task waits for them, and tests and
//! `validate` make many VMs.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, Lua};

/// Bytecode by the address of its source, which lives as long as the process.
static COMPILED: LazyLock<Mutex<HashMap<usize, Arc<Vec<u8>>>>> = LazyLock::new(Mutex::default);

/// The function of a source text that is part of the program.
pub(crate) fn own_chunk(lua: &Lua, source: &'static str, name: &str) -> mlua::Result<Function> {
    let key = source.as_ptr() as usize;
    let known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let bytes = match known {
        Some(bytes) => bytes,
        None => {
            let bytes = Arc::new(Compiler::new().set_optimization_level(1).set_debug_level(1).compile(source)?);
            COMPILED.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&bytes));
            bytes
        }
    };
    lua.load(bytes.as_slice()).set_name(name).set_mode(ChunkMode::Binary).into_function()
}
