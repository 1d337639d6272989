//! What happened to each step, and the closing lines that say it once more, so that nobody has to scroll.

use std::time::Duration;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Why, in one line; the details were printed above.
    Failed(String),
    /// Why it did not run.
    Skipped(String),
}

/// All steps so far.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<(&'static str, Duration, Outcome)>,
    /// Parts of steps that were left out, as (name, reason).
    omissions: Vec<(String, String)>,
    /// The last line of the test runner, with its counts.
    counts: Option<String>,
}

impl Report {
    pub fn add(&mut self, name: &'static str, time: Duration, outcome: Outcome) {
        println!("{}\n", ending(name, time, &outcome));
        self.steps.push((name, time, outcome));
    }

    /// Notes that a part of a step was left out.
    pub fn omit(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.omissions.push((name.into(), reason.into()));
    }

    pub fn set_counts(&mut self, line: String) {
        self.counts = Some(line);
    }

    pub fn failed(&self) -> bool {
        self.steps.iter().any(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    pub fn has_failed(&self, step: &str) -> bool {
        self.steps.iter().any(|(name, _, outcome)| *name == step && matches!(outcome, Outcome::Failed(_)))
    }

    /// Prints the table of steps and everything that needs attention, the most important last.
    pub fn close(&self) {
        print!("{}", self.closing());
    }

    fn closing(&self) -> String {
        let mut text = "== all steps\n".to_owned();
        for (name, time, outcome) in &self.steps {
            let word = match outcome {
                Outcome::Passed => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::Skipped(_) => "skipped",
            };
            text += &format!("{name:<11} {:>7.1} s  {word}\n", time.as_secs_f64());
        }
        for (name, reason) in &self.omissions {
            text += &format!("SKIPPED: {name}: {reason}\n");
        }
        for (name, time, outcome) in &self.steps {
            if matches!(outcome, Outcome::Skipped(_)) {
                text += &format!("{}\n", ending(name, *time, outcome));
            }
        }
        for (name, _, outcome) in &self.steps {
            if let Outcome::Failed(reason) = outcome {
                text += &format!("FAILED: {name}: {reason}\n");
            }
        }
        if let Some(counts) = &self.counts {
            text += &format!("{counts}\n");
        }
        text + &self.sum() + "\n"
    }

    fn sum(&self) -> String {
        let count = |wanted: fn(&Outcome) -> bool| self.steps.iter().filter(|(_, _, outcome)| wanted(outcome)).count();
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let time: Duration = self.steps.iter().map(|(_, time, _)| *time).sum();
        let word = if failed == 0 { "ok" } else { "FAILED" };
        let passed = self.steps.len() - failed - skipped;
        format!(
            "cargo xtask test: {word}: {passed} steps ok, {failed} failed, {skipped} skipped in {:.0} s",
            time.as_secs_f64()
        )
    }
}

fn ending(name: &str, time: Duration, outcome: &Outcome) -> String {
    let seconds = time.as_secs_f64();
    match outcome {
        Outcome::Passed => format!("== {name}: ok ({seconds:.1} s)"),
        Outcome::Failed(reason) => format!("== {name}: FAILED ({seconds:.1} s): {reason}"),
        Outcome::Skipped(reason) => format!("SKIPPED: {name}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_repeats_what_needs_attention() {
        let mut report = Report::default();
        report.add("fmt", Duration::from_millis(1500), Outcome::Failed("exit status: 1".to_owned()));
        report.add("tidy", Duration::from_millis(500), Outcome::Passed);
        report.add("docs", Duration::ZERO, Outcome::Skipped("--quick".to_owned()));
        report.omit("black-box tests", "--quick");
        report.set_counts("     Summary 3 tests run: 3 passed, 0 skipped".to_owned());
        let expected = "== all steps
fmt             1.5 s  FAILED
tidy            0.5 s  ok
docs            0.0 s  skipped
SKIPPED: black-box tests: --quick
SKIPPED: docs: --quick
FAILED: fmt: exit status: 1
     Summary 3 tests run: 3 passed, 0 skipped
cargo xtask test: FAILED: 1 steps ok, 1 failed, 1 skipped in 2 s
";
        assert_eq!(report.closing(), expected);
        assert!(report.failed() && report.has_failed("fmt") && !report.has_failed("tidy"));
    }
}
