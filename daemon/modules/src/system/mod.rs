//! `system`: the host as scripts of old know it; most of it is `exec`, `fs` and `facts` under other names.

mod processes;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub use table::MODULE;
