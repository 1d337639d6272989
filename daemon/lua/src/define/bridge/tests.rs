//! The rules of the language, each quoted where it is tested.

mod compose;
mod data;
mod diagnostics;
mod hostile;
mod objects;
mod old_style;
mod speed;
mod tasks;
mod workflows;
