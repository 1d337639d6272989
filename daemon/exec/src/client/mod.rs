//! slothd's end: an executor that takes orders and gives reports, and keeps a supervisor alive behind it.
//!
//! # What holds
//!
//! - Orders of one attempt are carried out in the order in which they were given; `Prepare` and `Release` may follow each other
//!   without waiting.
//! - While no supervisor is reachable, orders wait (at most [`ORDERS_MAX`], then [`order`](ProcessExecutor::order) waits too).
//! - An order that was on its way when a connection broke may or may not have been carried out; it is not sent again. Nothing is
//!   ever carried out twice by itself. So at each `Connected` the engine compares the list with what it believes and gives again
//!   what is missing, which is harmless if it was not.
//! - `Inspect` is first put to the supervisor. If that knows the attempt after all (its `Prepare` was still waiting), its state is
//!   reported (`Prepared`, `Started`, `Ended`) instead of `Inspected`, and nothing is killed.
//! - `Ended` comes at least once: at each connection until `Forget`.

mod link;
mod starting;

use std::ffi::OsString;
use std::path::PathBuf;

use sloth_core::launch::{Order, Report};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Orders that wait to be sent.
pub const ORDERS_MAX: usize = 4096;
/// Reports that wait to be read.
pub const REPORTS_MAX: usize = 4096;

/// The executor has ended, or its orders cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// Its tasks have ended.
    #[error("the executor has ended")]
    Ended,
    /// [`ORDERS_MAX`] orders wait.
    #[error("{ORDERS_MAX} orders wait for the executor")]
    Full,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory below which output files lie.
    pub data: PathBuf,
    /// Socket of the supervisor.
    pub socket: PathBuf,
    /// The program `sloth-exec`.
    pub program: PathBuf,
    /// Further arguments for it.
    pub arguments: Vec<OsString>,
}

/// The `process` executor.
#[derive(Debug)]
pub struct ProcessExecutor {
    orders: mpsc::Sender<Order>,
    /// Its tasks, which end with it.
    _tasks: JoinSet<()>,
}

impl ProcessExecutor {
    /// Starts it; the first report is `Connected` or `Disconnected`. Must be called within a tokio runtime.
    pub fn start(data: PathBuf, socket: PathBuf, program: PathBuf) -> (ProcessExecutor, mpsc::Receiver<Report>) {
        ProcessExecutor::start_with(Options { data, socket, program, arguments: Vec::new() })
    }

    /// The same with all options.
    pub fn start_with(options: Options) -> (ProcessExecutor, mpsc::Receiver<Report>) {
        let (orders, given) = mpsc::channel(ORDERS_MAX);
        let (reports, received) = mpsc::channel(REPORTS_MAX);
        let mut tasks = JoinSet::new();
        let (inspections, asked) = mpsc::channel(link::INSPECTIONS_MAX);
        tasks.spawn(link::run_inspections(options.data.clone(), asked, reports.clone()));
        tasks.spawn(link::Link::new(options, given, reports, inspections).run());
        (ProcessExecutor { orders, _tasks: tasks }, received)
    }

    /// Gives an order; waits while too many wait already.
    pub async fn order(&self, order: Order) -> Result<(), Gone> {
        self.orders.send(order).await.map_err(|_| Gone::Ended)
    }

    /// Gives an order if it can be taken at once.
    pub fn try_order(&self, order: Order) -> Result<(), Gone> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Gone::Full,
            mpsc::error::TrySendError::Closed(_) => Gone::Ended,
        })
    }
}
