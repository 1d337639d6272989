//! The command line of `cargo xtask test`.

use anyhow::{Result, bail};

use super::steps::{STEPS, Step};

/// What the caller wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Help,
    List,
    Run(Options),
}

/// Which steps run, and how much of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of the steps to run; all when empty.
    pub only: Vec<String>,
    /// Leave out slow steps and the black-box tests.
    pub quick: bool,
}

impl Options {
    pub fn wants(&self, step: &Step) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step.name)
    }
}

pub fn parse(args: &[String]) -> Result<Wish> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-h" | "--help" => return Ok(Wish::Help),
            "--list" => return Ok(Wish::List),
            "--quick" => options.quick = true,
            "--only" => match args.next() {
                Some(name) => options.only.push(known(name)?),
                None => bail!("--only needs the name of a step; `cargo xtask test --list` shows them"),
            },
            other => match other.strip_prefix("--only=") {
                Some(name) => options.only.push(known(name)?),
                None => bail!("unknown option `{other}`; see `cargo xtask test --help`"),
            },
        }
    }
    Ok(Wish::Run(options))
}

fn known(name: &str) -> Result<String> {
    if STEPS.iter().any(|step| step.name == name) {
        return Ok(name.to_owned());
    }
    bail!("there is no step `{name}`; `cargo xtask test --list` shows them")
}

pub fn list() -> String {
    let line = |step: &Step| {
        let slow = if step.slow { " (slow: not in --quick)" } else { "" };
        format!("{:<11} {}{slow}\n", step.name, step.about)
    };
    STEPS.iter().map(line).collect()
}

pub fn help() -> String {
    let options = "Run everything that must pass

Usage: cargo xtask test [--quick] [--only STEP]...

Options:
  --only STEP  Run this step only; may be given more than once
  --quick      Leave out the slow steps and the black-box tests
  --list       List the steps
  -h, --help   Print this

A failed step does not keep the others from running. What is left out is printed as `SKIPPED: name: reason`.

Steps:
";
    let steps: String = list().lines().map(|line| format!("  {line}\n")).collect();
    format!("{options}{steps}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    fn refusal(line: &str) -> String {
        parsed(line).expect_err("this line is wrong").to_string()
    }

    #[test]
    fn options_name_steps() {
        let wish = parsed("--quick --only fmt --only=tidy").expect("a good line");
        assert_eq!(wish, Wish::Run(Options { only: vec!["fmt".to_owned(), "tidy".to_owned()], quick: true }));
    }

    #[test]
    fn refusals_say_what_to_do() {
        assert!(refusal("--only fnt").contains("no step `fnt`"));
        assert!(refusal("--only").contains("--list"));
        assert!(refusal("--fast").contains("unknown option `--fast`"));
    }

    #[test]
    fn help_names_every_step() {
        for step in STEPS {
            assert!(help().contains(&format!("\n  {} ", step.name)), "{}", step.name);
        }
    }
}
