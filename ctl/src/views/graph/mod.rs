//! The graph of a workflow for people and for other programs, with the states of a run where there is one.

use std::collections::BTreeMap;

use serde_json::Value;

mod drawing;
mod svg;
mod tree;

/// States of tasks by name.
pub(crate) type States = BTreeMap<String, String>;

/// A task of the graph, as the formats need it.
struct Node<'g> {
    name: &'g str,
    command: &'g str,
    condition: &'g str,
    stage: &'g str,
    saga: bool,
    /// Names that it waits for, and whether they must succeed.
    edges: Vec<(&'g str, bool)>,
    state: Option<&'g str>,
}

/// The states of tasks from `GET /runs/{id}/tasks` or a summary.
pub(crate) fn states(tasks: &[Value]) -> States {
    let of = |task: &Value| {
        let status = task["status"].as_str()?;
        let unchanged = status == "completed" && task["changed"] == false;
        Some((task["name"].as_str()?.to_owned(), if unchanged { "unchanged" } else { status }.to_owned()))
    };
    tasks.iter().filter_map(of).collect()
}

/// The workflows of a graph, of this name where one is wanted.
pub(crate) fn workflows<'g>(graph: &'g Value, name: Option<&str>) -> Vec<&'g Value> {
    let all = graph["workflows"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|workflow| name.is_none_or(|name| workflow["name"] == name)).collect()
}

/// In one of the formats `tree mermaid dot svg`.
pub(crate) fn text(workflows: &[&Value], states: &States, format: &str, color: bool) -> String {
    match format {
        "mermaid" => drawing::mermaid(workflows, states),
        "dot" => drawing::dot(workflows, states),
        "svg" => svg::svg(workflows, states),
        _ => tree::tree(workflows, states, color),
    }
}

fn nodes<'g>(workflow: &'g Value, states: &'g States) -> Vec<Node<'g>> {
    let tasks = workflow["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    tasks.iter().map(|task| node(task, states)).collect()
}

fn node<'g>(task: &'g Value, states: &'g States) -> Node<'g> {
    let said = |name: &str| task[name].as_str().unwrap_or_default();
    let names =
        |key: &str| -> Vec<&'g str> { task[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let hard = names("depends_on");
    let soft: Vec<(&str, bool)> =
        names("after").into_iter().filter(|name| !hard.contains(name)).map(|name| (name, false)).collect();
    let edges = hard.into_iter().map(|name| (name, true)).chain(soft).collect();
    Node {
        name: said("name"),
        command: said("command"),
        condition: said("condition"),
        stage: said("stage"),
        saga: task["saga"] == true,
        edges,
        state: states.get(said("name")).map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({"workflows": [{"name": "site \"x\"", "description": "Publish\u{1b}[2J the site", "version": "1.4.0", "tags": ["web"],
            "manual": false, "stages": [{"name": "prepare", "condition": null, "tasks": ["fetch", "verify"]}, {"name": "push",
            "condition": "prepare.success", "tasks": ["ship", "tell"]}],
            "saga": {"coordinator": "order", "participants": ["ship"]},
            "tasks": [
            {"name": "fetch", "kind": "shell", "command": "curl -fsS https://x/ > a", "stage": "prepare", "depends_on": [], "after": []},
            {"name": "verify", "kind": "function", "stage": "prepare", "depends_on": ["fetch"], "after": [], "retries": 2},
            {"name": "ship", "kind": "argv", "command": "ship it", "stage": "push", "depends_on": ["verify"], "after": [], "saga": true},
            {"name": "tell", "kind": "function", "stage": "push", "condition": "ship.failed", "depends_on": [], "after": ["ship"]}]}]})
    }

    #[test]
    fn every_format_shows_the_same_graph() {
        let graph = sample();
        let all = workflows(&graph, None);
        let none = States::new();
        let states = states(&[
            json!({"name": "fetch", "status": "completed", "changed": false}),
            json!({"name": "ship", "status": "failed"}),
        ]);
        for format in ["tree", "mermaid", "dot", "svg"] {
            let text = text(&all, if format == "tree" { &none } else { &states }, format, false);
            assert!(!text.contains('\u{1b}'), "{format}");
            insta::assert_snapshot!(format!("graph_{format}"), text);
        }
        insta::assert_snapshot!("graph_states", text(&all, &states, "tree", false));
        assert!(workflows(&graph, Some("other")).is_empty());
    }

    #[test]
    fn a_circle_is_drawn_too() {
        let graph = json!({"workflows": [{"name": "w", "tasks": [{"name": "a", "depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}]}]});
        for format in ["tree", "mermaid", "dot", "svg"] {
            assert!(text(&workflows(&graph, None), &States::new(), format, false).contains('b'));
        }
    }
}
