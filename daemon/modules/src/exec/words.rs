//! Texts and words: which texts need no shell, and how a word is quoted for one.

/// What bash does itself, beside `true` and `false`, which mean the same as the programs of that name.
const BUILTINS: &[&str] = &[
    ".",
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// The words of a text that a shell would only split and execute, as make(1) does it; `None` when it needs a shell.
pub fn simple(text: &str) -> Option<Vec<String>> {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '+' | '@' | '%' | '=');
    if !text.chars().all(|c| plain(c) || c == ' ') {
        return None;
    }
    let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let first = words.first()?;
    let is_program = first.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/'));
    (is_program && !first.contains('=') && !BUILTINS.contains(&first.as_str())).then_some(words)
}

/// A word as a shell reads it back.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,+@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_merely_split_goes_without_one() {
        assert_eq!(simple("true"), Some(vec!["true".into()]));
        assert_eq!(simple(" /bin/ls  -l a=b "), Some(vec!["/bin/ls".into(), "-l".into(), "a=b".into()]));
        for text in [
            "echo hi",
            "A=1 ls",
            "ls *",
            "ls ~",
            "ls | wc",
            "ls;",
            "cd /",
            "ls\nls",
            "",
            "ls $A",
            "%1",
            "-x",
            "ls a{b,c}",
        ] {
            assert_eq!(simple(text), None, "{text}");
        }
    }

    #[test]
    fn a_quoted_word_is_read_back_whole() {
        assert_eq!(quote("a-b"), "a-b");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
