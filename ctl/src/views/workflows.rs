//! Saved workflows, and tasks of files.

use serde_json::Value;

use crate::output::details::Details;
use crate::output::table::{Cell, Style, Table};
use crate::output::time::Clock;

/// `NAME SOURCE VERSION TASKS LAST STATUS`
pub(crate) fn list(rows: &[Value], clock: &Clock) -> Table {
    let mut table =
        Table::new(&["NAME", "SOURCE", "VERSION", ">TASKS", "LAST", "STATUS", "*DESCRIPTION", "*SHA256", "*UPDATED"]);
    for row in rows {
        let said = |key: &str| row[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let name = said("name").unwrap_or_default();
        let status = if row["active"] == false { Some("inactive".to_owned()) } else { said("status") };
        let time = |key: &str| said(key).map_or_else(Cell::none, |at| Cell::pair(clock.absolute(&at), at));
        let cells = vec![
            Cell::new(&name),
            Cell::some(said("source")),
            Cell::some(said("version").or_else(|| row["version"].as_u64().map(|version| version.to_string()))),
            Cell::some(row["tasks"].as_u64().map(|tasks| tasks.to_string())),
            time("last_at"),
            Cell::some(status.clone()).styled(status.as_deref().map_or(Style::Faint, Style::of)),
            Cell::some(said("description")),
            Cell::some(said("sha256")),
            time("updated_at"),
        ];
        table.push(&name, cells);
    }
    table
}

/// `TASK WORKFLOW STAGE NEEDS DESCRIPTION`
pub(crate) fn tasks(rows: &[Value]) -> Table {
    let mut table = Table::new(&["TASK", "WORKFLOW", "STAGE", "NEEDS", "DESCRIPTION", "*KIND", "*FILE"]);
    for row in rows {
        let said = |key: &str| row[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let needs: Vec<&str> = row["depends_on"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let name = said("name").unwrap_or_default();
        let cells = vec![
            Cell::new(&name),
            Cell::some(said("workflow")),
            Cell::some(said("stage")),
            Cell::some((!needs.is_empty()).then(|| needs.join(", "))),
            Cell::some(said("description")),
            Cell::some(said("kind")),
            Cell::some(said("file")),
        ];
        table.push(&name, cells);
    }
    table
}

/// One saved workflow.
pub(crate) fn show(saved: &Value, clock: &Clock, out: &mut Details) {
    let said = |key: &str| saved[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    out.some("name", said("name"));
    out.some("description", said("description"));
    out.some("active", saved["active"].as_bool().map(|active| if active { "yes" } else { "no" }));
    out.some("version", said("version").or_else(|| saved["version"].as_u64().map(|version| version.to_string())));
    out.some("sha256", said("sha256"));
    for (name, key) in [("created", "created_at"), ("updated", "updated_at"), ("last run", "last_at")] {
        out.some(name, said(key).map(|at| clock.absolute(&at)));
    }
    out.some("its status", said("status"));
    out.some("owner", said("owner"));
    for name in saved["bundle"]["files"].as_object().into_iter().flatten().map(|(name, _)| name) {
        out.field("file", name);
    }
}
