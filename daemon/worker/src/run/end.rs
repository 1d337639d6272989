//! Executes an assignment: definition, workflows, and the last record.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sloth_api::worker::{Errand, Record, RunEnd, ToWorker};
use sloth_core::workflow::Diagnostic;
use sloth_core::workflow::machine::{CancelReason, Input};
use tokio::sync::mpsc;

use super::{CancelOrder, Run};
use crate::graph_json;
use crate::io::Io;
use crate::link::{Link, Opened};
use crate::log::Log;

/// How long async hooks and background work are waited for at the end.
const LINGER: Duration = Duration::from_secs(60);

/// Until the last record is durable; `Err`: why that could not be.
pub async fn execute(errand: &Errand, opened: Opened, link: Link, io: Io, log: Arc<Log>) -> Result<(), String> {
    let Opened { assignment, orders } = opened;
    let temp_dir = assignment.temp_dir.clone();
    let (run, program) = match Run::begin(errand, assignment, link.clone(), io, log) {
        Ok(begun) => begun,
        Err(message) => return refuse(&link, message).await,
    };
    let body = async {
        let end = run.whole(program).await;
        run.close().await;
        let seq = run.journal.record(Record::RunFinished { end: Box::new(end) });
        run.link.durable(seq).await.map_err(|trouble| trouble.message)
    };
    let ended = tokio::select! {
        ended = body => ended,
        why = run.journal.pump() => Err(why),
        () = run.obey(orders) => Err("the orders of slothd ended".to_owned()),
    };
    // What is left in it belongs to nobody.
    let _ = std::fs::remove_dir_all(temp_dir);
    run.log.flush();
    ended
}

/// A run that cannot begin ends at once.
async fn refuse(link: &Link, message: String) -> Result<(), String> {
    let end = RunEnd {
        status: "failed".to_owned(),
        reason: Some("definition".to_owned()),
        message: Some(message),
        compensation: "none".to_owned(),
        ..RunEnd::default()
    };
    let seq = link.append(crate::clock::millis(), Record::RunFinished { end: Box::new(end) });
    link.durable(seq).await.map_err(|trouble| trouble.message)
}

impl Run {
    async fn whole(self: &Rc<Self>, program: sloth_lua::Program) -> RunEnd {
        let ended = match self.define(program).await {
            Err(findings) => Err(findings),
            Ok(defined) => self.sequence(&defined).await.map_err(|finding| vec![finding]),
        };
        match ended {
            Ok(end) => RunEnd { outputs: self.vm().outputs(), ..end },
            Err(findings) => RunEnd {
                status: "failed".to_owned(),
                reason: Some(reason_of(&findings).to_owned()),
                message: findings.first().map(|finding| format!("{} {}", finding.code, finding.message)),
                compensation: "none".to_owned(),
                diagnostics: findings.iter().map(graph_json::diagnostic).collect(),
                ..RunEnd::default()
            },
        }
    }

    /// Joins what lingers, and ends background commands.
    async fn close(&self) {
        let mut lingering = std::mem::take(&mut *self.lingering.borrow_mut());
        let joined = tokio::time::timeout(LINGER, async { while lingering.join_next().await.is_some() {} }).await;
        if joined.is_err() {
            lingering.shutdown().await;
        }
        self.io.run(sloth_modules::exec::end_background("the run is over")).await;
    }

    /// Passes orders of slothd on to the flows.
    async fn obey(&self, mut orders: mpsc::Receiver<ToWorker>) {
        while let Some(order) = orders.recv().await {
            match order {
                ToWorker::Pause => self.tell_all(&Input::Paused),
                ToWorker::Unpause => self.tell_all(&Input::Unpaused),
                ToWorker::Cancel { task: Some(task), .. } => {
                    for flow in self.flows() {
                        if let Some(id) = flow.find(&task) {
                            flow.tell(Input::TaskCancelled(id));
                        }
                    }
                }
                ToWorker::Cancel { reason, force, compensate, task: None } => {
                    let order = CancelOrder { reason, force, compensate };
                    self.tell_all(&order.as_input());
                    *self.cancelled.borrow_mut() = Some(order);
                }
                _ => {}
            }
        }
        // The link ends; that it is lost is told elsewhere.
        std::future::pending::<()>().await;
    }

    fn tell_all(&self, input: &Input) {
        for flow in self.flows() {
            flow.tell(input.clone());
        }
    }
}

impl CancelOrder {
    /// As the machine takes it.
    pub fn as_input(&self) -> Input {
        let reason = match self.reason.as_str() {
            "conflict" => CancelReason::Conflict,
            "shutdown" => CancelReason::Shutdown,
            "superseded" => CancelReason::Superseded,
            _ => CancelReason::User,
        };
        Input::Cancelled { reason, force: self.force, compensate: self.compensate }
    }
}

/// "failed: definition, unresolved, …"
fn reason_of(findings: &[Diagnostic]) -> &'static str {
    if findings.iter().all(|finding| finding.code == "E201") { "unresolved" } else { "definition" }
}
