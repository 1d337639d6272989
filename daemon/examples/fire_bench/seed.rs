//! Databases as slothd would have left them.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use sloth_core::record::{Decision, Occurrence, Record};
use sloth_core::run::{Attempt, ProcessId, Run, RunStatus, RunTrigger, Usage};
use sloth_core::{Action, AttemptKey, Moment, RunId, Schedule, ScheduleId, Uid};
use sloth_store::{OpenOptions, Store};

/// Records of one transaction.
const BATCH: usize = 500;

pub fn schedules(dir: &Path, count: usize) {
    let (store, _) = Store::open(&dir.join("stacks.db"), OpenOptions::default()).expect("opens");
    write_schedules(&store, count, |n| format!("{} {} 1 1 *", n % 60, n / 60 % 24));
    store.close();
}

/// Ends without closing the store, as a power failure does.
pub fn runs(dir: &Path, count: usize) {
    let (store, _) = Store::open(&dir.join("stacks.db"), OpenOptions::default()).expect("opens");
    let made = write_schedules(&store, count, |_| "30 2 * * *".to_owned());
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    for some in made.chunks(BATCH) {
        store.write(some.iter().flat_map(|schedule| going(schedule, &boot_id)).collect()).expect("written");
    }
    std::process::abort();
}

/// All that is on disk of a run with a process.
fn going(schedule: &Schedule, boot_id: &str) -> Vec<Record> {
    let at = super::clock::now();
    let key = AttemptKey { run: RunId::v7(at, schedule.id.uuid().as_u128()), attempt: 1 };
    // No such process: its number is beyond what Linux gives (proc_sys_kernel(5), pid_max).
    let process = ProcessId { pid: 5_000_000, start_ticks: 1, boot_id: boot_id.to_owned() };
    let run = Run {
        id: key.run,
        schedule: schedule.id,
        revision: 1,
        schedule_name: schedule.name.clone(),
        owner: schedule.owner,
        user: schedule.user.clone(),
        trigger: RunTrigger::Due,
        due_at: at,
        epoch: 0,
        asked_by: "schedule".into(),
        status: RunStatus::Running,
        reason: None,
        message: None,
        queued_at: at,
        started_at: Some(at),
        ended_at: None,
        attempts: 1,
        retry_at: None,
        exit_code: None,
        signal: None,
        usage: Usage::default(),
        output_bytes: 0,
        stderr_tail: String::new(),
        workflow: None,
        process: Some(process.clone()),
    };
    let occurrence = Occurrence { schedule: schedule.id, due_at: at, epoch: 0 };
    vec![
        Record::Decided(occurrence, Decision::Run { run: key.run, trigger: RunTrigger::Due }),
        Record::RunCreated(Arc::new(run)),
        Record::AttemptStarted(Attempt { key, started_at: at, process: Some(process), end: None }),
    ]
}

pub fn write_schedules(store: &Store, count: usize, cron: impl Fn(usize) -> String) -> Vec<Schedule> {
    let made: Vec<Schedule> = (0..count).map(|n| schedule(n, &cron(n))).collect();
    for some in made.chunks(BATCH) {
        let records = some.iter().map(|schedule| Record::ScheduleCreated(schedule.clone().into())).collect();
        store.write(records).expect("written");
    }
    made
}

fn schedule(n: usize, cron: &str) -> Schedule {
    // A whole second, so that the first instant is a whole one too.
    let now = Moment::from_secs(super::since_epoch().as_secs() as i64);
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users can be read").expect("I am a user");
    let action = Action::Command(vec!["/bin/true".to_owned()]);
    let id = ScheduleId::v7(now, n as u128);
    let plain = Schedule::new(id, format!("job-{n}"), cron, TimeZone::UTC, action, now).expect("a trigger");
    let (owner, timezone) = (Uid(me.uid.as_raw()), Some("UTC".to_owned()));
    Schedule { owner, owner_name: me.name.clone(), user: me.name, timezone, ..plain }
}
