//! Words of a shell command: quoting them so that `/bin/sh` reads back exactly the same.

/// One word as `/bin/sh` reads it back.
pub(crate) fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./,:@%+=".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A command line for `/bin/sh`.
pub(crate) fn join(words: &[String]) -> String {
    let mut line = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        // A first word such as `A=b`, or a reserved one, would not be read as a program.
        let is_program_name = index > 0 || !(word.contains('=') || RESERVED.contains(&word.as_str()));
        line.push_str(&if is_program_name { quote(word) } else { format!("'{}'", word.replace('\'', r"'\''")) });
    }
    line
}

const RESERVED: [&str; 16] =
    ["!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while"];

/// Whether a text can name an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a text can be a login name, as useradd(8) and most directories allow it.
pub(crate) fn is_login(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-$\\@".contains(&b))
}

/// Whether a text has the form of an IANA zone name. Whether there is such a zone is for the service to find out.
pub(crate) fn is_zone(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    first
        && !name.contains("..")
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-/".contains(&b))
}
