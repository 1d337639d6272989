//! As an indented list.

use serde_json::Value;

use super::{Node, States, nodes};
use crate::output::table::{Style, paint};
use crate::output::text::clean;

/// Longest part of a command that is shown.
const COMMAND_CHARS: usize = 60;

pub(super) fn tree(workflows: &[&Value], states: &States, color: bool) -> String {
    let mut out = String::new();
    for workflow in workflows {
        if !out.is_empty() {
            out.push('\n');
        }
        head(workflow, &mut out, color);
        let nodes = nodes(workflow, states);
        let stages = workflow["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
        for stage in stages {
            let name = stage["name"].as_str().unwrap_or_default();
            let when = stage["condition"].as_str().map(|text| format!("  when {}", clean(text))).unwrap_or_default();
            out.push_str(&format!("  stage {}{when}\n", paint(&clean(name), Style::Title, color)));
            nodes.iter().filter(|node| node.stage == name).for_each(|node| line(node, "    ", &mut out, color));
        }
        let outside = |node: &&Node<'_>| !stages.iter().any(|stage| stage["name"] == node.stage);
        nodes.iter().filter(outside).for_each(|node| line(node, "  ", &mut out, color));
    }
    out
}

fn head(workflow: &Value, out: &mut String, color: bool) {
    let said = |name: &str| clean(workflow[name].as_str().unwrap_or_default()).into_owned();
    let mut parts = vec![paint(&said("name"), Style::Title, color)];
    parts.extend([said("version"), said("description")].into_iter().filter(|part| !part.is_empty()));
    if workflow["manual"] == true {
        parts.push("(only when named)".to_owned());
    }
    out.push_str(&format!("{}\n", parts.join("  ")));
    let saga = &workflow["saga"];
    if let Some(participants) = saga["participants"].as_array() {
        let names: Vec<&str> = participants.iter().filter_map(Value::as_str).collect();
        let coordinator = saga["coordinator"].as_str().unwrap_or_default();
        out.push_str(&format!("  saga {}: {}\n", clean(coordinator), clean(&names.join(", "))));
    }
}

fn line(node: &Node<'_>, indent: &str, out: &mut String, color: bool) {
    let mut text = format!("{indent}{}", clean(node.name));
    if let Some(state) = node.state {
        text.push_str(&format!(" [{}]", paint(&clean(state), Style::of(state), color)));
    }
    let names = |hard: bool| -> Vec<&str> {
        node.edges.iter().filter(|(_, is_hard)| *is_hard == hard).map(|(name, _)| *name).collect()
    };
    if !names(true).is_empty() {
        text.push_str(&format!("  <- {}", clean(&names(true).join(", "))));
    }
    if !names(false).is_empty() {
        text.push_str(&format!("  after {}", clean(&names(false).join(", "))));
    }
    if !node.condition.is_empty() {
        text.push_str(&format!("  when {}", clean(node.condition)));
    }
    if node.saga {
        text.push_str("  saga");
    }
    if !node.command.is_empty() {
        let command = clean(node.command.lines().next().unwrap_or_default());
        let cut: String = command.chars().take(COMMAND_CHARS).collect();
        let more = if cut.len() < command.len() || node.command.lines().count() > 1 { " ..." } else { "" };
        text.push_str(&paint(&format!("  $ {cut}{more}"), Style::Faint, color));
    }
    out.push_str(text.trim_end());
    out.push('\n');
}
