//! Texts in other alphabets: base64, hex, percent, shell quotes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode as decode, utf8_percent_encode};

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Both alphabets, with or without padding; blanks and newlines are ignored, as in mail and keys.
pub(crate) fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let clean: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let url = clean.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = match (url, clean.ends_with(b"=")) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    engine.decode(clean).map_err(|error| format!("not base64: {error}"))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16"));
        }
        text
    })
}

pub(crate) fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.len() % 2 == 1 {
        return Err("not hex: an odd number of digits".into());
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16);
    text.chunks(2)
        .map(|pair| match (nibble(pair[0]), nibble(pair[1])) {
            (Some(high), Some(low)) => Ok(u8::try_from(high * 16 + low).expect("two nibbles are a byte")),
            _ => Err(format!("not hex: `{}`", String::from_utf8_lossy(pair))),
        })
        .collect()
}

/// RFC 3986 unreserved characters stay.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `+` is a blank, as forms write it.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    decode(&text).collect()
}

/// One word for a POSIX shell.
pub(crate) fn quote_shell(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(to_base64(b"foobar"), "Zm9vYmFy");
        for text in ["Zg==", "Zg", "Z g=\n="] {
            assert_eq!(from_base64(text.as_bytes()).unwrap(), b"f");
        }
        assert!(from_base64(b"Z!").unwrap_err().contains("not base64"));
        assert_eq!(from_hex(b"00fF").unwrap(), [0, 255]);
        assert!(from_hex(b"0g").is_err() && from_hex(b"0").is_err());
        assert_eq!(percent_encode("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(percent_decode(b"a+b%2F%zz"), b"a b/%zz");
        assert_eq!(quote_shell("it's"), r"'it'\''s'");
        assert_eq!(quote_shell(""), "''");
        assert_eq!(quote_shell("a-b/c.d"), "a-b/c.d");
    }

    proptest! {
        #[test]
        fn there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,80}") {
            prop_assert_eq!(from_base64(to_base64(&bytes).as_bytes()).unwrap(), bytes.clone());
            prop_assert_eq!(from_hex(to_hex(&bytes).as_bytes()).unwrap(), bytes);
            prop_assert_eq!(percent_decode(percent_encode(&text).as_bytes()), text.as_bytes());
        }

        /// A shell reads a quoted word as the text it was.
        #[test]
        fn a_shell_reads_it_back(text in "[^\\x00]{0,40}") {
            let script = format!("printf %s {}", quote_shell(&text));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, text.as_bytes());
        }
    }
}
