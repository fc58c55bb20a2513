use std::time::Duration;

use longshore_core::{JobState, NewJob, StopRequest};
use longshore_testkit::SeededRandom;

use super::*;
use crate::batch_key::{BatchKey, BatchName, Line, VOID_AFTER};
use crate::draft::{Draft, Plan};
use crate::key::PointerKey;
use crate::ledger::Outgoing;
use crate::minted_id::StoreMark;

const SECOND: Duration = Duration::from_secs(1);

fn stamp() -> Timestamp {
    Timestamp::from_unix_millis(1_767_225_600_000)
}

fn batch(seed: u64) -> Arc<Batch> {
    let key = BatchKey {
        name: BatchName::mint(stamp(), 1, &SeededRandom::new(seed)),
        line: Line::read("1", "0", "2").unwrap(),
        due: 5,
    };
    let mark = StoreMark::from_bits(1);
    let mut batch = Batch::new(key, mark, "q".parse().unwrap(), stamp());
    let id = format!("job-{seed}").parse().unwrap();
    let new = NewJob::new(id, batch.queue.clone(), "k".parse().unwrap(), "{}");
    batch.put(0, new, None);
    Arc::new(batch)
}

/// The ledger of a batch whose one job was cancelled: as it was created, or as it is after a write.
fn cancelled(batch: &Arc<Batch>, generation: u64) -> Ledger {
    let mut draft = Draft::first(Arc::clone(batch));
    draft.stop(0, StopRequest::Cancel, stamp());
    let mut ledger = draft.plan(1, stamp()).ledger().unwrap().clone();
    for _ in 0..generation {
        let mut draft = Draft::of(ledger.clone(), Arc::clone(batch));
        draft.touch();
        ledger = draft.plan(2, stamp()).ledger().unwrap().clone();
    }
    assert_eq!(ledger.generation, generation);
    ledger
}

/// The ledger of a batch whose one job waits, after so many writes.
fn waiting(batch: &Arc<Batch>, generation: u64) -> Ledger {
    let mut ledger = Ledger::blank(batch.key, 1);
    ledger.generation = generation;
    ledger
}

fn there(batch: &Arc<Batch>) -> Look {
    Look::There(Arc::clone(batch), stamp())
}

fn late(batch: &Arc<Batch>) -> Look {
    Look::There(Arc::clone(batch), stamp().after(VOID_AFTER + SECOND))
}

fn met(batch: &Arc<Batch>, ledger: Option<&Ledger>, look: &Look) -> Step {
    meet(&Key::Batch(batch.key), stamp(), ledger, look)
}

#[test]
fn a_batch_that_nobody_met_is_claimed_from() {
    let batch = batch(1);
    assert_eq!(met(&batch, None, &Look::Unseen), Step::Create);
}

#[test]
fn a_void_batch_is_left_alone_unless_its_ledger_proves_it() {
    let batch = batch(1);
    let entry = Key::Batch(batch.key);
    let void = stamp().after(VOID_AFTER + SECOND);
    assert_eq!(meet(&entry, void, None, &Look::Unseen), Step::Skip);
    let first = waiting(&batch, 0);
    assert_eq!(meet(&entry, void, Some(&first), &late(&batch)), Step::Skip);
    let second = waiting(&batch, 1);
    let step = meet(&entry, void, Some(&second), &late(&batch));
    assert_eq!(step, Step::Act(batch));
}

#[test]
fn a_ledger_of_generation_zero_proves_nothing() {
    let batch = batch(1);
    for ledger in [waiting(&batch, 0), cancelled(&batch, 0)] {
        let ledger = Some(&ledger);
        assert_eq!(met(&batch, ledger, &Look::Unseen), Step::ReadBatch);
        let delete = Step::DeleteLedgerIfUnchanged;
        assert_eq!(met(&batch, ledger, &Look::Gone), delete);
        assert_eq!(met(&batch, ledger, &late(&batch)), delete);
    }
    let ledger = waiting(&batch, 0);
    assert_eq!(met(&batch, Some(&ledger), &there(&batch)), Step::Act(batch));
}

