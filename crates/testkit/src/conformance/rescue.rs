//! Clauses R: taking back expired leases.

use std::time::Duration;

use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{
    AttemptOutcome, Claimed, ErrorKind, Job, JobState, Keep, NewJob, Outcome, Rescued,
};

use crate::harness::{Harness, assert_refused, complete, settlement};

/// a lease holds up to and including its last moment.
pub async fn leaves_live_leases_alone(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(claimed.lease.expires_at.since(h.now()));
    assert!(h.store.rescue(10).await.unwrap().is_empty());
    assert_eq!(h.row(&claimed.job.id).await, claimed.job);
    h.advance(Duration::from_millis(1));
    assert_eq!(h.store.rescue(10).await.unwrap().len(), 1);
    assert!(h.store.rescue(10).await.unwrap().is_empty());
}

/// a job whose holder vanished runs again at once; its attempt counts.
pub async fn makes_the_job_available_at_once(h: &Harness) {
    let new = h.new_job("q").await;
    let row = rescued_row(h, new, false).await;
    assert_eq!((row.state, row.attempt), (JobState::Available, 1));
    assert_eq!(row.available_at, h.now());
    let again = h.claim_one("q").await;
    assert_eq!((again.job.attempt, again.job.claim), (2, 2));
}

/// a job whose attempts are used up is discarded.
pub async fn discards_when_attempts_are_used_up(h: &Harness) {
    let mut new = h.new_job("q").await;
    new.max_attempts = 1;
    let row = rescued_row(h, new, false).await;
    assert_eq!(row.state, JobState::Discarded);
    assert_eq!(row.finished_at, Some(h.now()));
}

/// a job that was asked to stop is cancelled.
pub async fn cancels_if_that_was_asked(h: &Harness) {
    let new = h.new_job("q").await;
    let row = rescued_row(h, new, true).await;
    assert_eq!(row.state, JobState::Cancelled);
    assert!(row.stop_requested.is_none());
}

/// a lost attempt's trace is kept, unless it was to be kept already for another reason.
pub async fn keeps_the_trace_with_its_first_reason(h: &Harness) {
    let new = h.new_job("q").await;
    let row = rescued_row(h, new, false).await;
    let reason = LEASE_EXPIRED.to_owned();
    let at = h.now();
    assert_eq!(row.trace.keep, Some(Keep { reason, at }));
    h.cancel(&row.id).await.unwrap();

    let mut kept = h.new_job("q").await;
    let (reason, at) = ("pinned".to_owned(), h.now());
    let pinned = Some(Keep { reason, at });
    kept.trace.keep.clone_from(&pinned);
    let row = rescued_row(h, kept, false).await;
    assert_eq!(row.trace.keep, pinned);
}

/// who lost a lease can settle no more, neither before nor after the job is claimed anew.
pub async fn fences_the_lost_holder(h: &Harness) {
    let lost = h.running("q").await;
    expire(h);
    assert_eq!(h.store.rescue(10).await.unwrap().len(), 1);
    let late = |outcome| h.try_settle(settlement(&lost, outcome));
    assert_refused(late(complete()).await, ErrorKind::LeaseLost);
    let second = h.claim_one("q").await;
    assert_ne!(second.lease.token, lost.lease.token);
    assert_refused(late(Outcome::HandBack).await, ErrorKind::LeaseLost);
    assert_eq!(h.row(&second.job.id).await, second.job);
    h.settle(&second, complete()).await;
}

/// no more jobs than asked for; the others stay for the next call.
pub async fn keeps_to_its_limit(h: &Harness) {
    for _ in 0..5 {
        h.running("q").await;
    }
    expire(h);
    let mut rescued = Vec::new();
    for expected in [2, 2, 1, 0] {
        let found = h.store.rescue(2).await.unwrap();
        assert_eq!(found.len(), expected);
        rescued.extend(found.into_iter().map(|Rescued { job, .. }| job.id));
    }
    rescued.sort();
    rescued.dedup();
    assert_eq!(rescued.len(), 5);
}

/// Lets a job's lease expire and rescues it; compares the answer and the row, field by field, with
/// what the core's transition says. (R-2: whole rows, with the record of the lost attempt.)
async fn rescued_row(h: &Harness, new: NewJob, cancel: bool) -> Job {
    let id = h.enqueue(new).await;
    let claimed: Claimed = h.claim_one("q").await;
    if cancel {
        h.cancel(&id).await.unwrap();
    }
    let mut expected = h.row(&id).await;
    expire(h);
    let mut rescued = h.store.rescue(10).await.unwrap();
    assert_eq!(rescued.len(), 1);
    let Rescued { job, lost } = rescued.remove(0);

    let reason = LEASE_EXPIRED.to_owned();
    let at = h.now();
    expected.trace.keep.get_or_insert(Keep { reason, at });
    let record = expected.apply_rescue(h.now()).unwrap();
    assert_eq!(job, expected);
    assert_eq!(h.row(&id).await, expected);
    assert_eq!(lost, record);
    assert_eq!(lost.outcome, AttemptOutcome::Lost);
    assert_eq!(Some(lost.claimed_at), claimed.job.claimed_at);
    job
}

fn expire(h: &Harness) {
    h.advance(Harness::LEASE + Duration::from_secs(1));
}
