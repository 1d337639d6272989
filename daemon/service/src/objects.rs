//! Schedules by their identity and in brief, for doors whose objects have paths instead of names.

use sloth_api::{ErrorCode, ScheduleView};
use sloth_core::machine::Loaded;
use sloth_core::{Enabled, ScheduleId};
use sloth_store::ScheduleFilter;

use crate::access::Action;
use crate::database::blocking;
use crate::{Caller, Service, ServiceError};

/// Schedules read at once.
const PAGE: u32 = 1000;

/// A schedule in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleBrief {
    /// Identity.
    pub id: String,
    /// Name, unique for the owner.
    pub name: String,
    /// Login name of the owner.
    pub owner: String,
    /// Whether it is not paused.
    pub enabled: bool,
    /// Next instant, microseconds since 1970; `None`: there is none.
    pub next_due_us: Option<i64>,
}

impl Service {
    /// The full name `owner/name` behind an identity. Whether the caller may use it is decided by the use case that gets the name.
    pub fn schedule_name(&self, id: &str) -> Result<String, ServiceError> {
        let schedule = self.by_id(id)?.schedule;
        Ok(format!("{}/{}", schedule.owner_name, schedule.name))
    }

    /// As [`Service::show`], by identity.
    pub async fn show_by_id(&self, caller: &Caller, id: &str) -> Result<ScheduleView, ServiceError> {
        let loaded = self.by_id(id)?;
        let schedule = &loaded.schedule;
        let full = format!("{}/{}", schedule.owner_name, schedule.name);
        self.require_owner(caller, schedule.owner, Action::new("schedule:read", "schedule", full)).await?;
        self.view(&loaded)
    }

    /// The first schedules of [`Service::schedules_in_brief`], identities only.
    pub fn some_schedules(&self, caller: &Caller, max: usize) -> Result<Vec<String>, ServiceError> {
        let owner = (!caller.admin).then_some(caller.uid);
        let filter = ScheduleFilter { owner, ..ScheduleFilter::default() };
        let list = self.store.schedules(&filter, u32::try_from(max).unwrap_or(PAGE))?;
        Ok(list.items.iter().map(|loaded| loaded.schedule.id.to_string()).collect())
    }

    /// As [`Service::schedules_in_brief`], with everything there is to say.
    pub async fn schedule_views(&self, caller: &Caller, max: usize) -> Result<Vec<ScheduleView>, ServiceError> {
        let owner = (!caller.admin).then_some(caller.uid);
        let filter = ScheduleFilter { owner, ..ScheduleFilter::default() };
        let service = self.clone();
        blocking(move || service.read_all(filter, max, |service, loaded| service.view(loaded))).await?
    }

    fn by_id(&self, id: &str) -> Result<Loaded, ServiceError> {
        let missing = || ServiceError::new(ErrorCode::NotFound, format!("there is no schedule with the id {id:?}"));
        let key: ScheduleId = id.parse().map_err(|_| missing())?;
        let loaded = self.store.schedule(key)?.ok_or_else(missing)?;
        match self.store.deleted_at(key)? {
            None => Ok(loaded),
            Some(_) => Err(missing().hint("it was deleted; one that is added again under its name has another id")),
        }
    }

    /// All schedules that a caller sees without being asked for a password: administrators those of everybody, others their own. More
    /// than `max` are refused: half a list would look like a whole one.
    pub async fn schedules_in_brief(&self, caller: &Caller, max: usize) -> Result<Vec<ScheduleBrief>, ServiceError> {
        let owner = (!caller.admin).then_some(caller.uid);
        let service = self.clone();
        let filter = ScheduleFilter { owner, ..ScheduleFilter::default() };
        blocking(move || service.read_all(filter, max, Service::brief)).await?
    }

    fn read_all<T>(
        &self,
        mut filter: ScheduleFilter,
        max: usize,
        read: impl Fn(&Service, &Loaded) -> Result<T, ServiceError>,
    ) -> Result<Vec<T>, ServiceError> {
        let mut items = Vec::new();
        loop {
            let list = self.store.schedules(&filter, PAGE)?;
            for broken in &list.broken {
                tracing::error!(%broken, "a schedule cannot be read");
            }
            for loaded in &list.items {
                items.push(read(self, loaded)?);
            }
            if items.len() > max {
                let message = format!("there are more than {max} schedules");
                return Err(ServiceError::new(ErrorCode::PayloadTooLarge, message)
                    .hint("read them in pages: slothctl scheduler list, GET /api/v1/schedules; or one by its name: GetSchedule"));
            }
            match list.next {
                Some(next) => filter.after = Some(next),
                None => return Ok(items),
            }
        }
    }

    fn brief(&self, loaded: &Loaded) -> Result<ScheduleBrief, ServiceError> {
        let s = &loaded.schedule;
        let enabled = s.enabled == Enabled::Yes;
        let next = match enabled {
            true => self.present_trigger(s)?.next_after(&s.zone, self.host.now()),
            false => None,
        };
        Ok(ScheduleBrief {
            id: s.id.to_string(),
            name: s.name.clone(),
            owner: s.owner_name.clone(),
            enabled,
            next_due_us: next.map(sloth_core::Moment::micros),
        })
    }
}
