//! The two streams of a run: its events, and its log. Each goes on after a restart of the daemon where it was.

use serde_json::Value;
use sloth_api::LogChunk;
use sloth_api::client::{ClientError, Stream, Target};

use crate::commands::follow::exact_bytes;
use crate::commands::run_parts::past_events;
use crate::failure::Failure;
use crate::session::{Session, typed};
use crate::views::run::event::RunEvent;
use crate::views::run::logline::{LogLine, LogSplitter};

/// What came.
#[derive(Debug)]
pub(crate) enum News {
    Event(Box<RunEvent>),
    Log(Vec<LogLine>),
    /// All of the log has come.
    LogEnd,
    /// Nothing that anybody wants.
    Nothing,
}

/// Events of a run, those of the past first.
pub(crate) struct Events<'s> {
    past: std::vec::IntoIter<RunEvent>,
    stream: Stream<'s>,
    seen: i64,
}

impl<'s> Events<'s> {
    /// Reads what has happened, and listens from there on.
    pub(crate) async fn open(session: &'s Session, run: &str) -> Result<Events<'s>, Failure> {
        let records = past_events(session, run).await?;
        let past: Vec<RunEvent> = records.iter().filter_map(RunEvent::read).collect();
        let last = past.last().map_or(0, |event| event.seq);
        let target = Target::new("/stream").with("topics", format!("runs/{run}"));
        let stream = session.client.stream(target.as_str(), Some(last.to_string()));
        Ok(Events { past: past.into_iter(), stream, seen: 0 })
    }

    /// The next one. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        if let Some(event) = self.past.next() {
            self.seen = event.seq;
            return Ok(News::Event(Box::new(event)));
        }
        let message = self.stream.next().await?;
        let message: Value = serde_json::from_str(&message.data).unwrap_or_default();
        match RunEvent::read(&message["data"]) {
            Some(event) if event.seq > self.seen => {
                self.seen = event.seq;
                Ok(News::Event(Box::new(event)))
            }
            _ => Ok(News::Nothing), // a gap: the summary at the end has what was lost
        }
    }
}

/// The log of a run from its beginning.
pub(crate) struct Log<'s> {
    stream: Stream<'s>,
    splitter: LogSplitter,
    /// The end has come and is not said yet.
    at_end: bool,
}

impl<'s> Log<'s> {
    pub(crate) fn open(session: &'s Session, run: &str) -> Log<'s> {
        let target = Target::new("/runs").name(run).then("/logs/stream");
        Log { stream: session.client.follow_logs(target.as_str(), 0), splitter: LogSplitter::default(), at_end: false }
    }

    /// The next lines. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        if std::mem::take(&mut self.at_end) {
            return Ok(News::LogEnd);
        }
        let message = self.stream.next().await?;
        let data: Value = serde_json::from_str(&message.data)
            .map_err(|error| Failure::from(ClientError::Unreadable(error.to_string())))?;
        Ok(match message.event.as_str() {
            "log" => {
                let chunk: LogChunk = typed(&data)?;
                News::Log(self.splitter.take(&chunk.stream, &exact_bytes(&chunk)))
            }
            "end" => {
                self.at_end = true;
                News::Log(self.splitter.finish())
            }
            _ => News::Nothing,
        })
    }
}
