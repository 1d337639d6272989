//! A plan for people: the graph, then `+ create`, `~ update`, `- destroy`, `= unchanged`, `? unknown` for each resource, then totals.

use serde_json::Value;

use super::graph::{self, States};
use crate::output::table::{Style, paint};
use crate::output::text::clean;

pub(crate) fn text(plan: &Value, color: bool) -> String {
    let diagnostics = plan["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = super::diagnostics::text(diagnostics, color);
    let workflows = graph::workflows(plan, None);
    if !workflows.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&graph::text(&workflows, &States::new(), "tree", color));
        out.push_str(&conditions(&workflows));
    }
    let resources = plan["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !resources.is_empty() {
        out.push('\n');
        resources.iter().for_each(|resource| out.push_str(&one(resource, color)));
    }
    if plan["totals"].is_object() {
        let count = |kind: &str| plan["totals"][kind].as_u64().unwrap_or(0);
        out.push_str(&format!(
            "\nplan: {} to create, {} to update, {} to destroy, {} unchanged, {} unknown\n",
            count("create"),
            count("update"),
            count("destroy"),
            count("unchanged"),
            count("unknown")
        ));
    }
    out
}

/// What is known of conditions before anything runs.
fn conditions(workflows: &[&Value]) -> String {
    let mut out = String::new();
    for workflow in workflows {
        for task in workflow["tasks"].as_array().into_iter().flatten() {
            let Some(condition) = task["condition"].as_str().filter(|text| !text.is_empty()) else {
                continue;
            };
            let known = match task["condition_value"].as_bool() {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown until run",
            };
            let name = task["name"].as_str().unwrap_or_default();
            out.push_str(&format!("  {}: \"{}\" is {known}\n", clean(name), clean(condition)));
        }
    }
    out
}

fn one(resource: &Value, color: bool) -> String {
    let said = |name: &str| clean(resource[name].as_str().unwrap_or_default()).into_owned();
    let action = said("action");
    let (sign, style) = match action.as_str() {
        "create" => ("+", Style::Good),
        "update" => ("~", Style::Busy),
        "destroy" => ("-", Style::Bad),
        "unchanged" => ("=", Style::Faint),
        _ => ("?", Style::Faint),
    };
    let mut out = format!("{} {}", paint(&format!("{sign} {action}"), style, color), said("id"));
    let value = |value: &Value| clean(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)).into_owned();
    for change in resource["changes"].as_array().into_iter().flatten() {
        let field = change["field"].as_str().unwrap_or_default();
        out.push_str(&format!(" {}: {} -> {}", clean(field), value(&change["old"]), value(&change["new"])));
    }
    if !said("message").is_empty() {
        out.push_str(&format!(" ({})", said("message")));
    }
    out.push('\n');
    out
}
