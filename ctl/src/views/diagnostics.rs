//! Findings in workflow files: `file:line:column: error E201: message`, the line itself, and what to do.

use serde_json::Value;

use crate::output::table::{Style, paint};
use crate::output::text::{clean, clean_lines};

/// All of them, each with its place.
pub(crate) fn text(diagnostics: &[Value], color: bool) -> String {
    diagnostics.iter().map(|diagnostic| one(diagnostic, color)).collect()
}

fn one(diagnostic: &Value, color: bool) -> String {
    let said = |name: &str| diagnostic[name].as_str().unwrap_or_default();
    let number = |name: &str| diagnostic[name].as_u64().filter(|number| *number > 0);
    let mut place = said("file").to_owned();
    for number in [number("line"), number("column")].into_iter().flatten() {
        place.push_str(&format!(":{number}"));
    }
    if !place.is_empty() {
        place.push_str(": ");
    }
    let is_error = is_error(diagnostic);
    let (word, style) = if is_error { ("error", Style::Bad) } else { ("warning", Style::Busy) };
    let head = paint(&format!("{word} {}", said("code")), style, color);
    let mut out = format!("{}{head}: {}\n", clean(&place), clean_lines(said("message")));
    let excerpt = said("excerpt").trim_end();
    if !excerpt.is_empty() {
        out.push_str(&format!("    {}\n", clean(excerpt)));
        if let Some(column) = number("column").and_then(|column| usize::try_from(column).ok())
            && column <= excerpt.chars().count()
        {
            // Tabs stay escaped in the line above, so the caret counts what is shown.
            let before: String = excerpt.chars().take(column - 1).collect();
            let shown = unicode_width::UnicodeWidthStr::width(&*clean(&before));
            out.push_str(&format!("    {}{}\n", " ".repeat(shown), paint("^", style, color)));
        }
    }
    if !said("hint").is_empty() {
        out.push_str(&format!("    hint: {}\n", clean(said("hint"))));
    }
    out
}

/// `level`, or the letter of the code.
pub(crate) fn is_error(diagnostic: &Value) -> bool {
    match diagnostic["level"].as_str() {
        Some(level) => level == "error",
        None => diagnostic["code"].as_str().is_some_and(|code| code.starts_with('E')),
    }
}
