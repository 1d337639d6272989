//! Work of the run's thread that needs the I/O runtime: it runs there, and ends when nobody waits for it any more.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The I/O runtime.
#[derive(Clone)]
pub struct Io(pub Handle);

impl Io {
    /// Runs a future there; `None`: it panicked, or the runtime is gone. Dropping the returned future ends it.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut job = Owned(self.0.spawn(work));
        (&mut job.0).await.ok()
    }

    /// Runs work that may block.
    pub async fn block<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.0.spawn_blocking(work).await.ok()
    }
}

struct Owned<T>(JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
