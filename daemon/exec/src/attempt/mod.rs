//! The main process of a unit: started by systemd as the run's user, inside the unit's control group, limits and sandbox. It reads its
//! order, writes the start frame, runs the command, frames its output, ends what the command leaves behind, and
//! writes the end frame. Then it exits with 0, and the unit may vanish: everything is in the file.
//!
//! It has no right that the command does not have. The command runs as the same user, so this process is not dumpable: it cannot be
//! traced, and its descriptors cannot be opened through `/proc`.
//!
//! | Signal | Means |
//! |---|---|
//! | USR1 | slothd has ordered the end; TERM follows |
//! | TERM | the unit is being stopped: the tree has `kill_grace` to end, then it is killed |
//! | USR2 | kill the tree at once |

mod end;
mod event_loop;
mod journal;
pub(crate) mod order;
mod own_group;
mod tree;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::libc;
use nix::unistd::{getegid, geteuid};
use sloth_core::launch::Launch;
use sloth_core::run::{AttemptEnd, Outcome, StartFailure, StartFailureKind, Usage};

use crate::account::Account;
use crate::clock::wall_now;
use crate::fail;
use crate::output::OutputWriter;
use crate::spawn::{self, Plan};
use crate::sys;
use crate::wire::EndRecord;
use event_loop::{Going, Job};
use journal::Journal;
use order::AttemptOrder;
use own_group::OwnGroup;

/// The signal that says that slothd has ordered the end.
pub(crate) const SIGNAL_ORDERED: i32 = libc::SIGUSR1;
/// The signal that kills the tree at once.
pub(crate) const SIGNAL_FORCE: i32 = libc::SIGUSR2;
/// Exit code when standard input holds no order (`EX_USAGE`).
pub(crate) const EXIT_NO_ORDER: i32 = 64;
/// Exit code when standard output is no output file (`EX_IOERR`).
pub(crate) const EXIT_NO_OUTPUT: i32 = 74;
/// Exit code when the output file says that this very attempt began before (`EX_SOFTWARE`).
pub(crate) const EXIT_BEGAN_BEFORE: i32 = 70;

/// Runs the attempt of this process's standard input.
pub fn run() -> ExitCode {
    match attempt() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            eprintln!("sloth-exec: {why}");
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
    }
}

fn attempt() -> Result<(), (i32, String)> {
    let failed = |error: io::Error| (EXIT_NO_OUTPUT, format!("cannot set itself up: {error}"));
    nix::sys::prctl::set_dumpable(false).map_err(|errno| failed(errno.into()))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| failed(errno.into()))?;
    sys::close_from(3);
    let order = AttemptOrder::read(io::stdin().lock()).map_err(|why| (EXIT_NO_ORDER, why))?;
    let output = output_file(&order.launch.0).map_err(|why| (EXIT_NO_OUTPUT, why))?;
    let launch = order.launch.0;
    let mut writer = OutputWriter::new(output, launch.key.attempt, launch.output_limit)
        .map_err(|error| (EXIT_NO_OUTPUT, format!("output file {}: {error}", launch.output.display())))?;
    if writer.has_started_before() {
        let why = format!("attempt {} has run before, says its output file", launch.key);
        return Err((EXIT_BEGAN_BEFORE, why));
    }
    let account = Account {
        name: launch.user.clone(),
        uid: geteuid(),
        gid: getegid(),
        groups: None,
        home: order.home,
        shell: order.shell,
    };
    let end = match begin(&launch, account, &mut writer) {
        Ok(job) => {
            let mut end = job.run(&mut writer);
            if order.ip_accounting {
                let unit = crate::systemd::unit_name(launch.key);
                (end.usage.ip_ingress_bytes, end.usage.ip_egress_bytes) = crate::systemd::ip_bytes(&unit);
            }
            end
        }
        Err(failure) => AttemptEnd {
            outcome: Outcome::NotStarted(failure),
            ended_at: wall_now(),
            usage: Usage::default(),
            output_bytes: 0,
            dropped_bytes: 0,
            stderr_tail: String::new(),
        },
    };
    end::record(&mut writer, &EndRecord(end));
    Ok(())
}

/// Prepares the command, writes the start frame and lets the command go.
fn begin(launch: &Launch, account: Account, writer: &mut OutputWriter) -> Result<Job, StartFailure> {
    use StartFailureKind::{Other, Output, Resources};
    let resources = |error: io::Error| fail(Resources, format!("a process cannot be made: {error}"));
    // Limits, priority, mask and directory are those of the unit already; the plan repeats what is cheap to repeat.
    let mut plan = Plan::new(launch, account, Vec::new())?;
    plan.nice = None;
    let going = Going::new(launch).map_err(resources)?;
    let held = spawn::start(&plan, None).map_err(resources)?;
    let mut job = Job::new(launch, held, going).ok_or_else(|| fail(Other, "the process vanished".to_owned()))?;
    if let Some(group) = OwnGroup::find().filter(|group| group.is_of(&crate::systemd::unit_name(launch.key))) {
        job.use_group(group);
    }
    job.await_held()?;
    if launch.journal {
        match Journal::open(launch) {
            Ok(journal) => job.copy_to(journal),
            Err(error) => writer.note(wall_now(), &format!("the output is not copied to the journal: {error}")),
        }
    }
    if let Err(error) = writer.start(wall_now()) {
        // Without the start on disk nobody could tell later whether it ran, so it does not.
        job.discard();
        return Err(fail(Output, format!("the output file cannot be written: {error}")));
    }
    job.release();
    Ok(job)
}

/// The output file that the unit got as standard output, moved out of the way of the job's own. Standard error stays: it is the journal,
/// and the job gets one of its own.
fn output_file(launch: &Launch) -> Result<File, String> {
    let facts = nix::sys::stat::fstat(io::stdout()).map_err(|errno| format!("standard output: {errno}"))?;
    if facts.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(format!("standard output is not the output file {}", launch.output.display()));
    }
    // 0 to 4 are what a child dups over, see `spawn`; all of ours lie above.
    spawn::reserve_descriptors(3).map_err(|error| format!("/dev/null: {error}"))?;
    let moved = io::stdout().as_fd().try_clone_to_owned().map_err(|error| format!("standard output: {error}"))?;
    Ok(moved.into())
}
