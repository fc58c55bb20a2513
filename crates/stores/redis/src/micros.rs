//! Times as the server keeps them: whole microseconds, which a double holds exactly.

use std::time::Duration;

use longshore_core::Timestamp;

/// The largest number that a double counts up to without leaving any out.
const MOST: i64 = 1 << 53;

/// The microsecond that a time lies in.
pub(crate) const fn of(at: Timestamp) -> i64 {
    at.unix_nanos().div_euclid(1000)
}

/// The first microsecond that is not before a time.
pub(crate) const fn not_before(at: Timestamp) -> i64 {
    let exact = at.unix_nanos().rem_euclid(1000) == 0;
    of(at).saturating_add(if exact { 0 } else { 1 })
}

/// So many microseconds, of which a part counts as a whole one.
pub(crate) fn lasting(duration: Duration) -> i64 {
    let micros = i64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(MOST);
    micros.min(MOST)
}

/// The time at so many microseconds.
pub(crate) const fn time(micros: i64) -> Timestamp {
    Timestamp::from_unix_nanos(micros.saturating_mul(1000))
}
