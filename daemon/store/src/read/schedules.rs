//! Schedules: one, a page, those that are due, and the history of their triggers.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use sloth_core::ledger::Period;
use sloth_core::machine::Loaded;
use sloth_core::record::Stats;
use sloth_core::trigger::Trigger;
use sloth_core::{Moment, Schedule, ScheduleId, Uid};

use super::{Conditions, first, moment, moment_opt, parsed, parsed_opt, rows, word_opt};
use crate::apply::Key;
use crate::definition::{self, Identity};
use crate::{Store, StoreError, Zones, words};

pub(super) const SELECT: &str =
    "SELECT id, owner, name, revision, definition, mark, next_due, runs, failures_in_a_row, last_success_at,
  last_run, last_status, last_reason, last_ended_at, last_duration_us, fired_boot FROM schedules";

pub(super) const DUE: &str =
    "WHERE next_due IS NOT NULL AND deleted_at IS NULL AND next_due <= ?1 AND (next_due, id) > (?2, ?3)
  ORDER BY next_due, id LIMIT ?4";

pub(super) const FOLLOWERS: &str = "WHERE \"after\" IS NOT NULL AND deleted_at IS NULL ORDER BY id";

pub(super) const OF_FILES: &str = "WHERE file IS NOT NULL AND deleted_at IS NULL ORDER BY file, id";

pub(super) const REBOOTS: &str = "WHERE trigger_class = 'reboot' AND deleted_at IS NULL ORDER BY id";

pub(super) const HIGHEST_MARK: &str =
    "SELECT max(mark) FROM schedules WHERE next_due IS NOT NULL AND deleted_at IS NULL";

pub(super) const BY_NAME: &str = "WHERE owner = ?1 AND name = ?2 AND deleted_at IS NULL";

/// Which schedules to list. Deleted ones never.
#[derive(Clone, Debug, Default)]
pub struct ScheduleFilter {
    /// Only this owner's.
    pub owner: Option<Uid>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only those whose last run failed.
    pub failed: bool,
    /// Only enabled, or only paused ones.
    pub enabled: Option<bool>,
    /// Only those after this one, in the order of owner and name.
    pub after: Option<(Uid, String)>,
}

/// One page of schedules. `broken` names rows that cannot be read (a time zone that is gone, for instance): they hide
/// no other.
#[derive(Debug, Default)]
pub struct ScheduleList {
    /// In the order of owner and name.
    pub items: Vec<Loaded>,
    /// What could not be read.
    pub broken: Vec<StoreError>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<(Uid, String)>,
}

/// Where a page of due schedules ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueKey {
    /// Of the last schedule of the page.
    pub next_due: Moment,
    /// The last schedule of the page.
    pub id: ScheduleId,
}

/// One page of due schedules.
#[derive(Debug, Default)]
pub struct Due {
    /// In the order of `next_due`.
    pub items: Vec<Loaded>,
    /// What could not be read.
    pub broken: Vec<StoreError>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<DueKey>,
}

/// A trigger and the time during which it was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerSpan {
    /// The text.
    pub trigger: String,
    /// IANA name; `None`: the zone of the system.
    pub timezone: Option<String>,
    /// `fixed`, `interval`, `anchored`, `single`.
    pub kind: String,
    /// Where an `@every` trigger counts from.
    pub anchor: Option<Moment>,
    /// Instants after this are its.
    pub valid_from: Moment,
    /// Clock epoch of `valid_from`.
    pub from_epoch: u32,
    /// Instants up to this, of this clock epoch, are its; `None`: it is in force.
    pub valid_to: Option<(Moment, u32)>,
    /// Revision of the schedule that brought it.
    pub revision: u32,
}

impl Store {
    /// The schedule of an owner with this name.
    pub fn schedule_by_name(&self, owner: Uid, name: &str) -> Result<Option<Loaded>, StoreError> {
        self.read(|conn| {
            first(conn, &format!("{SELECT} {BY_NAME}"), params![owner.0, name], |row| loaded(row, &*self.inner.zones))
        })
    }

    /// The schedule with this id, deleted or not.
    pub fn schedule(&self, id: ScheduleId) -> Result<Option<Loaded>, StoreError> {
        let sql = format!("{SELECT} WHERE id = ?1");
        self.read(|conn| first(conn, &sql, [Key::new(id.uuid())], |row| loaded(row, &*self.inner.zones)))
    }

    /// One revision of a schedule.
    pub fn schedule_revision(&self, id: ScheduleId, revision: u32) -> Result<Option<Schedule>, StoreError> {
        self.read(|conn| version(conn, id, revision, &*self.inner.zones))
    }

