//! As text for mermaid and graphviz.

use serde_json::Value;

use super::{Node, States, nodes};
use crate::output::text::clean;

pub(super) fn mermaid(workflows: &[&Value], states: &States) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (number, workflow) in workflows.iter().enumerate() {
        let nodes = nodes(workflow, states);
        let id = |name: &str| id(&nodes, number, name);
        out.push_str(&format!("  subgraph w{number}[\"{}\"]\n", entity(workflow["name"].as_str().unwrap_or_default())));
        for node in &nodes {
            let class = node.state.map(|state| format!(":::{}", word(state))).unwrap_or_default();
            out.push_str(&format!("    {}[\"{}\"]{class}\n", id(node.name).unwrap_or_default(), entity(node.name)));
        }
        for node in &nodes {
            for (from, hard) in &node.edges {
                if let (Some(from), Some(to)) = (id(from), id(node.name)) {
                    let label = if node.condition.is_empty() || *hard {
                        String::new()
                    } else {
                        format!("|\"{}\"|", entity(node.condition))
                    };
                    out.push_str(&format!("    {from} {}{label} {to}\n", if *hard { "-->" } else { "-.->" }));
                }
            }
        }
        out.push_str("  end\n");
    }
    for (state, color) in COLORS {
        if states.values().any(|other| other == state) {
            out.push_str(&format!("  classDef {state} fill:{color}\n"));
        }
    }
    out
}

pub(super) fn dot(workflows: &[&Value], states: &States) -> String {
    let mut out =
        "digraph workflows {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];\n"
            .to_owned();
    for (number, workflow) in workflows.iter().enumerate() {
        let nodes = nodes(workflow, states);
        let id = |name: &str| id(&nodes, number, name);
        let name = escaped(workflow["name"].as_str().unwrap_or_default());
        out.push_str(&format!("  subgraph cluster_{number} {{\n    label=\"{name}\";\n"));
        for node in &nodes {
            let fill = node.state.and_then(color).map(|color| format!(", fillcolor=\"{color}\"")).unwrap_or_default();
            let when =
                if node.condition.is_empty() { String::new() } else { format!("\\nwhen {}", escaped(node.condition)) };
            let id = id(node.name).unwrap_or_default();
            out.push_str(&format!("    {id} [label=\"{}{when}\"{fill}];\n", escaped(node.name)));
        }
        for node in &nodes {
            for (from, hard) in &node.edges {
                if let (Some(from), Some(to)) = (id(from), id(node.name)) {
                    out.push_str(&format!("    {from} -> {to}{};\n", if *hard { "" } else { " [style=dashed]" }));
                }
            }
        }
        out.push_str("  }\n");
    }
    out + "}\n"
}

const COLORS: &[(&str, &str)] = &[
    ("completed", "#c8e6c9"),
    ("unchanged", "#e8f5e9"),
    ("failed", "#ffcdd2"),
    ("skipped", "#eeeeee"),
    ("cancelled", "#ffe0b2"),
    ("running", "#bbdefb"),
    ("waiting", "#bbdefb"),
];

/// Fill of a state.
pub(super) fn color(state: &str) -> Option<&'static str> {
    COLORS.iter().find(|(name, _)| *name == state).map(|(_, color)| *color)
}

/// A node by its place: names may hold anything.
fn id(nodes: &[Node<'_>], workflow: usize, name: &str) -> Option<String> {
    nodes.iter().position(|node| node.name == name).map(|at| format!("t{workflow}_{at}"))
}

fn word(state: &str) -> String {
    state.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn escaped(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn entity(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
