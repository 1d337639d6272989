//! Waiting until a server answers as wanted.

use std::time::{Duration, Instant};

use sloth_lua::{Call, Data, Failure, Reply};

use super::follow::{receive, unless_ended};
use super::order::{Order, time};
use super::response::wanted_status;

/// `http.wait_for`: true and the status, or false and what was seen last.
pub(crate) async fn wait_for(call: Call, mut order: Order) -> Reply {
    let wanted = wanted_status(&call.args);
    let whole = time(&call.args, "timeout").unwrap_or(Duration::from_secs(60));
    let interval = time(&call.args, "interval").unwrap_or(Duration::from_secs(2));
    let begin = Instant::now();
    order.retries = 0;
    loop {
        let left = whole.saturating_sub(begin.elapsed());
        order.timeout = left.min(Duration::from_secs(10)).max(Duration::from_millis(1));
        let seen = match receive(&call.ctx, &order).await {
            Ok(reception) if wanted.contains(&reception.status.as_u16()) => {
                return Ok(vec![
                    Data::Bool(true),
                    Data::text(format!("{} answers {}", order.shown(), reception.status)),
                ]);
            }
            Ok(reception) => format!("status {}", reception.status),
            Err(trouble @ super::trouble::Trouble::Ended(_)) => return Err(trouble.of("GET", &order.shown())),
            Err(trouble) => trouble.to_string(),
        };
        let left = whole.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(Failure::new(format!("{}: not as wanted within {whole:?}, last: {seen}", order.shown())));
        }
        let pause = unless_ended(&call.ctx, async {
            tokio::time::sleep(interval.min(left)).await;
            Ok(())
        });
        pause.await.map_err(|trouble| trouble.of("GET", &order.shown()))?;
    }
}
