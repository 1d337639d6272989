//! Fixed periods on the UTC line.

use std::time::Duration;

use crate::Moment;

/// The first of `anchor + k × period` (`k` = 0, 1, …) strictly after `after`.
///
/// The anchor itself is due only when it lies after `after`: a schedule counted from its creation is due one period later.
/// None for a period below a microsecond and beyond [`Moment::MAX`].
pub fn every_next(period: Duration, anchor: Moment, after: Moment) -> Option<Moment> {
    if anchor > after {
        return (anchor <= Moment::MAX).then_some(anchor);
    }
    let period = i64::try_from(period.as_micros()).ok().filter(|period| *period > 0)?;
    let elapsed = after.micros().checked_sub(anchor.micros())?;
    let due = (elapsed / period).checked_add(1)?.checked_mul(period)?.checked_add(anchor.micros())?;
    Some(Moment::from_micros(due)).filter(|due| *due <= Moment::MAX)
}
