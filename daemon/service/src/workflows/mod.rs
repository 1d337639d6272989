//! Use cases of workflows: run, resume, pause, and what is known of a run beside its record.

mod action;
mod control;
mod parts;
mod run;
mod saved;
mod schedule;
mod sources;

pub(crate) use action::{ActionWish, workflow_action};
