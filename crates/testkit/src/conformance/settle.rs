//! Clauses S: settling attempts.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    AttemptOutcome, AttemptRecord, Claimed, ErrorKind, Job, JobState, Keep, LeaseToken, Outcome,
    Settled, SpanId, Timestamp, TraceId,
};

use crate::harness::{Harness, assert_refused, complete, failure, retry_at, settlement};

/// S-2: a completed job has its result, its record and nothing of its lease.
pub async fn complete_writes_the_whole_row(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(Duration::from_secs(2));
    let result = Bytes::from_static(b"\0 not JSON \xff");
    let outcome = Outcome::Complete {
        result: Some(result.clone()),
    };
    let row = settles_as_the_table_says(h, &claimed, outcome).await;
    assert_eq!(row.state, JobState::Completed);
    assert_eq!(row.result, Some(result));
    assert_eq!(row.finished_at, Some(h.now()));
    assert_eq!(
        (row.worker, row.claimed_at, row.lease_expires_at),
        (None, None, None)
    );
}

/// S-2: a failed job waits until the time it was given; its record says why it failed.
pub async fn retry_writes_the_whole_row(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(Duration::from_secs(2));
    let again = h.now().after(Duration::from_secs(9));
    let row = settles_as_the_table_says(h, &claimed, retry_at(again)).await;
    assert_eq!((row.state, row.available_at), (JobState::Retryable, again));
    assert_eq!(row.first_available_at, claimed.job.first_available_at);
    let record = row.last_attempt().unwrap();
    assert_eq!(record.outcome, AttemptOutcome::Retried);
    assert_eq!(record.error, Some(failure()));
    assert_eq!(record.due_at, claimed.job.available_at);
}

/// S-2: a job whose needs are not there yet waits as after a failure: its attempt counts, but its
/// record has an outcome of its own, and keeps the reason.
pub async fn not_yet_waits_and_counts(h: &Harness) {
    let claimed = h.running("q").await;
    let again = h.now().after(Duration::from_secs(9));
    let row = settles_as_the_table_says(h, &claimed, not_yet_at(again)).await;
    assert_eq!((row.state, row.available_at), (JobState::Retryable, again));
    assert_eq!((row.attempt, row.claim), (1, 1));
    let record = row.last_attempt().unwrap();
    assert_eq!(record.outcome, AttemptOutcome::NotYet);
    assert_eq!(record.error, Some(failure()));
    assert!(!record.outcome.is_failure());
}

/// S-2: a snoozed job waits, and its attempt does not count.
pub async fn snooze_gives_the_attempt_back(h: &Harness) {
    let claimed = h.running("q").await;
    let available_at = h.now().after(Duration::from_secs(9));
    let outcome = Outcome::Snooze { available_at };
    let row = settles_as_the_table_says(h, &claimed, outcome).await;
    assert_eq!(row.state, JobState::Scheduled);
    assert_eq!((row.attempt, row.claim), (0, 1));
    assert_eq!(row.available_at, available_at);
}

/// S-2: a job that was handed back can be claimed at once, and its attempt does not count.
pub async fn hand_back_makes_the_job_available_at_once(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(Duration::from_secs(2));
    let row = settles_as_the_table_says(h, &claimed, Outcome::HandBack).await;
    assert_eq!(row.state, JobState::Available);
    assert_eq!((row.attempt, row.claim), (0, 1));
    assert_eq!(row.available_at, h.now());
    let again = h.claim_one("q").await;
    assert_eq!((again.job.attempt, again.job.claim), (1, 2));
}

/// S-2: a cancelled and a discarded job are over, and never claimed again.
pub async fn cancel_and_discard_are_final(h: &Harness) {
    let outcomes = [
        (Outcome::Cancel { error: None }, JobState::Cancelled),
        (
            Outcome::Cancel {
                error: Some(failure()),
            },
            JobState::Cancelled,
        ),
        (Outcome::Discard { error: failure() }, JobState::Discarded),
    ];
    for (outcome, state) in outcomes {
        let claimed = h.running("q").await;
        let row = settles_as_the_table_says(h, &claimed, outcome).await;
        assert_eq!((row.state, row.finished_at), (state, Some(h.now())));
    }
    h.advance(Duration::from_secs(3600));
    assert!(h.claim("q", 10).await.is_empty());
}

