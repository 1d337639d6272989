//! The way back from other threads: what they have finished, and the bell that wakes the VM.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::ops::OpId;
use crate::module::Reply;

/// Shared with the threads that work for the VM.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: Vec<(OpId, Reply)>,
    rung: bool,
    bell: Option<Waker>,
}

impl Inbox {
    /// Hands over a result.
    pub(crate) fn push(self: &Arc<Inbox>, op: OpId, reply: Reply) {
        let bell = {
            let mut state = self.state();
            state.done.push((op, reply));
            state.rung = true;
            state.bell.take()
        };
        bell.into_iter().for_each(Waker::wake);
    }

    /// Wakes the VM without a result: a timer, a new call.
    pub(crate) fn ring(&self) {
        let bell = {
            let mut state = self.state();
            state.rung = true;
            state.bell.take()
        };
        bell.into_iter().for_each(Waker::wake);
    }

    /// What has arrived.
    pub(crate) fn take(&self) -> Vec<(OpId, Reply)> {
        let mut state = self.state();
        state.rung = false;
        std::mem::take(&mut state.done)
    }

    /// Sets who is woken; true when the bell has rung already.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        state.bell = Some(waker.clone());
        state.rung
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
