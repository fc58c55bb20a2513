//! Points in time, as nanoseconds since the Unix epoch.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, good until the year 2262.
///
/// Leases and due times are timestamps of the *store's* clock ([`Store::now`](crate::Store::now)).
/// Text form, also in JSON, is RFC 3339 in UTC.
///
/// ```
/// use longshore_core::Timestamp;
/// let at: Timestamp = "2026-05-01T08:30:00+02:00".parse()?;
/// assert_eq!(at.to_string(), "2026-05-01T06:30:00Z");
/// # Ok::<(), longshore_core::time::InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const UNIX_EPOCH: Self = Self(0);
    /// The latest time that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `nanos` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The time `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds since the Unix epoch as OTLP wants them; times before the epoch become 0.
    #[must_use]
    pub const fn unix_nanos_unsigned(self) -> u64 {
        if self.0 < 0 { 0 } else { self.0.unsigned_abs() }
    }

    /// Whole milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time plus `duration`, or [`Timestamp::MAX`] if that is later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// This time minus `duration`.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// How long after `earlier` this time is; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time as RFC 3339 writes it, such as 2026-05-01T08:30:00Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTimestamp {
            text: text.chars().take(64).collect(),
        };
        let at: jiff::Timestamp = text.parse().map_err(|_ignored| invalid())?;
        let nanos = i64::try_from(at.as_nanosecond()).map_err(|_ignored| invalid())?;
        Ok(Self(nanos))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Durations in JSON: seconds as a number, exact to the nanosecond up to a hundred days. For
/// `#[serde(with = "longshore_core::time::seconds")]`.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes a duration.
    ///
    /// # Errors
    /// As the serializer says.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// It is not a number, or less than nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.after(Duration::from_secs(1)), Timestamp::MAX);
        let early = Timestamp::from_unix_millis(5);
        assert_eq!(early.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(
            early.before(Duration::from_millis(5)),
            Timestamp::UNIX_EPOCH
        );
    }

    #[test]
    fn text_round_trips() {
        let at = Timestamp::from_unix_nanos(1_777_624_200_123_456_789);
        assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