/// S-1: who does not hold the lease settles nothing, and every field stays as it is.
pub async fn a_wrong_token_writes_nothing(h: &Harness) {
    let claimed = h.running("q").await;
    let mut forged = settlement(&claimed, complete());
    forged.token = LeaseToken::from_bits(12_345);
    forged.keep = Some(keep(h, "error"));
    assert_refused(h.try_settle(forged).await, ErrorKind::LeaseLost);
    assert_eq!(h.row(&claimed.job.id).await, claimed.job);

    h.settle(&claimed, retry_at(h.now())).await;
    let second = h.claim_one("q").await;
    let stale = settlement(&claimed, complete());
    assert_refused(h.try_settle(stale).await, ErrorKind::LeaseLost);
    assert_eq!(h.row(&second.job.id).await, second.job);

    let mut unknown = settlement(&second, complete());
    unknown.job_id = h.unused_id("q").await;
    assert_refused(h.try_settle(unknown).await, ErrorKind::LeaseLost);
}

/// S-1: the second of two equal settles is refused, whether in the next call or in the same.
pub async fn a_settle_counts_once(h: &Harness) {
    let claimed = h.running("q").await;
    h.settle(&claimed, complete()).await;
    let before = h.row(&claimed.job.id).await;
    h.advance(Duration::from_secs(1));
    let repeated = settlement(&claimed, complete());
    assert_refused(h.try_settle(repeated).await, ErrorKind::LeaseLost);
    assert_eq!(h.row(&claimed.job.id).await, before);

    let claimed = h.running("q").await;
    let twice = [complete(), retry_at(h.now())].map(|outcome| settlement(&claimed, outcome));
    let mut answers = h.store.settle(twice.into()).await.unwrap();
    assert_refused(answers.remove(1), ErrorKind::LeaseLost);
    assert_eq!(answers.remove(0).unwrap().state, JobState::Completed);
    assert_eq!(h.row(&claimed.job.id).await.history.len(), 1);
}

/// S-3: work that was done is not thrown away because its lease ran out, as long as nobody else
/// was given the job.
pub async fn an_expired_lease_may_settle_until_it_is_rescued(h: &Harness) {
    let claimed = h.running("q").await;
    h.advance(Duration::from_secs(3600));
    let row = settles_as_the_table_says(h, &claimed, complete()).await;
    assert_eq!(row.state, JobState::Completed);
    assert!(h.store.rescue(10).await.unwrap().is_empty());
}

/// S-4: each settle has its own answer, in order, and a refused one harms no other.
pub async fn answers_each_item_for_itself(h: &Harness) {
    let mut settlements = Vec::new();
    for _ in 0..3 {
        let claimed = h.running("q").await;
        settlements.push(settlement(&claimed, complete()));
    }
    settlements[1].token = LeaseToken::from_bits(12_345);
    let ids: Vec<_> = settlements.iter().map(|one| one.job_id.clone()).collect();
    let answers = h.store.settle(settlements).await.unwrap();
    let kinds: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map(|settled| settled.state))
        .map(|answer| answer.map_err(longshore_core::StoreError::kind))
        .collect();
    let (done, lost) = (Ok(JobState::Completed), Err(ErrorKind::LeaseLost));
    assert_eq!(kinds, [done, lost, done]);
    assert_eq!(h.row(&ids[1]).await.state, JobState::Running);
    assert!(h.store.settle(Vec::new()).await.unwrap().is_empty());
}

/// S-4: settles of different workers at the same time all count, also for jobs that were enqueued
/// together, and so do their follow-ups.
pub async fn settles_at_the_same_time_all_count(h: &Harness) {
    let jobs = 16;
    h.enqueue_together("q", jobs).await;
    let mut workers = tokio::task::JoinSet::new();
    for claimed in h.claim("q", jobs).await {
        let mut settlement = settlement(&claimed, complete());
        settlement.follow_ups = vec![h.new_job("child").await];
        let store = h.store.clone();
        workers.spawn(async move { store.settle(vec![settlement]).await.unwrap().remove(0) });
    }
    let answers = workers.join_all().await;
    assert_eq!(answers.iter().flatten().count(), jobs, "{answers:?}");
    assert_eq!(h.claim("child", 2 * jobs).await.len(), jobs);
    h.advance(Harness::LEASE * 2);
    let rescued = h.store.rescue(2 * jobs).await.unwrap();
    let unsettled = rescued.iter().filter(|one| one.job.queue.as_str() == "q");
    assert_eq!(unsettled.count(), 0, "an acknowledged settle was lost");
}

