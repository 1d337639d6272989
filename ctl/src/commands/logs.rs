//! `runs logs`: of a command its exact bytes, of a workflow its lines with their tasks.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;
use sloth_api::{LogChunk, LogPage};

use super::Done;
use super::follow::{LogPrinter, exact_bytes, follow, unless_interrupted};
use super::runs::run;
use crate::args::runs::LogsArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::output::text::{clean, clean_lines};
use crate::output::time::parse_duration;
use crate::session::{Session, typed};
use crate::views::run::json;
use crate::views::run::logline::{LogLine, LogSplitter};

pub(crate) async fn logs(session: &Session, args: LogsArgs) -> Done {
    let is_workflow = !args.raw && session.get(&run(&args.run)).await?["kind"] == "workflow";
    let remark = format!("the run goes on; see it with slothctl logs -f {}", args.run);
    let remark = if args.follow { remark.as_str() } else { "" };
    if is_workflow {
        unless_interrupted(session, remark, of_workflow(session, &args)).await?;
    } else {
        if let Some(flag) = args.task.as_ref().map(|_| "--task").or(args.since.as_ref().map(|_| "--since")) {
            return Err(Failure::usage(format!(
                "{flag} is for the lines of workflows; this is the output of a command"
            )));
        }
        unless_interrupted(session, remark, of_command(session, &args)).await?;
    }
    Ok(0)
}

async fn of_command(session: &Session, args: &LogsArgs) -> Result<(), Failure> {
    let mut printer = LogPrinter::new(session, args.raw, args.timestamps);
    let mut offset = 0;
    if !args.follow || args.tail.is_some() {
        let mut chunk = |chunk: &LogChunk, raw: &Value| printer.chunk(chunk, raw);
        offset = past(session, args, args.stream.as_deref(), args.tail, &mut chunk).await?;
    }
    if args.follow {
        follow(session, &args.run, args.stream.as_deref(), offset, &mut printer).await?;
    }
    printer.finish()
}

/// Gives out what there is, and the offset of what comes.
async fn past(
    session: &Session,
    args: &LogsArgs,
    stream: Option<&str>,
    mut tail: Option<u64>,
    take: &mut dyn FnMut(&LogChunk, &Value) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut offset = 0;
    loop {
        let target = run(&args.run)
            .then("/logs")
            .with_some("stream", stream)
            .with_some("tail", tail)
            .with_some("offset", tail.is_none().then_some(offset));
        let answer = session.get(&target).await?;
        let page: LogPage = typed(&answer)?;
        for (chunk, raw) in page.chunks.iter().zip(answer["chunks"].as_array().into_iter().flatten()) {
            take(chunk, raw)?;
        }
        let said = page.chunks.iter().any(|chunk| chunk.stream == "note");
        if page.dropped_bytes > 0 && offset == 0 && !said {
            session.say(format!("{} bytes in the middle were not kept (output_limit)", page.dropped_bytes));
        }
        if page.next_offset <= offset || tail.take().is_some() {
            return Ok(page.next_offset);
        }
        offset = page.next_offset;
    }
}

/// Lines that pass the filters, and how they are printed.
struct Lines<'s> {
    session: &'s Session,
    args: &'s LogsArgs,
    since: Option<i64>,
    splitter: LogSplitter,
    /// With `--tail` and a filter: the last ones so far.
    last: Option<(usize, VecDeque<LogLine>)>,
}

async fn of_workflow(session: &Session, args: &LogsArgs) -> Result<(), Failure> {
    let since = args.since.as_deref().map(|text| moment(text, session.screen.clock.now)).transpose()?;
    let filtered = args.task.is_some() || args.stream.is_some() || since.is_some();
    let keep =
        args.tail.filter(|_| filtered).map(|tail| (usize::try_from(tail).unwrap_or(usize::MAX), VecDeque::new()));
    let mut lines = Lines { session, args, since, splitter: LogSplitter::default(), last: keep };
    let mut take = |chunk: &LogChunk, _: &Value| lines.chunk(chunk);
    let offset = past(session, args, None, args.tail.filter(|_| !filtered), &mut take).await?;
    lines.flush_last()?;
    if args.follow {
        let target = run(&args.run).then("/logs/stream");
        let mut messages = session.client.follow_logs(target.as_str(), offset);
        loop {
            let message = messages.next().await?;
            match message.event.as_str() {
                "log" => lines
                    .chunk(&serde_json::from_str(&message.data).map_err(|e| Failure::incompatible(e.to_string()))?)?,
                "end" => break,
                _ => {}
            }
        }
    }
    for line in lines.splitter.finish() {
        lines.show(&line)?;
    }
    Ok(())
}

impl Lines<'_> {
    fn chunk(&mut self, chunk: &LogChunk) -> Result<(), Failure> {
        if chunk.stream == "note" {
            self.session.say(format!("slothd: {}", chunk.text.trim_end()));
            return Ok(());
        }
        for line in self.splitter.take(&chunk.stream, &exact_bytes(chunk)) {
            let in_time = self.since.is_none_or(|since| line.ts == 0 || line.ts >= since);
            if !in_time || !line.is_wanted(self.args.task.as_deref(), self.args.stream.as_deref()) {
                continue;
            }
            match &mut self.last {
                Some((tail, last)) => {
                    last.push_back(line);
                    while last.len() > *tail {
                        last.pop_front();
                    }
                }
                None => self.show(&line)?,
            }
        }
        Ok(())
    }

    fn flush_last(&mut self) -> Result<(), Failure> {
        let (_, last) = self.last.take().unwrap_or_default();
        last.iter().try_for_each(|line| self.show(line))
    }

    fn show(&self, line: &LogLine) -> Result<(), Failure> {
        let screen = &self.session.screen;
        if screen.is_data() {
            return screen.stream(&json::log(line, &self.args.run), String::new);
        }
        let mut head = String::new();
        if self.args.timestamps && line.ts > 0 {
            let at = Timestamp::from_millisecond(line.ts).map(|at| at.to_string()).unwrap_or_default();
            head.push_str(&format!("{} {:<6} ", screen.clock.absolute(&at), clean(&line.stream)));
        }
        match &line.task {
            Some(task) if self.args.task.is_none() => head.push_str(&format!("{} | ", clean(task))),
            _ => {}
        }
        let text = line.text();
        let text = if screen.terminal { clean_lines(&text) } else { text };
        print(&text.split('\n').map(|part| format!("{head}{part}\n")).collect::<String>())
    }
}

/// `10m` ago, or a time, as milliseconds since 1970.
fn moment(text: &str, now: Timestamp) -> Result<i64, Failure> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now.as_millisecond() - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX / 2));
    }
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|_| Failure::usage(format!("--since {text}: write it as 10m or 2026-03-08T02:30:00Z")))
}
