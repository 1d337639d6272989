//! The modules of the library: what there is, and the tables of those that have been used.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function as LuaFunction, Lua, Table, Value};

use super::own::own_chunk;
use super::{Inner, Vm};
use crate::module::{Body, Function, Module, Tier};
use crate::std::STANDARD;

/// Where a function of a module is.
#[derive(Clone, Copy)]
pub(crate) struct Native {
    pub(crate) module: &'static Module,
    pub(crate) function: &'static Function,
}

pub(crate) struct Registry {
    /// Name or alias → module.
    names: HashMap<&'static str, &'static Module>,
    /// Canonical names in order.
    order: Vec<&'static Module>,
    natives: RefCell<Vec<Native>>,
    loaded: RefCell<HashMap<&'static str, Table>>,
    /// A module that needs itself while it loads.
    loading: Cell<usize>,
}

impl Registry {
    pub(crate) fn new(modules: &'static [&'static Module]) -> Registry {
        let mut names = HashMap::new();
        let mut order: Vec<&'static Module> = Vec::new();
        // Modules that are here come before those that are only known by name.
        let all = STANDARD.iter().chain(modules).copied();
        let (here, absent): (Vec<_>, Vec<_>) = all.partition(|module| module.tier == Tier::Here);
        for module in here.into_iter().chain(absent) {
            if names.contains_key(module.name) {
                continue;
            }
            order.push(module);
            for name in std::iter::once(&module.name).chain(module.aliases) {
                names.entry(*name).or_insert(module);
            }
        }
        Registry { names, order, natives: RefCell::default(), loaded: RefCell::default(), loading: Cell::default() }
    }

    /// The module of a name or alias.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Module> {
        self.names.get(name).copied()
    }

    /// All that scripts may know of, in order.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &'static Module> + '_ {
        self.order.iter().copied().filter(|module| !module.name.starts_with('_'))
    }

    /// All global names of modules.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.names.keys().copied().filter(|name| !name.starts_with('_')).collect()
    }

    /// The table of a module that has been used.
    pub(crate) fn loaded(&self, name: &str) -> Option<Table> {
        self.find(name).and_then(|module| self.loaded.borrow().get(module.name).cloned())
    }

    /// Names of the functions of a module.
    pub(crate) fn functions(&self, name: &str) -> Vec<&'static str> {
        let all = self.find(name).map_or(&[][..], |module| module.functions);
        all.iter().map(|function| function.name).filter(|name| !name.starts_with('_')).collect()
    }

    pub(crate) fn native(&self, index: usize) -> Option<Native> {
        self.natives.borrow().get(index).copied()
    }
}

impl Inner {
    /// The table of a module; made at first use.
    pub(crate) fn module(self: &Rc<Inner>, name: &str) -> mlua::Result<Option<Table>> {
        let Some(module) = self.registry.find(name) else { return Ok(None) };
        if let Some(table) = self.registry.loaded.borrow().get(module.name) {
            return Ok(Some(table.clone()));
        }
        let base: Value = self.lua.globals().raw_get(module.name)?;
        let table = match base {
            Value::Table(table) => table,
            _ => self.lua.create_table()?,
        };
        self.registry.loaded.borrow_mut().insert(module.name, table.clone());
        match module.tier {
            Tier::Here => self.fill(module, &table)?,
            Tier::Absent => self.make_absent(module, &table)?,
        }
        Ok(Some(table))
    }

    /// `{name, version, functions, tier, description}`.
    pub(crate) fn module_info(&self, name: &str) -> mlua::Result<Option<Table>> {
        let Some(module) = self.registry.find(name).filter(|module| !module.name.starts_with('_')) else {
            return Ok(None);
        };
        let info = self.lua.create_table()?;
        info.raw_set("name", module.name)?;
        info.raw_set("version", env!("CARGO_PKG_VERSION"))?;
        info.raw_set("description", module.about)?;
        info.raw_set("tier", if module.tier == Tier::Here { "core" } else { "absent" })?;
        info.raw_set("functions", self.registry.functions(name))?;
        Ok(Some(info))
    }

