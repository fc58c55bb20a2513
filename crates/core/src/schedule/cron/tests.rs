use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use proptest::prelude::*;

use super::*;
use crate::schedule::zone::{Zone, instant, timestamp};
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next ticks on the wall clocks of a zone.
fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone): (Cron, Zone) = (cron.parse().unwrap(), zone.parse().unwrap());
    let next = |at: &Timestamp| cron.next_after(*at, &zone);
    let ticks = std::iter::successors(Some(at(after)), next).skip(1);
    ticks.take(count).map(|tick| zone.show(tick)).collect()
}

const BEFORE_SPRING: &str = "2026-03-28T12:00:00Z";
const BEFORE_AUTUMN: &str = "2026-10-24T12:00:00Z";

#[test]
fn a_named_hour_that_is_left_out_fires_when_the_clock_has_changed() {
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", BEFORE_SPRING, 2),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    // All that lies in the gap is one tick, and so is what falls on its end.
    assert_eq!(
        ticks("0,15,30 2,3 * * *", "Europe/Berlin", BEFORE_SPRING, 4),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:15:00+02:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:00:00+02:00",
        ]
    );
}

#[test]
fn a_named_hour_that_comes_twice_fires_the_first_time() {
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", BEFORE_AUTUMN, 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
}

#[test]
fn hours_that_go_on_follow_the_clock() {
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", 3),
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:30:00+02:00",
        ]
    );
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:40:00Z", 6),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
            "2026-10-25T03:30:00+01:00",
        ]
    );
}

/// What lies in the gap belongs after the last moment before it.
#[test]
fn a_tick_at_a_change_is_found_from_the_second_before_it() {
    for after in ["2026-03-29T00:59:59Z", "2026-03-29T00:59:59.9Z"] {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", after, 1),
            ["2026-03-29T03:00:00+02:00"]
        );
    }
}

