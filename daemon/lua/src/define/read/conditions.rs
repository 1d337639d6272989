//! `run_if`, `abort_if`, `condition`, `when`.

use sloth_core::workflow::Place;

use crate::define::draft::{Cond, Desc};
use crate::define::fault::Fault;
use crate::define::raw::Raw;

/// A boolean, a function, a `when` object, or a text (an expression or a shell command).
pub(crate) fn condition(raw: &Raw, place: &Place) -> Result<Cond, Fault> {
    match raw {
        Raw::Bool(value) => Ok(Cond::Fixed(*value)),
        Raw::Fn(function) => Ok(Cond::Function(*function)),
        Raw::Str(text) if text.trim().is_empty() => Err(Fault::new("E205", "the condition is empty")),
        Raw::Str(text) => Ok(Cond::Text(text.clone(), place.clone())),
        Raw::Desc(desc) if matches!(&*desc.borrow(), Desc::When(_)) => Ok(Cond::When(desc.clone())),
        other => Err(Fault::wrong("string, function, boolean or when(…)", other.type_name())),
    }
}

/// As `when(…)` takes it: a text is an expression.
pub(crate) fn when_condition(raw: &Raw, place: &Place) -> Result<Cond, Fault> {
    match condition(raw, place)? {
        Cond::Text(text, place) => Ok(Cond::Expression(text, place)),
        other => Ok(other),
    }
}
