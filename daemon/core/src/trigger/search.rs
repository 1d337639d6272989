//! From wall times to instants: what a cron trigger does where the clock of a zone jumps. Offsets before and after a
//! change are compared; a daylight flag is never asked.
//!
//! * Gap (forward by up to [`JUMP_MAX`]): fixed and anchored triggers make up its wall times once, at the first instant
//!   after it; interval triggers pass over it. A longer jump, such as a deleted day, is made up by nobody.
//! * Overlap (backward, however far): a fixed trigger takes the first pass of a wall time only; interval and anchored
//!   triggers take both.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneTransition};

use super::{Cron, TriggerKind};
use crate::Moment;

/// The longest jump that counts as a clock change, in seconds; beyond it a zone has moved its calendar.
const JUMP_MAX: i64 = 3 * 3600;

/// After this many seconds a change no longer repeats wall times: no zone moves by more than a day and a bit.
const REPEAT_MAX: i64 = 2 * 86_400;

/// A change of a zone's UTC offset. Seconds throughout; `old` and `new` are the wall clock at `at`.
struct Change {
    at: i64,
    old: i64,
    new: i64,
}

impl Change {
    fn is_gap_made_up_by(&self, kind: TriggerKind) -> bool {
        kind != TriggerKind::Interval && self.new > self.old && self.new - self.old <= JUMP_MAX
    }
}

/// The first due instant strictly after `after`.
pub(super) fn next(cron: &Cron, tz: &TimeZone, after: Moment) -> Option<Moment> {
    let from = after.clamp(Moment::MIN, Moment::MAX).secs();
    let kind = cron.kind();
    let mut offset = offset_at(tz, from);
    // Invariant: no wall time in (seen, wall) matches, and everything due up to the current change lies at `wall`.
    let mut seen = from + offset;
    if kind == TriggerKind::Fixed {
        seen = seen.max(latest_wall(tz, from));
    }
    let mut wall = cron.next_wall(seen);
    for transition in tz.following(Moment::from_secs(from).timestamp()) {
        let at = second_of(&transition);
        if let Some(wall) = wall
            && wall - offset < at
        {
            break;
        }
        // Only a repeated wall time can still come, and that soon.
        if wall.is_none() && (kind == TriggerKind::Fixed || at - from > REPEAT_MAX) {
            return None;
        }
        let change = Change { at, old: at + offset, new: at + offset_of(&transition) };
        offset = offset_of(&transition);
        if wall.is_some_and(|wall| wall < change.new) {
            if change.is_gap_made_up_by(kind) {
                return within_range(at);
            }
            seen = change.new - 1;
            wall = cron.next_wall(seen);
        } else if change.new < change.old && change.new <= seen && kind != TriggerKind::Fixed {
            seen = change.new - 1;
            wall = cron.next_wall(seen);
        }
    }
    within_range(wall? - offset)
}

/// What a reader should know about a due instant near a clock change.
pub(super) fn remark(cron: &Cron, tz: &TimeZone, due: Moment) -> Option<String> {
    let due = due.clamp(Moment::MIN, Moment::MAX).secs();
    let wall = due + offset_at(tz, due);
    if let Some(change) = last_change(tz, due) {
        if change.at == due && change.is_gap_made_up_by(cron.kind()) {
            return made_up(cron, &change);
        }
        if wall < change.old {
            return Some(format!("{} happens twice: second pass", Clock(wall)));
        }
    }
    let transition = tz.following(Moment::from_secs(due).timestamp()).next()?;
    let repeated_from = second_of(&transition) + offset_of(&transition);
    (repeated_from <= wall).then(|| format!("{} happens twice: first pass", Clock(wall)))
}

/// The first instant after the gap that `inside` fell into when read with the offset before it. None when the zone moved
/// its calendar, so that nothing makes the time up.
pub(super) fn end_of_gap(tz: &TimeZone, inside: Moment) -> Option<Moment> {
    let change = last_change(tz, inside.secs())?;
    (change.new - change.old <= JUMP_MAX).then(|| Moment::from_secs(change.at))
}

fn made_up(cron: &Cron, gap: &Change) -> Option<String> {
    let mut lost = std::iter::successors(cron.next_wall(gap.old - 1), |wall| cron.next_wall(*wall))
        .take_while(|wall| *wall < gap.new);
    let first = lost.next()?;
    let end = Clock(gap.new);
    Some(match lost.last() {
        None => format!("{} does not exist on this day: made up at {end}", Clock(first)),
        Some(last) => format!("{} to {} do not exist on this day: made up once at {end}", Clock(first), Clock(last)),
    })
}

/// The latest wall time that any instant up to `from` has shown: ahead of the clock in the second pass of an overlap.
fn latest_wall(tz: &TimeZone, from: i64) -> i64 {
    let mut latest = i64::MIN;
    for transition in tz.preceding(Moment::from_secs(from + 1).timestamp()) {
        let at = second_of(&transition);
        if from - at > REPEAT_MAX {
            break;
        }
        latest = latest.max(at - 1 + offset_at(tz, at - 1));
    }
    latest
}

/// The last change at or before `second`.
fn last_change(tz: &TimeZone, second: i64) -> Option<Change> {
    let transition = tz.preceding(Moment::from_secs(second + 1).timestamp()).next()?;
    let at = second_of(&transition);
    Some(Change { at, old: at + offset_at(tz, at - 1), new: at + offset_of(&transition) })
}

fn offset_at(tz: &TimeZone, second: i64) -> i64 {
    i64::from(tz.to_offset(Moment::from_secs(second).timestamp()).seconds())
}

fn offset_of(transition: &TimeZoneTransition<'_>) -> i64 {
    i64::from(transition.offset().seconds())
}

fn second_of(transition: &TimeZoneTransition<'_>) -> i64 {
    transition.timestamp().as_second()
}

fn within_range(second: i64) -> Option<Moment> {
    let moment = Moment::from_secs(second);
    (moment <= Moment::MAX).then_some(moment)
}

/// The time of day of a wall time, without seconds when they are zero.
struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.rem_euclid(86_400);
        write!(f, "{:02}:{:02}", time / 3600, time / 60 % 60)?;
        if time % 60 != 0 { write!(f, ":{:02}", time % 60) } else { Ok(()) }
    }
}
