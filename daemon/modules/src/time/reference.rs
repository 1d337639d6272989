//! The reference form of a layout: the moment Mon Jan 2 15:04:05 2006 -0700, written as the wanted text would be.

/// A piece of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// strftime.
    Strftime(String),
    /// `Z` in UTC, an offset elsewhere; with a colon or without.
    Zulu { colon: bool },
}

/// Texts of the reference moment, the longer ones before their beginnings, and what they mean for strftime.
const TOKENS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("_2", "%e"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// Reads a layout.
pub(super) fn pieces(layout: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = layout;
    while !rest.is_empty() {
        if let Some((after, colon)) = rest
            .strip_prefix("Z07:00")
            .map(|after| (after, true))
            .or(rest.strip_prefix("Z0700").map(|after| (after, false)))
        {
            pieces.push(Piece::Strftime(std::mem::take(&mut text)));
            pieces.push(Piece::Zulu { colon });
            rest = after;
        } else if let Some((taken, meaning)) = fraction(rest) {
            text.push_str(&meaning);
            rest = &rest[taken..];
        } else if let Some((token, meaning)) = TOKENS.iter().find(|(token, _)| rest.starts_with(token)) {
            text.push_str(meaning);
            rest = &rest[token.len()..];
        } else {
            let letter = rest.chars().next().expect("the rest is not empty");
            text.push_str(if letter == '%' { "%%" } else { &rest[..letter.len_utf8()] });
            rest = &rest[letter.len_utf8()..];
        }
    }
    pieces.push(Piece::Strftime(text));
    pieces.retain(|piece| *piece != Piece::Strftime(String::new()));
    pieces
}

/// `.000` is a fraction of so many digits, `.999` the same without zeros at its end.
fn fraction(rest: &str) -> Option<(usize, String)> {
    let digits = rest.strip_prefix('.')?;
    let of = |digit: char| digits.len() - digits.trim_start_matches(digit).len();
    match (of('0'), of('9')) {
        (count @ 1..=9, _) if !follows_digit(digits, count) => Some((count + 1, format!("%.{count}f"))),
        (_, count @ 1..=9) if !follows_digit(digits, count) => Some((count + 1, "%.f".to_owned())),
        _ => None,
    }
}

fn follows_digit(text: &str, at: usize) -> bool {
    text[at..].starts_with(|next: char| next.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strftime(layout: &str) -> String {
        pieces(layout)
            .into_iter()
            .map(|piece| match piece {
                Piece::Strftime(text) => text,
                Piece::Zulu { colon } => if colon { "<Z:>" } else { "<Z>" }.to_owned(),
            })
            .collect()
    }

    #[test]
    fn the_reference_moment_is_read() {
        for (layout, expected) in [
            ("2006-01-02 15:04:05", "%Y-%m-%d %H:%M:%S"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "%a, %d %b %Y %H:%M:%S %Z"),
            ("Monday, _2 January 06, 3:04pm", "%A, %e %B %y, %-I:%M%P"),
            ("2006-01-02T15:04:05.000Z07:00", "%Y-%m-%dT%H:%M:%S%.3f<Z:>"),
            ("15:04:05.999 -0700", "%H:%M:%S%.f %z"),
            ("1/2/2006 100%", "%-m/%-d/%Y %-m00%%"),
            // Day of the year after a point is not a fraction.
            ("2006.002", "%Y.%j"),
        ] {
            assert_eq!(strftime(layout), expected, "{layout}");
        }
    }
}
