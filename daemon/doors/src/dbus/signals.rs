//! Signals: a reader of the numbered feed of events, as a stream of HTTP is. What happened is told in its order; at more events per second
//! than the bus should be given, later. Signals go to everybody whom the bus policy lets hear them, so they say that something happened
//! to which object, and not what only its owner may read.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value as Json;
use sloth_api::event::Event;
use sloth_service::{Caller, EventFilter, Service, ServiceError, Uid, event_view};
use zbus::{Connection, DynamicType, Message, ObjectPath, Variant};

use super::answers::{self, Interfaces};
use super::contract::{MANAGER, OBJECT_MANAGER, PROPERTIES, RUN, SCHEDULE};
use super::object::{BASE, run_path, schedule_path};
use super::values::{Dictionary, dictionary, micros};
use crate::Door;

/// Events read at once.
const PAGE: u32 = 500;
/// Events told per second at most.
const PER_SECOND: u32 = 1000;
/// So many events may wait to be told; then those that wait are left out, which listeners see by `EventPublished` numbers.
const BEHIND_MAX: i64 = 100_000;
/// After the feed could not be read.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Between two signals about the figures of the manager.
const FIGURES: Duration = Duration::from_secs(1);
/// Properties of the manager whose changes are told.
const FIGURES_TOLD: [&str; 4] = ["State", "NSchedules", "NRunning", "NQueued"];

struct Teller {
    door: Door,
    connection: Connection,
    after: i64,
    figures: Dictionary,
    figures_at: Option<Instant>,
}

/// Tells what happens from now on, until the connection or the daemon ends.
pub(super) async fn follow(door: Door, connection: Connection) {
    let after = door.service.store().last_event_seq();
    let figures = answers::of_manager(&door.service).unwrap_or_default();
    let mut teller = Teller { door, connection, after, figures, figures_at: None };
    loop {
        if let Err(error) = teller.turn().await {
            tracing::debug!(error, "signals are no longer sent on this connection");
            return;
        }
        if *teller.door.closing.borrow() {
            return;
        }
    }
}

impl Teller {
    /// Tells the next events, or waits for them.
    async fn turn(&mut self) -> Result<(), String> {
        self.door.events.borrow_and_update();
        let last = self.door.service.store().last_event_seq();
        if last - self.after > BEHIND_MAX {
            tracing::warn!(
                from = self.after + 1,
                to = last,
                "too many events for the bus: these are not told as signals"
            );
            self.after = last;
        }
        let begin = Instant::now();
        let page = match self.door.service.store().events(self.after, &EventFilter::default(), PAGE) {
            Ok(page) => page,
            Err(error) => {
                // A store in trouble is no reason to give up the bus.
                tracing::warn!(%error, "the feed cannot be read; signals come later");
                tokio::time::sleep(STORE_PAUSE).await;
                return Ok(());
            }
        };
        self.after = page.next.max(self.after);
        let mut messages = Vec::new();
        let count = u32::try_from(page.items.len()).unwrap_or(PAGE);
        for event in page.items.into_iter().map(event_view) {
            self.tell(&event, &mut messages).await.map_err(|error| error.to_string())?;
        }
        self.tell_figures(&mut messages).map_err(|error| error.to_string())?;
        self.connection.send_all(&messages).await.map_err(|error| error.to_string())?;
        let due = begin + Duration::from_secs(1) * count / PER_SECOND;
        tokio::time::sleep_until(due.into()).await;
        if self.after >= self.door.service.store().last_event_seq() {
            self.wait().await?;
        }
        Ok(())
    }

