//! `resource`: amounts of what the daemon has that a script holds for a while.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sloth_lua::{Ctx, Data, Failure, Reply};
use tokio::time::Instant;

use super::{number_of, text_of};
use crate::run::Run;

/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(50);

/// Who holds what.
#[derive(Default)]
pub(super) struct Allocations {
    held: BTreeMap<u64, Held>,
    next: u64,
}

/// The task that holds, and its amounts by name.
type Held = (Option<String>, Vec<(String, u64)>);

impl Allocations {
    fn used(&self, name: &str) -> u64 {
        let all = self.held.values().flat_map(|(_, amounts)| amounts);
        all.filter(|(known, _)| known == name).map(|(_, amount)| *amount).sum()
    }
}

impl Run {
    pub(super) async fn allocate(self: &Rc<Self>, body: &Data, ctx: &Arc<Ctx>) -> Reply {
        let wanted = wanted(body)?;
        let wait = number_of(body, "wait").unwrap_or(0.0);
        let deadline = Instant::now() + Duration::try_from_secs_f64(wait.max(0.0)).unwrap_or(Duration::ZERO);
        loop {
            if let Some(id) = self.take(&wanted, ctx) {
                #[allow(clippy::cast_precision_loss)] // a small number
                return Ok(vec![Data::Num(id as f64)]);
            }
            if Instant::now() >= deadline || ctx.cancel.kind().is_some() {
                return Ok(vec![Data::Nil]);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn take(&self, wanted: &[(String, u64)], ctx: &Ctx) -> Option<u64> {
        let capacity = &self.job.limits.capacity;
        let mut all = self.desk.allocations.borrow_mut();
        let fits = |(name, amount): &(String, u64)| match capacity.get(name) {
            Some(capacity) => all.used(name).saturating_add(*amount) <= *capacity,
            None => matches!(name.as_str(), "cpu" | "memory" | "disk" | "network"),
        };
        if !wanted.iter().all(fits) {
            return None;
        }
        all.next += 1;
        let id = all.next;
        all.held.insert(id, (ctx.task.clone(), wanted.to_vec()));
        Some(id)
    }

    pub(super) fn release(&self, body: &Data) -> Reply {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number that was given out
        let id = number_of(body, "id").unwrap_or(-1.0).max(0.0) as u64;
        let was_held = self.desk.allocations.borrow_mut().held.remove(&id).is_some();
        Ok(vec![Data::Bool(was_held)])
    }

    /// "unreleased allocations end with the task"
    pub fn release_task(&self, task: &str) {
        self.desk.allocations.borrow_mut().held.retain(|_, (owner, _)| owner.as_deref() != Some(task));
    }

    /// "`{cpu, memory_mb, disk_mb, tasks, limits={…}}`"
    pub(super) fn usage(&self) -> Value {
        let all = self.desk.allocations.borrow();
        let tasks: usize = self.flows().iter().map(|flow| flow.running()).sum();
        #[allow(clippy::cast_precision_loss)] // thousandths of a CPU
        let cpu = all.used("cpu") as f64 / 1000.0;
        json!({
            "cpu": cpu,
            "memory_mb": all.used("memory") >> 20,
            "disk_mb": all.used("disk") >> 20,
            "tasks": tasks,
            "limits": self.job.limits.capacity,
        })
    }
}

fn wanted(body: &Data) -> Result<Vec<(String, u64)>, Failure> {
    let mut wanted = Vec::new();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    for (name, scale) in [("cpu", 1000.0), ("memory", 1.0), ("disk", 1.0)] {
        if let Some(value) = body.get(name) {
            let amount = match value {
                Data::Num(number) => number * scale,
                other => quantity(name, &other.to_text().unwrap_or_default())?,
            };
            wanted.push((name.to_owned(), amount.max(0.0) as u64));
        }
    }
    if let Some(name) = text_of(body, "name") {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
        wanted.push((name, number_of(body, "amount").unwrap_or(1.0).max(0.0) as u64));
    }
    if wanted.is_empty() {
        return Err(Failure::argument("request", "cpu, memory, disk or name expected"));
    }
    Ok(wanted)
}

/// `500m` CPUs in thousandths, `256Mi` in bytes.
#[allow(clippy::cast_precision_loss)] // amounts are far below 2^53
fn quantity(name: &str, text: &str) -> Result<f64, Failure> {
    let bad = || Failure::argument(name, format!("a quantity expected, got \"{text}\""));
    if name == "cpu" {
        return sloth_core::units::parse_cpu(text).map(f64::from).map_err(|_| bad());
    }
    sloth_core::units::parse_size(text).map(|bytes| bytes as f64).map_err(|_| bad())
}
