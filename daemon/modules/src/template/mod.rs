//! `template`: texts with holes, conditions and loops.

mod filters;
mod lexer;
mod module;
mod parser;
mod render;
#[cfg(test)]
mod tests;
mod values;

pub use module::{MODULE, Roots, render_text};