/// Zones that change by half an hour, at midnight, or over a whole day.
#[test]
fn odd_changes() {
    assert_eq!(
        ticks(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            2
        ),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    assert_eq!(
        ticks("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2),
        ["2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"]
    );
    assert_eq!(
        ticks("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
        ["2011-12-31T00:00:00+14:00"]
    );
}

#[test]
fn days() {
    let utc = |cron, count| ticks(cron, "UTC", "2026-01-31T12:00:00Z", count);
    assert_eq!(
        utc("0 0 L * *", 2),
        ["2026-02-28T00:00:00+00:00", "2026-03-31T00:00:00+00:00"]
    );
    assert_eq!(
        utc("0 0 * * FRI#2", 2),
        ["2026-02-13T00:00:00+00:00", "2026-03-13T00:00:00+00:00"]
    );
    assert_eq!(
        utc("0 0 * * friL", 2),
        ["2026-02-27T00:00:00+00:00", "2026-03-27T00:00:00+00:00"]
    );
    // Either day field, if neither begins with a star; else both.
    assert_eq!(
        utc("0 0 13 * FRI", 3),
        [
            "2026-02-06T00:00:00+00:00",
            "2026-02-13T00:00:00+00:00",
            "2026-02-20T00:00:00+00:00",
        ]
    );
    assert_eq!(
        utc("0 0 */2 * 7", 2),
        ["2026-02-01T00:00:00+00:00", "2026-02-15T00:00:00+00:00"]
    );
    assert_eq!(utc("0 0 29 2 *", 1), ["2028-02-29T00:00:00+00:00"]);
    assert_eq!(utc("@monthly", 1), ["2026-02-01T00:00:00+00:00"]);
    assert_eq!(utc("*/20 5 * * * *", 1), ["2026-01-31T12:05:00+00:00"]);
}

#[test]
fn the_rarest_day_is_found_over_a_century_without_it() {
    let found = ticks("0 0 ? 2 MON#5", "UTC", "2072-03-01T00:00:00Z", 1);
    assert_eq!(found, ["2112-02-29T00:00:00+00:00"]);
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (text, marks, says) in [
        ("0 25 * * *", "  ^^", "the hour is 0 to 23"),
        ("*/0 * * * *", "  ^", "the step of a minute is 1 to 59"),
        ("*/90 * * * *", "  ^^", "@every 90m"),
        (
            "0 0 * FOO *",
            "      ^^^",
            "the month is 1 to 12, or JAN to DEC",
        ),
        ("0 22-2 * * *", "  ^^^^", "write 22-23,0-2"),
        ("0 0 1,2,,3 * *", "        ^", "day of month is 1 to 31"),
        ("0 0 * * MON#6", "            ^", "1 to 5"),
        ("0 0 30 2 *", "    ^^^^^^", "never fire"),
        ("0 0 31 4,6,9,11 *", "    ^^^^^^^^^^^^^", "never fire"),
        ("0  x * * *", "   ^", "hour"),
        ("  1 ä * * *", "    ^", "hour"),
        ("* * *", "^^^^^", "3 fields"),
        ("@sometimes", "^^^^^^^^^^", "@hourly"),
        ("@reboot", "^^^^^^^", "no reboot"),
        ("", "^", "0 fields"),
    ] {
        let wrong = text.parse::<Cron>().unwrap_err();
        assert_eq!(wrong.pointed(), format!("{text}\n{marks}"));
        assert!(wrong.to_string().contains(says), "{wrong}");
    }
    let long = "9,".repeat(100_000).parse::<Cron>().unwrap_err();
    assert!(long.to_string().len() < 200 && long.pointed().len() < 200);
}

#[test]
fn what_can_be_written_in_several_ways_is_one() {
    let set = |text: &str| {
        let cron: Cron = text.parse().unwrap();
        (cron.day, cron.month, cron.weekday)
    };
    assert_eq!(set("0 0 ? jan-mar 0"), set("0 0 * 1,2,3 7"));
    assert_eq!(set("0 0 1/10 * FRI-SUN"), set("0 0 1,11,21,31 * 0,5,6"));
    let words: Cron = "  0   0 1 * * ".parse().unwrap();
    assert_eq!(words.to_string(), "0 0 1 * *");
    assert_eq!(words.to_string().parse::<Cron>().unwrap(), words);
}

/// One field: its values and how they are written.
type Written = (Vec<i8>, String, bool);

fn field(first: i8, last: i8) -> impl Strategy<Value = Written> {
    let all = move || (first..=last).collect::<Vec<_>>();
    let list = proptest::collection::vec(first..=last, 1..4).prop_map(|values| {
        let text: Vec<String> = values.iter().map(i8::to_string).collect();
        (values, text.join(","), false)
    });
    let range = (first..=last, first..=last).prop_map(|(one, other)| {
        let (from, to) = (one.min(other), one.max(other));
        ((from..=to).collect(), format!("{from}-{to}"), false)
    });
    let stepped = (2..=last - first).prop_map(move |step| {
        let values = (first..=last).step_by(step.unsigned_abs().into());
        (values.collect(), format!("*/{step}"), true)
    });
    prop_oneof![
        3 => Just((all(), "*".to_owned(), true)),
        2 => list,
        1 => range,
        1 => stepped,
    ]
}

const CHANGES: [(&str, &str); 12] = [
    ("Europe/Berlin", "2026-03-28T22:00:00Z"),
    ("Europe/Berlin", "2026-10-24T22:00:00Z"),
    ("America/New_York", "2026-03-08T04:00:00Z"),
    ("America/New_York", "2026-11-01T03:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
    ("Africa/Cairo", "2026-04-23T18:00:00Z"),
    ("Africa/Cairo", "2026-10-29T18:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T23:00:00Z"),
    ("America/Sao_Paulo", "2018-02-17T23:00:00Z"),
    ("Pacific/Apia", "2011-12-29T09:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z"),
];

/// Every tick of some hours, by looking at the wall clock each minute and at what it left out.
fn by_looking(fields: &[Written; 5], zone: &Zone, from: Instant, minutes: i64) -> Vec<Instant> {
    let wall = |at: Instant| zone.time_zone().to_datetime(at);
    let minute = jiff::SignedDuration::from_mins(1);
    let [minutes_of, hours, days, months, weekdays] = fields;
    let matches = |wall: DateTime| {
        let weekday = wall.weekday().to_sunday_zero_offset();
        let (day, weekday) = (days.0.contains(&wall.day()), weekdays.0.contains(&weekday));
        let is_day = if days.2 || weekdays.2 {
            day && weekday
        } else {
            day || weekday
        };
        is_day
            && minutes_of.0.contains(&wall.minute())
            && hours.0.contains(&wall.hour())
            && months.0.contains(&wall.month())
    };
    let mut ticks = Vec::new();
    // Walls that were seen since a day before: what is seen again came twice.
    let mut highest = wall(from - jiff::SignedDuration::from_hours(26));
    let mut at = from - jiff::SignedDuration::from_hours(26);
    while at < from + minute * i32::try_from(minutes).unwrap() {
        at += minute;
        let now = wall(at);
        let fires = if hours.2 {
            matches(now)
        } else if now <= highest {
            false
        } else {
            let mut passed = highest + minute;
            let mut any = false;
            while passed <= now {
                any |= matches(passed);
                passed += minute;
            }
            any
        };
        highest = highest.max(now);
        if fires && at > from {
            ticks.push(at);
        }
    }
    ticks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ticks_are_those_of_looking_at_the_clock_each_minute(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31),
        month in field(1, 12), weekday in field(0, 6), change in 0..CHANGES.len(),
    ) {
        let fields = [minute, hour, day, month, weekday];
        let text: Vec<&str> = fields.iter().map(|(_, text, _)| text.as_str()).collect();
        let Ok(cron) = text.join(" ").parse::<Cron>() else {
            return Ok(());
        };
        let (zone, from) = CHANGES[change];
        let zone: Zone = zone.parse().unwrap();
        let from = instant(at(from));
        let minutes = 32 * 60;
        let expected = by_looking(&fields, &zone, from, minutes);
        let end = timestamp(from + jiff::SignedDuration::from_mins(minutes)).unwrap();
        let next = |at: &Timestamp| cron.next_after(*at, &zone).filter(|tick| *tick <= end);
        let found: Vec<Instant> = std::iter::successors(timestamp(from), next)
            .skip(1)
            .map(instant)
            .collect();
        for tick in found.iter().filter_map(|tick| timestamp(*tick)) {
            let just_before = tick.before(std::time::Duration::from_millis(1));
            prop_assert_eq!(cron.next_after(just_before, &zone), Some(tick), "{} in {}", cron, zone);
        }
        prop_assert_eq!(found, expected, "{} in {}", cron, zone);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "[-0-9*/,#LMONa-z@? \\PC]{0,40}") {
        match text.parse::<Cron>() {
            Ok(cron) => {
                let again: Cron = cron.to_string().parse().unwrap();
                prop_assert_eq!(&again, &cron);
                let next = cron.next_after(Timestamp::from_unix_millis(0), &Zone::default());
                prop_assert!(next.is_some());
            }
            Err(wrong) => {
                let (from, to) = wrong.place();
                prop_assert!(from <= to && to <= text.chars().count());
            }
        }
    }
}
