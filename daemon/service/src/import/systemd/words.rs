//! Command lines and lists of unit files: quotes, escapes and variables as systemd.service(5) and systemd.syntax(7)
//! describe them.

use std::collections::BTreeMap;

/// A word, and whether any of it was quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// Splits a value into words.
pub(super) fn split(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            c if quote == Some(c) => quote = None,
            '\\' => {
                let current = word.get_or_insert_with(empty);
                current.quoted = true;
                match escape(&mut characters)? {
                    Ok(c) => current.text.push(c),
                    // systemd keeps an escape that it does not know.
                    Err(other) => current.text.extend(['\\', other]),
                }
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_with(empty).quoted = true;
            }
            c if c.is_ascii_whitespace() && quote.is_none() => words.extend(word.take()),
            c => word.get_or_insert_with(empty).text.push(c),
        }
    }
    if quote.is_some() {
        return Err("has a quote that is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn empty() -> Word {
    Word { text: String::new(), quoted: false }
}

/// The character that an escape stands for; `Err`: the letter of an escape that systemd does not know.
fn escape(characters: &mut std::str::Chars<'_>) -> Result<Result<char, char>, String> {
    let letter = characters.next().ok_or("ends with a backslash")?;
    let mut digit = [0; 4];
    let (first, digits, radix) = match letter {
        'a' => return Ok(Ok('\u{7}')),
        'b' => return Ok(Ok('\u{8}')),
        'f' => return Ok(Ok('\u{c}')),
        'v' => return Ok(Ok('\u{b}')),
        'n' => return Ok(Ok('\n')),
        'r' => return Ok(Ok('\r')),
        't' => return Ok(Ok('\t')),
        's' => return Ok(Ok(' ')),
        '\\' | '"' | '\'' | ';' => return Ok(Ok(letter)),
        'x' => ("", 2, 16),
        'u' => ("", 4, 16),
        'U' => ("", 8, 16),
        '0'..='7' => (&*letter.encode_utf8(&mut digit), 2, 8),
        other => return Ok(Err(other)),
    };
    let text: String = first.chars().chain(characters.by_ref().take(digits)).collect();
    // Above ASCII, `\xNN` is a byte and not a character.
    let value =
        u32::from_str_radix(&text, radix).ok().filter(|value| digits > 2 || *value < 128).and_then(char::from_u32);
    let problem = "which names no character: write the character itself";
    value
        .filter(|c| *c != '\0')
        .map(Ok)
        .ok_or_else(|| format!("has the escape \\{letter}{}, {problem}", text.escape_default()))
}

/// Variables that are set when a unit runs.
pub(super) type Environment = BTreeMap<String, String>;

/// Puts the values of variables into a command line: `${NAME}` anywhere, `$NAME` as a word of its own, which may become
/// several words or none. `$$` is a dollar sign.
pub(super) fn substitute(words: Vec<Word>, env: &Environment) -> Result<Vec<String>, String> {
    let mut result = Vec::new();
    for (index, word) in words.into_iter().enumerate() {
        let name = word.text.strip_prefix('$').filter(|name| crate::import::words::is_variable(name));
        match name {
            Some(name) if index > 0 => result.extend(value(name, env)?.split_ascii_whitespace().map(str::to_owned)),
            _ => result.push(braces(&word.text, env)?),
        }
    }
    Ok(result)
}

fn braces(text: &str, env: &Environment) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let name = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        match name {
            Some((name, next)) if crate::import::words::is_variable(name) => {
                result.push_str(value(name, env)?);
                rest = next;
            }
            _ => {
                result.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn value<'a>(name: &str, env: &'a Environment) -> Result<&'a str, String> {
    env.get(name).map(String::as_str).ok_or_else(|| {
        format!(
            "uses the variable {name}, which the unit does not set: set it with Environment={name}=… or write its value"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let env = Environment::from([("ONE".to_owned(), "a b".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let words = split(text).and_then(|words| substitute(words, &env)).expect(text);
        assert_eq!(words, expected, "{text}");
    }

    #[test]
    fn command_lines_are_read_as_systemd_reads_them() {
        check("/bin/echo one  two", &["/bin/echo", "one", "two"]);
        check(
            r#"/bin/echo "one two" 'three "four"' five" six""#,
            &["/bin/echo", "one two", "three \"four\"", "five six"],
        );
        check(r"/bin/echo a\x20b \101 \s \\ ''", &["/bin/echo", "a b", "A", " ", "\\", ""]);
        check(
            "/bin/echo $ONE ${ONE} x$ONE $$ONE $EMPTY ${EMPTY}",
            &["/bin/echo", "a", "b", "a b", "x$ONE", "$ONE", ""],
        );
        check(r"/bin/grep \.x", &["/bin/grep", r"\.x"]);
        check("/bin/sh -c 'test $$? = 0'", &["/bin/sh", "-c", "test $? = 0"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["'a", r"a\x0", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
        assert!(substitute(split("/bin/echo ${NOPE}").expect("words"), &Environment::new()).is_err());
    }
}
