//! Flags of every command. They may stand before or after the command; where a command has a flag of the same name, the word after the
//! command is the command's and the word before it is this one. clap's own global arguments cannot do that, so they are spread by hand.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Marks the ids of global flags, so that they never meet those of a command.
const PREFIX: &str = "global.";

/// Flags that only lists use.
const LIST_FLAGS: &[&str] = &["columns", "sort", "limit", "no-headers", "no-pager"];

/// Commands that print lists.
const LISTS: &[&str] =
    &["list", "ps", "history", "types", "tables", "query", "next", "health", "check", "checkpoints", "artifacts"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Globals {
    pub(crate) output: Option<String>,
    pub(crate) socket: Option<String>,
    pub(crate) root: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) system: bool,
    pub(crate) user: bool,
    pub(crate) no_color: bool,
    pub(crate) color: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) debug: bool,
    pub(crate) yes: bool,
    pub(crate) timeout: Option<String>,
    pub(crate) no_pager: bool,
    pub(crate) no_headers: bool,
    pub(crate) columns: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) utc: bool,
}

/// The tree with the global flags at every command that does not use their names itself. `words`: only at commands that are named on
/// the line, because hundreds of copies take longer than everything else that a short command does.
pub(crate) fn spread(root: Command, words: Option<&[OsString]>) -> Command {
    let globals = all();
    let shown = globals.iter().fold(root, |root, arg| root.arg(arg.clone()));
    below(shown, &globals, words)
}

fn below(command: Command, globals: &[Arg], words: Option<&[OsString]>) -> Command {
    let is_named = |sub: &Command| {
        words.is_none_or(|words| {
            words.iter().any(|word| sub.get_name() == word || sub.get_all_aliases().any(|alias| alias == word))
        })
    };
    let named: Vec<String> =
        command.get_subcommands().filter(|sub| is_named(sub)).map(|sub| sub.get_name().to_owned()).collect();
    named.iter().fold(command, |command, name| command.mut_subcommand(name, |sub| spread_below(sub, globals, words)))
}

fn spread_below(mut command: Command, globals: &[Arg], words: Option<&[OsString]>) -> Command {
    let is_list = LISTS.contains(&command.get_name()) && !command.has_subcommands();
    for global in globals {
        let long = global.get_long().unwrap_or_default();
        if command.get_arguments().any(|own| own.get_long() == Some(long)) {
            continue;
        }
        let mut arg = global.clone();
        if let Some(short) = arg.get_short()
            && command.get_arguments().any(|own| own.get_short() == Some(short))
        {
            arg = arg.short(None);
        }
        let shown = long == "output" || (is_list && LIST_FLAGS.contains(&long));
        command = command.arg(arg.hide(!shown));
    }
    below(command, globals, words)
}

/// What was set, the word nearest to the end of the line first.
pub(crate) fn take(root: &ArgMatches) -> Globals {
    let mut levels = vec![root];
    while let Some((_, below)) = levels.last().and_then(|level| level.subcommand()) {
        levels.push(below);
    }
    let text = |name: &str| {
        let find = |level: &&ArgMatches| level.try_get_one::<String>(name).ok().flatten().cloned();
        levels.iter().rev().find_map(find)
    };
    let flag = |name: &str| {
        levels.iter().any(|level| level.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false))
    };
    Globals {
        output: text("global.output"),
        socket: text("global.socket"),
        root: text("global.root"),
        context: text("global.context"),
        host: text("global.host"),
        system: flag("global.system"),
        user: flag("global.user"),
        no_color: flag("global.no-color"),
        color: text("global.color"),
        quiet: flag("global.quiet"),
        verbose: flag("global.verbose"),
        debug: flag("global.debug"),
        yes: flag("global.yes"),
        timeout: text("global.timeout"),
        no_pager: flag("global.no-pager"),
        no_headers: flag("global.no-headers"),
        columns: text("global.columns"),
        sort: text("global.sort"),
        limit: text("global.limit"),
        utc: flag("global.utc"),
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Arg> {
    let output = value("global.output", "FORMAT", "How to print: table json yaml; lists also wide csv name").short('o');
    vec![
        output.value_parser(["table", "wide", "json", "yaml", "csv", "name"]).hide_possible_values(true),
        value("global.socket", "PATH", "Socket of the daemon"),
        value("global.root", "DIR", "Private instance below DIR (DIR/slothd.sock) [env: SLOTHD_ROOT]"),
        value("global.context", "NAME", "Daemon named in ~/.config/slothctl/config.toml"),
        value("global.host", "HOST:PORT", "Remote daemon").hide(true),
        flag("global.system", "The daemon of the system"),
        flag("global.user", "The daemon of the user"),
        flag("global.no-color", "As --color never"),
        value("global.color", "WHEN", "auto always never; auto also obeys NO_COLOR")
            .value_parser(["auto", "always", "never"])
            .hide_possible_values(true),
        flag("global.quiet", "No messages beside results and errors").short('q'),
        flag("global.verbose", "More messages").short('v'),
        flag("global.debug", "Show each request"),
        flag("global.yes", "Answer confirmations with yes").short('y'),
        value("global.timeout", "D", "Limit of a request, such as 30s (the default)"),
        flag("global.no-pager", "Long lists without pager"),
        flag("global.no-headers", "Lists without headings"),
        value("global.columns", "A,B", "These columns of a list, in this order"),
        value("global.sort", "COL", "Sort a list by a column; -COL: downwards").allow_hyphen_values(true),
        value("global.limit", "N", "At most N rows, default 100; 0: all"),
        flag("global.utc", "Times in UTC instead of local time"),
    ]
}

fn value(id: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    base(id, help).value_name(placeholder).action(ArgAction::Set)
}

fn flag(id: &'static str, help: &'static str) -> Arg {
    base(id, help).action(ArgAction::SetTrue)
}

fn base(id: &'static str, help: &'static str) -> Arg {
    let long = id.strip_prefix(PREFIX).unwrap_or(id);
    Arg::new(id).long(long).help(help).help_heading("Global options")
}
