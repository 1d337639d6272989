//! Schedules with defaults, so that a test names only what it is about.

use jiff::tz::TimeZone;
use sloth_core::{Action, Moment, Schedule, ScheduleId, Uid};

/// As `slothctl scheduler add` would make it. Its times are stamped when it is stored.
pub fn schedule(id: ScheduleId, name: &str, trigger: &str, zone: &str) -> Schedule {
    let zone = TimeZone::get(zone).expect("the system has this zone");
    let action = Action::Shell("true".to_owned());
    let plain = Schedule::new(id, name, trigger, zone, action, Moment::MIN).expect("a trigger");
    Schedule { owner: Uid(1000), owner_name: "ann".to_owned(), user: "ann".to_owned(), ..plain }
}
