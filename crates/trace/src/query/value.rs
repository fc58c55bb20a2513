//! Durations, times, numbers and ids as they are typed.

use std::fmt::Write;
use std::time::Duration;

use longshore_core::{JobId, SpanContext, Timestamp, TraceId};

use super::{Jump, Moment};

/// Units and their nanoseconds, the longest first.
const UNITS: [(&str, u128); 9] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("µs", 1_000),
    ("w", 604_800_000_000_000),
];

/// How many of [`UNITS`] are printed.
const PRINTED: usize = 7;

/// A duration such as `2s`, `1.5s`, `1h30m` or `100ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, *size)?)?;
        rest = tail;
    }
    let nanos = u64::try_from(nanos).ok()?;
    (!text.is_empty()).then_some(Duration::from_nanos(nanos))
}

/// `number` times `size`, rounded down.
fn scaled(number: &str, size: u128) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.len() > 18 || part.contains('.') {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<u128>().ok(),
    };
    let tenths = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part = digits(part)?.checked_mul(size)? / tenths;
    digits(whole)?.checked_mul(size)?.checked_add(part)
}

/// A duration as [`duration`] reads it, to the nanosecond.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    let mut text = String::new();
    for (unit, size) in UNITS.iter().take(PRINTED) {
        let count = left / size;
        left %= size;
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// A number, of those that compare.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let number = text.parse::<f64>().ok().filter(|_| plain)?;
    number.is_finite().then_some(number)
}

/// A time: so long ago, a day, a minute, or RFC 3339; in UTC where nothing else is said. Of a day,
/// `at_end` asks for its end.
pub(super) fn moment(text: &str, now: Timestamp, at_end: bool) -> Option<Moment> {
    if let Some(ago) = duration(text) {
        return Some(Moment {
            at: now.before(ago),
            ago: Some(ago),
        });
    }
    let day = Duration::from_secs(86_400);
    let at = match text.len() {
        10 => format!("{text}T00:00:00Z")
            .parse()
            .ok()
            .map(
                |start: Timestamp| {
                    if at_end { start.after(day) } else { start }
                },
            ),
        16 => format!("{text}:00Z").parse().ok(),
        19 => format!("{text}Z").parse().ok(),
        _ => text.parse().ok(),
    };
    at.map(|at| Moment { at, ago: None })
}

/// Where a text leads that can be nothing but an id.
pub(super) fn jump(text: &str) -> Option<Jump> {
    let lower = text.to_ascii_lowercase();
    if let Some(trace) = TraceId::from_hex(&lower) {
        return Some(Jump::Trace(trace, None));
    }
    if let Ok(context) = SpanContext::from_traceparent(&lower) {
        return Some(Jump::Trace(context.trace_id, Some(context.span_id)));
    }
    is_uuid(&lower).then(|| Jump::Job(JobId::lossy(text)))
}

/// Eight, four, four, four and twelve hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let hexadecimal = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = text.split('-').map(|part| (part.len(), hexadecimal(part)));
    parts.eq([8, 4, 4, 4, 12].map(|length| (length, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, nanos, printed) in [
            ("2s", 2_000_000_000, "2s"),
            ("1.5s", 1_500_000_000, "1s500ms"),
            ("1h30m", 5_400_000_000_000, "1h30m"),
            ("100ms", 100_000_000, "100ms"),
            ("7µs", 7_000, "7us"),
            ("1w", 604_800_000_000_000, "7d"),
            ("0s", 0, "0s"),
            (".5ms", 500_000, "500us"),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanos)), "{text}");
            assert_eq!(duration_text(Duration::from_nanos(nanos)), printed);
        }
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "1.2.3s",
            ".s",
            "2x",
            "-1s",
            "99999999999999d",
            "1é",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        let now: Timestamp = "2026-05-01T08:30:00Z".parse().unwrap();
        for (text, at_end, expected) in [
            ("1h", false, "2026-05-01T07:30:00Z"),
            ("2026-04-30", false, "2026-04-30T00:00:00Z"),
            ("2026-04-30", true, "2026-05-01T00:00:00Z"),
            ("2026-04-30T12:05", true, "2026-04-30T12:05:00Z"),
            ("2026-04-30T12:05:07", false, "2026-04-30T12:05:07Z"),
            ("2026-04-30T12:05:07+02:00", false, "2026-04-30T10:05:07Z"),
        ] {
            assert_eq!(moment(text, now, at_end).unwrap().at.to_string(), expected);
        }
        for text in ["yesterday", "", "2026-13-01", "2026-1-1"] {
            assert_eq!(moment(text, now, false), None, "{text}");
        }
    }

    #[test]
    fn ids_lead_somewhere() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let id = TraceId::from_hex(trace).unwrap();
        assert_eq!(jump(trace), Some(Jump::Trace(id, None)));
        assert_eq!(jump(&trace.to_uppercase()), Some(Jump::Trace(id, None)));
        let whole = format!("00-{trace}-b7ad6b7169203331-01");
        assert!(matches!(jump(&whole), Some(Jump::Trace(_, Some(_)))));
        let job = "019b2c00-0000-7000-8000-000000000001";
        assert_eq!(jump(job), Some(Jump::Job(JobId::lossy(job))));
        assert_eq!(jump("orders"), None);
        assert_eq!(jump("00000000000000000000000000000000"), None);
    }
}
