//! Dependencies between crates follow the table of who may know whom, also behind features and in tests.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::File;
use super::finding::Finding;
use super::knowledge::{CORE, CORE_LIBRARIES, CRATES, HEAVY, Row, TEST_LIBRARIES, Uses};
use crate::workspace;

/// One dependency as a manifest states it.
#[derive(Debug, Clone)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// Whether `to` is a crate of this workspace.
    pub internal: bool,
    /// Whether only tests have it.
    pub dev: bool,
    pub manifest: String,
    pub line: usize,
}

/// The members of the workspace with their manifests, and what they depend on.
#[derive(Debug, Default)]
pub struct Graph {
    pub members: Vec<(String, String)>,
    pub edges: Vec<Edge>,
}

/// Asks cargo, which needs no network for this.
pub fn load(root: &Path, files: &[File]) -> Result<Graph> {
    let output = workspace::cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    graph(root, &metadata, files)
}

fn graph(root: &Path, metadata: &Value, files: &[File]) -> Result<Graph> {
    let mut graph = Graph::default();
    for package in list(metadata, "packages")? {
        let from = text(package, "name")?;
        let manifest = Path::new(text(package, "manifest_path")?);
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest).display().to_string();
        graph.members.push((from.to_owned(), manifest.clone()));
        for dependency in list(package, "dependencies")? {
            let to = text(dependency, "name")?;
            let key = dependency["rename"].as_str().unwrap_or(to);
            graph.edges.push(Edge {
                from: from.to_owned(),
                to: to.to_owned(),
                internal: dependency["path"].is_string(),
                dev: dependency["kind"] == "dev",
                line: line_of(files, &manifest, key),
                manifest: manifest.clone(),
            });
        }
    }
    Ok(graph)
}

pub fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, manifest) in &graph.members {
        if row(name).is_none() {
            let what = format!("{name} is not in the table of who may know whom");
            let remedy = "give it a row in xtask/src/tidy/knowledge.rs and in the architecture";
            findings.push(Finding::error(manifest, 1, what, remedy));
        }
    }
    findings.extend(graph.edges.iter().filter_map(|edge| if edge.internal { inside(edge) } else { outside(edge) }));
    findings
}

/// An edge between two crates of the workspace; tests follow the same table, so that no layer leans on an upper one.
fn inside(edge: &Edge) -> Option<Finding> {
    let Row { may_use: Uses::Only(allowed), .. } = row(&edge.from)? else {
        return None;
    };
    if allowed.contains(&edge.to.as_str()) {
        return None;
    }
    let allowed = if allowed.is_empty() { "no other crate of the workspace".to_owned() } else { allowed.join(", ") };
    let remedy = format!(
        "{} may use {allowed}: pass what is needed as an argument or a port; tests of several crates live in tests/",
        edge.from
    );
    Some(edge.finding(remedy))
}

/// An edge to a library from elsewhere.
fn outside(edge: &Edge) -> Option<Finding> {
    let Row { may_use: Uses::Only(_), .. } = row(&edge.from)? else {
        return None;
    };
    let to = edge.to.as_str();
    if edge.dev && TEST_LIBRARIES.contains(&to) {
        return None;
    }
    if edge.from == CORE {
        let remedy = format!("the core is pure and may use {}", CORE_LIBRARIES.join(", "));
        return (!CORE_LIBRARIES.contains(&to)).then(|| edge.finding(remedy));
    }
    let heavy = HEAVY.iter().find(|heavy| heavy.names.contains(&to))?;
    if heavy.homes.contains(&edge.from.as_str()) {
        return None;
    }
    let remedy = match heavy.homes {
        [] => format!("{to} has no home here: use what the workspace has"),
        homes => format!("{to} is used in {} only: put the code there", homes.join(", ")),
    };
    Some(edge.finding(remedy))
}

impl Edge {
    fn finding(&self, remedy: String) -> Finding {
        let kind = if self.dev { " in tests" } else { "" };
        Finding::error(&self.manifest, self.line, format!("{} must not use {}{kind}", self.from, self.to), remedy)
    }
}

