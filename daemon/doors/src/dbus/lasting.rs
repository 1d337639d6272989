//! What outlives the connection over which it was asked for: an inhibitor and the output of a run are file descriptors, which the bus only
//! carries. When the bus is restarted they stay; when slothd stops they end.

use std::future::Future;
use std::pin::Pin;

use sloth_api::ErrorCode;
use sloth_service::ServiceError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tasks that wait for their beginning.
const WAITING_MAX: usize = 64;

/// Takes tasks over.
#[derive(Clone)]
pub(super) struct Lasting(mpsc::Sender<Task>);

/// Where tasks are taken over, and what runs them.
pub(super) fn lasting(mut closing: watch::Receiver<bool>) -> (Lasting, impl Future<Output = ()> + Send) {
    let (sender, mut receiver) = mpsc::channel::<Task>(WAITING_MAX);
    let run = async move {
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                Some(task) = receiver.recv() => {
                    tasks.spawn(task);
                }
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                _ = closing.wait_for(|closing| *closing) => break,
            }
        }
        tasks.shutdown().await;
    };
    (Lasting(sender), run)
}

impl Lasting {
    /// Hands a task over.
    pub(super) async fn take_over(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), ServiceError> {
        let stopping =
            |_| ServiceError::new(ErrorCode::NotReady, "slothd is stopping").hint("try again when it has started");
        self.0.send(Box::pin(task)).await.map_err(stopping)
    }
}
