//! What became of each line of an import.

use sloth_api::{ImportLine, ImportReport};

use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};

pub(crate) fn report(report: &ImportReport, out: &mut Details) {
    let told: Vec<&ImportLine> = report.lines.iter().filter(|line| is_told(line)).collect();
    if !told.is_empty() {
        let mut table = Table::new(&["LINE", "OUTCOME", "SCHEDULE", "TEXT"]);
        for line in &told {
            let place = if line.line == 0 {
                line.source.clone()
            } else {
                format!("{}:{}", line.source, line.line)
            };
            let outcome = outcome(&line.outcome, report.dry_run);
            let cells = vec![
                Cell::new(place),
                Cell::new(outcome).styled(Style::of(&line.outcome)),
                Cell::some(line.schedule.clone()),
                Cell::new(line.text.trim()),
            ];
            table.push("", cells);
            for note in &line.notes {
                table.push(
                    "",
                    vec![
                        Cell::new(""),
                        Cell::new(""),
                        Cell::new(""),
                        Cell::new(format!("- {note}")),
                    ],
                );
            }
        }
        out.table(table);
    }
    let verb = if report.dry_run { "would be made" } else { "made" };
    let nothing = if report.dry_run { "; nothing was stored" } else { "" };
    out.line(format!("{} {verb}, {} refused{nothing}", report.made, report.refused));
}

/// Comments and empty lines are not worth a row.
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
