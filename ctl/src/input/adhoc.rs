//! `run -- CMD` and `run STACK 'TEXT'`: a workflow named `adhoc` of one task.

use std::fmt::Write;

/// What the workflow runs.
#[derive(Clone, Debug)]
pub(crate) enum Adhoc {
    Argv(Vec<String>),
    Shell(String),
}

impl Adhoc {
    /// Its program.
    pub(crate) fn program(&self) -> String {
        let command = match self {
            Adhoc::Argv(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                format!("{{ {} }}", words.join(", "))
            }
            Adhoc::Shell(text) => quoted(text),
        };
        format!("workflow.define(\"adhoc\", {{ tasks = {{ {{ name = \"command\", command = {command} }} }} }})\n")
    }
}

/// A string of the language: every byte that could end or change it is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', byte as char]),
            b' '..=b'~' => out.push(byte as char),
            // A String takes everything.
            byte => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let program = Adhoc::Argv(vec!["echo".to_owned(), "a \"b\"\\ ü\n]]".to_owned()]).program();
        let expected = r#"{ "echo", "a \"b\"\\ \xc3\xbc\x0a]]" }"#;
        assert!(program.contains(expected), "{program}");
        assert!(Adhoc::Shell("df -h | tail".to_owned()).program().contains(r#"command = "df -h | tail""#));
    }
}
