//! `facts`: what is known about this host. Collected on demand, kept for a minute.

mod hardware;
mod network;
mod people;
mod query;
mod software;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sloth_lua::{Data, Failure};

pub use hardware::{cpu, disks, load, memory, processes, threads, uptime, usage};
pub use network::interfaces;
pub use table::MODULE;

/// How long a fact is true.
const KEPT: Duration = Duration::from_secs(60);

/// A section: its name, how it is collected, and whether that is done in a moment, without starting programs.
struct Section {
    name: &'static str,
    collect: fn() -> Result<Data, Failure>,
    quick: bool,
}

const SECTIONS: &[Section] = &[
    Section { name: "hostname", collect: || Ok(hardware::hostname().into()), quick: true },
    Section { name: "platform", collect: || Ok(software::platform()), quick: true },
    Section { name: "memory", collect: || Ok(hardware::memory()), quick: true },
    Section { name: "cpu", collect: || Ok(hardware::cpu()), quick: true },
    Section { name: "disk", collect: || Ok(hardware::disks()), quick: true },
    Section { name: "network", collect: || Ok(network::interfaces()), quick: true },
    Section { name: "mounts", collect: || Ok(hardware::mounts()), quick: true },
    Section { name: "uptime", collect: || Ok(hardware::uptime()), quick: true },
    Section { name: "load", collect: || Ok(hardware::load()), quick: true },
    Section { name: "kernel", collect: || Ok(software::kernel()), quick: true },
    Section { name: "hardware", collect: || Ok(hardware::machine()), quick: true },
    Section { name: "processes", collect: || Ok(hardware::processes()), quick: true },
    Section { name: "users", collect: || Ok(people::users()), quick: true },
    Section { name: "packages", collect: software::packages, quick: false },
    Section { name: "services", collect: software::services, quick: false },
];

static CACHE: Mutex<BTreeMap<&'static str, (Instant, Data)>> = Mutex::new(BTreeMap::new());

/// A section of this host.
fn section(name: &str, refresh: bool) -> Result<Data, Failure> {
    let known = SECTIONS.iter().find(|section| section.name == name);
    let section = known.ok_or_else(|| Failure::new(format!("there is no fact {name:?}")))?;
    if !refresh {
        let cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, data)) = cache.get(section.name).filter(|(at, _)| at.elapsed() < KEPT) {
            let _ = at;
            return Ok(data.clone());
        }
    }
    let data = (section.collect)()?;
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).insert(section.name, (Instant::now(), data.clone()));
    Ok(data)
}

/// What is known in a moment, by section: for templates.
pub fn all() -> Data {
    gather(false, false)
}

/// All sections. One that cannot be collected here is absent.
fn gather(slow: bool, refresh: bool) -> Data {
    let wanted = SECTIONS.iter().filter(|section| slow || section.quick);
    let found = wanted.filter_map(|wanted| Some((wanted.name, section(wanted.name, refresh).ok()?)));
    Data::map(found.collect::<Vec<_>>())
}

/// A file of `/proc` or `/sys`, trimmed; empty when it is not there.
fn line(path: impl AsRef<std::path::Path>) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
