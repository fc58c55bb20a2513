//! Clauses C: claiming jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{ClaimRequest, JobId, JobState, Outcome, Priority, WorkerId};

use crate::harness::{Harness, name, retry_at};

/// C-1: jobs that wait for a later time, run or are over are not claimed.
pub async fn claims_only_due_jobs(h: &Harness) {
    for state in JobState::ALL {
        h.job_in(state).await;
        let due = usize::from(state == JobState::Available);
        let claimed = h.claim(state.as_str(), 10).await;
        assert_eq!(claimed.len(), due, "{state}");
    }
    h.advance(Duration::from_secs(3600));
    assert_eq!(h.claim("scheduled", 10).await.len(), 1);
    assert_eq!(h.claim("retryable", 10).await.len(), 1);
    assert!(h.claim("no-such-queue", 10).await.is_empty());
}

/// C-5, C-6: the claimed row is the stored row, leased from now on to that worker alone.
pub async fn claim_writes_the_whole_row(h: &Harness) {
    let id = h.enqueue_plain("q").await;
    let mut expected = h.row(&id).await;
    let claimed = h.claim_one("q").await;
    let expires_at = h.now().after(Harness::LEASE);
    expected.apply_claim(&WorkerId::new("worker-1"), expires_at, h.now());
    assert_eq!(claimed.job, expected);
    assert_eq!(h.row(&id).await, expected);
    assert_eq!(claimed.lease.job_id, id);
    assert_eq!(claimed.lease.expires_at, expires_at);
}

/// C-1: claims that run at the same time share the jobs out; each goes to one of them.
pub async fn never_claims_a_job_twice(h: &Harness) {
    // Half of them alone and half in one call, since a store may keep the latter together.
    let jobs = 40;
    for _ in 0..jobs / 2 {
        h.enqueue_plain("q").await;
    }
    h.enqueue_together("q", jobs / 2).await;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let store = h.store.clone();
        let mut request = Harness::request("q", 3);
        request.worker = WorkerId::new(&format!("worker-{worker}"));
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim(&request).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed);
            }
        });
    }
    let claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    let ids: BTreeSet<_> = claimed.iter().map(|claimed| &claimed.job.id).collect();
    let tokens: BTreeSet<_> = claimed.iter().map(|c| c.lease.token.get()).collect();
    assert_eq!((claimed.len(), ids.len(), tokens.len()), (jobs, jobs, jobs));
}

/// C-2: the most urgent first; among equals the one that has been due for longest.
pub async fn goes_by_priority_then_due_time(h: &Harness) {
    let late = enqueue_with(h, 2, Duration::from_millis(500)).await;
    let early = enqueue_with(h, 2, Duration::from_millis(100)).await;
    let least = enqueue_with(h, 4, Duration::ZERO).await;
    let first = enqueue_with(h, 1, Duration::from_millis(900)).await;
    h.advance(Duration::from_secs(1));
    let order = ids_of(&h.claim("q", 10).await);
    assert_eq!(order, [first, early, late, least]);
}

/// C-3: the slot of every eighth turn goes to the longest due job of a lower priority.
pub async fn gives_one_slot_in_eight_to_lower_priorities(h: &Harness) {
    let least = enqueue_with(h, 4, Duration::ZERO).await;
    let lower = enqueue_with(h, 3, Duration::ZERO).await;
    let mut urgent = Vec::new();
    for _ in 0..20 {
        urgent.push(enqueue_with(h, 1, Duration::ZERO).await);
    }
    let order = ids_of(&h.claim("q", 16).await);
    assert_eq!(order[..7], urgent[..7]);
    assert_eq!(order[7], least);
    assert_eq!(order[8..15], urgent[7..14]);
    assert_eq!(order[15], lower);
}

/// C-3: the share holds across calls for one job at a time, since callers count their turns.
pub async fn counts_turns_across_calls(h: &Harness) {
    let lower = enqueue_with(h, 2, Duration::ZERO).await;
    for _ in 0..10 {
        enqueue_with(h, 1, Duration::ZERO).await;
    }
    let mut order = Vec::new();
    for turn in 5..9 {
        let mut request = Harness::request("q", 1);
        request.turn = turn;
        order.extend(ids_of(&h.store.claim(&request).await.unwrap()));
    }
    assert_eq!(order.len(), 4);
    assert_eq!(order.iter().position(|id| *id == lower), Some(2));
}

/// C-2: all queues of a request are alike: their jobs go by priority and due time together.
pub async fn takes_from_several_queues_alike(h: &Harness) {
    let a1 = h.enqueue_plain("a").await;
    let b1 = h.enqueue_plain("b").await;
    let a2 = h.enqueue_plain("a").await;
    h.enqueue_plain("c").await;
    let mut urgent = h.new_job("b").await;
    urgent.priority = Priority::FIRST;
    let urgent = h.enqueue(h.placed(urgent).await).await;
    let mut request = Harness::request("a", 10);
    request.queues = vec![name("a"), name("b"), name("empty")];
    let claimed = h.store.claim(&request).await.unwrap();
    assert_eq!(ids_of(&claimed), [urgent, a1, b1, a2]);
}

/// C-4: no more than asked for, and never more than the most of one claim.
pub async fn keeps_to_its_limit(h: &Harness) {
    let jobs = h.new_jobs("q", ClaimRequest::MAX_LIMIT + 1).await;
    let enqueued = h.store.enqueue(jobs).await.unwrap();
    assert!(enqueued.iter().all(Result::is_ok));
    assert_eq!(h.claim("q", 0).await.len(), 0);
    assert_eq!(h.claim("q", 3).await.len(), 3);
    let most = h.claim("q", usize::MAX).await.len();
    assert!(most <= ClaimRequest::MAX_LIMIT, "{most} jobs in one claim");
}

/// C-5: an attempt is counted up by each claim and given back by a snooze or a hand-back; the
/// claim counter only rises.
pub async fn counts_attempts_and_claims(h: &Harness) {
    h.enqueue_plain("q").await;
    let at = h.now();
    let outcomes = [
        retry_at(at),
        Outcome::Snooze { available_at: at },
        Outcome::HandBack,
        retry_at(at),
    ];
    let mut counters = Vec::new();
    for outcome in outcomes {
        let claimed = h.claim_one("q").await;
        counters.push((claimed.job.attempt, claimed.job.claim));
        h.settle(&claimed, outcome).await;
    }
    let claimed = h.claim_one("q").await;
    counters.push((claimed.job.attempt, claimed.job.claim));
    assert_eq!(counters, [(1, 1), (2, 2), (2, 3), (2, 4), (3, 5)]);
    let records = claimed.job.history.iter();
    let recorded: Vec<_> = records
        .map(|record| (record.attempt, record.claim))
        .collect();
    assert_eq!(recorded, counters[..4]);
}

async fn enqueue_with(h: &Harness, priority: u8, delay: Duration) -> JobId {
    let mut new = h.new_job("q").await;
    new.priority = priority.try_into().unwrap();
    new.scheduled_at = Some(h.now().after(delay));
    h.enqueue(h.placed(new).await).await
}

fn ids_of(claimed: &[longshore_core::Claimed]) -> Vec<JobId> {
    claimed
        .iter()
        .map(|claimed| claimed.job.id.clone())
        .collect()
}
