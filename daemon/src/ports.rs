//! The engine's ports: store, executor and clocks as they really are.

use std::sync::Arc;
use std::time::Duration;

use sloth_core::launch::{Order, Start};
use sloth_core::machine::Loaded;
use sloth_core::record::Record;
use sloth_core::run::WorkerOrder;
use sloth_core::{Moment, RunId};
use sloth_engine::{Ports, Reading, StoreError};
use sloth_exec::Executor;
use sloth_store::Store;
use tokio::sync::mpsc;

use crate::clock;
use crate::notify::Watchdog;
use crate::workers::Equipment;

/// Orders that wait for the executor at most. The engine has at most `max_running` attempts out, with a handful of orders each.
const ORDERS_MAX: usize = 1 << 17;

/// An order on its way to the executor.
enum Waiting {
    Prepare(Start),
    Order(Order),
}

/// See the module.
pub struct RealPorts {
    store: Store,
    orders: mpsc::Sender<Waiting>,
    runtime: tokio::runtime::Handle,
    equipment: Arc<Equipment>,
    watchdog: Watchdog,
}

impl RealPorts {
    /// Connects them. The returned future carries orders to the executor; it ends with these ports.
    pub fn new(
        store: Store,
        executor: Executor,
        equipment: Equipment,
    ) -> (Arc<RealPorts>, impl Future<Output = ()> + use<>) {
        let (orders, mut waiting) = mpsc::channel(ORDERS_MAX);
        let equipment = Arc::new(equipment);
        let worker = equipment.clone();
        let carry = async move {
            while let Some(order) = waiting.recv().await {
                let order = match order {
                    Waiting::Prepare(start) => {
                        let mut launch = start.launch();
                        if start.is_workflow() {
                            worker.equip(&start, &mut launch);
                        }
                        Order::Prepare(Box::new(launch))
                    }
                    Waiting::Order(order) => order,
                };
                if executor.order(order).await.is_err() {
                    tracing::error!("the executor takes no orders any more");
                    return;
                }
            }
        };
        let runtime = tokio::runtime::Handle::current();
        let ports = RealPorts { store, orders, runtime, equipment, watchdog: Watchdog::from_environment() };
        (Arc::new(ports), carry)
    }
}

impl RealPorts {
    fn queue(&self, order: Waiting) {
        if let Err(error) = self.orders.try_send(order) {
            // Reconciliation at the next connection finds what is missing.
            tracing::error!(%error, "an order to the executor could not be queued");
        }
    }
}

/// The store's words in the engine's.
pub fn store_error(error: sloth_store::StoreError) -> StoreError {
    use sloth_store::StoreError as E;
    let text = error.to_string();
    match error {
        E::StorageFull(_) => StoreError::Full(text),
        E::StorageUnavailable(_) | E::Busy { .. } | E::Closed => StoreError::Unavailable(text),
        E::Conflict { .. } => StoreError::Conflict(text),
        E::NotFound { what } => StoreError::NotFound(what),
        E::Corrupt(_) | E::Ambiguous { .. } | E::Unreadable { .. } | E::Query(_) | E::Internal(_) => {
            StoreError::Broken(text)
        }
    }
}

impl Ports for RealPorts {
    fn read_clocks(&self) -> Reading {
        clock::reading()
    }

    fn wall(&self) -> Moment {
        clock::now()
    }

    fn commit(&self, records: Arc<Vec<Record>>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        self.store.submit(records, move |result| done(result.map(|_| ()).map_err(store_error)));
    }

    fn load_due(
        &self,
        until: Moment,
        max: usize,
        done: Box<dyn FnOnce(Result<(Vec<Loaded>, bool), StoreError>) + Send>,
    ) {
        let store = self.store.clone();
        let limit = u32::try_from(max).unwrap_or(u32::MAX);
        self.runtime.spawn_blocking(move || {
            let result = store.due_schedules(until, limit, None).map(|due| {
                for broken in &due.broken {
                    tracing::error!(%broken, "a schedule cannot be read and does not fire");
                }
                (due.items, due.next.is_none())
            });
            done(result.map_err(store_error));
        });
    }

    fn order(&self, order: Order) {
        if let Order::Forget(key) = order {
            self.equipment.workers().gone(key);
        }
        self.queue(Waiting::Order(order));
    }

    fn prepare(&self, start: Start) {
        self.queue(Waiting::Prepare(start));
    }

    fn worker(&self, run: RunId, order: WorkerOrder) {
        self.equipment.workers().tell(run, order);
    }

    fn heartbeat(&self) {
        self.watchdog.feed();
    }

    fn idle_max(&self) -> Duration {
        self.watchdog.patience()
    }
}
