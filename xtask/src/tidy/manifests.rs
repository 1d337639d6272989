//! Every crate inherits from the workspace what must be the same everywhere: lints and licence.

use toml::Table;

use super::File;
use super::finding::Finding;

/// Checks the manifest of a crate; other files pass.
pub fn check(file: &File) -> Vec<Finding> {
    if !file.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let manifest: Table = match toml::from_str(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![Finding::error(&file.path, 1, format!("unreadable: {error}"), "mend the TOML")];
        }
    };
    let mut findings = Vec::new();
    let Some(package) = manifest.get("package") else {
        return findings;
    };
    if !inherits(manifest.get("lints")) {
        let remedy = "add `[lints]` with `workspace = true`";
        findings.push(Finding::error(&file.path, 1, "lints are not inherited", remedy));
    }
    if !inherits(package.get("license")) {
        let line = file.text.lines().position(|line| line.starts_with("license")).map_or(1, |at| at + 1);
        let remedy = "write `license.workspace = true` in `[package]`";
        findings.push(Finding::error(&file.path, line, "the licence is not inherited", remedy));
    }
    findings
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;

    fn found(text: &str) -> Vec<String> {
        brief(&check(&File { path: "a/Cargo.toml".to_owned(), text: text.to_owned() }))
    }

    #[test]
    fn a_crate_inherits_lints_and_licence() {
        assert!(found("[package]\nlicense.workspace = true\n[lints]\nworkspace = true\n").is_empty());
        let text = "[package]\nname = \"a\"\nlicense = \"MIT\"\n";
        assert_eq!(
            found(text),
            ["a/Cargo.toml:1 lints are not inherited", "a/Cargo.toml:3 the licence is not inherited"]
        );
    }

    #[test]
    fn a_virtual_manifest_has_nothing_to_inherit() {
        assert!(found("[workspace]\nmembers = []\n").is_empty());
        assert_eq!(found("[workspace").len(), 1);
    }
}
