//! Circuit breakers, shared by all runs of one scope and remembered over restarts.
//!
//! ```text
//!           failure_threshold in a row          recovery_timeout
//!   closed ────────────────────────────▶ open ───────────────────▶ half_open ──all succeed──▶ closed
//!                                         ▲                            │
//!                                         └────────one fails───────────┘
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sloth_core::Moment;
use sloth_core::record::Circuit as Record;
use sloth_store::CircuitRow;

/// Circuits at once.
const CIRCUITS_MAX: usize = 10_000;
/// A trial that says nothing for so long counts as failed.
const TRIAL: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open,
    HalfOpen,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
        }
    }
}

/// Limits of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) failure_threshold: u32,
    pub(super) recovery: Duration,
    pub(super) half_open_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { failure_threshold: 5, recovery: Duration::from_secs(60), half_open_requests: 1 }
    }
}

#[derive(Clone, Debug)]
struct Circuit {
    limits: Limits,
    state: State,
    failures: u32,
    successes: u32,
    trials: u32,
    opened_at: Option<Moment>,
    retry_at: Option<Moment>,
    since: Moment,
}

/// A transition, to be recorded before anybody hears of it.
pub(super) struct Turned {
    pub(super) record: Record,
    pub(super) event: &'static str,
}

#[derive(Default)]
pub(super) struct Circuits(Mutex<HashMap<String, Circuit>>);

impl Circuit {
    fn new(limits: Limits, now: Moment) -> Circuit {
        Circuit {
            limits,
            state: State::Closed,
            failures: 0,
            successes: 0,
            trials: 0,
            opened_at: None,
            retry_at: None,
            since: now,
        }
    }

    fn turn(&mut self, name: &str, to: State, now: Moment) -> Turned {
        self.state = to;
        self.since = now;
        (self.successes, self.trials) = (0, 0);
        match to {
            State::Closed => (self.failures, self.opened_at, self.retry_at) = (0, None, None),
            State::Open => (self.opened_at, self.retry_at) = (Some(now), Some(now + self.limits.recovery)),
            State::HalfOpen => {}
        }
        let event = match to {
            State::Closed => "circuit.closed",
            State::Open => "circuit.opened",
            State::HalfOpen => "circuit.half_open",
        };
        Turned { record: self.record(name), event }
    }

    fn record(&self, name: &str) -> Record {
        let settings = json!({
            "failure_threshold": self.limits.failure_threshold,
            "recovery_timeout_ms": self.limits.recovery.as_millis() as u64,
            "half_open_requests": self.limits.half_open_requests,
        });
        Record {
            name: name.to_owned(),
            state: self.state.word(),
            failures: self.failures,
            opened_at: self.opened_at,
            retry_at: self.retry_at,
            settings: settings.to_string(),
        }
    }

    fn view(&self, name: &str) -> Value {
        json!({
            "name": name,
            "state": self.state.word(),
            "failures": self.failures,
            "successes": self.successes,
            "opened_at": self.opened_at.map(Moment::rfc3339),
            "retry_at": self.retry_at.map(Moment::rfc3339),
        })
    }
}

