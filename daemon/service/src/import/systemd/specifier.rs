//! `%` specifiers of unit files, as far as the texts alone can tell them.

/// What specifiers of a unit stand for.
#[derive(Clone, Copy)]
pub(super) struct Specifiers<'a> {
    /// Full name, such as `foo@bar.service`.
    pub(super) unit: &'a str,
    /// Whether it is a unit of the system manager: paths and user are known then.
    pub(super) is_system: bool,
}

impl Specifiers<'_> {
    /// Replaces the specifiers of a text; refuses one that only the running system knows.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match characters.next() {
                Some('%') => expanded.push('%'),
                Some(letter) => {
                    let value = self.value(letter).ok_or_else(|| {
                        format!(
                            "%{} is known to the running system only: write its value instead",
                            letter.escape_default()
                        )
                    })?;
                    expanded.push_str(&value);
                }
                None => expanded.push('%'),
            }
        }
        Ok(expanded)
    }

    fn value(&self, letter: char) -> Option<String> {
        let stem = self.unit.rsplit_once('.').map_or(self.unit, |(stem, _)| stem);
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let system = |path: &str| self.is_system.then(|| path.to_owned());
        match letter {
            'n' => Some(self.unit.to_owned()),
            'N' => Some(stem.to_owned()),
            'p' => Some(prefix.to_owned()),
            'P' => unescape(prefix),
            'i' => Some(instance.to_owned()),
            'I' => unescape(instance),
            'j' => Some(last_part(prefix).to_owned()),
            'J' => unescape(last_part(prefix)),
            'f' => Some(format!(
                "/{}",
                unescape(if instance.is_empty() { prefix } else { instance })?.trim_start_matches('/')
            )),
            'h' => system("/root"),
            'u' | 'g' => system("root"),
            'U' | 'G' => system("0"),
            't' => system("/run"),
            'S' => system("/var/lib"),
            'C' => system("/var/cache"),
            'L' => system("/var/log"),
            'E' => system("/etc"),
            'T' => Some("/tmp".to_owned()),
            'V' => Some("/var/tmp".to_owned()),
            _ => None,
        }
    }
}

fn last_part(prefix: &str) -> &str {
    prefix.rsplit('-').next().unwrap_or(prefix)
}

/// Undoes systemd-escape(1): `-` is `/`, `\xNN` a byte.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'-' => bytes.push(b'/'),
            b'\\' => {
                let code = after.strip_prefix(b"x")?.get(..2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
                rest = after.get(3..)?;
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::Specifiers;

    #[test]
    fn what_the_name_tells_is_expanded() {
        let of = Specifiers { unit: r"mirror-daily@srv-my\x20data.service", is_system: true };
        let check = |text: &str, expected: &str| assert_eq!(of.expand(text).as_deref(), Ok(expected), "{text}");
        check("%n", r"mirror-daily@srv-my\x20data.service");
        check("--dir=%I --raw=%i", r"--dir=srv/my data --raw=srv-my\x20data");
        check("%p %j 100%%", "mirror-daily daily 100%");
        check("%f", "/srv/my data");
        assert!(of.expand("%H").is_err_and(|reason| reason.contains("%H")));
        assert!(Specifiers { is_system: false, ..of }.expand("%h/bin").is_err());
    }
}
