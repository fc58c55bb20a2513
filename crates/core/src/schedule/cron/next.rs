//! When an expression fires next.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp as Instant};

use super::Cron;
use crate::schedule::zone::{Zone, instant, timestamp};
use crate::time::Timestamp;

/// Years that are searched for a day. The rarest there is, a 29 February on a given weekday, comes
/// again within 40 years, also over a year such as 2100 that has none.
const YEARS: i16 = 41;

impl Cron {
    /// The first tick later than `after`, on the wall clocks of a zone; `None` if there is none
    /// before the year 2262.
    ///
    /// Ticks are whole seconds. A named hour that a change of summer time leaves out fires once
    /// when the clock has changed; one that comes twice fires the first time. Hours that go on
    /// ([`Cron::goes_on`]) fire whenever the wall clock matches.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let after = instant(after);
        let next = match self.goes_on() {
            true => self.next_matching(after, zone.time_zone()),
            false => self.next_of_named(after, zone.time_zone()),
        };
        next.and_then(timestamp)
    }

    /// By the wall clock, spans without a change one after the other.
    fn next_matching(&self, after: Instant, zone: &TimeZone) -> Option<Instant> {
        let mut from = whole_second_after(after)?;
        let last = from.checked_add(SignedDuration::from_hours(24 * 366 * i64::from(YEARS)));
        let last = last.unwrap_or(Instant::MAX);
        while from <= last {
            let offset = zone.to_offset(from);
            let wall = self.next_wall(offset.to_datetime(from))?;
            let at = offset.to_timestamp(wall).ok()?;
            let change = zone.following(from).next().map(|change| change.timestamp());
            match change {
                Some(change) if change <= at => from = change,
                _ => return Some(at),
            }
        }
        None
    }

    /// Every wall-clock time once, whether it is there once, twice or not at all.
    fn next_of_named(&self, after: Instant, zone: &TimeZone) -> Option<Instant> {
        let second = SignedDuration::from_secs(1);
        // The second after on the wall, which a change may leave out.
        let mut wall = zone.to_datetime(whole_second_after(after)? - second);
        loop {
            wall = self.next_wall(wall.checked_add(second).ok()?)?;
            let at = once(wall, zone)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// The first matching wall-clock time from `from` on, as if no clock ever changed.
    fn next_wall(&self, from: DateTime) -> Option<DateTime> {
        if self.is_day(from.date()) {
            let (hour, minute, second) = (from.hour(), from.minute(), from.second());
            if let Some(time) = self.next_time(hour, minute, second) {
                return Some(from.date().to_datetime(time));
            }
        }
        let date = self.next_date(from.date())?;
        Some(date.to_datetime(self.next_time(0, 0, 0)?))
    }

    fn next_time(&self, hour: i8, minute: i8, second: i8) -> Option<Time> {
        let [hour, minute, second] = [hour, minute, second].map(i8::unsigned_abs);
        let first_second = self.second.next(0)?;
        let in_hour = || {
            let here = self.minute.has(minute).then(|| self.second.next(second));
            if let Some(second) = here.flatten() {
                return Some((minute, second));
            }
            Some((self.minute.next(minute + 1)?, first_second))
        };
        if let Some((minute, second)) = self.hour.has(hour).then(in_hour).flatten() {
            return time(hour, minute, second);
        }
        time(
            self.hour.next(hour + 1)?,
            self.minute.next(0)?,
            first_second,
        )
    }

    /// The first matching day after `date`.
    fn next_date(&self, date: Date) -> Option<Date> {
        let last_year = date.year().checked_add(YEARS)?;
        let mut date = date.tomorrow().ok()?;
        while date.year() <= last_year {
            if !self.month.has(date.month().unsigned_abs()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.is_day(date) {
                return Some(date);
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    fn is_day(&self, date: Date) -> bool {
        let day = date.day().unsigned_abs();
        let length = date.days_in_month().unsigned_abs();
        let weekday = date.weekday().to_sunday_zero_offset().unsigned_abs();
        let bit = 1 << weekday;
        let week = self.weekday.nth.get(usize::from((day.max(1) - 1) / 7));
        let by_day = self.day.has(day) || self.day.last_day && day == length;
        let by_weekday = self.weekday.has(weekday)
            || week.is_some_and(|nth| nth & bit != 0)
            || self.weekday.last_of_month & bit != 0 && day + 7 > length;
        let by_both = self.day.starred || self.weekday.starred;
        self.month.has(date.month().unsigned_abs())
            && match by_both {
                true => by_day && by_weekday,
                false => by_day || by_weekday,
            }
    }

    /// Whether any year has a day that matches. These 28 have every month with every length on
    /// every weekday.
    pub(super) fn has_a_day(&self) -> bool {
        let months = (2000..2028).flat_map(|year| (1..=12).map(move |month| (year, month)));
        let first_days = months.filter_map(|(year, month)| Date::new(year, month, 1).ok());
        first_days
            .filter(|first| self.month.has(first.month().unsigned_abs()))
            .any(|first| {
                let mut days = first.series(jiff::Span::new().days(1));
                days.by_ref()
                    .take(usize::from(first.days_in_month().unsigned_abs()))
                    .any(|day| self.is_day(day))
            })
    }
}

fn time(hour: u8, minute: u8, second: u8) -> Option<Time> {
    let [hour, minute, second] = [hour, minute, second].map(|value| i8::try_from(value).ok());
    Time::new(hour?, minute?, second?, 0).ok()
}

fn whole_second_after(after: Instant) -> Option<Instant> {
    let seconds = after.as_nanosecond().div_euclid(1_000_000_000) + 1;
    Instant::from_second(i64::try_from(seconds).ok()?).ok()
}

/// The one moment of a wall-clock time: the first of two; the end of the gap it falls into.
fn once(wall: DateTime, zone: &TimeZone) -> Option<Instant> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a time of the gap lies before the change.
            let before = after.to_timestamp(wall).ok()?;
            let change = zone.following(before).next()?;
            Some(change.timestamp())
        }
    }
}
