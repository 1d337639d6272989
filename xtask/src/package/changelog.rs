//! `packaging/changelog` in the format of deb-changelog(5): version, date and maintainer of the packages come from its first entry.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The newest entry, and the whole text.
pub struct Changelog {
    pub version: String,
    pub revision: String,
    pub maintainer: String,
    /// RFC 5322.
    pub date: String,
    changes: Vec<String>,
}

impl Changelog {
    pub fn read(path: &Path) -> Result<Changelog> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Changelog::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Changelog> {
        let head = text.lines().next().unwrap_or_default();
        let full = head.strip_prefix("slothd (").and_then(|rest| rest.split_once(')')).map(|(version, _)| version);
        let (version, revision) = full
            .and_then(|full| full.rsplit_once('-'))
            .with_context(|| format!("`{head}` is not `slothd (VERSION-REVISION) …`"))?;
        let mut changes = Vec::new();
        for line in text.lines().skip(1) {
            if let Some(signed) = line.strip_prefix(" -- ") {
                let (maintainer, date) =
                    signed.split_once("  ").with_context(|| format!("`{line}` has no date after two spaces"))?;
                return Ok(Changelog {
                    version: version.to_owned(),
                    revision: revision.to_owned(),
                    maintainer: maintainer.to_owned(),
                    date: date.to_owned(),
                    changes,
                });
            }
            match line.trim().strip_prefix("* ") {
                Some(change) => changes.push(change.to_owned()),
                None if line.trim().is_empty() => {}
                None => match changes.last_mut() {
                    Some(last) => *last = format!("{last} {}", line.trim()),
                    None => bail!("`{line}` belongs to no change"),
                },
            }
        }
        bail!("the first entry is not signed with ` -- NAME <MAIL>  DATE`")
    }

    /// Of the date.
    pub fn seconds(&self) -> Result<u64> {
        let output = Command::new("date").args(["-u", "+%s", "-d", &self.date]).output().context("cannot run date")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().with_context(|| format!("packaging/changelog: `{}` is no date", self.date))
    }

    /// The newest entry as rpm writes it.
    pub fn as_rpm(&self, epoch: u64) -> Result<String> {
        let output = Command::new("date")
            .args(["-u", "+%a %b %d %Y", "-d", &format!("@{epoch}")])
            .env("LC_ALL", "C")
            .output()
            .context("cannot run date")?;
        let day = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut text = format!("* {day} {} - {}-{}\n", self.maintainer, self.version, self.revision);
        for change in &self.changes {
            text += &format!("- {}\n", change.replace('%', "%%"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "slothd (1.2-3) unstable; urgency=medium\n\n  * First thing\n    goes on.\n  * 5 % more\n\n \
                        -- A B <a@example.org>  Tue, 24 Nov 2026 12:00:00 +0000\n\nslothd (1.1-1) x; urgency=low\n";

    #[test]
    fn the_first_entry_counts() {
        let changelog = Changelog::parse(TEXT).expect("good");
        assert_eq!((changelog.version.as_str(), changelog.revision.as_str()), ("1.2", "3"));
        assert_eq!(changelog.seconds().expect("a date"), 1_795_521_600);
        let rpm = changelog.as_rpm(1_795_521_600).expect("date(1)");
        assert_eq!(rpm, "* Tue Nov 24 2026 A B <a@example.org> - 1.2-3\n- First thing goes on.\n- 5 %% more\n");
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for (text, word) in [("other (1-1)", "VERSION"), ("slothd (1-1) x\n\n  * a\n", "signed"), ("", "VERSION")] {
            let error = Changelog::parse(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(word), "{error}");
        }
    }
}
