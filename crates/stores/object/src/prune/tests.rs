use std::sync::Arc;

use longshore_core::{NewJob, StopRequest};
use longshore_testkit::SeededRandom;

use super::*;
use crate::batch::Batch;
use crate::batch_key::{BatchName, Line};
use crate::draft::Draft;
use crate::key::PointerKey;
use crate::ledger::Outgoing;
use crate::minted_id::StoreMark;

const SECOND: Duration = Duration::from_secs(1);

fn stamp() -> Timestamp {
    Timestamp::from_unix_millis(1_767_225_600_000)
}

fn key(seed: u64) -> BatchKey {
    BatchKey {
        name: BatchName::mint(stamp(), 1, &SeededRandom::new(seed)),
        line: Line::read("1", "0", "2").unwrap(),
        due: 5,
    }
}

fn ledger(origin: Option<BatchKey>) -> Ledger {
    let mark = StoreMark::from_bits(1);
    let mut batch = Batch::new(key(1), mark, "q".parse().unwrap(), stamp());
    let new = NewJob::new(
        "job".parse().unwrap(),
        batch.queue.clone(),
        "k".parse().unwrap(),
        "{}",
    );
    batch.put(0, new, None);
    batch.origin = origin;
    let batch = Arc::new(batch);
    let blank = Ledger::blank(batch.key, 1);
    let mut draft = Draft::of(blank, batch);
    draft.stop(0, StopRequest::Discard, stamp().after(SECOND));
    draft.plan(2, stamp()).ledger().unwrap().clone()
}

#[test]
fn a_ledger_goes_when_everything_else_has_gone() {
    let late = stamp().after(MIN_RETENTION + SECOND);
    let origin = key(2);
    let mut ledger = ledger(Some(origin));
    let expected = Conditions {
        absent: vec![Key::Batch(ledger.key)],
        origin: Some(origin),
    };
    let judge = |ledger: &Ledger, at| conditions(ledger, stamp(), Duration::ZERO, at);
    assert_eq!(judge(&ledger, late), Some(expected));
    assert_eq!(judge(&ledger, stamp().after(MIN_RETENTION)), None);
    let day = SECOND * 86_400;
    assert_eq!(conditions(&ledger, stamp(), day, late), None);

    let pointer = PointerKey {
        batch: ledger.key.name,
        line: ledger.key.line,
        due: 9,
        generation: 1,
        token: 4,
    };
    ledger.entry = Some(pointer);
    let absent = judge(&ledger, late).unwrap().absent;
    assert_eq!(absent, [Key::Pointer(pointer), Key::Batch(ledger.key)]);
}

#[test]
fn a_ledger_with_something_to_do_stays() {
    let late = stamp().after(MIN_RETENTION + SECOND);
    let judge = |ledger: &Ledger| conditions(ledger, stamp(), Duration::ZERO, late);
    let done = ledger(None);
    assert!(judge(&done).is_some());

    // One whose follow-ups may be missing has its entry, which is looked for.
    let mut open = done.clone();
    open.outbox.push(Outgoing {
        key: key(3),
        batch: done.carried.clone(),
    });
    let absent = judge(&open).unwrap().absent;
    assert_eq!(absent, [open.entry_key()]);

    let mut bare = done.clone();
    bare.carried = None;
    assert_eq!(judge(&bare), None);

    let batch = done.carried.clone().unwrap();
    let mut revived = Draft::of(done, batch);
    revived.retry_now(0, late).unwrap().unwrap();
    let revived = revived.plan(7, late).ledger().unwrap().clone();
    assert_eq!(judge(&revived), None);
    assert_eq!(ends(&revived), None);
}

#[test]
fn the_end_of_a_batch_is_that_of_its_last_job() {
    let (last, states) = ends(&ledger(None)).unwrap();
    assert_eq!(last, stamp().after(SECOND));
    assert_eq!(states, [JobState::Discarded]);
}
