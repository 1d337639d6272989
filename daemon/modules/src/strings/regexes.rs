//! Regular expressions: Rust syntax, linear time, compiled once per pattern.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use regex::{Captures, Regex, RegexBuilder};
use sloth_lua::{Args, Data, Failure, Reply};

use super::{bounded, text};
use crate::describe::give;

/// Compiled patterns that are kept.
const KEPT: usize = 256;

/// Largest compiled pattern, bytes.
const SIZE_MAX: usize = 4 << 20;

static CACHE: Mutex<Option<HashMap<String, Regex>>> = Mutex::new(None);

/// Compiles a pattern, or takes it from the cache.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_with(HashMap::new);
    if let Some(regex) = cache.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = RegexBuilder::new(pattern).size_limit(SIZE_MAX).build().map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("bad regular expression `{pattern}`: {last}")
    })?;
    if cache.len() >= KEPT {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

fn pattern(args: &Args) -> Result<Regex, Failure> {
    compile(&args.text("pattern")?).map_err(Failure::new)
}

/// As Lua's `string.match`: the groups, or the whole match when there are none. One value: the text, or a list of
/// groups.
fn caught(captures: &Captures) -> Data {
    let group = |index| captures.get(index).map_or(Data::Bool(false), |group| Data::text(group.as_str()));
    match captures.len() {
        1 => group(0),
        2 => group(1),
        groups => Data::List((1..groups).map(group).collect()),
    }
}

/// First match: its groups as several values.
pub(super) fn find(args: &Args) -> Reply {
    let (text, regex) = (text(args)?, pattern(args)?);
    Ok(match regex.captures(&text).map(|captures| caught(&captures)) {
        None => vec![Data::Nil],
        Some(Data::List(groups)) => groups,
        Some(whole) => vec![whole],
    })
}

/// All matches, as a list of texts, or of lists of groups.
pub(super) fn find_all(args: &Args) -> Reply {
    let (text, regex) = (text(args)?, pattern(args)?);
    give(Data::List(regex.captures_iter(&text).map(|captures| caught(&captures)).collect()))
}

/// `$1`, `${name}` and `$$` stand for groups and a dollar.
pub(super) fn replace(args: &Args) -> Reply {
    let (text, regex, replacement) = (text(args)?, pattern(args)?, args.text("replacement")?);
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for captures in regex.captures_iter(&text) {
        let whole = captures.get(0).expect("group 0 is the match");
        result.push_str(&text[done..whole.start()]);
        captures.expand(&replacement, &mut result);
        bounded(Some(result.len()))?;
        done = whole.end();
    }
    result.push_str(&text[done..]);
    bounded(Some(result.len()))?;
    give(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: fn(&Args) -> Reply, text: &str, pattern: &str, replacement: &str) -> Reply {
        body(&Args::default().with("text", text).with("pattern", pattern).with("replacement", replacement))
    }

    #[test]
    fn matches_give_groups_or_the_whole() {
        assert_eq!(run(find, "ab12", r"\d+", "").unwrap(), [Data::text("12")]);
        assert_eq!(run(find, "k=v", r"(\w)=(\w)", "").unwrap(), [Data::text("k"), Data::text("v")]);
        assert_eq!(run(find, "x", r"\d", "").unwrap(), [Data::Nil]);
        assert_eq!(run(find_all, "a1b2", r"\d", "").unwrap(), [Data::texts(["1", "2"])]);
        assert_eq!(run(replace, "a1b2", r"([a-z])(\d)", "$2$1").unwrap(), [Data::text("1a2b")]);
    }

    #[test]
    fn bad_and_huge_patterns_are_refused() {
        assert!(run(find, "x", "(", "").unwrap_err().message.starts_with("bad regular expression `(`"));
        assert!(run(find, "x", r"(\w{1000}){1000}", "").is_err());
        let growth = "$0".repeat(1000);
        assert!(run(replace, &"x".repeat(1 << 17), ".", &growth).unwrap_err().message.contains("longer than"));
    }
}
