//! Which code is test code: what the compiler sees under `cfg(test)` only, and the whole-system tests.

use std::collections::BTreeSet;

use super::File;
use super::rust::{self, Source, has_word};

/// The modules that `#[cfg(test)] mod name;` pulls in, as paths without extension.
pub fn test_modules(files: &[File]) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        for item in items(&rust::read(&file.text)) {
            modules.extend(item.module.map(|name| format!("{}{name}", module_directory(&file.path))));
        }
    }
    modules
}

/// For each line whether it is test code.
pub fn mask(path: &str, source: &Source, test_modules: &BTreeSet<String>) -> Vec<bool> {
    let lines = source.code.len();
    let in_module =
        |module: &String| path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
    let whole = path.split('/').rev().skip(1).any(|part| matches!(part, "tests" | "benches" | "examples"))
        || test_modules.iter().any(in_module)
        || source.code.iter().any(|line| line.trim_start().starts_with("#![cfg(test)]"));
    let mut mask = vec![whole; lines];
    for item in items(source) {
        mask[item.first..=item.last.min(lines - 1)].fill(true);
    }
    mask
}

/// Where the child modules of the module in file `path` live, with a slash at the end.
fn module_directory(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => format!("{directory}/"),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    }
}

/// An item under `#[cfg(test)]`: its lines, counted from 0, and its name if it is a module in another file.
struct Item {
    first: usize,
    last: usize,
    module: Option<String>,
}

fn items(source: &Source) -> Vec<Item> {
    let mut found = Vec::new();
    let mut line = 0;
    while line < source.code.len() {
        if is_test_attribute(&source.code[line]) {
            let item = item(source, line);
            line = item.last;
            found.push(item);
        }
        line += 1;
    }
    found
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[cfg(") && has_word(line, "test") && !line.contains("not(test")
}

/// Reads from the attribute to the `;` or the closing brace that ends the item.
fn item(source: &Source, first: usize) -> Item {
    let (mut depth, mut brackets) = (0_i32, 0_i32);
    let mut text = String::new();
    for (line, code) in source.code.iter().enumerate().skip(first) {
        for c in code.chars() {
            match c {
                '[' | '(' => brackets += 1,
                ']' | ')' => brackets -= 1,
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            text.push(c);
            let ends = (c == '}' && depth == 0) || (c == ';' && depth == 0 && brackets == 0);
            if ends {
                return Item { first, last: line, module: outside_module(&text) };
            }
        }
        text.push(' ');
    }
    Item { first, last: source.code.len() - 1, module: None }
}

fn outside_module(item: &str) -> Option<String> {
    let (_, name) = item.strip_suffix(';')?.rsplit_once("mod ")?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &str) {
        let mask = mask(path, &rust::read(text), &BTreeSet::new());
        let drawn: String = mask.iter().map(|test| if *test { 't' } else { '.' }).collect();
        assert_eq!(drawn, expect, "{text}");
    }

    #[test]
    fn items_under_cfg_test_are_tests() {
        check("a/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}", ".tttt.");
        check("a/src/lib.rs", "#[cfg(test)]\nuse x::{y,\n z};\nfn c() {}", "ttt.");
        check("a/src/lib.rs", "#[cfg(all(test, unix))]\nfn a(b: [u8; 2]) { 1 }\nfn c() {}", "tt.");
        check("a/src/lib.rs", "#[cfg(not(test))]\nfn a() {}", "..");
    }

    #[test]
    fn tests_directories_are_tests() {
        check("daemon/core/tests/a.rs", "fn a() {}\n", "tt");
        check("tests/src/lib.rs", "fn a() {}", "t");
    }

    #[test]
    fn a_test_module_may_live_in_files() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = [file("a/src/lib.rs", "#[cfg(test)]\nmod model;\nmod real;"), file("a/src/real.rs", "")];
        let modules = test_modules(&files);
        let is_test = |path: &str| mask(path, &rust::read("fn a() {}"), &modules)[0];
        assert!(is_test("a/src/model.rs") && is_test("a/src/model/deep.rs"));
        assert!(!is_test("a/src/real.rs") && !is_test("a/src/modelling.rs") && !is_test("a/src/lib.rs"));
    }
}