/// S-4: a result that is too large is refused before anything is written.
pub async fn bounds_the_result(h: &Harness) {
    let claimed = h.running("q").await;
    let result_of = |bytes: usize| Outcome::Complete {
        result: Some(Bytes::from(vec![b'x'; bytes])),
    };
    let large = settlement(&claimed, result_of(Job::MAX_RESULT_BYTES + 1));
    assert_refused(h.try_settle(large).await, ErrorKind::Invalid);
    assert_eq!(h.row(&claimed.job.id).await, claimed.job);
    let most = result_of(Job::MAX_RESULT_BYTES);
    settles_as_the_table_says(h, &claimed, most).await;
}

/// S-6: the first decision to keep a trace is written with its settle, and no later one replaces
/// or removes it.
pub async fn a_trace_once_kept_stays_kept(h: &Harness) {
    h.enqueue_plain("q").await;
    let first = keep(h, "error");
    for reason in [None, Some("error"), Some("slow"), None] {
        let claimed = h.claim_one("q").await;
        let mut settlement = settlement(&claimed, retry_at(h.now()));
        settlement.keep = reason.map(|reason| keep(h, reason));
        h.try_settle(settlement).await.unwrap();
        let kept = h.row(&claimed.job.id).await.trace.keep;
        let decided = claimed.job.trace.keep.is_some() || reason.is_some();
        assert_eq!(kept, decided.then(|| first.clone()));
    }
}

/// S-7: a job that would wait again is cancelled instead if someone asked for that; one that ends
/// for itself ends so.
pub async fn a_job_asked_to_cancel_does_not_wait_again(h: &Harness) {
    let at = h.now().after(Duration::from_secs(1));
    let outcomes = [
        (retry_at(at), JobState::Cancelled),
        (not_yet_at(at), JobState::Cancelled),
        (Outcome::Snooze { available_at: at }, JobState::Cancelled),
        (Outcome::HandBack, JobState::Cancelled),
        (complete(), JobState::Completed),
        (Outcome::Discard { error: failure() }, JobState::Discarded),
        (Outcome::Cancel { error: None }, JobState::Cancelled),
    ];
    for (outcome, state) in outcomes {
        let claimed = h.running("q").await;
        h.cancel(&claimed.job.id).await.unwrap();
        let row = settles_as_the_table_says(h, &claimed, outcome).await;
        assert_eq!((row.state, row.stop_requested), (state, None));
    }
}

/// S-8: the history holds the last records only, whole and oldest first.
pub async fn bounds_the_history(h: &Harness) {
    let mut claimed = h.running("q").await;
    let attempts = u32::try_from(AttemptRecord::MAX_KEPT).unwrap() + 3;
    for _ in 1..attempts {
        h.settle(&claimed, Outcome::HandBack).await;
        claimed = h.claim_one("q").await;
    }
    let row = settles_as_the_table_says(h, &claimed, complete()).await;
    let claims: Vec<u32> = row.history.iter().map(|record| record.claim).collect();
    assert_eq!(claims, (4..=attempts).collect::<Vec<_>>());
}

/// Settles and compares answer and row, field by field, with what the core's transition says.
async fn settles_as_the_table_says(h: &Harness, claimed: &Claimed, outcome: Outcome) -> Job {
    let mut settlement = settlement(claimed, outcome);
    settlement.span = Some((TraceId::from_u128(77), SpanId::from_u64(7)));
    let mut expected = h.row(&claimed.job.id).await;
    expected.apply_settlement(&settlement, h.now());
    let settled = h.try_settle(settlement).await.unwrap();
    let (state, at) = (expected.state, h.now());
    assert_eq!(settled, Settled { state, at });
    let row = h.row(&claimed.job.id).await;
    assert_eq!(row, expected);
    row
}

fn not_yet_at(available_at: Timestamp) -> Outcome {
    Outcome::NotYet {
        available_at,
        error: failure(),
    }
}

fn keep(h: &Harness, reason: &str) -> Keep {
    Keep {
        reason: reason.to_owned(),
        at: h.now(),
    }
}
