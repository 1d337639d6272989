//! Server-sent events: the feed, and the output of a run. Nothing is buffered for a slow reader: each message is read from the store
//! when the reader is ready for it, so a stream can be as slow as it likes and loses nothing that retention has not removed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Message, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::json;
use sloth_api::event::{Event, StreamMessage};
use sloth_api::{ErrorCode, LogPage};
use sloth_service::{Caller, EventQuery, LogWish, RunRecord, ServiceError, event_view};

use super::Door;

/// Events read at once.
const PAGE: u32 = 500;
/// How often a growing output is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Topics of one stream at most.
const TOPICS_MAX: usize = 32;

/// Where a reader wants to go on.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

enum Topic {
    Events(Option<String>),
    Runs,
    Run(String),
    Schedules,
}

impl Topic {
    fn read(text: &str) -> Result<Topic, ServiceError> {
        match (text, text.split_once(':'), text.strip_prefix("runs/")) {
            ("events", _, _) => Ok(Topic::Events(None)),
            (_, Some(("events", glob)), _) if !glob.is_empty() => Ok(Topic::Events(Some(glob.to_owned()))),
            ("runs", _, _) => Ok(Topic::Runs),
            (_, _, Some(id)) if !id.is_empty() => Ok(Topic::Run(id.to_owned())),
            ("schedules", _, _) => Ok(Topic::Schedules),
            _ => Err(ServiceError::new(ErrorCode::InvalidArgument, format!("topics: {text:?} is no topic"))
                .hint("events, events:run.*, runs, runs/ID, schedules")),
        }
    }

    fn name(&self) -> String {
        match self {
            Topic::Events(None) => "events".to_owned(),
            Topic::Events(Some(glob)) => format!("events:{glob}"),
            Topic::Runs => "runs".to_owned(),
            Topic::Run(id) => format!("runs/{id}"),
            Topic::Schedules => "schedules".to_owned(),
        }
    }

    fn holds(&self, event: &Event) -> bool {
        let of_run = ["run.", "task.", "workflow.", "saga."].iter().any(|word| event.kind.starts_with(word));
        match self {
            Topic::Events(None) => true,
            Topic::Events(Some(glob)) => glob_matches(glob, &event.kind),
            Topic::Runs => of_run,
            Topic::Run(id) => of_run && event.run_id.as_deref() == Some(id),
            Topic::Schedules => event.kind.starts_with("schedule."),
        }
    }
}

/// `*` stands for any number of characters. Linear in the text for each star.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

struct Feed {
    door: Door,
    filter: sloth_service::EventFilter,
    topics: Vec<Topic>,
    after: i64,
    ready: VecDeque<Message>,
}

