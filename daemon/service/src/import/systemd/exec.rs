//! `ExecStart=` and its sisters: from the lines of a service to one action.

use super::specifier::Specifiers;
use super::words::{self, Environment};
use crate::import::words::join;

/// One command of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    /// `-`: its failure is no failure.
    pub(super) may_fail: bool,
    /// `+`, `!`, `!!`: runs with the rights of the manager, whatever `User=` says.
    pub(super) privileged: bool,
}

/// The commands of one line; `;` as a word of its own separates several.
pub(super) fn commands(value: &str, specifiers: &Specifiers<'_>, env: &Environment) -> Result<Vec<Command>, String> {
    let words = words::split(value)?;
    let parts = words.split(|word| word.text == ";" && !word.quoted);
    parts.filter(|part| !part.is_empty()).map(|part| command(part.to_vec(), specifiers, env)).collect()
}

fn command(mut words: Vec<words::Word>, specifiers: &Specifiers<'_>, env: &Environment) -> Result<Command, String> {
    let mut made = Command { argv: Vec::new(), may_fail: false, privileged: false };
    let (mut names_itself, mut literal) = (false, false);
    let program = words.first_mut().ok_or("has no command")?;
    while let Some(prefix) = program.text.chars().next().filter(|c| "-@:+!|".contains(*c)) {
        match prefix {
            '-' => made.may_fail = true,
            '@' => names_itself = true,
            ':' => literal = true,
            '|' => {
                return Err(
                    "has the prefix `|` (run by the user's shell): write the shell and -c into the line".to_owned()
                );
            }
            _ => made.privileged = true,
        }
        program.text.remove(0);
    }
    if program.text.is_empty() {
        return Err("has no command after its prefix".to_owned());
    }
    for word in &mut words {
        word.text = specifiers.expand(&word.text)?;
    }
    if names_itself && words.len() > 1 {
        let own = words.remove(1).text;
        let file = crate::import::names::file_name;
        if file(&own) != file(&words[0].text) {
            return Err(format!(
                "runs under another name ({own:?}, prefix `@`): call the program by that name through a link"
            ));
        }
    }
    made.argv =
        if literal { words.into_iter().map(|word| word.text).collect() } else { words::substitute(words, env)? };
    if made.argv.first().is_none_or(String::is_empty) {
        return Err("has an empty command".to_owned());
    }
    Ok(made)
}

/// What is run: an argv where one command is all there is, else a chain for the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Command(Vec<String>),
    Shell(String),
}

/// The steps of a service, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// Shell tests: when one fails, the run ends as a success without doing anything.
    pub(super) conditions: Vec<String>,
    /// Shell tests: when one fails, the run fails.
    pub(super) assertions: Vec<String>,
    /// `ExecCondition=`: a failing one ends the run as a success, 255 as a failure.
    pub(super) checks: Vec<Command>,
    /// `ExecStartPre=`, `ExecStart=`, `ExecStartPost=`.
    pub(super) commands: Vec<Command>,
}

impl Steps {
    /// All of it as one action.
    pub(super) fn action(self) -> Action {
        let plain = self.conditions.is_empty() && self.assertions.is_empty() && self.checks.is_empty();
        if let ([command], true) = (self.commands.as_slice(), plain)
            && !command.may_fail
        {
            return Action::Command(command.argv.clone());
        }
        let mut seen = std::collections::HashSet::new();
        let mut chain: Vec<String> = self
            .conditions
            .iter()
            .filter(|test| seen.insert(test.as_str()))
            .map(|test| format!("{{ {test} || exit 0; }}"))
            .collect();
        chain.extend(self.assertions.iter().map(|test| format!("{{ {test} || exit 1; }}")));
        chain.extend(self.checks.iter().map(|check| {
            let ends = if check.may_fail { ":" } else { "{ [ $? -eq 255 ] && exit 255; exit 0; }" };
            format!("{{ {} || {ends}; }}", join(&check.argv))
        }));
        chain.extend(self.commands.iter().map(|command| match command.may_fail {
            true => format!("{{ {} || :; }}", join(&command.argv)),
            false => join(&command.argv),
        }));
        Action::Shell(chain.join(" && "))
    }
}

impl Action {
    /// The same action after a pause.
    pub(super) fn after(self, seconds: u64) -> Action {
        match self {
            Action::Command(argv) => Action::Shell(format!("sleep {seconds} && exec {}", join_after_exec(&argv))),
            Action::Shell(text) => Action::Shell(format!("sleep {seconds} && {text}")),
        }
    }
}

fn join_after_exec(argv: &[String]) -> String {
    argv.iter().map(|word| crate::import::words::quote(word)).collect::<Vec<_>>().join(" ")
}
