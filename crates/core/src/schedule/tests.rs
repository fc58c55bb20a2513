use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(name: &str, timetable: &str, catch_up: &str) -> Schedule {
    Schedule {
        catch_up: catch_up.parse().unwrap(),
        ..Schedule::new(
            name.parse().unwrap(),
            timetable.parse().unwrap(),
            "reports".parse().unwrap(),
            "report".parse().unwrap(),
        )
    }
}

fn texts(ticks: &[Timestamp]) -> Vec<String> {
    ticks.iter().map(Timestamp::to_string).collect()
}

/// Added at noon, an hourly schedule that nobody looked at until twenty past five.
fn late(catch_up: &str) -> Due {
    let added = Scheduled::new(
        schedule("s", "@hourly", catch_up),
        at("2026-05-01T12:00:00Z"),
    );
    added.due(at("2026-05-01T17:20:00Z"), 1000)
}

#[test]
fn ticks_that_nobody_was_there_for_follow_the_policy() {
    let one = late("one");
    assert_eq!(texts(&one.ticks), ["2026-05-01T17:00:00Z"]);
    assert_eq!(one.missed, 4);
    let two = late("all:2");
    assert_eq!(
        texts(&two.ticks),
        ["2026-05-01T16:00:00Z", "2026-05-01T17:00:00Z"]
    );
    assert_eq!(two.missed, 3);
    let skip = late("skip");
    assert_eq!((skip.ticks.len(), skip.missed), (0, 5));
    for due in [one, two, skip] {
        assert_eq!(due.next, Some(at("2026-05-01T18:00:00Z")));
    }
    let all = late("all");
    assert_eq!((all.ticks.len(), all.missed), (5, 0));
}

#[test]
fn a_tick_that_is_a_little_late_was_not_missed() {
    let added = Scheduled::new(schedule("s", "@hourly", "skip"), at("2026-05-01T12:00:00Z"));
    let due = added.due(at("2026-05-01T13:00:59Z"), 1);
    assert_eq!((due.ticks.len(), due.missed), (1, 0));
    let due = added.due(at("2026-05-01T13:01:01Z"), 1);
    assert_eq!((due.ticks.len(), due.missed), (0, 1));
}

#[test]
fn what_has_no_room_now_is_left_for_later() {
    let mut added = Scheduled::new(schedule("s", "@hourly", "all"), at("2026-05-01T12:00:00Z"));
    let now = at("2026-05-01T17:20:00Z");
    let first = added.due(now, 2);
    assert_eq!(
        texts(&first.ticks),
        ["2026-05-01T13:00:00Z", "2026-05-01T14:00:00Z"]
    );
    added.settle(&first, now);
    assert_eq!(added.due(now, 0).ticks, []);
    let rest = added.due(now, 10);
    assert_eq!((rest.ticks.len(), rest.missed), (3, 0));
    assert_eq!(rest.ticks[0], at("2026-05-01T15:00:00Z"));
}

#[test]
fn a_long_gap_is_passed_over_quickly() {
    let added = Scheduled::new(
        schedule("s", "* * * * * *", "all:1000"),
        at("2016-05-01T12:00:00Z"),
    );
    let due = added.due(at("2026-05-01T12:00:00Z"), 1000);
    assert_eq!((due.ticks.len(), due.missed), (1000, 10_000));
    let added = Scheduled::new(
        schedule("s", "@every 1s", "one"),
        at("2025-05-01T12:00:00Z"),
    );
    let due = added.due(at("2026-05-01T12:00:00Z"), 1000);
    assert_eq!((due.ticks.len(), due.missed), (1, 365 * 86_400 - 1));
}

#[test]
fn every_counts_from_when_it_was_added() {
    let added = Scheduled::new(
        schedule("s", "@every 90m", "one"),
        at("2026-05-01T12:00:00.7Z"),
    );
    assert_eq!(
        texts(&added.upcoming(2)),
        ["2026-05-01T13:30:00Z", "2026-05-01T15:00:00Z"]
    );
}

#[test]
fn jitter_is_always_the_same_and_spread() {
    let with = |name: &str| Schedule {
        jitter: Duration::from_secs(600),
        ..schedule(name, "@hourly", "one")
    };
    assert_eq!(with("a").offset(), with("a").offset());
    let offsets: Vec<u64> = (0..1000)
        .map(|number| with(&format!("s{number}")).offset().as_secs())
        .collect();
    for tenth in 0..10 {
        let there = offsets
            .iter()
            .filter(|offset| **offset / 60 == tenth)
            .count();
        assert!((60..=140).contains(&there), "{there} in tenth {tenth}");
    }
    let added = Scheduled::new(with("a"), at("2026-05-01T12:00:00Z"));
    let due_at = added.due_at().unwrap();
    assert_eq!(due_at, at("2026-05-01T13:00:00Z").after(with("a").offset()));
    assert_eq!(
        added.due(due_at.before(Duration::from_millis(1)), 1).ticks,
        []
    );
    assert_eq!(texts(&added.due(due_at, 1).ticks), ["2026-05-01T13:00:00Z"]);
}

#[test]
fn a_rest_is_not_caught_up() {
    let mut added = Scheduled::new(schedule("s", "@hourly", "all"), at("2026-05-01T12:00:00Z"));
    assert!(added.pause() && !added.pause());
    let now = at("2026-05-01T17:20:00Z");
    assert_eq!((added.due_at(), added.due(now, 9).ticks), (None, vec![]));
    assert_eq!(added.upcoming(3), []);
    assert!(added.resume(now) && !added.resume(now));
    assert_eq!(added.due(now, 9).ticks, []);
    assert_eq!(texts(&added.upcoming(1)), ["2026-05-01T18:00:00Z"]);
}

