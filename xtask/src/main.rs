//! Automation of the workspace: one binary behind `cargo xtask`, so that a machine with a Rust toolchain needs no
//! other set-up to check the project.

mod bench;
mod demo;
mod instance;
mod interrupt;
mod package;
mod test;
mod tidy;
mod tools;
mod torture;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

/// One sub-command of `cargo xtask`.
struct Command {
    name: &'static str,
    /// One line for `--help`.
    summary: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command { name: "test", summary: "Run everything that must pass; `test --help` tells more", run: test::run },
    Command { name: "tidy", summary: "Check the laws of the house that compilers do not know", run: tidy::run },
    Command { name: "tools", summary: "Install the cargo tools that `test` needs, print versions", run: tools::run },
    Command { name: "demo", summary: "Show in half a minute what slothd is good for", run: demo::run },
    Command { name: "bench", summary: "Measure against limits and rivals; `bench --help` tells more", run: bench::run },
    Command { name: "package", summary: "Write a .deb and an .rpm; `package --help` tells more", run: package::run },
    Command {
        name: "torture",
        summary: "Kill slothd in a loop, check what must still be true; `torture --help` tells more",
        run: torture::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        eprint!("{}", help());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "-h" | "--help" | "help") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("unknown_command: `{name}` is not a sub-command of cargo xtask\n\n{}", help());
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn help() -> String {
    let mut text = "Automation of the workspace\n\nUsage: cargo xtask COMMAND [OPTIONS]\n\nCommands:\n".to_owned();
    for command in COMMANDS {
        text += &format!("  {:<8} {}\n", command.name, command.summary);
    }
    text + "\nExit codes: 0 all is well, 1 a check failed, 2 a check could not be run\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command() {
        let help = help();
        for command in COMMANDS {
            let listed = help.lines().any(|line| line.split_whitespace().next() == Some(command.name));
            assert!(listed, "{}", command.name);
        }
    }
}