    /// One page of schedules.
    pub fn schedules(&self, filter: &ScheduleFilter, limit: u32) -> Result<ScheduleList, StoreError> {
        let mut list = ScheduleList::default();
        let (sql, values) = list_sql(filter, limit);
        self.read(|conn| {
            let mut last = None;
            let found = rows(conn, &sql, rusqlite::params_from_iter(values), |row| {
                last = Some((Uid(row.get(1)?), row.get(2)?));
                Ok(loaded(row, &*self.inner.zones))
            })?;
            if found.len() >= limit.clamp(1, super::LIST_MAX) as usize {
                list.next = last;
            }
            sort_out(found, &mut list.items, &mut list.broken);
            Ok(())
        })?;
        Ok(list)
    }

    /// Schedules whose `next_due` is at most `until`, in its order.
    pub fn due_schedules(&self, until: Moment, limit: u32, after: Option<DueKey>) -> Result<Due, StoreError> {
        let mut due = Due::default();
        let (from, id) = after.map_or((i64::MIN, String::new()), |key| (key.next_due.micros(), key.id.to_string()));
        self.read(|conn| {
            let mut last = None;
            let found = rows(conn, &format!("{SELECT} {DUE}"), params![until.micros(), from, id, limit], |row| {
                last = Some(DueKey { next_due: moment(row, 6)?, id: parsed(row, 0)? });
                Ok(loaded(row, &*self.inner.zones))
            })?;
            if found.len() >= limit as usize {
                due.next = last;
            }
            sort_out(found, &mut due.items, &mut due.broken);
            Ok(())
        })?;
        Ok(due)
    }

    /// The schedules that run after another one.
    pub fn schedules_with_after(&self) -> Result<ScheduleList, StoreError> {
        self.all_of(FOLLOWERS)
    }

    /// The schedules that were written in files.
    pub fn schedules_of_files(&self) -> Result<ScheduleList, StoreError> {
        self.all_of(OF_FILES)
    }

    /// How many schedules there are, without the deleted.
    pub fn schedule_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM schedules WHERE deleted_at IS NULL";
        self.read(|conn| Ok(first(conn, sql, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0).unsigned_abs()))
    }

    /// All triggers that a schedule has had, oldest first.
    pub fn trigger_history(&self, id: ScheduleId) -> Result<Vec<TriggerSpan>, StoreError> {
        self.read(|conn| {
            let sql = "SELECT trigger, timezone, kind, anchor, valid_from, from_epoch, valid_to, to_epoch, revision
                       FROM schedule_triggers WHERE schedule_id = ?1 ORDER BY from_epoch, valid_from";
            rows(conn, sql, [Key::new(id.uuid())], |row| {
                Ok(TriggerSpan {
                    trigger: row.get(0)?,
                    timezone: row.get(1)?,
                    kind: row.get(2)?,
                    anchor: moment_opt(row, 3)?,
                    valid_from: moment(row, 4)?,
                    from_epoch: row.get(5)?,
                    valid_to: moment_opt(row, 6)?.zip(row.get(7)?),
                    revision: row.get(8)?,
                })
            })
        })
    }

    /// The trigger history in the form of which the due instants are recomputed.
    pub fn periods(&self, id: ScheduleId) -> Result<Vec<Period>, StoreError> {
        let spans = self.trigger_history(id)?;
        let bad = |span: &TriggerSpan, why: String| {
            StoreError::unreadable(
                format!("trigger {:?} of schedule {id} since {}", span.trigger, span.valid_from),
                why,
            )
        };
        let period = |span: TriggerSpan| {
            let zone = (self.inner.zones)(span.timezone.as_deref())
                .ok_or_else(|| bad(&span, format!("unknown time zone {:?}", span.timezone)))?;
            let trigger = Trigger::parse(&span.trigger, &zone).map_err(|e| bad(&span, e.to_string()))?;
            Ok(Period {
                trigger: span.anchor.map_or(trigger.clone(), |at| trigger.with_anchor(at)),
                zone,
                from: span.valid_from,
                from_epoch: span.from_epoch,
                to: span.valid_to,
            })
        };
        spans.into_iter().map(period).collect()
    }

    /// Schedules with `@reboot` that have not fired for this boot of the host.
    pub fn reboot_schedules(&self, boot_id: &str) -> Result<ScheduleList, StoreError> {
        let mut list = self.all_of(REBOOTS)?;
        list.items.retain(|loaded| loaded.stats.fired_boot.as_deref() != Some(boot_id));
        Ok(list)
    }

    /// The latest mark of all schedules that have instants to come.
    pub fn highest_mark(&self) -> Result<Option<Moment>, StoreError> {
        self.read(|conn| Ok(first(conn, HIGHEST_MARK, [], |row| Ok(moment_opt(row, 0)?))?.flatten()))
    }

    /// When a schedule was deleted (milliseconds precision); `None`: it was not, or never existed.
    pub fn deleted_at(&self, id: ScheduleId) -> Result<Option<Moment>, StoreError> {
        let sql = "SELECT deleted_at FROM schedules WHERE id = ?1";
        let ms: Option<Option<i64>> =
            self.read(|conn| first(conn, sql, [Key::new(id.uuid())], |row| Ok(row.get(0)?)))?;
        Ok(ms.flatten().map(|ms| Moment::from_micros(ms.saturating_mul(1000))))
    }

    fn all_of(&self, condition: &str) -> Result<ScheduleList, StoreError> {
        let mut list = ScheduleList::default();
        self.read(|conn| {
            let found = rows(conn, &format!("{SELECT} {condition}"), [], |row| Ok(loaded(row, &*self.inner.zones)))?;
            sort_out(found, &mut list.items, &mut list.broken);
            Ok(())
        })?;
        Ok(list)
    }
}

