//! Pages of decisions are numbered and have the same four parts, so that a reader finds the price of each.

use std::collections::BTreeMap;

use super::File;
use super::finding::Finding;

const DIRECTORY: &str = "docs/decisions/";
const HEADINGS: &[&str] = &["Context", "Decision", "Cost", "How we would notice that it was wrong"];

pub fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    for file in files {
        let Some(name) = file.path.strip_prefix(DIRECTORY).filter(|name| *name != "README.md") else {
            continue;
        };
        let Some(number) = number(name) else {
            let remedy = "name it NNNN-title.md: four digits, then words in lower case with hyphens";
            findings.push(Finding::error(&file.path, 1, "not the name of a decision", remedy));
            continue;
        };
        if let Some(other) = numbers.insert(number, &file.path) {
            let what = format!("number {number} is taken by {other}");
            findings.push(Finding::error(&file.path, 1, what, "take the next free number"));
        }
        for heading in HEADINGS.iter().filter(|heading| !has_heading(&file.text, heading)) {
            let remedy = format!("add `## {heading}`");
            findings.push(Finding::error(&file.path, 1, format!("no heading `{heading}`"), remedy));
        }
    }
    findings
}

/// The four digits of `NNNN-title.md`.
fn number(name: &str) -> Option<&str> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (digits && !title.is_empty() && title.bytes().all(letter)).then_some(number)
}

fn has_heading(text: &str, heading: &str) -> bool {
    text.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == heading)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    const PAGE: &str = "# A\n## Context\n## Decision\n## Cost\n## How we would notice that it was wrong\n";

    fn file(name: &str, text: &str) -> File {
        File { path: format!("docs/decisions/{name}"), text: text.to_owned() }
    }

    #[test]
    fn a_page_has_four_parts() {
        assert!(check(&[file("0001-one-store.md", PAGE), file("README.md", "")]).is_empty());
        let missing = PAGE.replace("## Cost\n", "");
        assert_eq!(brief(&check(&[file("0001-a.md", &missing)])), ["docs/decisions/0001-a.md:1 no heading `Cost`"]);
    }

    #[test]
    fn names_are_numbered_once() {
        assert_eq!(check(&[file("1-a.md", PAGE), file("0002-A.md", PAGE), file("0003.md", PAGE)]).len(), 3);
        let found = brief(&check(&[file("0001-a.md", PAGE), file("0001-b.md", PAGE)]));
        assert_eq!(found, ["docs/decisions/0001-b.md:1 number 0001 is taken by docs/decisions/0001-a.md"]);
    }
}
