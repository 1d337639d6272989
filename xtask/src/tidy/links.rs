//! Links between the pages of the project lead somewhere.

use std::collections::BTreeSet;

use super::File;
use super::finding::Finding;

/// Checks the links of one Markdown file against the paths of all files.
pub fn check(file: &File, paths: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(&without_code(line)) {
            let Some(path) = internal(&file.path, &target).filter(|path| !exists(path, paths)) else {
                continue;
            };
            let what = format!("link to `{target}`: there is no {path}");
            findings.push(Finding::error(&file.path, at + 1, what, "correct the link or add the file"));
        }
    }
    findings
}

/// The targets of `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        targets.extend(rest.split([')', ' ']).next().map(str::to_owned));
    }
    if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        targets.extend(target.split_whitespace().next().map(str::to_owned));
    }
    targets
}

/// The line without what stands between back-ticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The path in the project to which `target` leads from the page `from`, unless it leads outside or stays on the page.
fn internal(from: &str, target: &str) -> Option<String> {
    let target = target.trim_matches(['<', '>']).split('#').next()?;
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let start = match (target.starts_with('/'), from.rsplit_once('/')) {
        (false, Some((directory, _))) => format!("{directory}/{target}"),
        _ => target.to_owned(),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether there is such a file, or a directory with files in it.
fn exists(path: &str, paths: &BTreeSet<&str>) -> bool {
    let directory = format!("{path}/");
    path.is_empty()
        || paths.contains(path)
        || paths.range(directory.as_str()..).next().is_some_and(|next| next.starts_with(&directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    fn found(path: &str, text: &str) -> Vec<String> {
        let paths = BTreeSet::from(["README.md", "docs/a.md", "docs/b/c.md", "docs/b.md"]);
        brief(&check(&File { path: path.to_owned(), text: text.to_owned() }, &paths))
    }

    #[test]
    fn links_lead_to_files_and_directories() {
        let good =
            "[a](docs/a.md) [b](docs/b.md#part) [c](docs/b/) [d](/docs/a.md \"title\") [e](#here)\n[f]: docs/a.md\n";
        assert!(found("README.md", good).is_empty());
        assert!(found("docs/a.md", "[r](../README.md) ![c](b/c.md) [w](https://example.org/x)").is_empty());
    }

    #[test]
    fn broken_links_are_found_with_their_line() {
        let expected =
            ["docs/a.md:2 link to `../x.md`: there is no x.md", "docs/a.md:3 link to `no.md`: there is no docs/no.md"];
        assert_eq!(found("docs/a.md", "\n[x](../x.md)\n[n]: no.md\n"), expected);
        assert_eq!(found("docs/a.md", "[x](../../docs/a.md)").len(), 1);
    }

    #[test]
    fn code_is_not_followed() {
        assert!(found("README.md", "`[x](y.md)`\n```\n[x](y.md)\n```\n").is_empty());
    }
}
