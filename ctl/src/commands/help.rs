//! Help, the tree of commands, completion scripts and manual pages: everything that needs no daemon.

use std::path::Path;

use clap::Command;
use serde_json::{Value, json};

use super::Done;
use crate::failure::Failure;
use crate::output::print;
use crate::output::table::{Cell, Table};
use crate::session::Session;
use crate::tree;

const TOPICS: &[(&str, &str)] = &[
    ("exit-codes", include_str!("../topics/exit-codes.txt")),
    ("output", include_str!("../topics/output.txt")),
    ("daemon", include_str!("../topics/daemon.txt")),
    ("values", include_str!("../topics/values.txt")),
    ("triggers", include_str!("../topics/triggers.txt")),
    ("time", include_str!("../topics/time.txt")),
    ("overlap", include_str!("../topics/overlap.txt")),
    ("import", include_str!("../topics/import.txt")),
];

pub(crate) fn help(words: &[String]) -> Done {
    if let [word] = words
        && let Some((_, text)) = TOPICS.iter().find(|(name, _)| name == word)
    {
        print(text)?;
        return Ok(0);
    }
    let mut root = tree();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
            Failure::usage(format!("there is no command or topic \"{}\"", words.join(" ")))
                .hint(format!("topics: {}; commands: slothctl commands", topics.join(", ")))
        })?;
    }
    print(&command.render_help().to_string())?;
    Ok(0)
}

pub(crate) fn completion(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree(), "slothctl", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == clap_complete::Shell::Bash {
        script.push_str(include_str!("../topics/names.bash"));
    }
    print(&script)?;
    Ok(0)
}

/// One page for each command.
pub(crate) fn man(dir: &Path) -> Done {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(tree(), dir)?;
    Ok(0)
}

pub(crate) fn commands(session: &Session) -> Done {
    let mut root = tree();
    root.build();
    if session.screen.is_data() {
        session.screen.document(&described(&root), |_| {})?;
        return Ok(0);
    }
    let mut table = Table::new(&["COMMAND", "ALIASES", "DOES"]);
    rows(&root, "slothctl", &mut table);
    session.screen.list(table, Vec::new())?;
    Ok(0)
}

fn rows(command: &Command, path: &str, table: &mut Table) {
    for sub in visible(command) {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            rows(sub, &path, table);
            continue;
        }
        let aliases: Vec<&str> = sub.get_visible_aliases().collect();
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        table.push(&path, vec![Cell::new(&path), Cell::new(aliases.join(", ")), Cell::new(about)]);
    }
}

fn described(command: &Command) -> Value {
    let flags: Vec<Value> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_positional())
        .map(|arg| {
            json!({
                "name": arg.get_long().map(|long| format!("--{long}")),
                "short": arg.get_short().map(|short| format!("-{short}")),
                "value": arg.get_action().takes_values().then(|| placeholder(arg)),
                "help": arg.get_help().map(ToString::to_string),
            })
        })
        .collect();
    let arguments: Vec<Value> = command
        .get_positionals()
        .filter(|arg| !arg.is_hide_set())
        .map(|arg| {
            let several = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
            let help = arg.get_help().map(ToString::to_string);
            json!({"name": placeholder(arg), "required": arg.is_required_set(), "repeatable": several, "help": help})
        })
        .collect();
    json!({
        "name": command.get_name(),
        "about": command.get_about().map(ToString::to_string),
        "aliases": command.get_visible_aliases().collect::<Vec<_>>(),
        "arguments": arguments,
        "flags": flags,
        "commands": visible(command).map(described).collect::<Vec<_>>(),
    })
}

fn placeholder(arg: &clap::Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}
