//! Texts of Luau types: the little that is needed to make one from another.

/// Splits where `separator` stands outside of brackets and quotes.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut before) = (Vec::new(), 0, 0_i32, false, ' ');
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' | '[' | '<' => depth += 1,
            '>' if before == '-' => {}
            ')' | '}' | ']' | '>' => depth -= 1,
            _ if character == separator && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + character.len_utf8();
            }
            _ => {}
        }
        before = character;
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The types of a pack: `(a, b)`, `a, b`, `a` or `()`.
pub(super) fn pack(text: &str) -> Vec<&str> {
    let text = text.trim();
    let enclosed = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    match enclosed {
        // `(a) -> (b)` is one function.
        Some(inner) if closes_at_end(text) => split(inner, ','),
        _ => split(text, ','),
    }
}

fn closes_at_end(text: &str) -> bool {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1 == text.len();
        }
    }
    false
}

/// What a function returns.
pub(super) fn returned(types: &[String]) -> String {
    match types {
        [only] if only.contains("->") => format!("(({only}))"),
        [only] => only.clone(),
        list => format!("({})", list.join(", ")),
    }
}

/// The type, or nil.
pub(super) fn optional(kind: &str) -> String {
    match kind {
        known if takes_nil(known) => known.to_owned(),
        whole if is_whole(whole) => format!("{whole}?"),
        loose => format!("({loose})?"),
    }
}

/// The type as a part of a union or an intersection.
pub(super) fn part(kind: &str) -> String {
    if is_whole(kind) { kind.to_owned() } else { format!("({kind})") }
}

/// Whether nothing binds looser than what is put behind it.
fn is_whole(kind: &str) -> bool {
    !kind.contains("->") && split(kind, '|').len() == 1 && split(kind, '&').len() == 1
}

/// Whether nil is one of its values.
fn takes_nil(kind: &str) -> bool {
    kind == "any" || kind == "nil" || kind.starts_with("...") || (kind.ends_with('?') && is_whole(kind))
}

/// A name as the key of a table.
pub(super) fn key(name: &str) -> String {
    if is_keyword(name) { format!("[\"{name}\"]") } else { name.to_owned() }
}

/// A name as that of a parameter.
pub(super) fn name(name: &str) -> String {
    if is_keyword(name) { format!("{name}_") } else { name.to_owned() }
}

/// Words that cannot be names.
pub(super) fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "and"
            | "break"
            | "do"
            | "else"
            | "elseif"
            | "end"
            | "false"
            | "for"
            | "function"
            | "if"
            | "in"
            | "local"
            | "nil"
            | "not"
            | "or"
            | "repeat"
            | "return"
            | "then"
            | "true"
            | "until"
            | "while"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_arrows_and_quotes_keep_together() {
        assert_eq!(
            split("a: (x: {b: c, d: e}) -> ...any, b: \"x,y\"?", ','),
            ["a: (x: {b: c, d: e}) -> ...any", "b: \"x,y\"?"]
        );
        assert_eq!(pack("(boolean, {any})"), ["boolean", "{any}"]);
        assert_eq!(pack("() -> any"), ["() -> any"]);
        assert!(pack("()").is_empty());
        assert_eq!(pack("string, any?"), ["string", "any?"]);
    }

    #[test]
    fn what_is_made_optional_stays_one_type() {
        for (kind, expected) in [
            ("string", "string?"),
            ("string?", "string?"),
            ("any", "any"),
            ("a | b", "(a | b)?"),
            ("() -> ()", "(() -> ())?"),
        ] {
            assert_eq!(optional(kind), expected);
        }
    }
}
