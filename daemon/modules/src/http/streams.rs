//! Responses that a script reads piece by piece. They are kept here under a number until they are read to the end,
//! closed, or their task is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sloth_lua::{Call, Ctx, Data, Failure, Reply};

use super::exchange::Answer;
use super::follow::{follow, persist, retry_after, unless_ended, within};
use super::order::{Order, body_max};
use super::response::{head, is_simulated, simulated};
use super::trouble::Trouble;
use crate::describe::{count, give};

/// Responses that are being read at once.
const OPEN_MAX: usize = 256;

/// Given to the script at once at most, bytes.
const PIECE_MAX: usize = 256 << 10;

struct Open {
    answer: Answer,
    owner: Weak<Ctx>,
    shown: String,
    timeout: Duration,
    left: Option<u64>,
    max: u64,
}

type Table = HashMap<usize, Arc<tokio::sync::Mutex<Open>>>;

static STREAMS: Mutex<(usize, Option<Table>)> = Mutex::new((0, None));

fn with_table<T>(work: impl FnOnce(&mut usize, &mut Table) -> T) -> T {
    let mut streams = STREAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let (next, table) = &mut *streams;
    work(next, table.get_or_insert_with(HashMap::new))
}

/// `_open`: the head of a response, and the number under which its body is read.
pub(super) async fn open(call: Call, mut order: Order) -> Reply {
    if is_simulated(&call, &order) {
        return give(simulated(&order));
    }
    order.body_max = body_max(&call.args);
    let began = Instant::now();
    let attempt = || within(order.timeout, follow(&order));
    let answer = persist(&call.ctx, &order, attempt, |answer| (answer.status, retry_after(&answer.headers)))
        .await
        .map_err(|trouble| trouble.of(order.method.as_str(), &order.shown()))?;
    let mut entries = head(answer.status, &answer.headers, &answer.url, began);
    let open = Open {
        answer,
        owner: Arc::downgrade(&call.ctx),
        shown: format!("{} {}", order.method, order.shown()),
        timeout: order.timeout,
        left: order.body_max,
        max: order.body_max.unwrap_or(u64::MAX),
    };
    let number = with_table(|next, table| {
        // Those of tasks that are over.
        table.retain(|_, open| open.try_lock().map_or(true, |open| open.owner.strong_count() > 0));
        if table.len() >= OPEN_MAX {
            return Err(Failure::new(format!("{OPEN_MAX} responses are being read already")));
        }
        *next += 1;
        table.insert(*next, Arc::new(tokio::sync::Mutex::new(open)));
        Ok(*next)
    })?;
    entries.push(("_stream".into(), Data::from(number as u64)));
    give(Data::Map(entries))
}

/// `_read`: the next piece; nil at the end.
pub(super) async fn read(call: Call) -> Reply {
    let number = count(&call.args, "stream", usize::MAX)?;
    let Some(open) = with_table(|_, table| table.get(&number).cloned()) else { return give(Data::Nil) };
    let mut open = open.lock().await;
    let timeout = open.timeout;
    let piece = unless_ended(&call.ctx, within(timeout, open.answer.chunk())).await;
    let piece = piece.and_then(|piece| match (piece, open.left) {
        (Some(piece), Some(left)) if piece.len() as u64 > left => Err(Trouble::TooLarge(open.max)),
        (piece, _) => Ok(piece),
    });
    match piece {
        Ok(Some(piece)) => {
            open.left = open.left.map(|left| left - piece.len() as u64);
            give(Data::List(piece.chunks(PIECE_MAX).map(|piece| Data::Str(piece.to_vec())).collect()))
        }
        Ok(None) => {
            close(number);
            give(Data::Nil)
        }
        Err(trouble) => {
            close(number);
            let (method, url) = open.shown.split_once(' ').unwrap_or_default();
            Err(trouble.of(method, url))
        }
    }
}

/// `_close`: forgets a response.
pub(super) fn close(number: usize) {
    with_table(|_, table| table.remove(&number));
}