impl Circuits {
    pub(super) fn new(rows: Vec<CircuitRow>) -> Circuits {
        let read = |row: &CircuitRow| -> Circuit {
            let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
            let number = |name: &str, default: u64| settings.get(name).and_then(Value::as_u64).unwrap_or(default);
            let limits = Limits {
                failure_threshold: u32::try_from(number("failure_threshold", 5)).unwrap_or(5),
                recovery: Duration::from_millis(number("recovery_timeout_ms", 60_000)),
                half_open_requests: u32::try_from(number("half_open_requests", 1)).unwrap_or(1),
            };
            // Whoever was on trial is not known any more: let others try.
            let state = match row.state.as_str() {
                "open" => State::Open,
                "half_open" => State::HalfOpen,
                _ => State::Closed,
            };
            let mut circuit = Circuit::new(limits, row.opened_at.unwrap_or(Moment::MIN));
            (circuit.state, circuit.failures) = (state, row.failures);
            (circuit.opened_at, circuit.retry_at) = (row.opened_at, row.retry_at);
            circuit
        };
        Circuits(Mutex::new(rows.iter().map(|row| (row.name.clone(), read(row))).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may go through. `None`: there are too many circuits.
    pub(super) fn enter(&self, name: &str, limits: Limits, now: Moment) -> Option<(bool, State, Option<Turned>)> {
        let mut circuits = self.lock();
        if circuits.len() >= CIRCUITS_MAX && !circuits.contains_key(name) {
            circuits.retain(|_, circuit| circuit.state != State::Closed || circuit.failures > 0);
            if circuits.len() >= CIRCUITS_MAX {
                return None;
            }
        }
        let circuit = circuits.entry(name.to_owned()).or_insert_with(|| Circuit::new(limits, now));
        circuit.limits = limits;
        let mut turned = None;
        if circuit.state == State::Open && circuit.retry_at.is_none_or(|at| at <= now) {
            turned = Some(circuit.turn(name, State::HalfOpen, now));
        }
        let granted = match circuit.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                if circuit.trials >= circuit.limits.half_open_requests && circuit.since + TRIAL <= now {
                    (circuit.trials, circuit.since) = (0, now);
                }
                let free = circuit.trials < circuit.limits.half_open_requests;
                circuit.trials += u32::from(free);
                free
            }
        };
        Some((granted, circuit.state, turned))
    }

    /// How a call went.
    pub(super) fn result(&self, name: &str, success: bool, now: Moment) -> (State, Option<Turned>) {
        let mut circuits = self.lock();
        let Some(circuit) = circuits.get_mut(name) else { return (State::Closed, None) };
        let turned = match (circuit.state, success) {
            (State::Closed, true) => {
                circuit.failures = 0;
                None
            }
            (State::Closed, false) => {
                circuit.failures += 1;
                let over = circuit.failures >= circuit.limits.failure_threshold.max(1);
                over.then(|| circuit.turn(name, State::Open, now))
            }
            (State::HalfOpen, true) => {
                circuit.successes += 1;
                let all = circuit.successes >= circuit.limits.half_open_requests.max(1);
                all.then(|| circuit.turn(name, State::Closed, now))
            }
            (State::HalfOpen, false) => {
                circuit.failures += 1;
                Some(circuit.turn(name, State::Open, now))
            }
            // A call that began before it opened.
            (State::Open, _) => None,
        };
        (circuit.state, turned)
    }

    /// Opens or closes it by hand.
    pub(super) fn set(&self, name: &str, to: State, now: Moment) -> (Value, Option<Turned>) {
        let mut circuits = self.lock();
        let circuit = circuits.entry(name.to_owned()).or_insert_with(|| Circuit::new(Limits::default(), now));
        let turned = (circuit.state != to).then(|| circuit.turn(name, to, now));
        (circuit.view(name), turned)
    }

    pub(super) fn status(&self, name: &str, now: Moment) -> Value {
        let circuits = self.lock();
        match circuits.get(name) {
            Some(circuit) => circuit.view(name),
            None => Circuit::new(Limits::default(), now).view(name),
        }
    }

    /// Those whose names begin so.
    pub(super) fn list(&self, prefixes: &[String]) -> Vec<Value> {
        let circuits = self.lock();
        let mut all: Vec<_> =
            circuits.iter().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect();
        all.sort_by_key(|(name, _)| name.as_str());
        all.into_iter().map(|(name, circuit)| circuit.view(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { failure_threshold: 3, recovery: Duration::from_secs(10), half_open_requests: 2 };

    fn at(seconds: i64) -> Moment {
        Moment::from_secs(1000 + seconds)
    }

    fn enter(circuits: &Circuits, seconds: i64) -> (bool, &'static str, Option<&'static str>) {
        let (granted, state, turned) = circuits.enter("api", LIMITS, at(seconds)).expect("room");
        (granted, state.word(), turned.map(|turned| turned.event))
    }

    fn result(circuits: &Circuits, success: bool, seconds: i64) -> (&'static str, Option<&'static str>) {
        let (state, turned) = circuits.result("api", success, at(seconds));
        (state.word(), turned.map(|turned| turned.event))
    }

    #[test]
    fn failures_in_a_row_open_it_and_trials_close_it() {
        let circuits = Circuits::default();
        assert_eq!(enter(&circuits, 0), (true, "closed", None));
        assert_eq!(result(&circuits, false, 0), ("closed", None));
        assert_eq!(result(&circuits, true, 0), ("closed", None), "a success in between begins the count again");
        assert_eq!(result(&circuits, false, 0), ("closed", None));
        assert_eq!(result(&circuits, false, 0), ("closed", None));
        assert_eq!(result(&circuits, false, 0), ("open", Some("circuit.opened")));
        assert_eq!(enter(&circuits, 9), (false, "open", None));
        assert_eq!(enter(&circuits, 10), (true, "half_open", Some("circuit.half_open")));
        assert_eq!(enter(&circuits, 10), (true, "half_open", None));
        assert_eq!(enter(&circuits, 10), (false, "half_open", None), "two trials at once, not three");
        assert_eq!(result(&circuits, true, 11), ("half_open", None));
        assert_eq!(result(&circuits, true, 11), ("closed", Some("circuit.closed")));
    }

    #[test]
    fn one_failed_trial_opens_it_again() {
        let circuits = Circuits::default();
        enter(&circuits, 0);
        (0..3).for_each(|_| _ = result(&circuits, false, 0));
        enter(&circuits, 10);
        assert_eq!(result(&circuits, false, 10), ("open", Some("circuit.opened")));
        assert_eq!(enter(&circuits, 19), (false, "open", None));
    }

    #[test]
    fn it_is_after_a_restart_as_it_was_before() {
        let circuits = Circuits::default();
        enter(&circuits, 0);
        (0..2).for_each(|_| _ = result(&circuits, false, 0));
        let (_, turned) = circuits.result("api", false, at(0));
        let record = turned.expect("it opened").record;
        let row = CircuitRow {
            name: record.name,
            state: record.state.to_owned(),
            failures: record.failures,
            opened_at: record.opened_at,
            retry_at: record.retry_at,
            settings: record.settings,
        };
        let again = Circuits::new(vec![row]);
        assert_eq!(enter(&again, 9), (false, "open", None));
        assert_eq!(enter(&again, 10), (true, "half_open", Some("circuit.half_open")));
    }
}
