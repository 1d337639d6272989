//! The `systemd` executor: a transient service per attempt, started by the service manager and not by us, so that it outlives slothd
//! in every case. Its main process is `sloth-exec attempt` ([`crate::attempt`]).
//!
//! ```text
//!           Prepare        checked           Release         PID 1 has the unit      the unit ends
//! (nothing) ──────> Preparing ──────> Held ──────────> Starting ────────────> Going ──────────────> Ended ──Forget──> (nothing)
//!                       │               │ Discard         │ refused             │
//!                       v               v                 v                     │ slothd restarts: listed, and Going again;
//!                    Refused        (nothing)      Ended: not started           v or not listed: Inspect reads the output file
//! ```
//!
//! # What holds
//!
//! - The name of a unit is the claim on its attempt. PID 1 has one unit of a name, so a start that is repeated is refused there; and
//!   the start frame in the output file refuses it when the first unit is gone already.
//! - Nothing runs before `Release`: until then an attempt is an open output file and an account that was looked up.
//! - Orders of one attempt are carried out in order. While the manager cannot be reached, orders wait.
//! - `Ended` comes at least once: at each connection until `Forget`.

mod ability;
mod bus;
mod calls;
mod follower;
mod names;
mod orders;
mod own_unit;
mod prepare;
mod properties;
mod result;
mod sandbox;

use std::path::PathBuf;
use std::sync::Arc;

use sloth_core::launch::{Order, Report};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{Gone, ORDERS_MAX, REPORTS_MAX};
use crate::limits::Capabilities;

pub use bus::{CallError, Manager};
pub(crate) use names::unit_name;
pub(crate) use own_unit::ip_bytes;

/// Where things are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory below which output files lie; absolute. It also tells this instance's units from those of others.
    pub data: PathBuf,
    /// The program `sloth-exec`; absolute, and executable by every user that runs have.
    pub program: PathBuf,
    /// Which service manager.
    pub manager: Manager,
}

/// The `systemd` executor.
#[derive(Debug)]
pub struct SystemdExecutor {
    orders: mpsc::Sender<Order>,
    /// Its tasks, which end with it.
    _tasks: JoinSet<()>,
}

impl SystemdExecutor {
    /// Starts it; the first report is `Connected` or `Disconnected`. Must be called within a tokio runtime.
    pub fn start(options: Options) -> (SystemdExecutor, mpsc::Receiver<Report>) {
        let (orders, given) = mpsc::channel(ORDERS_MAX);
        let (reports, received) = mpsc::channel(REPORTS_MAX);
        let mut tasks = JoinSet::new();
        let capabilities = ability::capabilities(options.manager);
        tasks.spawn(follower::Follower::new(Arc::new(options), capabilities, given, reports).run());
        (SystemdExecutor { orders, _tasks: tasks }, received)
    }

    /// Gives an order; waits while too many wait already.
    pub async fn order(&self, order: Order) -> Result<(), Gone> {
        self.orders.send(order).await.map_err(|_| Gone::Ended)
    }
}

/// What a service manager can enforce on this machine.
pub fn systemd_capabilities(manager: Manager) -> Capabilities {
    ability::capabilities(manager)
}

/// Whether we may start units there. [`CallError::Denied`] is an answer for good; [`CallError::Unknown`] may pass.
pub async fn may_start_units(manager: Manager) -> Result<(), CallError> {
    let (bus, _events) = bus::Bus::connect(manager).await?;
    bus.ask_leave().await
}
