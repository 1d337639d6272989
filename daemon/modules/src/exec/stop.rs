//! The end of a command's whole tree: TERM, a grace, KILL, also for those that left its process group.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use sloth_exec::command::Tree;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout_at};

use super::children;

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(20);
/// Rounds of killing: a fork can race with each.
const ROUNDS: usize = 250;

/// Ends the tree of a command, at the latest when it is dropped.
pub struct Guard {
    pid: u32,
    mark: String,
    armed: bool,
}

impl Guard {
    /// For a child that was just started.
    pub fn new(pid: u32, mark: String) -> Guard {
        Guard { pid, mark, armed: true }
    }

    /// It has ended by itself.
    pub fn disarm(&mut self) {
        self.armed = false;
    }

    /// How its processes are recognised now. Only while nobody has waited for the child: its number is ours until then.
    pub fn tree(&self) -> Option<Tree> {
        Tree::of(self.pid, Some(self.mark.clone()))
    }

    /// Ends it.
    pub async fn end(&mut self, child: &mut Child, grace: Duration) -> io::Result<ExitStatus> {
        let tree = self.tree();
        if let Some(tree) = tree.as_ref().filter(|_| !grace.is_zero()) {
            tree.terminate();
        }
        let over = Instant::now() + grace;
        let status = timeout_at(over, child.wait()).await;
        if let Some(tree) = &tree {
            while Instant::now() < over && tree.is_alive() {
                sleep(LOOK).await;
            }
            for _ in 0..ROUNDS {
                if tree.kill() {
                    break;
                }
                sleep(LOOK).await;
            }
        }
        let status = match status {
            Ok(status) => status,
            Err(_) => child.wait().await,
        };
        self.disarm();
        children::forget(self.pid);
        children::reap_orphans();
        status
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Whoever waited for it is gone: nobody can wait here, so it is killed at once.
        if let Some(tree) = self.tree() {
            for _ in 0..8 {
                if tree.kill() {
                    break;
                }
            }
        }
        children::forget(self.pid);
    }
}
