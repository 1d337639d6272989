//! Schedules with defaults, so that a test names only what it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use sloth_core::trigger::Trigger;
use sloth_core::{
    Action, Enabled, JitterMode, Keep, Limits, Moment, Origin, Overlap, Retries, Sandbox, Schedule, ScheduleId, Uid,
};

/// As `slothctl scheduler add` would make it. Its times are stamped when it is stored.
pub fn schedule(id: ScheduleId, name: &str, trigger: &str, zone: &str) -> Schedule {
    let zone = TimeZone::get(zone).expect("the system has this zone");
    Schedule {
        id,
        revision: 1,
        name: name.to_owned(),
        owner: Uid(1000),
        owner_name: "ann".to_owned(),
        trigger_text: trigger.to_owned(),
        trigger: Trigger::parse(trigger, &zone).expect("a trigger"),
        timezone: None,
        zone,
        created_at: Moment::MIN,
        trigger_since: Moment::MIN,
        trigger_epoch: 0,
        action: Action::Shell("true".to_owned()),
        user: "ann".to_owned(),
        group: None,
        cwd: None,
        env: BTreeMap::new(),
        umask: 0o022,
        stdin: None,
        enabled: Enabled::Yes,
        overlap: Overlap::Skip,
        queue_limit: 100,
        catch_up: None,
        catch_up_max: 100,
        catch_up_window: Duration::from_secs(86_400),
        start_deadline: None,
        jitter: Duration::ZERO,
        jitter_mode: JitterMode::Instant,
        timeout: None,
        kill_grace: Duration::from_secs(10),
        retries: Retries::default(),
        retry_lost: false,
        limits: Limits::default(),
        success_codes: vec![0],
        pause_after_failures: None,
        after: BTreeMap::new(),
        keep: Keep::default(),
        sandbox: Sandbox::None,
        output_limit: 1 << 20,
        journal: false,
        tags: Vec::new(),
        description: String::new(),
        origin: Origin::Api,
    }
}
