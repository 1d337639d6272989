//! Paths and queries, percent-encoded in one place, so that no name of a user can change which resource is meant.

use std::fmt::{Display, Write};

/// A path below [`crate::BASE`] with its query.
#[derive(Clone, Debug)]
pub struct Target {
    text: String,
    asks: bool,
}

impl Target {
    /// Begins with words of the API, such as `/schedules`.
    pub fn new(path: &str) -> Target {
        Target { text: path.to_owned(), asks: false }
    }

    /// Adds one segment: a name or id. A slash in it is encoded.
    pub fn name(mut self, name: &str) -> Target {
        self.text.push('/');
        encode(&mut self.text, name);
        self
    }

    /// Adds words of the API, such as `/next`.
    pub fn then(mut self, path: &str) -> Target {
        self.text.push_str(path);
        self
    }

    /// Adds a parameter.
    pub fn with(mut self, key: &str, value: impl Display) -> Target {
        let separator = if self.asks { '&' } else { '?' };
        self.asks = true;
        let _ = write!(self.text, "{separator}{key}="); // a String takes everything
        encode(&mut self.text, &value.to_string());
        self
    }

    /// Adds a parameter when there is one.
    pub fn with_some(self, key: &str, value: Option<impl Display>) -> Target {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds `key=true` when it holds.
    pub fn with_flag(self, key: &str, set: bool) -> Target {
        if set { self.with(key, true) } else { self }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(byte as char);
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn names_and_values_cannot_leave_their_place() {
        let target = Target::new("/schedules").name("ann/back up?").then("/next").with("n", 3).with("from", "a&b=ü");
        assert_eq!(target.as_str(), "/schedules/ann%2Fback%20up%3F/next?n=3&from=a%26b%3D%C3%BC");
        let target = Target::new("/runs").with_some("status", None::<&str>).with_flag("failed", true);
        assert_eq!(target.as_str(), "/runs?failed=true");
    }
}
