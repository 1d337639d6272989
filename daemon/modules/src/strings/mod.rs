//! The module `strings`: text. Positions and widths count characters, as people do; texts that are not UTF-8 are
//! treated as if their broken bytes were replaced.

mod codes;
mod layout;
mod questions;
mod regexes;
mod table;
mod words;

use sloth_lua::{Args, Data, Failure, Reply};

pub(crate) use codes::{from_base64, from_hex, percent_decode, percent_encode, quote_shell, to_base64, to_hex};
pub(crate) use questions::{is_email, is_url};
pub(crate) use regexes::compile;
pub use table::MODULE;

use crate::describe::{count, give, list};

/// Longest text that a function builds, bytes: the VM's memory is limited, that of the host is not.
pub(crate) const BUILT_MAX: usize = 64 << 20;

fn text(args: &Args) -> Result<String, Failure> {
    args.text("text")
}

/// Refuses to build what is too long.
fn bounded(bytes: Option<usize>) -> Result<(), Failure> {
    match bytes {
        Some(bytes) if bytes <= BUILT_MAX => Ok(()),
        _ => Err(Failure::new(format!("the result would be longer than {BUILT_MAX} bytes"))),
    }
}

fn split(args: &Args) -> Reply {
    let (text, separator) = (text(args)?, args.opt_text("separator").unwrap_or_else(|| " ".into()));
    if separator.is_empty() {
        return give(Data::texts(text.chars()));
    }
    give(Data::texts(text.split(separator.as_str())))
}

fn join(args: &Args) -> Reply {
    let separator = args.opt_text("separator").unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in list(args, "list")?.iter().enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        match item {
            Data::Bool(value) => joined.push_str(if *value { "true" } else { "false" }),
            item => joined.push_str(&item.to_text().ok_or_else(|| {
                Failure::argument("list", format_args!("item {} is a {}", index + 1, item.type_name()))
            })?),
        }
        bounded(Some(joined.len()))?;
    }
    give(joined)
}

fn replace(args: &Args) -> Reply {
    let (text, old, new) = (text(args)?, args.text("old")?, args.text("new")?);
    let times = args.int("n").unwrap_or(-1);
    let found = text.matches(old.as_str()).count().min(usize::try_from(times).unwrap_or(usize::MAX));
    bounded(found.checked_mul(new.len()).and_then(|added| added.checked_add(text.len())))?;
    give(text.replacen(&old, &new, found))
}

fn repeat(args: &Args) -> Reply {
    let (text, times) = (text(args)?, count(args, "n", usize::MAX)?);
    bounded(text.len().checked_mul(times))?;
    give(text.repeat(times))
}

fn index(args: &Args) -> Reply {
    let (text, part) = (text(args)?, args.text("part")?);
    let found = text.find(&part).map(|at| text[..at].chars().count() + 1);
    give(found.map_or(Data::Nil, |at| Data::from(at as u64)))
}

fn occurrences(args: &Args) -> Reply {
    let (text, part) = (text(args)?, args.text("part")?);
    let found = if part.is_empty() { text.chars().count() + 1 } else { text.matches(part.as_str()).count() };
    give(found as u64)
}

fn pad(args: &Args, left: bool) -> Reply {
    let (text, width) = (text(args)?, count(args, "n", BUILT_MAX)?);
    let fill = args.opt_text("ch").unwrap_or_else(|| " ".into());
    let missing = width.saturating_sub(text.chars().count());
    if missing == 0 {
        return give(text);
    }
    if fill.is_empty() {
        return Err(Failure::argument("ch", "at least one character expected"));
    }
    bounded(missing.checked_mul(4).and_then(|bytes| bytes.checked_add(text.len())))?;
    let padding: String = fill.chars().cycle().take(missing).collect();
    give(if left { padding + &text } else { text + &padding })
}

fn truncate(args: &Args) -> Reply {
    let (text, width) = (text(args)?, count(args, "n", usize::MAX)?);
    if text.chars().count() <= width {
        return give(text);
    }
    let suffix: Vec<char> = args.opt_text("suffix").unwrap_or_else(|| "...".into()).chars().take(width).collect();
    give(text.chars().take(width - suffix.len()).chain(suffix).collect::<String>())
}
