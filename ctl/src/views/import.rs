//! What became of each line of an import.

use sloth_api::{ImportLine, ImportReport};

use crate::output::details::Details;

pub(crate) fn report(report: &ImportReport, out: &mut Details) {
    for line in report.lines.iter().filter(|line| is_told(line)) {
        let place = if line.line == 0 { line.source.clone() } else { format!("{}:{}", line.source, line.line) };
        let name = line.schedule.as_deref().map_or(String::new(), |name| format!(" {name}"));
        out.line(format!("{place}: {}{name}", outcome(&line.outcome, report.dry_run)));
        let text = line.text.trim();
        if !text.is_empty() {
            out.block(text);
        }
        line.notes.iter().for_each(|note| out.block(&format!("- {note}")));
    }
    let verb = if report.dry_run { "would be made" } else { "made" };
    let nothing = if report.dry_run { "; nothing was stored" } else { "" };
    out.line(format!("{} {verb}, {} refused{nothing}", report.made, report.refused));
}

/// Comments and empty lines are not worth a word.
fn is_told(line: &ImportLine) -> bool {
    line.outcome != "ignored" || !line.notes.is_empty()
}

fn outcome(outcome: &str, dry_run: bool) -> &str {
    match outcome {
        "made" if dry_run => "would make",
        "updated" if dry_run => "would update",
        other => other,
    }
}