/// The stream of these topics, after this event, or from now on.
pub(crate) async fn events(
    door: Door,
    who: Caller,
    topics: &str,
    after: Option<i64>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>> + use<>>, ServiceError> {
    let mut list = Vec::new();
    for text in topics.split(',').filter(|text| !text.is_empty()) {
        let topic = match Topic::read(text)? {
            Topic::Run(id) => Topic::Run(door.service.run_record(&who, &id).await?.id.to_string()),
            other => other,
        };
        list.push(topic);
    }
    if list.is_empty() || list.len() > TOPICS_MAX {
        return Err(ServiceError::field("topics", format!("must be 1 to {TOPICS_MAX}")));
    }
    let query = EventQuery { after: Some(0), limit: PAGE, ..EventQuery::default() };
    let filter = door.service.event_filter(&who, &query).await?;
    let store = door.service.store();
    let mut ready = VecDeque::new();
    let after = after.unwrap_or_else(|| store.last_event_seq());
    if let Some(first) = store.first_event_seq()?
        && first > after + 1
        && after > 0
    {
        let data = json!({ "type": "gap", "from": after + 1, "to": first - 1 });
        ready.push_back(Message::default().event("gap").id((first - 1).to_string()).data(data.to_string()));
    }
    let feed = Feed { door, filter, topics: list, after, ready };
    Ok(Sse::new(unfold(feed, next_event)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

async fn next_event(mut feed: Feed) -> Option<(Result<Message, Infallible>, Feed)> {
    loop {
        if let Some(message) = feed.ready.pop_front() {
            return Some((Ok(message), feed));
        }
        if *feed.door.closing.borrow() {
            return None;
        }
        feed.door.events.borrow_and_update();
        let page = match feed.door.service.store().events(feed.after, &feed.filter, PAGE) {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "a stream of events ends");
                return None;
            }
        };
        feed.after = page.next.max(feed.after);
        for row in page.items {
            let event = event_view(row);
            if let Some(topic) = feed.topics.iter().find(|topic| topic.holds(&event)) {
                feed.ready.push_back(message(topic, &event));
            }
        }
        if feed.ready.is_empty() && feed.after >= feed.door.service.store().last_event_seq() {
            tokio::select! {
                changed = feed.door.events.changed() => if changed.is_err() { return None },
                _ = feed.door.closing.changed() => {}
            }
        }
    }
}

fn message(topic: &Topic, event: &Event) -> Message {
    let kind = match topic {
        Topic::Runs | Topic::Run(_) => "workflow_execution_update",
        Topic::Events(_) | Topic::Schedules => "event",
    };
    let body = StreamMessage {
        seq: event.seq,
        topic: topic.name(),
        kind: kind.to_owned(),
        timestamp: event.timestamp.clone(),
        data: serde_json::to_value(event).unwrap_or_default(),
    };
    let text = serde_json::to_string(&body).unwrap_or_default();
    Message::default().event(kind).id(event.seq.to_string()).data(text)
}

struct Output {
    door: Door,
    who: Caller,
    run: RunRecord,
    wish: LogWish,
    ready: VecDeque<Message>,
    over: bool,
}

/// The output of a run as it is written, then the run as it ended.
pub(crate) fn logs(
    door: Door,
    who: Caller,
    run: RunRecord,
    wish: LogWish,
) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    let output = Output { door, who, run, wish, ready: VecDeque::new(), over: false };
    Sse::new(unfold(output, next_output)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn next_output(mut output: Output) -> Option<(Result<Message, Infallible>, Output)> {
    loop {
        if let Some(message) = output.ready.pop_front() {
            return Some((Ok(message), output));
        }
        if output.over || *output.door.closing.borrow() {
            return None;
        }
        match output.door.service.logs_of(&output.run, &output.wish) {
            Ok(page) => output.take(page).await,
            Err(error) => {
                tracing::debug!(%error, "a stream of output ends");
                return None;
            }
        }
        if output.ready.is_empty() && !output.over {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = output.door.closing.changed() => {}
            }
        }
    }
}

impl Output {
    async fn take(&mut self, page: LogPage) {
        self.wish.offset = page.next_offset;
        self.wish.tail = None;
        for chunk in &page.chunks {
            let text = serde_json::to_string(chunk).unwrap_or_default();
            self.ready.push_back(Message::default().event("log").id(chunk.offset.to_string()).data(text));
        }
        if page.complete {
            self.over = true;
            let id = self.run.id.to_string();
            if let Ok(view) = self.door.service.run(&self.who, &id, None).await {
                let text = serde_json::to_string(&view).unwrap_or_default();
                self.ready.push_back(Message::default().event("end").id(page.next_offset.to_string()).data(text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn stars_match_any_text() {
        for (glob, text, expected) in [
            ("run.*", "run.failed", true),
            ("*.failed", "task.failed", true),
            ("*", "x", true),
            ("run.failed", "run.failed", true),
            ("run.fail", "run.failed", false),
            ("a*b*c", "aXbXc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(glob_matches(glob, text), expected, "{glob} {text}");
        }
    }
}
