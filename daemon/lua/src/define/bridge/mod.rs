//! The side of the definition that is in the VM: the objects that scripts hold, and the functions that make them.

mod compose;
mod files;
mod freeze;
mod graphs;
mod install;
mod objects;
mod phase;
mod program;
mod read;
mod shapes;
#[cfg(test)]
mod tests;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use mlua::{Function, Lua, Table, Value};
use serde_json::Map;
use sloth_core::workflow::{Diagnostic, Place};

use super::desk::Desk;
use super::fault::Fault;
use crate::host::Mode;
use crate::vm::Inner;
use objects::Object;
pub use program::{Given, Loader, Program};

/// Everything of one evaluation. It lives as long as the VM, because tasks of the running workflow use it, too.
pub(crate) struct Define {
    pub(crate) desk: Desk,
    vm: Weak<Inner>,
    /// What the script's tables with a number stand for.
    objects: RefCell<Vec<Object>>,
    metas: RefCell<Option<[Table; 3]>>,
    methods: RefCell<HashMap<(objects::Kind, &'static str), Function>>,
    values: Table,
    given: Given,
    program: RefCell<Program>,
    loaded: RefCell<HashMap<String, Value>>,
    exports: RefCell<Map<String, serde_json::Value>>,
    defining: Cell<bool>,
    mode: Mode,
    /// Faults that were raised: an uncaught one is found again by its text.
    raised: RefCell<Vec<(String, Diagnostic)>>,
    /// `workflow.on`.
    subscriptions: RefCell<Vec<(String, Function)>>,
    /// Luau functions that make arguments.
    makers: RefCell<Option<Table>>,
}

impl Define {
    fn inner(&self) -> mlua::Result<Rc<Inner>> {
        self.vm.upgrade().ok_or_else(|| mlua::Error::runtime("the VM has ended"))
    }

    /// Where the script is: the innermost line of a file of the program.
    pub(crate) fn here(&self, lua: &Lua) -> Place {
        for level in 1..32 {
            let found = lua.inspect_stack(level, |debug| {
                let source = debug.source().source.map(|source| source.into_owned());
                (source, debug.current_line())
            });
            let Some((source, line)) = found else { break };
            let Some(file) = source.as_deref().and_then(|source| source.strip_prefix('=')) else { continue };
            if !file.starts_with('[') {
                let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
                return Place { file: file.to_owned(), line, column: 0 };
            }
        }
        Place { file: self.program.borrow().main.clone(), line: 0, column: 0 }
    }

    /// Notes where the script is.
    fn enter(&self, lua: &Lua) {
        self.desk.moved_to(self.here(lua));
    }

    /// An error for the script; left uncaught it becomes the finding again.
    fn raise(&self, fault: Fault) -> mlua::Error {
        self.raise_at(Diagnostic {
            code: fault.code,
            message: fault.message,
            place: self.desk.place(),
            excerpt: String::new(),
            hint: fault.hint,
        })
    }

    /// The same for a finding that has a place of its own.
    fn raise_at(&self, found: Diagnostic) -> mlua::Error {
        let hint = found.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let Diagnostic { code, message, place, .. } = &found;
        let text = format!("{}:{}: {code}: {message}{hint}", place.file, place.line);
        if self.defining.get() {
            let mut raised = self.raised.borrow_mut();
            // A script that raises and catches in a loop must not fill memory.
            if raised.len() >= 100 {
                raised.remove(0);
            }
            raised.push((text.clone(), found));
        }
        mlua::Error::runtime(text)
    }

    /// In the definition phase a wrong value is written down and the file goes on, so that all are told; later there is
    /// nobody to read it.
    fn settle(&self, done: Result<(), Fault>) -> mlua::Result<()> {
        match done {
            Ok(()) => Ok(()),
            Err(fault) if self.defining.get() && matches!(fault.code, "E113" | "E114" | "E115" | "E205") => {
                self.desk.report(fault);
                Ok(())
            }
            Err(fault) => Err(self.raise(fault)),
        }
    }
}

/// The definition of a VM.
pub(crate) fn define_of(lua: &Lua) -> mlua::Result<Rc<Define>> {
    lua.app_data_ref::<Rc<Define>>()
        .map(|define| Rc::clone(&define))
        .ok_or_else(|| mlua::Error::runtime("nothing has been defined yet"))
}
