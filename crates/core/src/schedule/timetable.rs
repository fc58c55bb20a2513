//! When a schedule fires: by a cron expression, or every so often.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cron::{Cron, InvalidCron};
use super::zone::Zone;
use crate::time::Timestamp;

/// When a schedule fires.
///
/// ```
/// use std::time::Duration;
/// use longshore_core::schedule::Timetable;
/// let every: Timetable = "@every 1h30m".parse()?;
/// assert_eq!(every, Timetable::Every(Duration::from_secs(5400)));
/// assert_eq!("0 9 * * MON".parse::<Timetable>()?.to_string(), "0 9 * * MON");
/// # Ok::<(), longshore_core::schedule::InvalidCron>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Timetable {
    /// On the wall clocks of the schedule's zone.
    Cron(Cron),
    /// So long after the last tick, the first so long after the schedule was added: whole seconds,
    /// from one to a year. No clock changes it.
    Every(Duration),
}

/// Shortest and longest time between two ticks of `@every`.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(366 * 86_400));
/// Spans before a moment that are searched for its latest ticks, in seconds.
const SPANS: [u64; 7] = [
    60,
    3_600,
    86_400,
    32 * 86_400,
    400 * 86_400,
    41 * 366 * 86_400,
    u64::MAX,
];
/// From here on ticks are no longer counted one by one.
const COUNTED: u64 = 10_000;

/// What went by unfired, at least so many: beyond 10,000 of a cron expression nobody counts on.
pub(super) type Count = u64;

impl Timetable {
    /// Whether it is one that can be written: `@every` takes whole seconds, from one to 366 days.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::Cron(_) => true,
            Self::Every(every) => every.subsec_nanos() == 0 && (EVERY.0..=EVERY.1).contains(every),
        }
    }

    /// The first tick later than `after`; `since` is when the schedule was added.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &Zone, since: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next_after(after, zone),
            Self::Every(every) => {
                let passed = nanos(after.max(since).since(since));
                let period = nanos(*every).max(1);
                let ticks = passed / period + 1;
                let ahead = ticks.checked_mul(period)?;
                let next = since.unix_nanos().checked_add(i64::try_from(ahead).ok()?)?;
                Some(Timestamp::from_unix_nanos(next))
            }
        }
    }

    /// Of the ticks from `first`, which is one, to `now`, the latest, at most `most`, oldest first.
    pub(super) fn latest(
        &self,
        (first, now): (Timestamp, Timestamp),
        most: usize,
        zone: &Zone,
        since: Timestamp,
    ) -> VecDeque<Timestamp> {
        let before_first = Timestamp::from_unix_nanos(first.unix_nanos().saturating_sub(1));
        let mut ticks = VecDeque::new();
        for seconds in SPANS {
            let from = now.before(Duration::from_secs(seconds)).max(before_first);
            ticks.clear();
            let mut at = from;
            while let Some(tick) = self.next_after(at, zone, since).filter(|tick| *tick <= now) {
                if ticks.len() >= most {
                    ticks.pop_front();
                }
                ticks.push_back(tick);
                at = tick;
            }
            if ticks.len() >= most || from == before_first {
                break;
            }
        }
        ticks
    }

    /// How many ticks there are from `first`, which is one, to before `end`.
    pub(super) fn count(
        &self,
        (first, end): (Timestamp, Timestamp),
        zone: &Zone,
        since: Timestamp,
    ) -> Count {
        if first >= end {
            return 0;
        }
        if let Self::Every(every) = self {
            return nanos(end.since(first)).div_ceil(nanos(*every).max(1));
        }
        let mut count = 1;
        let mut at = first;
        while let Some(tick) = self.next_after(at, zone, since).filter(|tick| *tick < end) {
            count += 1;
            at = tick;
            if count >= COUNTED {
                break;
            }
        }
        count
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl FromStr for Timetable {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.trim_start().strip_prefix("@every") else {
            return text.parse().map(Self::Cron);
        };
        let at = text.chars().count() - rest.trim_start().chars().count();
        let wrong = |problem: &str| InvalidCron::of_every(text, at, problem);
        if !rest.starts_with(char::is_whitespace) {
            return Err(wrong("write `@every 10s`, `@every 5m` or `@every 1h30m`"));
        }
        let every = read_span(rest.trim())
            .ok_or_else(|| wrong("after @every comes a time such as 10s, 5m, 1h30m or 2d"))?;
        match Self::Every(every) {
            timetable if timetable.is_allowed() => Ok(timetable),
            _ => Err(wrong("the time after @every is one second to 366 days")),
        }
    }
}

/// Whole days, hours, minutes and seconds, such as `1h30m`.
fn read_span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = match tail.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(unit)?;
        seconds = seconds.checked_add(part)?;
        rest = tail.get(1..)?;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => fmt::Display::fmt(cron, f),
            Self::Every(every) => {
                f.write_str("@every ")?;
                let mut rest = every.as_secs();
                for (unit, letter) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
                    if rest >= unit {
                        write!(f, "{}{letter}", rest / unit)?;
                        rest %= unit;
                    }
                }
                Ok(())
            }
        }
    }
}

impl TryFrom<String> for Timetable {
    type Error = InvalidCron;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timetable> for String {
    fn from(timetable: Timetable) -> Self {
        timetable.to_string()
    }
}
