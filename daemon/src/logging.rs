//! Logs: to the journal with fields, or to standard error.

use std::os::linux::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::settings::Settings;

/// Changes the level while running.
#[derive(Clone)]
pub struct Level {
    handle: reload::Handle<LevelFilter, Registry>,
    present: Arc<Mutex<String>>,
    /// `journal` or `stderr`.
    pub target: &'static str,
}

impl Level {
    /// From now on.
    pub fn set(&self, level: &str) {
        let _ = self.handle.reload(filter(level));
        level.clone_into(&mut self.present.lock().unwrap_or_else(|e| e.into_inner()));
    }

    /// The one in force.
    pub fn present(&self) -> String {
        self.present.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

fn filter(level: &str) -> LevelFilter {
    level.parse().unwrap_or(LevelFilter::INFO)
}

/// Whether the standard error is the stream of the journal that systemd names in `JOURNAL_STREAM`. The variable alone says little:
/// a terminal that a service opened passes it on to everybody (systemd.exec(5)).
fn under_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|meta| stream == format!("{}:{}", meta.st_dev(), meta.st_ino()))
}

/// Says why the daemon cannot start or go on, where logging may not be set up: on standard error, and under systemd with the
/// priority of an error (sd-daemon(3)).
pub fn fatal(problem: &str) {
    let mark = if under_journal() { "<3>" } else { "" };
    for line in problem.lines() {
        eprintln!("{mark}slothd: {line}");
    }
}

/// What happens every day is information; the journal's "notice" is for what somebody should see.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

/// Sets logging up. Once.
pub fn start(settings: &Settings) -> Level {
    let (level, handle) = reload::Layer::new(filter(&settings.log_level));
    let journal = match settings.log_target.as_str() {
        "journal" => true,
        "stderr" => false,
        _ => under_journal(),
    };
    let native = if journal { tracing_journald::layer().ok() } else { None };
    let target = if native.is_some() { "journal" } else { "stderr" };
    let out = match native {
        Some(native) => {
            let native = native.with_field_prefix(None).with_priority_mappings(priorities());
            native.with_syslog_identifier("slothd".to_owned()).boxed()
        }
        None => fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
    };
    // What the clockwork says of itself at each start is of no use to anybody.
    let quiet = tracing_subscriber::filter::filter_fn(|meta| {
        !meta.target().starts_with("tokio_cron_scheduler") || *meta.level() <= tracing::Level::WARN
    });
    let out = out.with_filter(quiet);
    // A second subscriber in one process is a mistake of tests only.
    let _ = tracing_subscriber::registry().with(level).with(out).try_init();
    Level { handle, present: Arc::new(Mutex::new(settings.log_level.clone())), target }
}
