//! Lines of a text: indentation, wrapping; and numbers as people read them.

/// Puts a prefix before every line that is not empty.
pub(super) fn indent(text: &str, prefix: &str) -> String {
    let line = |line: &str| if line.trim().is_empty() { line.to_owned() } else { format!("{prefix}{line}") };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Removes the blanks that all lines which are not empty begin with.
pub(super) fn dedent(text: &str) -> String {
    let mut common: Option<&str> = None;
    for line in text.split('\n').filter(|line| !line.trim().is_empty()) {
        let blanks = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        common = Some(common.map_or(blanks, |common| {
            let same = common.bytes().zip(blanks.bytes()).take_while(|(a, b)| a == b).count();
            &common[..same]
        }));
    }
    let common = common.unwrap_or_default();
    let line = |line: &'_ str| line.strip_prefix(common).unwrap_or(line.trim()).to_owned();
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Breaks lines between words so that none is longer than `width` characters; longer words are broken.
pub(super) fn wrap(text: &str, width: usize) -> String {
    text.split('\n').map(|line| wrap_line(line, width.max(1))).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, width: usize) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in line.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        let blank = usize::from(used > 0);
        if used > 0 && used + blank + letters.len() > width {
            lines.push(String::new());
            used = 0;
        }
        if used > 0 {
            lines.last_mut().expect("there is a line").push(' ');
            used += 1;
        }
        for piece in letters.chunks(width) {
            if used + piece.len() > width {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("there is a line").extend(piece);
            used += piece.len();
        }
    }
    lines.join("\n")
}

/// `1.5 KiB`.
pub(super) fn format_bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes.abs() < 1024.0 {
        return format!("{} B", bytes.trunc());
    }
    let mut value = bytes;
    let mut unit = "";
    for next in UNITS {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// `850ms`, `12.3s`, `4m10s`, `2h05m`, `3d04h`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
pub(crate) fn format_duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    let whole = seconds.round() as u64;
    let text = if seconds < 0.9995 {
        format!("{}ms", (seconds * 1000.0).round())
    } else if seconds < 59.95 {
        let text = format!("{seconds:.1}");
        format!("{}s", text.strip_suffix(".0").unwrap_or(&text))
    } else if whole < 3600 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else if whole < 86_400 {
        format!("{}h{:02}m", whole / 3600, whole % 3600 / 60)
    } else {
        format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3600)
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        assert_eq!(indent("a\n\nb", "  "), "  a\n\n  b");
        assert_eq!(dedent("    a\n      b\n\n    c"), "a\n  b\n\nc");
        assert_eq!(dedent("\ta\n b"), "\ta\n b");
        assert_eq!(wrap("the quick brown fox", 9), "the quick\nbrown fox");
        assert_eq!(wrap("abcdefgh ij", 3), "abc\ndef\ngh\nij");
    }

    /// "Printed as `850ms`, `12.3s`, `4m10s`, `2h05m`."
    #[test]
    fn quantities() {
        for (seconds, text) in
            [(0.85, "850ms"), (12.3, "12.3s"), (250.0, "4m10s"), (7500.0, "2h05m"), (0.0, "0ms"), (59.99, "1m00s")]
        {
            assert_eq!(format_duration(seconds), text);
        }
        assert_eq!(format_bytes(0.0), "0 B");
        assert_eq!(format_bytes(1536.0), "1.5 KiB");
        assert_eq!(format_bytes(1_073_741_824.0), "1 GiB");
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(text in "[a-zä ]{0,80}", width in 1usize..20) {
            let wrapped = wrap(&text, width);
            prop_assert!(wrapped.split('\n').all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&wrapped), letters(&text));
        }
    }
}
