//! Concurrency keys of tasks: at most so many holders at once, over all runs of one scope; first come, first served.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sloth_core::RunId;
use tokio::sync::oneshot;

/// Who wait for one key at most.
const WAITING_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Keys(Mutex<HashMap<String, Key>>);

#[derive(Default)]
struct Key {
    held: Vec<Holder>,
    waiting: VecDeque<(Holder, usize, oneshot::Sender<()>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) run: RunId,
    pub(super) task: String,
}

impl Key {
    /// Hands the key to those in front whose limit allows it.
    fn hand_on(&mut self) {
        while let Some((_, n, _)) = self.waiting.front()
            && self.held.len() < *n
        {
            let Some((holder, _, granted)) = self.waiting.pop_front() else { return };
            if granted.send(()).is_ok() {
                self.held.push(holder);
            }
        }
    }
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the key. `None`: too many wait. Who asks again for what it holds has it.
    pub(super) fn acquire(&self, name: &str, n: usize, holder: Holder) -> Option<oneshot::Receiver<()>> {
        let mut keys = self.lock();
        let key = keys.entry(name.to_owned()).or_default();
        let (granted, wait) = oneshot::channel();
        if key.held.contains(&holder) {
            let _ = granted.send(());
            return Some(wait);
        }
        if key.waiting.len() >= WAITING_MAX {
            return None;
        }
        key.waiting.push_back((holder, n.max(1), granted));
        key.hand_on();
        Some(wait)
    }

    pub(super) fn release(&self, name: &str, holder: &Holder) {
        let mut keys = self.lock();
        let Some(key) = keys.get_mut(name) else { return };
        key.held.retain(|held| held != holder);
        key.hand_on();
        if key.held.is_empty() && key.waiting.is_empty() {
            keys.remove(name);
        }
    }

    /// Everything that a run holds or waits for.
    pub(super) fn release_all(&self, run: RunId) {
        self.lock().retain(|_, key| {
            key.held.retain(|held| held.run != run);
            key.waiting.retain(|(holder, ..)| holder.run != run);
            key.hand_on();
            !(key.held.is_empty() && key.waiting.is_empty())
        });
    }
}

#[cfg(test)]
mod tests {
    use sloth_core::Moment;

    use super::*;

    fn holder(n: u128) -> Holder {
        Holder { run: RunId::v7(Moment::from_secs(1), n), task: "t".to_owned() }
    }

    #[test]
    fn keys_go_round_in_order_and_come_back_when_a_run_is_gone() {
        let keys = Keys::default();
        let mut first = keys.acquire("db", 1, holder(1)).expect("room");
        let mut second = keys.acquire("db", 1, holder(2)).expect("room");
        let mut third = keys.acquire("db", 1, holder(3)).expect("room");
        assert!(first.try_recv().is_ok());
        assert!(second.try_recv().is_err());
        keys.release("db", &holder(1));
        assert!(second.try_recv().is_ok());
        assert!(third.try_recv().is_err());
        keys.release_all(holder(2).run);
        assert!(third.try_recv().is_ok());
        let mut again = keys.acquire("db", 1, holder(3)).expect("room");
        assert!(again.try_recv().is_ok(), "what is held is granted again after a reconnection");
    }

    #[test]
    fn who_gave_up_waiting_is_passed_over() {
        let keys = Keys::default();
        let _first = keys.acquire("db", 1, holder(1));
        drop(keys.acquire("db", 1, holder(2)));
        let mut third = keys.acquire("db", 1, holder(3)).expect("room");
        keys.release("db", &holder(1));
        assert!(third.try_recv().is_ok());
    }
}
