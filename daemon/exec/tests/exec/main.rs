//! What the executor promises, shown with real processes.

mod harness;
mod life;
