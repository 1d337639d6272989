//! "runs after the command until true; never true = failure"

use std::sync::Arc;
use std::time::Duration;

use sloth_core::workflow::{FnRef, TaskId};
use sloth_lua::{Ctx, Data, Shape};
use tokio::time::Instant;

use super::Flow;

impl Flow {
    pub(super) async fn check_health(
        &self,
        task: TaskId,
        ctx: &Arc<Ctx>,
        (function, interval_ms, timeout_ms): (FnRef, u64, u64),
    ) -> Result<(), String> {
        if ctx.is_simulated() {
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            let shape = Shape::Condition(self.view(task, ctx));
            let end = self.run.vm().call(function, shape, Arc::clone(ctx)).await;
            let why = match &end.result {
                Ok(values) => match values.first() {
                    None | Some(Data::Nil | Data::Null | Data::Bool(false)) => {
                        values.get(1).and_then(Data::to_text).unwrap_or_else(|| "it did not become true".to_owned())
                    }
                    Some(_) => return Ok(()),
                },
                Err(raised) => raised.message.clone(),
            };
            let pause = Duration::from_millis(interval_ms.max(1));
            if ctx.cancel.kind().is_some() || Instant::now() + pause > deadline {
                return Err(format!("health check: {why}"));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = ctx.cancel.cancelled() => return Err(format!("health check: {why}")),
            }
        }
    }
}