fn row(name: &str) -> Option<&'static Row> {
    CRATES.iter().find(|row| row.name == name)
}

/// The line of a manifest that states a dependency, 1 if it is written in a way this does not know.
fn line_of(files: &[File], manifest: &str, key: &str) -> usize {
    let states = |line: &str| {
        let line = line.trim_start();
        let rest =
            line.strip_prefix(key).or_else(|| line.rsplit_once(&format!("dependencies.{key}")).map(|(_, rest)| rest));
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=', ']']))
    };
    let file = files.iter().find(|file| file.path == manifest);
    file.and_then(|file| file.text.lines().position(states)).map_or(1, |at| at + 1)
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tidy::finding::brief;

    fn edge(from: &str, to: &str, dev: bool) -> Edge {
        let internal = row(to).is_some();
        Edge { from: from.to_owned(), to: to.to_owned(), internal, dev, manifest: "m".to_owned(), line: 1 }
    }

    fn is_refused(from: &str, to: &str, dev: bool) -> bool {
        let graph = Graph { members: Vec::new(), edges: vec![edge(from, to, dev)] };
        !check(&graph).is_empty()
    }

    #[test]
    fn layers_know_only_what_is_listed() {
        assert!(!is_refused("sloth-store", "sloth-core", false));
        assert!(is_refused("sloth-core", "sloth-store", false));
        assert!(is_refused("slothctl", "sloth-core", false));
        assert!(is_refused("slothd", "sloth-lua", false));
        assert!(!is_refused("sloth-tests", "sloth-store", false));
        assert!(is_refused("slothd", "sloth-tests", false));
    }

    #[test]
    fn tests_keep_to_the_layers_too() {
        assert!(is_refused("sloth-core", "sloth-engine", true));
        assert!(!is_refused("sloth-core", "proptest", true));
        assert!(!is_refused("sloth-core", "serde_json", true));
        assert!(is_refused("sloth-core", "serde", false));
        assert!(is_refused("sloth-store", "tokio", true));
    }

    #[test]
    fn heavy_libraries_have_homes() {
        assert!(!is_refused("sloth-store", "rusqlite", false));
        assert!(is_refused("sloth-engine", "rusqlite", false));
        assert!(is_refused("sloth-exec", "clap", false));
        assert!(is_refused("sloth-doors", "reqwest", false));
        assert!(!is_refused("xtask", "rusqlite", false));
        assert!(!is_refused("sloth-doors", "comfy-table", false));
    }

    #[test]
    fn every_named_crate_has_a_row() {
        let uses = CRATES.iter().filter_map(|row| match row.may_use {
            Uses::Only(names) => Some(names),
            Uses::Anything => None,
        });
        for name in uses.chain(HEAVY.iter().map(|heavy| heavy.homes)).flatten() {
            assert!(row(name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_unknown_crate_needs_a_row() {
        let graph = Graph { members: vec![("sloth-new".to_owned(), "new/Cargo.toml".to_owned())], edges: Vec::new() };
        let expected = ["new/Cargo.toml:1 sloth-new is not in the table of who may know whom"];
        assert_eq!(brief(&check(&graph)), expected);
    }

    #[test]
    fn findings_point_into_the_manifest() {
        let manifest =
            "[package]\nname = \"sloth-core\"\n\n[dependencies]\ntokio-stream = \"1\"\ntokio.workspace = true\n";
        let files = [File { path: "daemon/core/Cargo.toml".to_owned(), text: manifest.to_owned() }];
        let metadata = json!({ "packages": [{
            "name": "sloth-core",
            "manifest_path": "/w/daemon/core/Cargo.toml",
            "dependencies": [{ "name": "tokio", "kind": null, "rename": null }],
        }]});
        let graph = graph(Path::new("/w"), &metadata, &files).expect("good metadata");
        assert_eq!(brief(&check(&graph)), ["daemon/core/Cargo.toml:6 sloth-core must not use tokio"]);
    }
}
