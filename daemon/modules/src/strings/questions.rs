//! Questions about a text.

use std::net::Ipv6Addr;

use url::Url;

/// An address of the common form: local part, `@`, a host name with a dot or an address in brackets. RFC 5321 lengths.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&byte) || !byte.is_ascii();
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    !local.is_empty() && local.len() <= 64 && text.len() <= 254 && local.bytes().all(atom) && dots && is_mail_host(host)
}

fn is_mail_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv4Addr>().is_ok()
            || address.strip_prefix("IPv6:").is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|letter| letter == '-' || letter.is_alphanumeric())
    };
    host.contains('.') && host.split('.').all(label)
}

/// An absolute URL with a host.
pub(crate) fn is_url(text: &str) -> bool {
    !text.contains(char::is_whitespace) && Url::parse(text).is_ok_and(|url| url.has_host())
}

/// A number as Lua reads it.
pub(super) fn is_numeric(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') && text.parse::<f64>().is_ok()
}

pub(super) fn is_alpha(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphabetic)
}

pub(super) fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}

pub(super) fn is_empty(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for text in ["a@b.test", "first.last+tag@sub.example.org", "x@[192.0.2.1]", "ü@bücher.test"] {
            assert!(is_email(text), "{text}");
        }
        for text in
            ["", "a", "a@b", "@b.test", "a@.test", ".a@b.test", "a..b@c.test", "a b@c.test", "a@b.test.", "a@-b.test"]
        {
            assert!(!is_email(text), "{text}");
        }
        assert!(is_url("https://a.test/x?y#z") && is_url("ftp://h") && is_url("http://[::1]:80"));
        assert!(!is_url("a.test") && !is_url("mailto:a@b.test") && !is_url("http://a b") && !is_url("http://"));
        assert!(is_numeric("-1.5e3") && is_numeric(" 0x1F ") && is_numeric(".5"));
        assert!(!is_numeric("") && !is_numeric("1a") && !is_numeric("inf") && !is_numeric("0x"));
    }
}
