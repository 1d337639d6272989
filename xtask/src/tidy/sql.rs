//! SQL belongs to the store alone. The check is lexical: a string literal that begins like a statement.

use super::File;
use super::finding::Finding;
use super::rust::Source;

/// The only place where SQL is written.
const HOME: &str = "daemon/store/";
/// Production code; whole-system tests may look into old databases, xtask may do what it likes.
const PRODUCTION: &[&str] = &["api/", "ctl/", "daemon/"];

const STATEMENTS: &[&str] = &[
    "SELECT",
    "INSERT INTO",
    "INSERT OR",
    "UPDATE",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "DROP TABLE",
    "PRAGMA",
];

/// A literal that looks like SQL and may stay.
pub struct Allowed {
    pub path: &'static str,
    /// How the literal begins.
    pub begins: &'static str,
    #[expect(dead_code, reason = "it is there for the reader")]
    pub reason: &'static str,
}

/// Examples in the help of slothctl go here, each with its reason.
pub const ALLOWED: &[Allowed] = &[Allowed {
    path: "ctl/src/commands/db.rs",
    begins: "SELECT type, name, tbl_name, sql FROM sqlite_schema",
    reason: "db tables and db schema ask what db query may ask; the daemon has no route of its own for them",
}];

pub fn check(path: &str, source: &Source, in_test: &[bool], allowed: &[Allowed]) -> Vec<Finding> {
    if path.starts_with(HOME) || !PRODUCTION.iter().any(|prefix| path.starts_with(prefix)) {
        return Vec::new();
    }
    let remedy = "add a function to sloth-store that answers the question; an example in a help text goes into \
                  ALLOWED of xtask/src/tidy/sql.rs with its reason";
    let finding = |(line, text): &(usize, String)| {
        let statement = statement(text)?;
        let accepted = allowed.iter().any(|entry| entry.covers(path, text));
        (!accepted && !in_test[line - 1])
            .then(|| Finding::error(path, *line, format!("SQL ({statement}) outside sloth-store"), remedy))
    };
    source.strings.iter().filter_map(finding).collect()
}

/// Entries of the list that allow nothing any more.
pub fn stale(files: &[File], allowed: &[Allowed]) -> Vec<Finding> {
    let used = |entry: &Allowed| files.iter().any(|file| file.path == entry.path && file.text.contains(entry.begins));
    let finding = |entry: &Allowed| {
        let what = format!("allowed SQL `{}` in {} is gone", entry.begins, entry.path);
        Finding::error("xtask/src/tidy/sql.rs", 1, what, "remove the entry from ALLOWED")
    };
    allowed.iter().filter(|entry| !used(entry)).map(finding).collect()
}

impl Allowed {
    fn covers(&self, path: &str, text: &str) -> bool {
        self.path == path && text.trim_start().starts_with(self.begins)
    }
}

fn statement(text: &str) -> Option<&'static str> {
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    STATEMENTS.iter().copied().find(|statement| {
        let expected: Vec<&str> = statement.split(' ').collect();
        words.len() > expected.len() && words.starts_with(&expected)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::brief;
    use crate::tidy::rust;

    const HELP: Allowed = Allowed { path: "ctl/a.rs", begins: "SELECT 1", reason: "an example" };

    fn found(path: &str, text: &str, allowed: &[Allowed]) -> Vec<String> {
        let source = rust::read(text);
        brief(&check(path, &source, &vec![false; source.code.len()], allowed))
    }

    #[test]
    fn statements_are_found_in_production_code() {
        let text = "a();\nb(\"\n   SELECT id FROM runs\");\nc(r#\"DELETE FROM runs\"#);";
        let expected =
            ["ctl/a.rs:2 SQL (SELECT) outside sloth-store", "ctl/a.rs:4 SQL (DELETE FROM) outside sloth-store"];
        assert_eq!(found("ctl/a.rs", text, &[]), expected);
        assert!(found("daemon/store/src/a.rs", text, &[]).is_empty());
        assert!(found("tests/src/a.rs", text, &[]).is_empty());
    }

    #[test]
    fn english_and_http_are_not_sql() {
        assert!(found("ctl/a.rs", "a(\"Select one\", \"DELETE\", \"DELETE /v1/x\", \"UPDATE\")", &[]).is_empty());
    }

    #[test]
    fn tests_may_name_statements() {
        let source = rust::read("a(\"SELECT 1 FROM b\")");
        assert!(check("ctl/a.rs", &source, &[true], &[]).is_empty());
    }

    #[test]
    fn allowed_examples_stay_until_they_are_gone() {
        assert!(found("ctl/a.rs", "a(\"SELECT 1\")", &[HELP]).is_empty());
        assert_eq!(found("ctl/b.rs", "a(\"SELECT 1\")", &[HELP]).len(), 1);
        let file = |text: &str| [File { path: "ctl/a.rs".to_owned(), text: text.to_owned() }];
        assert!(stale(&file("a(\"SELECT 1\")"), &[HELP]).is_empty());
        assert_eq!(stale(&file("a()"), &[HELP]).len(), 1);
    }
}
