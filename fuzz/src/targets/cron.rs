//! Timetables, zones, and the documents that schedules lie in.

use longshore_core::schedule::{CatchUp, Cron, Directory, Scheduled, Shard, Timetable, Zone};
use longshore_core::{ScheduleName, Timestamp};

use crate::{reads, round_trips};

/// Ticks that are looked at.
const TICKS: usize = 12;
/// Zones with changes of an hour, of half an hour, at midnight, and with none.
const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "UTC",
];

/// A cron expression, the name of a zone, or a document, from anywhere.
pub fn cron(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    reads::<ScheduleName>(&text);
    reads::<CatchUp>(&text);
    reads::<Zone>(&text);
    reads::<Timetable>(&text);
    if let Err(wrong) = text.parse::<Cron>() {
        let (from, to) = wrong.place();
        assert!(from <= to && to <= text.chars().count());
        assert!(wrong.pointed().len() <= 2000);
    }
    if let Ok(timetable) = text.parse::<Timetable>() {
        round_trips(&timetable);
        for zone in ZONES {
            ticks(&timetable, &zone.parse().unwrap());
        }
    }
    document(data);
}

/// Ticks come one after the other, at whole seconds, and what fires at all goes on to.
fn ticks(timetable: &Timetable, zone: &Zone) {
    let since = Timestamp::from_unix_millis(1_774_700_000_000);
    let mut at = since;
    for _ in 0..TICKS {
        let next = timetable.next_after(at, zone, since).unwrap();
        assert!(next > at && next.unix_nanos() % 1_000_000_000 == 0);
        let just_before = Timestamp::from_unix_nanos(next.unix_nanos() - 1);
        assert_eq!(timetable.next_after(just_before, zone, since), Some(next));
        at = next;
        if at > Timestamp::from_unix_millis(5_000_000_000_000) {
            break;
        }
    }
}

fn document(data: &[u8]) {
    if let Ok(directory) = Directory::decode(data) {
        assert_eq!(
            Directory::decode(&directory.encode().unwrap()).unwrap(),
            directory
        );
    }
    let Ok(shard) = Shard::decode(data) else {
        return;
    };
    if let Ok(body) = shard.encode() {
        assert_eq!(Shard::decode(&body).unwrap(), shard);
    }
    let now = Timestamp::from_unix_millis(1_774_700_000_000);
    for scheduled in shard.schedules.values() {
        one(scheduled, now);
    }
}

fn one(scheduled: &Scheduled, now: Timestamp) {
    let due = scheduled.due(now, 10);
    assert!(due.ticks.len() <= 10 && due.ticks.is_sorted());
    let mut after = scheduled.clone();
    after.settle(&due, now);
    after.mend(now);
    after.pause();
    after.resume(now);
    assert!(after.standing.next.is_none_or(|next| next > now));
}