#[test]
fn another_definition_keeps_the_next_tick_unless_it_has_other_ticks() {
    let mut added = Scheduled::new(schedule("s", "@hourly", "one"), at("2026-05-01T12:00:00Z"));
    let now = at("2026-05-01T13:00:01Z");
    let args = Schedule {
        args: "7".to_owned(),
        ..added.schedule.clone()
    };
    added.redefine(args, now);
    assert_eq!(texts(&added.due(now, 9).ticks), ["2026-05-01T13:00:00Z"]);
    added.redefine(schedule("s", "30 * * * *", "one"), now);
    assert_eq!(added.due(now, 9).ticks, []);
    assert_eq!(texts(&added.upcoming(1)), ["2026-05-01T13:30:00Z"]);
}

#[test]
fn a_clock_that_was_far_ahead_does_not_stop_a_schedule() {
    let mut added = Scheduled::new(schedule("s", "@hourly", "one"), at("2026-05-01T12:00:00Z"));
    let wrong = at("2031-05-01T12:00:00Z");
    let due = added.due(wrong, 1);
    added.settle(&due, wrong);
    let right = at("2026-05-01T12:30:00Z");
    assert!(added.mend(right) && !added.mend(right));
    assert_eq!(texts(&added.upcoming(1)), ["2026-05-01T13:00:00Z"]);
    assert!(
        !added.mend(at("2026-05-01T11:45:00Z")),
        "a little back is waited for"
    );
    let mut every = Scheduled::new(schedule("s", "@every 1s", "one"), wrong);
    assert!(every.mend(at("2026-05-01T12:30:00.7Z")));
    assert_eq!(texts(&every.upcoming(1)), ["2026-05-01T12:30:01Z"]);
}

#[test]
fn a_shard_keeps_what_it_cannot_read() {
    let mut shard = Shard::default();
    let added = Scheduled::new(
        schedule("s", "@hourly", "all:7"),
        at("2026-05-01T12:00:00Z"),
    );
    shard.schedules.insert("s".to_owned(), added);
    let body = String::from_utf8(shard.encode().unwrap()).unwrap();
    assert_eq!(Shard::decode(body.as_bytes()).unwrap(), shard);
    let odd = body.replace(r#""cron":"@hourly""#, r#""cron":"@lunar""#);
    let kept = Shard::decode(odd.as_bytes()).unwrap();
    assert_eq!(kept.unread().collect::<Vec<_>>(), ["s"]);
    assert_eq!(String::from_utf8(kept.encode().unwrap()).unwrap(), odd);
    assert!(Shard::decode(b"[]").is_err());
}

#[test]
fn a_shard_that_is_full_says_so() {
    let mut shard = Shard::default();
    for number in 0..100 {
        let name = format!("s{number}");
        let schedule = Schedule {
            args: "x".repeat(Schedule::MAX_ARGS_BYTES),
            ..schedule(&name, "@hourly", "one")
        };
        schedule.validate().unwrap();
        let added = Scheduled::new(schedule, at("2026-05-01T12:00:00Z"));
        shard.schedules.insert(name, added);
    }
    let error = shard.encode().unwrap_err();
    assert_eq!(shard.check_room().unwrap_err().kind(), error.kind());
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
}

#[test]
fn bounds_are_checked() {
    let fine = schedule("s", "@hourly", "one");
    let wrong = [
        Schedule {
            args: "x".repeat(5000),
            ..fine.clone()
        },
        Schedule {
            jitter: Duration::from_secs(90_000),
            ..fine.clone()
        },
        Schedule {
            timetable: Timetable::Every(Duration::from_millis(1500)),
            ..fine.clone()
        },
        Schedule {
            max_attempts: Some(0),
            ..fine.clone()
        },
    ];
    assert!(fine.validate().is_ok());
    for schedule in wrong {
        assert!(schedule.validate().is_err(), "{schedule:?}");
    }
    for text in ["", "All", "all:0", "all:1001", "all:x"] {
        assert!(text.parse::<CatchUp>().is_err(), "{text}");
    }
    for text in [
        "@every",
        "@every10s",
        "@every 0s",
        "@every 1500ms",
        "@every 400d",
        "@every ä",
    ] {
        assert!(text.parse::<Timetable>().is_err(), "{text}");
    }
    let longest = "s".repeat(100);
    assert!(
        schedule(&longest, "@hourly", "one")
            .job_id(Timestamp::MAX)
            .as_str()
            .ends_with('Z')
    );
}

proptest! {
    /// However often it is looked at, and whatever room there is, a schedule that catches all up
    /// fires every tick once.
    #[test]
    fn all_ticks_fire_once(
        timetable in prop_oneof![Just("@every 7s"), Just("*/3 * * * *"), Just("*/20 * * * * *")],
        looks in proptest::collection::vec((1_u64..100, 0_usize..4), 1..60),
    ) {
        let start = at("2026-05-01T12:00:00Z");
        let mut added = Scheduled::new(schedule("s", timetable, "all:1000"), start);
        let (mut now, mut fired) = (start, Vec::new());
        for (seconds, room) in looks {
            now = now.after(Duration::from_secs(seconds));
            let due = added.due(now, room);
            prop_assert_eq!(due.missed, 0);
            fired.extend(due.ticks.iter().copied());
            added.settle(&due, now);
        }
        fired.extend(added.due(now, 10_000).ticks);
        let all = schedule("s", timetable, "one").upcoming(start, start, fired.len() + 1);
        prop_assert_eq!(&fired[..], &all[..fired.len()]);
        prop_assert!(all[fired.len()] > now);
    }
}
