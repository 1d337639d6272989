//! The end of a command's whole tree: TERM, a grace, KILL, also for those that left its process group.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use sloth_exec::command::{Told, Tree};
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

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
        let over = Instant::now() + grace;
        let mut status = None;
        if let Some(tree) = tree.as_ref().filter(|_| !grace.is_zero()) {
            let mut told = Told::default();
            while tree.terminate(&mut told) && Instant::now() < over {
                let next = (Instant::now() + LOOK).min(over);
                match status {
                    None => status = timeout_at(next, child.wait()).await.ok(),
                    Some(_) => sleep_until(next).await,
                }
            }
        }
        for _ in 0..ROUNDS {
            if tree.as_ref().is_none_or(Tree::kill) {
                break;
            }
            sleep(LOOK).await;
        }
        let status = match status {
            Some(status) => status,
            None => child.wait().await,
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
