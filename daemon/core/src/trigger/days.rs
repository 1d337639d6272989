//! Which days of a month a cron expression names: its two day fields, compiled to bit masks and combined per month.

/// The day-of-month and day-of-week fields. Bit `d` of a day mask is day `d`; bit 0 of a week mask is Sunday.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Days {
    /// Days by number.
    pub(super) dom: u32,
    /// `nW`: the weekday nearest to day `n` within the month; a month without day `n` has none.
    pub(super) nearest: u32,
    /// Bit `n`: `n` days before the last day (`L` is bit 0, `L-3` is bit 3).
    pub(super) before_last: u32,
    /// Days of the week, each time they come.
    pub(super) dow: u8,
    /// `n#k`: the `k`-th of its kind in the month, at index `k - 1`.
    pub(super) nth: [u8; 5],
    /// `nL`, `n#L`: the last of its kind in the month.
    pub(super) last: u8,
    /// `LW`: the last Monday to Friday of the month.
    pub(super) last_weekday: bool,
    pub(super) rule: DayRule,
}

/// How the two day fields are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DayRule {
    /// A day must match both: one field begins with `*`, or the day of week with `+`.
    Both,
    /// Both fields are restricted: a day matches either.
    Either,
}

pub(super) const SUNDAY: u32 = 0;
pub(super) const SATURDAY: u32 = 6;
const EVERY_DAY: u32 = 0xffff_fffe;
const EVERY_WEEKDAY: u8 = 0x7f;
/// A week mask times this repeats it over five weeks.
const WEEKS: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;

impl Days {
    /// No day at all, to be filled in by the parser.
    pub(super) const NONE: Days = Days {
        dom: 0,
        nearest: 0,
        before_last: 0,
        dow: 0,
        nth: [0; 5],
        last: 0,
        last_weekday: false,
        rule: DayRule::Both,
    };

    /// The matching days of a month of `length` days whose first day is the weekday `first` (0 is Sunday).
    pub(super) fn in_month(&self, length: u32, first: u32) -> u32 {
        let month = EVERY_DAY & ((2u64 << length) - 1) as u32;
        let by_number = self.by_number(length, first);
        let by_week = self.by_week(length, first);
        month
            & match self.rule {
                DayRule::Both => by_number & by_week,
                DayRule::Either => by_number | by_week,
            }
    }

    /// Whether the day of month leaves out no day, in any month.
    pub(super) fn any_number(&self) -> bool {
        self.dom == EVERY_DAY
    }

    /// Whether the day of week leaves out no day.
    pub(super) fn any_weekday(&self) -> bool {
        self.dow == EVERY_WEEKDAY
    }

    fn by_number(&self, length: u32, first: u32) -> u32 {
        let mut days = self.dom;
        let mut rest = self.before_last;
        while rest != 0 {
            let before = rest.trailing_zeros();
            rest &= rest - 1;
            if before < length {
                days |= 1 << (length - before);
            }
        }
        let mut rest = self.nearest;
        while rest != 0 {
            let day = rest.trailing_zeros();
            rest &= rest - 1;
            if day <= length {
                days |= 1 << nearest_weekday(day, length, first);
            }
        }
        if self.last_weekday {
            days |= 1 << nearest_weekday_before_end(length, first);
        }
        days
    }

    fn by_week(&self, length: u32, first: u32) -> u32 {
        let mut days = spread(self.dow, first);
        for (index, &week) in (0u32..).zip(&self.nth) {
            if week != 0 {
                days |= spread(week, first) & (0x7f << (index * 7 + 1));
            }
        }
        if self.last != 0 {
            days |= spread(self.last, first) & (0x7f << (length - 6));
        }
        days
    }
}

/// The days 1 to 31 (and some beyond) that fall on the days of the week `week`.
fn spread(week: u8, first: u32) -> u32 {
    let week = u64::from(week);
    let turned = (week >> first | week << (7 - first)) & u64::from(EVERY_WEEKDAY);
    ((turned * WEEKS) << 1) as u32
}

fn weekday(day: u32, first: u32) -> u32 {
    (first + day - 1) % 7
}

fn nearest_weekday(day: u32, length: u32, first: u32) -> u32 {
    match weekday(day, first) {
        SATURDAY if day == 1 => 3,
        SATURDAY => day - 1,
        SUNDAY if day == length => day - 2,
        SUNDAY => day + 1,
        _ => day,
    }
}

fn nearest_weekday_before_end(length: u32, first: u32) -> u32 {
    match weekday(length, first) {
        SATURDAY => length - 1,
        SUNDAY => length - 2,
        _ => length,
    }
}
