//! How long a VM takes to be made.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_lua::{BoxFuture, Ctx, Data, Engine, LocalBoxFuture, Reply, Spawner, Vm, VmSettings};

struct Nothing;

impl Spawner for Nothing {
    fn spawn(&self, _: BoxFuture<()>) {}

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn sleep(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

impl Engine for Nothing {
    fn call(&self, _: &str, _: Data, _: Arc<Ctx>) -> LocalBoxFuture<Reply> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

fn main() -> anyhow::Result<()> {
    let make = || {
        Vm::new(VmSettings::default(), Arc::new(Nothing), Rc::new(Nothing))
            .map_err(|problem| anyhow::anyhow!(problem.message))
    };
    make()?;
    let begin = Instant::now();
    for _ in 0..200 {
        make()?;
    }
    println!("a VM is made in {:?}", begin.elapsed() / 200);
    println!("and has {} KiB", make()?.memory() / 1024);

    Ok(())
}
