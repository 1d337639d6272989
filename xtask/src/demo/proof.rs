//! Whether what the demo claims has happened.

use anyhow::Result;
use serde_json::Value;

use super::screen::{Ink, Screen};
use crate::instance::Instance;

/// The run that slothd was killed beside.
pub struct Backup {
    pub id: String,
    /// Its process before slothd was killed.
    pub pid: u32,
    /// Whether that process was alive while no slothd was.
    pub survived: bool,
}

/// Says what was seen and whether it is true.
pub fn check(screen: Screen, instance: &Instance, backup: &Backup) -> Result<bool> {
    let run = instance.ask(&["runs", "show", &backup.id])?;
    let audit = instance.ask(&["scheduler", "audit"])?;
    let flaky = instance.ask(&["runs", "list", "--schedule", "flaky"])?;
    let mail = instance.ask(&["runs", "list", "--schedule", "mail"])?;
    let tokyo = instance.ask(&["runs", "list", "--schedule", "tokyo"])?;
    let slow = instance.ask(&["scheduler", "history", "slow"])?;
    let logs = instance.ctl().args(["logs", &backup.id]).output().map(|output| output.stdout).unwrap_or_default();
    let parts = String::from_utf8_lossy(&logs).lines().filter(|line| line.starts_with("part ")).count();
    let claims = [
        (
            "the backup outlived slothd: one process, one attempt, exit code 0, nothing of its output lost",
            backup.survived
                && run["status"] == "completed"
                && run["attempts"] == 1
                && run["exit_code"] == 0
                && run["pid"].as_u64().is_none_or(|pid| pid == u64::from(backup.pid))
                && parts == 8,
        ),
        ("the mail followed the backup", any(&mail, |run| run["status"] == "completed" && run["trigger"] == "after")),
        ("the flaky job succeeded at its third attempt", any(&flaky, |run| run["attempts"] == 3 && ended_well(run))),
        ("the job in Tokyo ran, and once only", tokyo.as_array().is_some_and(|runs| runs.len() == 1)),
        ("no second copy of the slow job ran", any(&slow, |row| row["decision"] == "skipped")),
        ("the audit is clean: nothing was lost, nothing ran twice", audit["clean"] == true),
    ];
    screen.heading("What you have seen");
    for (claim, is_true) in claims {
        let (mark, ink) = if is_true { ("  yes ", Ink::Good) } else { ("  NO  ", Ink::Bad) };
        println!("{} {claim}", screen.paint(mark, ink));
    }
    screen.gap();
    let all = claims.iter().all(|(_, is_true)| *is_true);
    if !all {
        screen.say("Not everything that this demo claims has happened. That is a defect; please report it.");
    }
    Ok(all)
}

fn ended_well(run: &Value) -> bool {
    run["status"] == "completed" && run["exit_code"] == 0
}

fn any(list: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    list.as_array().is_some_and(|rows| rows.iter().any(holds))
}
