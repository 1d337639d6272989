//! Figures in the text form of Prometheus (exposition format 0.0.4).

use std::fmt::Write;

use sloth_api::StatusView;

pub(crate) fn text(status: &StatusView) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: f64| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    };
    gauge("slothd_schedules", "Schedules, paused included.", status.schedules as f64);
    gauge("slothd_runs_running", "Runs going.", status.running as f64);
    gauge("slothd_runs_queued", "Runs waiting.", status.queued as f64);
    gauge("slothd_database_bytes", "Size of the database.", status.database_bytes as f64);
    gauge("slothd_resident_memory_bytes", "Resident memory of slothd.", status.rss_bytes as f64);
    gauge("slothd_uptime_seconds", "Since the start.", status.uptime_ms as f64 / 1000.0);
    gauge("slothd_storage_blocked", "1 while nothing can be written.", f64::from(status.state == "storage_blocked"));
    let name = "slothd_instants_not_run_total";
    let _ =
        writeln!(out, "# HELP {name} Due instants without a run since the start, by reason.\n# TYPE {name} counter");
    for (reason, count) in &status.skipped {
        let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {count}");
    }
    let name = "slothd_start_lateness_seconds";
    let _ = writeln!(out, "# HELP {name} From due to the order to the executor.\n# TYPE {name} histogram");
    let mut sum = 0;
    for (bound, count) in &status.lateness.buckets {
        sum += count;
        let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {sum}", bound / 1000.0);
    }
    let _ =
        writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {}\n{name}_count {}", status.lateness.count, status.lateness.count);
    out
}
