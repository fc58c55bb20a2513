//! Durations as a person reads them: the unit follows the magnitude.

use std::time::Duration;

/// A duration with three significant digits below a minute and two units above.
///
/// ```
/// use std::time::Duration;
/// use longshore_trace::duration::format;
/// assert_eq!(format(Duration::from_micros(812)), "812 µs");
/// assert_eq!(format(Duration::from_micros(4_212)), "4.21 ms");
/// assert_eq!(format(Duration::from_millis(1_840)), "1.84 s");
/// assert_eq!(format(Duration::from_secs(125)), "2m 05s");
/// assert_eq!(format(Duration::from_secs(11_400)), "3h 10m");
/// ```
#[must_use]
pub fn format(duration: Duration) -> String {
    match large(duration) {
        Some((first, second)) => format!("{first} {second}"),
        None => small(duration, " "),
    }
}

/// The same without spaces, for an axis: `4.21ms`, `2m05s`.
#[must_use]
pub fn compact(duration: Duration) -> String {
    match large(duration) {
        Some((first, second)) => format!("{first}{second}"),
        None => small(duration, ""),
    }
}

/// Both units of a duration that is a minute or more once rounded to the millisecond digits shown.
fn large(duration: Duration) -> Option<(String, String)> {
    let nanos = duration.as_nanos();
    if nanos < 59_950_000_000 {
        return None;
    }
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    let minutes = seconds / 60;
    if minutes < 60 {
        return Some((format!("{minutes}m"), format!("{:02}s", seconds % 60)));
    }
    let hours = minutes / 60;
    if hours < 24 {
        return Some((format!("{hours}h"), format!("{:02}m", minutes % 60)));
    }
    Some((format!("{}d", hours / 24), format!("{:02}h", hours % 24)))
}

/// Three significant digits in the largest unit that leaves at least one before the point.
fn small(duration: Duration, space: &str) -> String {
    const UNITS: [(&str, u128); 3] = [("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
    let nanos = duration.as_nanos();
    if nanos < 1_000 {
        return format!("{nanos}{space}ns");
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        let decimals: u32 = match nanos / size {
            0..=9 => 2,
            10..=99 => 1,
            _ => 0,
        };
        let scale = 10_u128.pow(decimals);
        let rounded = (nanos * scale + size / 2) / size;
        let (whole, rest) = (rounded / scale, rounded % scale);
        text = match decimals {
            0 => format!("{whole}{space}{unit}"),
            _ => format!(
                "{whole}.{rest:0width$}{space}{unit}",
                width = usize::try_from(decimals).unwrap_or(1)
            ),
        };
        if whole < 1_000 {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_follows_the_magnitude() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (310_000_000, "310 ms"),
            (999_999_999, "1.00 s"),
            (15_000_000_000, "15.0 s"),
            (59_940_000_000, "59.9 s"),
            (59_990_000_000, "1m 00s"),
            (3_599_600_000_000, "1h 00m"),
            (90_000_000_000_000, "1d 01h"),
        ];
        for (nanos, text) in cases {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(format(Duration::MAX), "213503982334601d 07h");
    }
}