#[test]
fn a_batch_that_is_over_is_copied_in_then_followed_then_closed() {
    let batch = batch(1);
    let first = cancelled(&batch, 0);
    assert_eq!(met(&batch, Some(&first), &there(&batch)), Step::CopyIn);
    let mut ledger = cancelled(&batch, 1);
    assert_eq!(met(&batch, Some(&ledger), &Look::Unseen), Step::Close);
    let key = self::batch(2).key;
    let follow_up = Some(self::batch(2));
    ledger.outbox.push(Outgoing {
        key,
        batch: follow_up,
    });
    let step = met(&batch, Some(&ledger), &Look::Unseen);
    assert_eq!(step, Step::MakeFollowUps);
    ledger.outbox[0].batch = None;
    assert_eq!(met(&batch, Some(&ledger), &Look::Unseen), Step::Close);
}

#[test]
fn jobs_that_are_not_over_need_their_batch() {
    let batch = batch(1);
    let ledger = waiting(&batch, 3);
    assert_eq!(met(&batch, Some(&ledger), &Look::Unseen), Step::ReadBatch);
    // The listing was late: whoever deleted the batch has copied the jobs in.
    assert_eq!(met(&batch, Some(&ledger), &Look::Gone), Step::Skip);
    let step = met(&batch, Some(&ledger), &there(&batch));
    assert_eq!(step, Step::Act(batch));
}

#[test]
fn an_entry_that_its_ledger_does_not_name_goes_once_it_can_not_be_named() {
    let batch = batch(1);
    let pointer = |generation| PointerKey {
        batch: batch.key.name,
        line: batch.key.line,
        due: 9,
        generation,
        token: 4,
    };
    let look = Look::Unseen;
    let at = |entry: Key, ledger: Option<&Ledger>| meet(&entry, stamp(), ledger, &look);
    let mut ledger = cancelled(&batch, 3);
    let behind = Key::Pointer(pointer(3));
    assert_eq!(at(behind.clone(), Some(&ledger)), Step::DeleteEntry);
    let ahead = Key::Pointer(pointer(4));
    assert_eq!(at(ahead.clone(), Some(&ledger)), Step::Skip);
    assert_eq!(at(ahead.clone(), None), Step::Skip);

    ledger.entry = Some(pointer(4));
    ledger.generation = 4;
    assert_eq!(at(ahead, Some(&ledger)), Step::Close);
    let original = Key::Batch(batch.key);
    assert_eq!(at(original.clone(), Some(&ledger)), Step::DeleteEntry);
    ledger.carried = None;
    assert_eq!(
        at(original, Some(&ledger)),
        Step::Skip,
        "the jobs would be gone"
    );
}

#[test]
fn absence_is_told_only_from_a_look_after_the_stamp_has_expired() {
    let batch = batch(1);
    let name = batch.key.name;
    let (early, expired) = (stamp(), stamp().after(Duration::from_secs(75 * 60 + 1)));
    let void = Some(stamp().after(VOID_AFTER + SECOND));
    let (first, second) = (waiting(&batch, 0), waiting(&batch, 1));
    for (modified, ledger, least, expected) in [
        (Some(stamp()), None, early, Presence::There),
        (None, Some(&second), expired, Presence::There),
        (None, None, early, Presence::NotYet),
        (None, None, expired, Presence::Never),
        (void, None, early, Presence::NotYet),
        (void, Some(&first), expired, Presence::Never),
        (void, Some(&second), expired, Presence::There),
        (None, Some(&first), expired, Presence::Never),
    ] {
        assert_eq!(presence(name, modified, ledger, least), expected);
    }
}

#[test]
fn a_job_that_ended_is_what_the_helpers_say() {
    let batch = batch(1);
    let ledger = cancelled(&batch, 1);
    let row = ledger.row(0).unwrap();
    assert_eq!(row.state, JobState::Cancelled);
    assert!(matches!(
        Draft::of(ledger, batch).plan(1, stamp()),
        Plan::Nothing
    ));
}
