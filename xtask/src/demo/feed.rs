//! The event feed of slothd, retold one line per thing that happens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;

use super::screen::{Ink, Screen};
use crate::instance::Instance;
use crate::interrupt;

/// A run that is shorter is told in one line.
const SHORT: Duration = Duration::from_millis(300);
/// Events that wait to be told.
const WAITING_MAX: usize = 10_000;

/// `slothctl events tail -f` and its retelling.
pub struct Feed {
    tail: Child,
    lines: Receiver<String>,
    screen: Screen,
    /// Second of the day at which the demo began.
    zero: f64,
    /// Runs whose start has not been told: run id → when it came, when it was, schedule.
    starts: BTreeMap<String, (Instant, f64, String)>,
    /// Runs whose start has been told.
    told: Vec<String>,
}

impl Feed {
    pub fn open(instance: &Instance, screen: Screen) -> Result<Feed> {
        let mut tail = instance
            .ctl()
            .args(["events", "tail", "-f", "-n", "0", "-o", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run slothctl events tail")?;
        let output = tail.stdout.take().context("slothctl has no standard output")?;
        let (sender, lines) = sync_channel(WAITING_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Feed { tail, lines, screen, zero: now_of_day(), starts: BTreeMap::new(), told: Vec::new() })
    }

    /// Tells what happens for so long.
    pub fn follow(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            interrupt::check()?;
            match self.lines.recv_timeout(Duration::from_millis(40)) {
                Ok(line) => {
                    if let Ok(event) = serde_json::from_str(&line) {
                        self.tell(&event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(40)),
            }
            self.tell_starts();
        }
        Ok(())
    }

    /// Seconds since the demo began, of a time in RFC 3339.
    fn at(&self, event: &Value) -> f64 {
        let second = second_of_day(event["timestamp"].as_str().unwrap_or_default());
        (second - self.zero).rem_euclid(86_400.0)
    }

    fn tell(&mut self, event: &Value) {
        let at = self.at(event);
        let kind = event["type"].as_str().unwrap_or_default();
        let run = event["run_id"].as_str().unwrap_or_default().to_owned();
        let data = &event["data"];
        let name = ["schedule", "schedule_name"].iter().find_map(|key| data[*key].as_str()).unwrap_or("slothd");
        let told = self.told.contains(&run);
        match kind {
            "run.started" => {
                self.starts.insert(run, (Instant::now(), at, name.to_owned()));
                return;
            }
            "run.completed" | "run.failed" | "run.cancelled" => {
                self.starts.remove(&run);
            }
            _ => {}
        }
        if let Some((text, ink)) = line(kind, event, told) {
            if kind == "task.retrying" {
                // Its start needs no line of its own any more.
                self.starts.remove(&run);
                self.told.push(run);
            }
            self.screen.event(at, name, &text, ink);
        }
    }

    /// Runs that have become long enough to be worth a line.
    fn tell_starts(&mut self) {
        let due: Vec<String> =
            self.starts.iter().filter(|(_, (came, ..))| came.elapsed() > SHORT).map(|(run, _)| run.clone()).collect();
        for run in due {
            if let Some((_, at, name)) = self.starts.remove(&run) {
                self.screen.event(at, &name, "started", Ink::Plain);
                self.told.push(run);
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.tail.kill();
        let _ = self.tail.wait();
    }
}

fn line(kind: &str, event: &Value, told: bool) -> Option<(String, Ink)> {
    let data = &event["data"];
    let message = event["message"].as_str().unwrap_or_default();
    let took = data["duration"].as_f64().map_or(String::new(), |s| match s {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s => format!("{s:.1} s"),
    });
    let attempt = data["attempt"].as_u64().unwrap_or(1);
    let said = match (kind, data["reason"].as_str()) {
        ("run.completed", _) if attempt > 1 => {
            (format!("attempt {attempt} succeeded, {took} after the first began"), Ink::Good)
        }
        ("run.completed", _) if told => (format!("finished after {took}"), Ink::Good),
        ("run.completed", _) => (format!("ran, {took}"), Ink::Good),
        ("run.failed", _) => (message.to_owned(), Ink::Bad),
        ("run.cancelled", _) => ("cancelled".to_owned(), Ink::Busy),
        ("task.retrying", _) => {
            let error = data["error"].as_str().unwrap_or("failed");
            let delay = data["delay"].as_f64().unwrap_or_default();
            (format!("attempt {attempt} failed ({error}); the next one in {delay:.0} s"), Ink::Busy)
        }
        ("schedule.skipped", Some("overlap")) => {
            ("due again, but its last run is still going: skipped, and written down".to_owned(), Ink::Busy)
        }
        ("schedule.skipped", _) => (message.to_owned(), Ink::Busy),
        ("schedule.missed", _) => {
            let count = data["count"].as_u64().unwrap_or(1);
            let were = if count == 1 { "instant was" } else { "instants were" };
            (format!("{count} {were} missed while slothd was dead: written down"), Ink::Busy)
        }
        ("system.startup", _) if message.contains("new database") => return None,
        ("system.startup", _) => (message.trim_start_matches("slothd ").to_owned(), Ink::Bold),
        ("system.error" | "system.warning" | "system.critical", _) => (message.to_owned(), Ink::Bad),
        _ => return None,
    };
    Some(said)
}

fn now_of_day() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() % 86_400.0
}

fn second_of_day(time: &str) -> f64 {
    let clock = time.get(11..).unwrap_or_default().trim_end_matches('Z');
    clock.split(':').filter_map(|part| part.parse::<f64>().ok()).fold(0.0, |sum, part| sum * 60.0 + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds() {
        assert_eq!(second_of_day("2031-03-09T01:02:03.500Z"), 3723.5);
    }

    #[test]
    fn a_retry_is_told_in_one_line() {
        let data = serde_json::json!({ "attempt": 1, "error": "exit code 1", "delay": 2.0 });
        let said = line("task.retrying", &serde_json::json!({ "data": data, "message": "m" }), false);
        assert_eq!(said, Some(("attempt 1 failed (exit code 1); the next one in 2 s".to_owned(), Ink::Busy)));
    }
}
