//! As a picture: a task stands in the column behind everything that it waits for.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::drawing::color;
use super::{Node, States, nodes};
use crate::output::text::clean;

/// Height of a row and distance of columns, pixels.
const ROW: usize = 44;
const GAP: usize = 60;
/// Width of a letter of the font that is named below.
const LETTER: usize = 8;

pub(super) fn svg(workflows: &[&Value], states: &States) -> String {
    let mut body = String::new();
    let (mut width, mut top) = (200, 20);
    for workflow in workflows {
        let nodes = nodes(workflow, states);
        let title = entity(workflow["name"].as_str().unwrap_or_default());
        put(&mut body, format_args!("<text x=\"20\" y=\"{}\" font-weight=\"bold\">{title}</text>\n", top + 4));
        let (right, bottom) = one(&nodes, top + 20, &mut body);
        width = width.max(right);
        top = bottom + 30;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{top}\" font-family=\"monospace\" font-size=\"13\">\n{body}</svg>\n",
        width + 20
    )
}

struct Place {
    x: usize,
    y: usize,
    width: usize,
}

fn one(nodes: &[Node<'_>], top: usize, body: &mut String) -> (usize, usize) {
    let columns = columns(nodes);
    let width_of = |node: &Node<'_>| clean(node.name).width() * LETTER + 20;
    let count = columns.iter().max().map_or(0, |last| last + 1);
    let mut left = 20;
    let mut places: BTreeMap<&str, Place> = BTreeMap::new();
    let mut rows = 0;
    for column in 0..count {
        let members: Vec<&Node<'_>> =
            nodes.iter().zip(&columns).filter(|(_, at)| **at == column).map(|(n, _)| n).collect();
        let widest = members.iter().map(|node| width_of(node)).max().unwrap_or(0);
        for (row, node) in members.iter().enumerate() {
            places.insert(node.name, Place { x: left, y: top + row * ROW, width: width_of(node) });
        }
        rows = rows.max(members.len());
        left += widest + GAP;
    }
    for node in nodes {
        let Some(to) = places.get(node.name) else { continue };
        for (from, hard) in &node.edges {
            let Some(from) = places.get(from) else { continue };
            let (x1, y1, x2, y2) = (from.x + from.width, from.y + 15, to.x, to.y + 15);
            let middle = x1.midpoint(x2);
            let dash = if *hard { "" } else { " stroke-dasharray=\"4\"" };
            put(
                body,
                format_args!(
                    "<path d=\"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}\" fill=\"none\" stroke=\"#777\"{dash}/>\n"
                ),
            );
        }
        let fill = node.state.and_then(color).unwrap_or("#ffffff");
        let (x, y, width) = (to.x, to.y, to.width);
        put(
            body,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"30\" rx=\"6\" fill=\"{fill}\" stroke=\"#333\"/>\n"
            ),
        );
        put(body, format_args!("<text x=\"{}\" y=\"{}\">{}</text>\n", x + 10, y + 20, entity(node.name)));
    }
    (left.saturating_sub(GAP), top + rows * ROW)
}

/// How many tasks lie before each on its longest path. A circle ends after as many rounds as there are tasks.
fn columns(nodes: &[Node<'_>]) -> Vec<usize> {
    let at: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.name, at)).collect();
    let mut columns = vec![0; nodes.len()];
    for _ in 0..nodes.len() {
        let mut moved = false;
        for (index, node) in nodes.iter().enumerate() {
            let before = node.edges.iter().filter_map(|(name, _)| at.get(name)).map(|from| columns[*from] + 1).max();
            let wanted = before.unwrap_or(0).min(nodes.len().saturating_sub(1));
            if wanted > columns[index] {
                columns[index] = wanted;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    columns
}

fn put(into: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = into.write_fmt(text); // a String takes everything
}

fn entity(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
