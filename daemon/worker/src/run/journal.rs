//! The journal as the run's thread sees it: records go out at once; what must wait for the disk is called when they are
//! durable, in order.

use std::cell::RefCell;
use std::collections::VecDeque;

use sloth_api::worker::Record;

use crate::clock;
use crate::link::Link;

type Then = Box<dyn FnOnce()>;

/// See the module.
pub struct Journal {
    link: Link,
    waiting: RefCell<VecDeque<(u64, Then)>>,
}

impl Journal {
    pub fn new(link: Link) -> Journal {
        Journal { link, waiting: RefCell::default() }
    }

    /// Records, without waiting.
    pub fn record(&self, record: Record) -> u64 {
        self.link.append(clock::millis(), record)
    }

    /// Records; `then` is called when that is durable.
    pub fn record_then(&self, record: Record, then: impl FnOnce() + 'static) {
        let seq = self.record(record);
        self.waiting.borrow_mut().push_back((seq, Box::new(then)));
    }

    /// Records, and waits until that is durable.
    pub async fn record_durably(&self, record: Record) -> Result<(), sloth_lua::Trouble> {
        let seq = self.record(record);
        self.link.durable(seq).await
    }

    /// Calls what waits, until the link is lost; why.
    pub async fn pump(&self) -> String {
        let mut progress = self.link.progress();
        loop {
            let (upto, lost) = {
                let seen = progress.borrow_and_update();
                (seen.upto, seen.lost.clone())
            };
            while let Some(then) = self.next(upto) {
                then();
            }
            if let Some(why) = lost {
                return why;
            }
            if progress.changed().await.is_err() {
                return "the worker ends".to_owned();
            }
        }
    }

    fn next(&self, upto: u64) -> Option<Then> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.pop_front_if(|(seq, _)| *seq <= upto).map(|(_, then)| then)
    }
}
