//! Durations, sizes and bytes as people read and type them.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_core::pause::Pause;

/// Reads `10s`, `500ms`, `1h30m`, `2d`; a bare number is refused, since it could mean anything.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is not a duration: write 500ms, 10s, 5m, 1h30m or 2d")
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_ignored| wrong())?;
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(millis).ok_or_else(wrong)?;
        total = total
            .checked_add(Duration::from_millis(part))
            .ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// A pause, such as `paused 2h 05m ago by ann@web-1: the bank is down`.
pub(crate) fn pause(pause: &Pause, now: Timestamp) -> String {
    tame(&longshore_api::queue::Pause::of(pause).words(now))
}

/// A time to the millisecond, as people compare them.
pub(crate) fn moment(at: Timestamp) -> String {
    let whole = at.to_string();
    match whole.split_once('.') {
        Some((seconds, rest)) => {
            let millis: String = rest
                .chars()
                .take_while(char::is_ascii_digit)
                .take(3)
                .collect();
            format!("{seconds}.{millis:0<3}Z")
        }
        None => whole,
    }
}

/// A duration in three digits or so: `4.2 ms`, `1.3 s`, `2 h 5 m`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    if seconds < 0.001 {
        format!("{} µs", duration.as_micros())
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else if whole < 3600 {
        format!("{} m {} s", whole / 60, whole % 60)
    } else if whole < 86_400 {
        format!("{} h {} m", whole / 3600, whole / 60 % 60)
    } else {
        format!("{} d {} h", whole / 86_400, whole / 3600 % 24)
    }
}

/// A number with a comma after every three digits: `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many jobs: `1 job`, `1,234 jobs`.
pub(crate) fn jobs(count: u64) -> String {
    match count {
        1 => "1 job".to_owned(),
        _ => format!("{} jobs", number(count)),
    }
}

/// Text from anywhere on one line of a terminal: [`tame`], and cut with `…` if it is longer.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let text = text.trim_end();
    let mut line: String = text.chars().take(most).map(tame_char).collect();
    if text.chars().nth(most).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// Text from anywhere that a terminal shows and does not obey: characters that could move the
/// cursor, hide what follows or turn its direction become `·`.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(tame_char).collect()
}

/// [`tame`], line by line.
pub(crate) fn tame_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(tame).collect();
    lines.join("\n")
}

fn tame_char(c: char) -> char {
    if steers(c) { '·' } else { c }
}

/// Whether a terminal could obey a character instead of showing it.
pub(crate) fn steers(c: char) -> bool {
    // Embedding, override and isolation of direction, and breaks of line and paragraph.
    let turns = [
        '\u{202a}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
        '\u{2028}'..='\u{2029}',
    ];
    c.is_control() || turns.iter().any(|turn| turn.contains(&c))
}

/// Text in lines of at most so many columns, as far as its words allow.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A bar of so many columns, `part` of `whole` of it filled.
pub(crate) fn bar(columns: usize, part: u64, whole: u64) -> String {
    let full = part.saturating_mul(columns as u64) / whole.max(1);
    let full = usize::try_from(full).unwrap_or(columns).min(columns);
    format!("{}{}", "█".repeat(full), "·".repeat(columns - full))
}

/// A number of bytes in three digits or so: `812 bytes`, `64.0 KiB`, `9.5 MiB`, `11.1 GiB`.
pub(crate) fn bytes(count: impl TryInto<u64>) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    let (kib, mib, gib) = (1 << 10, 1 << 20, 1 << 30);
    let tenths = |unit: u64| {
        let tenths = count.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match count {
        _ if count >= gib => format!("{} GiB", tenths(gib)),
        _ if count >= mib => format!("{} MiB", tenths(mib)),
        _ if count >= kib => format!("{} KiB", tenths(kib)),
        _ => counted(count, "byte"),
    }
}

/// `1 job`, `2 jobs`.
pub(crate) fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// The first of some names, and how many more there are.
pub(crate) fn some(names: &[String], most: usize, between: &str) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(String::as_str).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(between),
        more => format!("{} and {more} more", shown.join(between)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_only() {
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        for wrong in [
            "",
            "10",
            "s",
            "10 s",
            "-1s",
            "1y",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 123_456, 1_234_567].map(number);
        assert_eq!(shown, ["0", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!([jobs(0), jobs(1)], ["0 jobs", "1 job"]);
    }

    #[test]
    fn a_line_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb\nc", 20), "a·[2Jb·c");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("abcd\n", 4), "abcd");
        assert_eq!(tame("a\u{9b}31m\u{202e}b\r\u{7f}é"), "a·31m·b··é");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("ab cd efghij k", 5), ["ab cd", "efghij", "k"]);
        assert_eq!(wrapped("ab cd", usize::MAX), ["ab cd"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn moments_are_told_to_the_millisecond() {
        let at = Timestamp::from_unix_nanos(1_777_624_200_123_456_789);
        assert_eq!(moment(at), "2026-05-01T08:30:00.123Z");
        let at = Timestamp::from_unix_nanos(1_777_624_200_500_000_000);
        assert_eq!(moment(at), "2026-05-01T08:30:00.500Z");
    }

    #[test]
    fn counts_are_read_aloud() {
        assert_eq!(bytes(1_u64), "1 byte");
        assert_eq!(bytes(1536_usize), "1.5 KiB");
        assert_eq!(bytes(10_000_002_usize), "9.5 MiB");
        assert_eq!(bytes(3_u64 << 30), "3.0 GiB");
        assert_eq!(counted(0_u64, "job"), "0 jobs");
    }
}
