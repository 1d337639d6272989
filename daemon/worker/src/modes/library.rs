//! `types` and `docs`: the language and the library of this build, for editors and for readers.

use std::io::Write;
use std::process::ExitCode;

use sloth_lua::types::{definitions, documentation};

/// Prints the declarations for luau-lsp, or the documentation.
pub fn library(word: &str) -> ExitCode {
    let text = text(word);
    // A reader such as `head` may have enough before the end.
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sloth-worker: standard output: {error}");
            ExitCode::from(2)
        }
    }
}

fn text(word: &str) -> String {
    match word {
        "types" => definitions(sloth_modules::MODULES),
        _ => documentation(sloth_modules::MODULES),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use sloth_lua::Tier;
    use sloth_modules::MODULES;

    use super::*;

    fn project(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    #[track_caller]
    fn golden(path: &str, text: &str) {
        let path = project(path);
        if std::env::var_os("SLOTH_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file of the project")).expect("writable");
            std::fs::write(&path, text).expect("writable");
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = stored.lines().zip(text.lines()).enumerate().find(|(_, (old, new))| old != new);
        assert!(
            stored == text,
            "{} is not current (SLOTH_BLESS=1 writes it); first difference: {differs:?}",
            path.display()
        );
    }

    #[test]
    fn the_types_of_the_project_are_those_of_the_program() {
        golden("docs/types/sloth.d.luau", &text("types"));
    }

    #[test]
    fn the_documentation_of_the_project_is_that_of_the_program() {
        golden("docs/modules.md", &text("docs"));
    }

    #[test]
    fn every_module_and_function_is_declared_and_documented() {
        let (types, docs) = (text("types"), text("docs"));
        for module in MODULES.iter().filter(|module| !module.name.starts_with('_')) {
            for name in std::iter::once(&module.name).chain(module.aliases) {
                assert!(types.contains(&format!("\ndeclare {name}: ")), "{name} is not declared");
            }
            let body = types.split(&format!("\ndeclare {}: ", module.name)).nth(1).unwrap_or_default();
            let body = body.split("\n}\n").next().unwrap_or_default();
            let section = docs.split(&format!("\n## `{}`\n", module.name)).nth(1).unwrap_or_default();
            assert!(module.tier == Tier::Absent || !section.is_empty(), "{} is not documented", module.name);
            for function in module.functions.iter().filter(|function| !function.name.starts_with('_')) {
                for name in std::iter::once(&function.name).chain(function.aliases) {
                    let (plain, quoted) = (format!("\n  {name}: "), format!("\n  [\"{name}\"]: "));
                    assert!(body.contains(&plain) || body.contains(&quoted), "{}.{name}", module.name);
                }
                assert!(section.contains(&format!("| `{}(", function.name)), "{}.{}", module.name, function.name);
            }
        }
    }

    /// No global twice: the second would hide the first.
    #[test]
    fn every_global_and_every_key_is_declared_once() {
        let types = text("types");
        let mut globals = std::collections::BTreeSet::new();
        let mut members = std::collections::BTreeSet::new();
        for line in types.lines() {
            if !line.starts_with(' ') {
                members.clear();
            }
            for start in ["declare ", "export type ", "declare extern type "] {
                if let Some(name) = line.strip_prefix(start).and_then(|rest| rest.split([':', ' ', '=']).next()) {
                    assert!(name == "extern" || globals.insert(name), "{name} is declared twice");
                }
            }
            let member = line.strip_prefix("  ").filter(|rest| rest.starts_with(char::is_alphabetic));
            if let Some(name) = member.and_then(|rest| rest.trim_start_matches("function ").split([':', '(']).next()) {
                assert!(members.insert(name), "{name} is there twice: {line}");
            }
        }
    }

    #[test]
    fn every_type_that_is_named_is_declared() {
        let types = text("types");
        let lines = types.lines().filter(|line| !line.trim_start().starts_with("--"));
        // Without the key that a line begins with: some functions have names in capitals.
        let code: Vec<&str> = lines.map(|line| line.strip_prefix("  ").map_or(line, after_key)).collect();
        let code = without_strings(&code.join("\n"));
        let names = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| {
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.contains(|c: char| c.is_ascii_lowercase())
        });
        let unknown: std::collections::BTreeSet<&str> = names
            .filter(|name| {
                ["export type ", "declare extern type ", "declare "]
                    .iter()
                    .all(|start| !is_declared(&code, start, name))
            })
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    fn after_key(line: &str) -> &str {
        line.split_once(": ").map_or(line, |(_, rest)| rest)
    }

    fn is_declared(code: &str, start: &str, name: &str) -> bool {
        code.lines().filter_map(|line| line.strip_prefix(start)).any(|rest| {
            rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    }

    #[test]
    fn brackets_are_balanced_at_every_declaration() {
        let types = text("types");
        let mut open = Vec::new();
        for (number, line) in types.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("--")) {
            let starts = line.starts_with("declare ") || line.starts_with("export ");
            assert!(!starts || open.is_empty(), "line {}: {open:?} is open before {line}", number + 1);
            for character in without_strings(line).replace("->", "").chars() {
                let opening = match character {
                    '(' | '{' | '[' | '<' => {
                        open.push(character);
                        continue;
                    }
                    ')' => '(',
                    '}' => '{',
                    ']' => '[',
                    '>' => '<',
                    _ => continue,
                };
                assert_eq!(open.pop(), Some(opening), "line {}: {line}", number + 1);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let objects = types.lines().filter(|line| line.starts_with("declare extern type ")).count();
        assert_eq!(objects, types.lines().filter(|line| *line == "end").count(), "each object type has its end");
    }

    fn without_strings(text: &str) -> String {
        text.split('"').step_by(2).collect()
    }
}