    fn fill(self: &Rc<Inner>, module: &'static Module, table: &Table) -> mlua::Result<()> {
        self.registry.loading.set(self.registry.loading.get() + 1);
        let native: LuaFunction = self.kernel().sys.raw_get("native")?;
        for function in module.functions.iter().filter(|function| !matches!(function.body, Body::Luau)) {
            let index = {
                let mut natives = self.registry.natives.borrow_mut();
                natives.push(Native { module, function });
                natives.len() - 1
            };
            let value: LuaFunction = native.call(index)?;
            table.raw_set(function.name, value)?;
        }
        if !module.prelude.is_empty() {
            let name = format!("=[sloth {}]", module.name);
            let chunk = own_chunk(&self.lua, module.prelude, &name)?;
            chunk.call::<()>((table.clone(), self.kernel().sys.clone()))?;
        }
        for function in module.functions {
            let value: Value = table.raw_get(function.name)?;
            for alias in function.aliases.iter().filter(|_| !value.is_nil()) {
                table.raw_set(*alias, value.clone())?;
            }
        }
        if table.metatable().is_none() {
            table.set_metatable(Some(self.missing(module)?))?;
        }
        self.registry.loading.set(self.registry.loading.get() - 1);
        Ok(())
    }

    /// A function that does not exist can be asked for; calling it is the error.
    fn missing(&self, module: &'static Module) -> mlua::Result<Table> {
        let stub: LuaFunction = self.kernel().sys.raw_get("missing")?;
        let meta = self.lua.create_table()?;
        let index = self.lua.create_function(move |_, (_, key): (Table, Value)| {
            let Value::String(key) = key else { return Ok(Value::Nil) };
            stub.call::<Value>(missing_text(module, &key.to_string_lossy()))
        })?;
        meta.raw_set("__index", index)?;
        Ok(meta)
    }

    fn make_absent(&self, module: &'static Module, table: &Table) -> mlua::Result<()> {
        let stub: LuaFunction = self.kernel().sys.raw_get("absent")?;
        let call: Value = stub.call(format!("{} is not available in this build", module.name))?;
        let meta = self.lua.create_table()?;
        meta.raw_set("__call", call)?;
        let index = self.lua.create_function(move |_, (_, key): (Table, Value)| {
            let Value::String(key) = key else { return Ok(Value::Nil) };
            let text = format!("{}.{} is not available in this build", module.name, key.to_string_lossy());
            stub.call::<Value>(text)
        })?;
        meta.raw_set("__index", index)?;
        table.set_metatable(Some(meta))?;
        Ok(())
    }
}

impl Vm {
    /// A function of a module.
    pub(crate) fn module_function(&self, module: &str, action: &str) -> mlua::Result<LuaFunction> {
        let known = self.0.registry.find(module);
        let Some(table) = self.0.module(module)? else {
            return Err(mlua::Error::runtime(format!("there is no module \"{module}\"")));
        };
        let value: Value = table.raw_get(action)?;
        match (value, known) {
            (Value::Function(function), _) => Ok(function),
            (_, Some(module)) if module.tier == Tier::Absent => table.get(action),
            (_, Some(module)) => Err(mlua::Error::runtime(missing_text(module, action))),
            (_, None) => Err(mlua::Error::runtime(format!("there is no module \"{module}\""))),
        }
    }

    /// The Luau state, for other parts of the language.
    pub(crate) fn lua(&self) -> &Lua {
        &self.0.lua
    }
}

fn missing_text(module: &'static Module, name: &str) -> String {
    let names = module
        .functions
        .iter()
        .flat_map(|function| std::iter::once(&function.name).chain(function.aliases))
        .filter(|name| !name.starts_with('_'))
        .copied();
    match sloth_core::workflow::suggest(name, names) {
        Some(near) => format!("module \"{}\" has no function \"{name}\" (did you mean \"{near}\"?)", module.name),
        None => format!("module \"{}\" has no function \"{name}\"", module.name),
    }
}
