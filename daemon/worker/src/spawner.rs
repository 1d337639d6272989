//! The I/O thread: whatever the VM's thread must not wait for itself runs there.

use std::time::Duration;

use sloth_lua::{BoxFuture, Spawner};
use tokio::runtime::Handle;

/// Gives work to the I/O runtime.
pub struct IoSpawner(pub Handle);

impl Spawner for IoSpawner {
    fn spawn(&self, future: BoxFuture<()>) {
        // Its parent is the coroutine that waits for it; the runtime ends all of them with the process.
        drop(self.0.spawn(future));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        drop(self.0.spawn_blocking(work));
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let entered = self.0.enter();
        let sleep = tokio::time::sleep(time);
        drop(entered);
        Box::pin(sleep)
    }
}