    /// For the next event; for the end of the pause between figures when some may wait to be told.
    async fn wait(&mut self) -> Result<(), String> {
        let pause = self.figures_at.map(|at| at + FIGURES).filter(|until| *until > Instant::now());
        let figures = async {
            match pause {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.door.events.changed() => changed.map_err(|_| "slothd stops".to_owned()),
            _ = self.door.closing.changed() => Ok(()),
            () = figures => Ok(()),
        }
    }

    async fn tell(&self, event: &Event, to: &mut Vec<Message>) -> zbus::Result<()> {
        let text = |name: &str| event.data.get(name).and_then(Json::as_str);
        match event.kind.as_str() {
            "run.queued" | "run.started" | "run.completed" | "run.failed" | "run.cancelled" | "task.retrying" => {
                if let Some(id) = &event.run_id {
                    tell_run(event, id, text("schedule").unwrap_or_default(), to)?;
                }
            }
            "schedule.created" => {
                if let Some(id) = text("schedule_id")
                    && let Ok(view) = schedule(&self.door.service, id).await
                {
                    let interfaces = Interfaces::from([(SCHEDULE.name, answers::of_schedule(&view))]);
                    to.push(added(schedule_path(id), interfaces)?);
                }
            }
            "schedule.deleted" => {
                if let Some(id) = text("schedule_id") {
                    to.push(removed(schedule_path(id), SCHEDULE.name)?);
                }
            }
            "schedule.updated" | "schedule.enabled" | "schedule.disabled" => {
                if let Some(id) = text("schedule_id") {
                    let names = ["Enabled", "Trigger", "Timezone", "NextElapseUSec"];
                    to.push(invalidated(schedule_path(id), SCHEDULE.name, &names)?);
                }
            }
            _ => {}
        }
        to.push(published(event)?);
        Ok(())
    }

    fn tell_figures(&mut self, to: &mut Vec<Message>) -> zbus::Result<()> {
        if self.figures_at.is_some_and(|at| at.elapsed() < FIGURES) {
            return Ok(());
        }
        // What cannot be read now is told later.
        let Ok(now) = answers::of_manager(&self.door.service) else { return Ok(()) };
        let mut changed = Dictionary::new();
        for name in FIGURES_TOLD {
            if let (Some(new), old) = (now.get(name), self.figures.get(name))
                && Some(new) != old
            {
                changed.insert(name.to_owned(), new.try_clone()?);
            }
        }
        self.figures = now;
        self.figures_at = None;
        if !changed.is_empty() {
            self.figures_at = Some(Instant::now());
            let none: [&str; 0] = [];
            let manager = ObjectPath::from_string_unchecked(format!("{BASE}/Manager"));
            to.push(signal(manager, PROPERTIES.name, "PropertiesChanged", &(MANAGER.name, changed, &none[..]))?);
        }
        Ok(())
    }
}

async fn schedule(service: &Service, id: &str) -> Result<sloth_api::ScheduleView, ServiceError> {
    let daemon = Caller::from_peer(service.host(), Uid(0), "signals".to_owned());
    service.show_by_id(&daemon, id).await
}

fn tell_run(event: &Event, id: &str, schedule: &str, to: &mut Vec<Message>) -> zbus::Result<()> {
    let path = run_path(id);
    let manager = ObjectPath::from_string_unchecked(format!("{BASE}/Manager"));
    match event.kind.as_str() {
        "run.queued" => {
            let run = [
                ("Id", Variant::from(id.to_owned())),
                ("Schedule", Variant::from(schedule.to_owned())),
                ("State", Variant::from("queued")),
                ("Attempt", Variant::U32(0)),
                ("StartUSec", Variant::U64(0)),
            ];
            let run = run.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            to.push(added(path, Interfaces::from([(RUN.name, run)]))?);
        }
        "run.started" => {
            to.push(signal(manager, MANAGER.name, "RunStarted", &(id, schedule, details(event)))?);
            to.push(invalidated(path, RUN.name, &["State", "Attempt", "StartUSec"])?);
        }
        "task.retrying" => to.push(invalidated(path, RUN.name, &["State", "Attempt"])?),
        ended => {
            let result = ended.strip_prefix("run.").unwrap_or(ended);
            to.push(signal(manager, MANAGER.name, "RunFinished", &(id, schedule, result, details(event)))?);
            to.push(removed(path, RUN.name)?);
            if let Some(id) = event.data.get("schedule_id").and_then(Json::as_str) {
                let names = ["NextElapseUSec", "LastResult", "LastStartUSec"];
                to.push(invalidated(schedule_path(id), SCHEDULE.name, &names)?);
            }
        }
    }
    Ok(())
}

/// What is told of a run beside its result: numbers and words of the program, no text that the run made.
fn details(event: &Event) -> Dictionary {
    let told = ["schedule_id", "due_at", "attempt", "exit_code", "signal", "duration", "reason"];
    let known = event.data.iter().filter(|(name, _)| told.contains(&name.as_str()));
    dictionary(super::values::with_times(known.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

/// The event for those who read the feed; its data only when a user published it for all.
fn published(event: &Event) -> zbus::Result<Message> {
    let mut details = Dictionary::from([
        ("id".to_owned(), Variant::from(event.id.clone())),
        ("severity".to_owned(), Variant::from(event.severity.clone())),
        ("at".to_owned(), Variant::U64(micros(Some(&event.timestamp)))),
    ]);
    if let Some(run) = &event.run_id {
        details.insert("run_id".to_owned(), Variant::from(run.clone()));
    }
    if let Some(id) = event.data.get("schedule_id").and_then(Json::as_str) {
        details.insert("schedule_id".to_owned(), Variant::from(id.to_owned()));
    }
    if event.source == "api" {
        details.insert("data".to_owned(), Variant::from(dictionary(event.data.clone())));
    }
    let seq = u64::try_from(event.seq).unwrap_or(0);
    let manager = ObjectPath::from_string_unchecked(format!("{BASE}/Manager"));
    signal(manager, MANAGER.name, "EventPublished", &(seq, &event.kind, details))
}

fn added(path: ObjectPath<'static>, interfaces: Interfaces) -> zbus::Result<Message> {
    signal(base(), OBJECT_MANAGER.name, "InterfacesAdded", &(path, interfaces))
}

fn removed(path: ObjectPath<'static>, interface: &str) -> zbus::Result<Message> {
    signal(base(), OBJECT_MANAGER.name, "InterfacesRemoved", &(path, &[interface][..]))
}

fn invalidated(path: ObjectPath<'static>, interface: &str, names: &[&str]) -> zbus::Result<Message> {
    signal(path, PROPERTIES.name, "PropertiesChanged", &(interface, Dictionary::new(), names))
}

fn base() -> ObjectPath<'static> {
    ObjectPath::from_string_unchecked(BASE.to_owned())
}

fn signal<B: Serialize + DynamicType>(
    path: ObjectPath<'_>,
    interface: &str,
    name: &str,
    body: &B,
) -> zbus::Result<Message> {
    Message::signal(path, interface, name).build(body)
}
