//! `run list` is `runs list`: the words `list show logs …` after `run` are sub-commands of `runs`. A stack of such a name needs `--stack`.

use std::ffi::OsString;

use clap::{Arg, ArgAction};

/// The words that are no stack.
const SUBCOMMANDS: &[&str] = &[
    "list",
    "ls",
    "ps",
    "show",
    "logs",
    "attach",
    "wait",
    "cancel",
    "pause",
    "unpause",
    "approve",
    "reject",
    "resume",
    "rerun",
    "compensate",
    "graph",
    "events",
    "outputs",
    "checkpoints",
    "artifacts",
    "diff",
    "delete",
    "remove",
    "rm",
    "prune",
];

/// Says `runs` where `run` means it.
pub(crate) fn run_to_runs(globals: &[Arg], words: &mut [OsString]) {
    let Some(run) = next_word(globals, words, 1) else {
        return;
    };
    if words[run] != "run" {
        return;
    }
    if let Some(sub) = next_word(globals, words, run + 1)
        && SUBCOMMANDS.iter().any(|name| words[sub] == *name)
    {
        words[run] = "runs".into();
    }
}

/// The first word from here on that is neither a global flag nor the value of one; none, when a flag comes first that is not global.
fn next_word(globals: &[Arg], words: &[OsString], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(word) = words.get(at) {
        let word = word.to_str()?;
        if !word.starts_with('-') || word == "-" {
            return Some(at);
        }
        let (name, has_value) = match word.strip_prefix("--") {
            Some(long) => (long.split('=').next().unwrap_or(long), long.contains('=')),
            None => (&word[1..], word.len() > 2),
        };
        let global = globals.iter().find(|arg| {
            let short = name.chars().next().filter(|_| !word.starts_with("--"));
            arg.get_long() == Some(name) || (short.is_some() && arg.get_short() == short)
        })?;
        let takes = matches!(global.get_action(), ArgAction::Set | ArgAction::Append);
        at += if takes && !has_value { 2 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_commands_after_run_are_those_of_runs() {
        let globals = super::super::globals::all();
        for (line, expected) in [
            ("slothctl run list", "slothctl runs list"),
            ("slothctl --root /x -q run -o json logs -f x", "slothctl --root /x -q runs -o json logs -f x"),
            ("slothctl --root=/x run cancel x", "slothctl --root=/x runs cancel x"),
            ("slothctl -ojson run ps", "slothctl -ojson runs ps"),
            ("slothctl run lab -f list", "slothctl run lab -f list"),
            ("slothctl run --stack list -f x", "slothctl run --stack list -f x"),
            ("slothctl run -- list", "slothctl run -- list"),
            ("slothctl scheduler run list", "slothctl scheduler run list"),
            ("slothctl run", "slothctl run"),
            ("slothctl", "slothctl"),
        ] {
            let mut words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            run_to_runs(&globals, &mut words);
            let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
            assert_eq!(words.join(" "), expected);
        }
    }
}
