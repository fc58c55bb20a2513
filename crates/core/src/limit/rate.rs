//! So many in so much time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A rate: `count` in each period, and up to `burst` at once after a quiet time.
///
/// As text it is `100/1m`: the period is a number and one of `ms`, `s`, `m`, `h`, `d`, and the
/// number may be left out. The burst is the count unless [`Rate::with_burst`] says otherwise.
///
/// ```
/// use longshore_core::limit::Rate;
/// let rate: Rate = "100/m".parse()?;
/// assert_eq!(rate.with_burst(5)?.to_string(), "100/1m, burst 5");
/// # Ok::<(), longshore_core::limit::InvalidRate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Rate {
    count: u32,
    period: Duration,
    burst: u32,
}

/// Why something cannot be a rate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRate(String);

#[derive(Serialize, Deserialize)]
struct Written {
    count: u32,
    period_ms: u64,
    burst: u32,
}

impl Rate {
    /// Most jobs in a period, and in a burst: a million.
    pub const MAX_COUNT: u32 = 1_000_000;
    /// The longest period: 31 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(31 * 24 * 60 * 60);
    /// The longest time in which a burst may fill up again: 366 days.
    const MAX_REFILL: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// A rate whose burst is its count.
    ///
    /// # Errors
    /// The count is not 1 to a million, or the period not 1 ms to 31 days.
    pub fn new(count: u32, period: Duration) -> Result<Self, InvalidRate> {
        if !(1..=Self::MAX_COUNT).contains(&count) {
            let most = Self::MAX_COUNT;
            let message = format!("a rate of {count} is not possible: use 1 to {most}");
            return Err(InvalidRate(message));
        }
        if !(Duration::from_millis(1)..=Self::MAX_PERIOD).contains(&period) {
            let message = format!("a period of {period:?} is not possible: use 1ms to 31d");
            return Err(InvalidRate(message));
        }
        Ok(Self {
            count,
            period,
            burst: count,
        })
    }

    /// The same rate with another burst.
    ///
    /// # Errors
    /// The burst is not 1 to a million, or takes more than a year to fill up.
    pub fn with_burst(self, burst: u32) -> Result<Self, InvalidRate> {
        if !(1..=Self::MAX_COUNT).contains(&burst) {
            let most = Self::MAX_COUNT;
            let message = format!("a burst of {burst} is not possible: use 1 to {most}");
            return Err(InvalidRate(message));
        }
        let changed = Self { burst, ..self };
        if changed.refill() > Self::MAX_REFILL {
            return Err(InvalidRate(format!(
                "at {}/{} a burst of {burst} takes more than a year to come back: use a smaller one",
                self.count,
                short(self.period)
            )));
        }
        Ok(changed)
    }

    /// How many in a period.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How long a period is.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// How many at once after a quiet time.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// From one token to the next, rounded up, so that there are never more.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let nanos = self
            .period
            .as_nanos()
            .div_ceil(u128::from(self.count.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long an empty bucket takes to be full.
    pub(super) fn refill(&self) -> Duration {
        self.interval().saturating_mul(self.burst)
    }
}

impl TryFrom<Written> for Rate {
    type Error = InvalidRate;

    fn try_from(written: Written) -> Result<Self, InvalidRate> {
        let period = Duration::from_millis(written.period_ms);
        Self::new(written.count, period)?.with_burst(written.burst)
    }
}

impl From<Rate> for Written {
    fn from(rate: Rate) -> Self {
        Self {
            count: rate.count,
            period_ms: u64::try_from(rate.period.as_millis()).unwrap_or(u64::MAX),
            burst: rate.burst,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, short(self.period))?;
        if self.burst != self.count {
            write!(f, ", burst {}", self.burst)?;
        }
        Ok(())
    }
}

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A period in the largest unit that it is a whole number of.
fn short(period: Duration) -> String {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    let whole = |(_, unit): &&(&str, u64)| millis.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(whole).unwrap_or(&("ms", 1));
    format!("{}{name}", millis / unit)
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let wrong = || {
            InvalidRate(format!(
                "`{text}` is not a rate: write a number, a slash and a period, such as 10/s or 100/15m"
            ))
        };
        let (count, period) = text.trim().split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().map_err(|_number| wrong())?;
        let period = period.trim();
        let digits = period.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = period.strip_prefix(digits).unwrap_or_default();
        let named = |(name, _): &&(&str, u64)| *name == unit;
        let (_, unit) = UNITS.iter().find(named).ok_or_else(wrong)?;
        let number: u64 = match digits {
            "" => 1,
            digits => digits.parse().map_err(|_number| wrong())?,
        };
        Self::new(count, Duration::from_millis(number.saturating_mul(*unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["10/1s", "1/250ms", "100/15m", "7/1d", "3/2h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("10/s".parse::<Rate>().unwrap().to_string(), "10/1s");
        assert_eq!("60/60s".parse::<Rate>().unwrap().to_string(), "60/1m");
    }

    #[test]
    fn what_is_no_rate_is_refused_with_what_to_write() {
        for text in [
            "",
            "10",
            "10/",
            "10/y",
            "0/s",
            "-1/s",
            "1/0s",
            "1/32d",
            "x/s",
            "1/1.5s",
            "2000000/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(
                error.contains("use ") || error.contains("write "),
                "{text}: {error}"
            );
        }
        let slow: Rate = "1/31d".parse().unwrap();
        assert!(slow.with_burst(100).is_err());
        assert!(slow.with_burst(0).is_err());
    }

    #[test]
    fn a_stored_rate_is_checked_when_it_is_read() {
        let rate: Rate = "10/s".parse().unwrap();
        let text = serde_json::to_string(&rate).unwrap();
        assert_eq!(text, r#"{"count":10,"period_ms":1000,"burst":10}"#);
        assert_eq!(serde_json::from_str::<Rate>(&text).unwrap(), rate);
        let impossible = r#"{"count":0,"period_ms":1000,"burst":10}"#;
        assert!(serde_json::from_str::<Rate>(impossible).is_err());
    }
}
