use std::time::Duration;

use longshore_core::{JobState, OnConflict, StopRequest, UniqueKey};
use longshore_testkit::SeededRandom;
use proptest::prelude::*;

use super::*;
use crate::batch::tests::batches;
use crate::batch_key::tests::batch_keys;
use crate::batch_key::{BatchName, Line};
use crate::minted_id::StoreMark;

const MINUTE: Duration = Duration::from_secs(60);

fn stamp() -> Timestamp {
    Timestamp::from_unix_millis(1_767_225_600_000)
}

fn new(args: &'static str, scope: UniqueScope) -> NewJob {
    let kind = "k".parse().unwrap();
    let mut new = NewJob::new("job".parse().unwrap(), "q".parse().unwrap(), kind, args);
    let unique = UniqueKey::new("key", &new.kind, &new.args);
    new.unique_key = Some(unique.with_scope(scope));
    new
}

fn key(seed: u64) -> BatchKey {
    BatchKey {
        name: BatchName::mint(stamp(), 1, &SeededRandom::new(seed)),
        line: Line::read("1", "0", "2").unwrap(),
        due: 5,
    }
}

fn reserved(scope: UniqueScope) -> (Reservation, Box<Job>) {
    let mark = StoreMark::from_bits(1);
    let mut batch = Batch::new(key(1), mark, "q".parse().unwrap(), stamp());
    batch.put(0, new("{}", scope), None);
    let job = Box::new(batch.job(0).unwrap().job.clone());
    (Reservation::new(Arc::new(batch), key(1), 7), job)
}

#[test]
fn a_key_belongs_to_its_job_until_that_lets_go_of_it() {
    let (reservation, mut job) = reserved(UniqueScope::Unfinished);
    let meet = |job: &Job, own, new| {
        reservation.meet(&key(own), &new, &Found::Job(Box::new(job.clone())), stamp())
    };
    let scope = UniqueScope::Unfinished;
    assert_eq!(meet(&job, 1, new("{}", scope)), Verdict::Own);
    assert_eq!(meet(&job, 2, new("{}", scope)), Verdict::Met(Met::Hit));
    assert_eq!(meet(&job, 2, new("[]", scope)), Verdict::Met(Met::Refused));
    let mut replacing = new("[]", scope);
    replacing.on_conflict = OnConflict::Replace { priority: false };
    assert_eq!(meet(&job, 2, replacing), Verdict::Met(Met::Replace));
    job.apply_stop(StopRequest::Cancel, stamp());
    assert_eq!(meet(&job, 2, new("{}", scope)), Verdict::TakeOver);
    assert_eq!(meet(&job, 1, new("{}", scope)), Verdict::Own);
}

#[test]
fn a_reservation_without_a_job_is_completed_then_left_then_taken_over() {
    let (reservation, _) = reserved(UniqueScope::Unfinished);
    let found = |presence| Found::Nothing(presence);
    let second = new("{}", UniqueScope::Unfinished);
    for (presence, now, expected) in [
        (Presence::NotYet, stamp(), Verdict::Help),
        (
            Presence::NotYet,
            stamp().after(VOID_AFTER),
            Verdict::Undecided,
        ),
        (Presence::There, stamp(), Verdict::Undecided),
        (
            Presence::Never,
            stamp().after(MINUTE * 76),
            Verdict::TakeOver,
        ),
    ] {
        let met = reservation.meet(&key(2), &second, &found(presence), now);
        assert_eq!(met, expected, "{presence:?}");
        let own = reservation.meet(&key(1), &second, &found(presence), now);
        assert_eq!(own, expected, "{presence:?}");
        let chosen = reservation.meet_chosen(&key(2), &found(presence), now);
        assert_eq!(chosen, expected, "{presence:?}");
    }
    let met = reservation
        .release(8)
        .meet_chosen(&key(2), &found(Presence::NotYet), stamp());
    assert_eq!(met, Verdict::TakeOver, "its producer gave it up");
    let taken = reservation.taken_over(reservation.batch.clone().unwrap(), key(2), 9);
    assert_eq!((taken.generation, taken.key), (1, key(2)));
}

#[test]
fn a_chosen_id_is_a_hit_in_every_state() {
    let (reservation, mut job) = reserved(UniqueScope::Unfinished);
    for state in JobState::ALL {
        job.state = state;
        let found = Found::Job(job.clone());
        let met = reservation.meet_chosen(&key(2), &found, stamp());
        assert_eq!(met, Verdict::Met(Met::Hit), "{state}");
        let own = reservation.meet_chosen(&key(1), &found, stamp());
        assert_eq!(own, Verdict::Own, "{state}");
    }
}

#[test]
fn a_window_outlives_a_job_that_was_pruned() {
    let (reservation, mut job) = reserved(UniqueScope::Window(MINUTE * 1000));
    assert!(reservation.has_window());
    job.state = JobState::Completed;
    let late = stamp().after(MINUTE * 100);
    let stub = reservation.stub(&job, 8, late);
    let gone = Found::Nothing(Presence::Never);
    let meet = |stub: &Reservation, args, now| {
        stub.meet(&key(2), &new(args, UniqueScope::Unfinished), &gone, now)
    };
    assert_eq!(meet(&stub, "{}", late), Verdict::MetPruned(Met::Hit));
    assert_eq!(meet(&stub, "[]", late), Verdict::MetPruned(Met::Refused));
    let over = stamp().after(MINUTE * 1000);
    assert_eq!(meet(&stub, "[]", over), Verdict::TakeOver);
    // One that was given up let go of its key.
    job.state = JobState::Cancelled;
    let stub = reservation.stub(&job, 8, late);
    assert_eq!(meet(&stub, "[]", late), Verdict::TakeOver);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_reservation_is_read_as_written(
        generation: u64, writer: u64, key in batch_keys(), batch in prop::option::of(batches()),
        until in prop::option::of(0..i64::MAX), released: bool,
        brought in prop::option::of(any::<u16>()),
    ) {
        let batch = batch.map(Arc::new);
        let kept_until = until.map(Timestamp::from_unix_nanos);
        let reservation = Reservation { generation, writer, key, batch, kept_until, released, brought };
        let bytes = reservation.encode().unwrap();
        prop_assert_eq!(Reservation::decode(&bytes), Ok(reservation));
    }
}