pub(super) fn list_sql(filter: &ScheduleFilter, limit: u32) -> (String, Vec<rusqlite::types::Value>) {
    let mut conditions = Conditions::default();
    conditions.fixed("deleted_at IS NULL");
    match (filter.owner, &filter.after) {
        (None, None) => {}
        (None, Some((owner, name))) => conditions.add_pair("owner, name", '>', i64::from(owner.0), name.clone()),
        (Some(owner), after) => {
            conditions.add("owner = ?", i64::from(owner.0));
            // A page ends where the next one begins, so that the key has the same owner.
            if let Some((_, name)) = after {
                conditions.add("name > ?", name.clone());
            }
        }
    }
    if let Some(tag) = &filter.tag {
        conditions.add("EXISTS (SELECT 1 FROM json_each(schedules.tags) AS t WHERE t.value = ?)", tag.clone());
    }
    if filter.failed {
        conditions.fixed("last_status = 'failed'");
    }
    if let Some(enabled) = filter.enabled {
        conditions.fixed(if enabled { "enabled = 1" } else { "enabled = 0" });
    }
    (conditions.sql(SELECT, "owner, name", limit), conditions.values)
}

/// A revision, whether current or not.
pub(super) fn version(
    conn: &Connection,
    id: ScheduleId,
    revision: u32,
    zones: &Zones,
) -> Result<Option<Schedule>, StoreError> {
    let sql = "SELECT owner, name, definition FROM schedules WHERE id = ?1 AND revision = ?2
               UNION ALL
               SELECT s.owner, s.name, v.definition FROM schedule_versions v JOIN schedules s ON s.id = v.schedule_id
               WHERE v.schedule_id = ?1 AND v.revision = ?2";
    first(conn, sql, params![Key::new(id.uuid()), revision], |row| {
        let identity = Identity { id, revision, owner: Uid(row.get(0)?), name: row.get(1)? };
        definition::read(identity, text(row, 2)?, zones)
    })
}

/// Retention of a schedule: how many runs, how long.
pub(crate) fn keep_of(conn: &Connection, id: &str) -> Result<Option<(u32, Duration)>, StoreError> {
    let sql =
        "SELECT definition ->> '$.keep.runs', CAST(definition ->> '$.keep.age' AS REAL) FROM schedules WHERE id = ?1";
    first(conn, sql, [id], |row| {
        let age =
            Duration::try_from_secs_f64(row.get(1)?).map_err(|e| StoreError::unreadable(format!("keep of {id}"), e))?;
        Ok((row.get(0)?, age))
    })
}

pub(super) fn loaded(row: &Row<'_>, zones: &Zones) -> Result<Loaded, StoreError> {
    let identity = Identity { id: parsed(row, 0)?, owner: Uid(row.get(1)?), name: row.get(2)?, revision: row.get(3)? };
    Ok(Loaded {
        schedule: Arc::new(definition::read(identity, text(row, 4)?, zones)?),
        mark: moment(row, 5)?,
        next_due: moment_opt(row, 6)?,
        stats: Stats {
            runs: row.get::<_, i64>(7)?.unsigned_abs(),
            failures_in_a_row: row.get(8)?,
            last_success_at: moment_opt(row, 9)?,
            last_run: parsed_opt(row, 10)?,
            last_status: word_opt(row, 11, words::read_status)?,
            last_reason: word_opt(row, 12, words::read_reason)?,
            last_ended_at: moment_opt(row, 13)?,
            last_duration_us: row.get(14)?,
            fired_boot: row.get(15)?,
        },
    })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|e| StoreError::unreadable("a definition", e))
}

fn sort_out(found: Vec<Result<Loaded, StoreError>>, items: &mut Vec<Loaded>, broken: &mut Vec<StoreError>) {
    for one in found {
        match one {
            Ok(item) => items.push(item),
            Err(error) => {
                tracing::error!(%error, "a schedule cannot be read");
                broken.push(error);
            }
        }
    }
}
