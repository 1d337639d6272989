//! Commands, as the worker and as scripts run them.

mod calling;
mod running;
