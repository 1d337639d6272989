//! Holds an inhibitor until it is killed: `sloth-hold ADDRESS WHO`. Says `held` when it has it.

use anyhow::{Context, Result};
use sloth_tests::bus::Client;
use zbus::OwnedFd;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("ADDRESS is missing")?;
    let who = arguments.next().context("WHO is missing")?;
    let client = Client::new(&address);
    let reply = client.manager("Inhibit", &("schedules", who.as_str(), "a test")).map_err(anyhow::Error::msg)?;
    let body = reply.body();
    let _held: OwnedFd = body.deserialize().context("no descriptor")?;
    println!("held");
    loop {
        std::thread::park();
    }
}
