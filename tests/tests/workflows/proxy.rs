//! Stands between a worker and slothd, counts journal records, and strikes at the one that a test names: exactly there, every time.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;
use sloth_tests::Instance;
use sloth_tests::process::{is_alive, signal, wait_for};

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Worker,
    Daemon,
    Both,
}

/// Where a blow falls.
#[derive(Clone, Copy, Debug)]
pub struct Blow {
    pub victim: Victim,
    /// Number of a journal record.
    pub record: u64,
    /// After slothd got the record, before the worker hears that it is durable; otherwise before slothd gets it.
    pub after: bool,
}

#[derive(Debug, Default)]
struct Plan {
    blow: Option<Blow>,
    daemon: i32,
    fell: bool,
    /// Records up to here were certainly durable before the blow.
    durable: u64,
}

/// The socket in the middle.
pub struct Proxy {
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// Takes the place of the worker socket of a running daemon.
    pub fn insert(instance: &Instance) -> Proxy {
        let public = instance.root().join("worker.sock");
        let real = instance.dir().join("worker.real");
        fs::rename(&public, &real).expect("slothd has a worker socket");
        let listener = UnixListener::bind(&public).expect("a socket");
        fs::set_permissions(&public, fs::Permissions::from_mode(0o666)).expect("ours");
        let plan = Arc::new(Mutex::new(Plan { daemon: instance.pid(), ..Plan::default() }));
        let shared = plan.clone();
        std::thread::spawn(move || {
            for worker in listener.incoming().flatten() {
                connect(worker, &real, &shared);
            }
        });
        Proxy { plan }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("not poisoned")
    }

    /// Strikes at this record of the next run.
    pub fn arm(&self, blow: Blow) {
        let mut plan = self.plan();
        plan.blow = Some(blow);
        plan.fell = false;
    }

    /// Waits until the blow has fallen; up to which record everything was certainly durable before it.
    pub fn wait(&self) -> u64 {
        wait_for("the blow has fallen", || self.plan().fell);
        self.plan().durable
    }
}

fn connect(worker: UnixStream, real: &PathBuf, plan: &Arc<Mutex<Plan>>) {
    let Ok(daemon) = UnixStream::connect(real) else {
        return; // it is dead: the worker will come again
    };
    let pid = getsockopt(&worker, PeerCredentials).map_or(0, |peer| peer.pid());
    let (mut up_from, mut up_to) = (worker.try_clone().expect("a socket"), daemon.try_clone().expect("a socket"));
    let (mut down_from, mut down_to) = (daemon, worker);
    let plan = plan.clone();
    std::thread::spawn(move || {
        let _ = up(&mut up_from, &mut up_to, pid, &plan); // an end of either side is the end of both
        let _ = up_to.shutdown(std::net::Shutdown::Both);
        let _ = up_from.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = io::copy(&mut down_from, &mut down_to);
        let _ = down_to.shutdown(std::net::Shutdown::Both);
    });
}

/// Passes whole messages on: four bytes of length, little endian, and JSON.
fn up(from: &mut UnixStream, to: &mut UnixStream, worker: i32, plan: &Mutex<Plan>) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut message)?;
        let numbers = numbers(&message);
        let blow = plan.lock().expect("not poisoned").blow.filter(|blow| numbers.contains(&blow.record));
        let Some(blow) = blow else {
            to.write_all(&length)?;
            to.write_all(&message)?;
            continue;
        };
        let mut plan = plan.lock().expect("not poisoned");
        plan.blow = None;
        // slothd reads what it was sent before it sees that the worker is gone.
        let whole = blow.after && blow.victim == Victim::Worker;
        plan.durable =
            if whole { numbers.iter().max().copied().unwrap_or(0) } else { numbers.iter().min().map_or(0, |n| n - 1) };
        if blow.after {
            to.write_all(&length)?;
            to.write_all(&message)?;
        }
        if blow.victim != Victim::Daemon {
            signal(worker, Signal::SIGKILL);
        }
        if blow.victim != Victim::Worker {
            if blow.after {
                std::thread::sleep(std::time::Duration::from_millis(20)); // long enough to be written down, most often
            }
            signal(plan.daemon, Signal::SIGKILL);
            while is_alive(plan.daemon) {
                std::thread::yield_now();
            }
        }
        plan.fell = true;
        return Ok(());
    }
}

/// Numbers of the records in a message.
fn numbers(message: &[u8]) -> Vec<u64> {
    let message: Value = serde_json::from_slice(message).unwrap_or_default();
    message["records"].as_array().into_iter().flatten().filter_map(|one| one["seq"].as_u64()).collect()
}
