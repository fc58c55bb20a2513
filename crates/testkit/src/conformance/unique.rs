//! Clauses E-4a and E-4d: who has a unique key, for how long, and what other calls do to it.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Beat, Claimed, ErrorKind, JobId, JobState, NewJob, OnConflict, Outcome, PruneRequest,
    UniqueKey, UniqueScope,
};

use super::conflict::replacing;
use crate::harness::{Harness, assert_refused, complete, failure, hit, name, retry_at, settlement};

const WINDOW: Duration = Duration::from_secs(60);

/// E-4a: by default a job has its key until it is over, also while it waits for a retry or was
/// taken back from a worker that vanished.
pub async fn a_job_has_its_key_until_it_is_over(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "1").await)
        .await;
    h.claim_one("q").await;
    is_taken(h, &id).await;
    h.advance(Harness::LEASE * 2);
    h.store.rescue(10).await.unwrap();
    is_taken(h, &id).await;
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, retry_at(h.now())).await;
    is_taken(h, &id).await;
    h.retry_now(&id).await.unwrap();
    is_taken(h, &id).await;
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, Outcome::Discard { error: failure() })
        .await;
    is_free(h).await;
}

/// E-4a: a key for waiting jobs is free with the first claim, and stays so whatever becomes of the
/// attempt.
pub async fn a_job_may_have_its_key_until_it_starts(h: &Harness) {
    let outcomes = [
        retry_at(h.now()),
        Outcome::HandBack,
        Outcome::Snooze {
            available_at: h.now(),
        },
    ];
    for outcome in outcomes {
        let first = h.enqueue(keyed(h, UniqueScope::Waiting, "1").await).await;
        is_taken(h, &first).await;
        let running = h.claim_one("q").await;
        let second = h.enqueue(keyed(h, UniqueScope::Waiting, "2").await).await;
        is_taken(h, &second).await;
        h.settle(&running, outcome).await;
        is_taken(h, &second).await;
        h.cancel(&second).await.unwrap();
        is_free(h).await;
        h.cancel(&first).await.unwrap();
    }
    let lost = h.enqueue(keyed(h, UniqueScope::Waiting, "1").await).await;
    h.claim_one("q").await;
    h.advance(Harness::LEASE * 2);
    h.store.rescue(10).await.unwrap();
    assert_eq!(h.row(&lost).await.state, JobState::Available);
    is_free(h).await;
}

/// E-4a: a key for a window is held from the enqueue on, while the job waits, runs and once it is
/// completed, and is free when the window is over.
pub async fn a_job_may_have_its_key_for_a_window(h: &Harness) {
    let new = keyed(h, UniqueScope::Window(WINDOW), "1").await;
    let (first, end) = (h.enqueue(new).await, h.now().after(WINDOW));
    is_taken(h, &first).await;
    let claimed = h.claim_one("q").await;
    is_taken(h, &first).await;
    h.settle(&claimed, complete()).await;
    h.advance(end.since(h.now()) - Duration::from_millis(2));
    is_taken(h, &first).await;
    h.advance(Duration::from_millis(1));
    let second = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "2").await)
        .await;
    is_taken(h, &second).await;
    h.advance(WINDOW);
    is_free(h).await;
}

/// E-4a: a job whose window is over has nothing to do with its key any more, whatever becomes of
/// it.
pub async fn a_window_that_is_over_does_not_come_back(h: &Harness) {
    let old = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
        .await;
    let claimed = h.claim_one("q").await;
    h.store
        .heartbeat(&[Beat {
            job_id: old.clone(),
            token: claimed.lease.token,
            extend_by: WINDOW * 10,
            progress: None,
            checkpoint: None,
        }])
        .await
        .unwrap();
    h.advance(WINDOW);
    let next = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "2").await)
        .await;
    h.settle(&claimed, retry_at(h.now().after(WINDOW))).await;
    is_taken(h, &next).await;
    h.retry_now(&old).await.unwrap();
    h.cancel(&old).await.unwrap();
    is_taken(h, &next).await;
    h.cancel(&next).await.unwrap();
    h.retry_now(&old).await.unwrap();
    is_free(h).await;
}

/// E-4a: a job that is cancelled or discarded lets go of its key within its window too.
pub async fn a_job_that_was_given_up_lets_go_of_its_window(h: &Harness) {
    for outcome in [
        Outcome::Cancel { error: None },
        Outcome::Discard { error: failure() },
    ] {
        let id = h
            .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
            .await;
        let claimed = h.claim_one("q").await;
        is_taken(h, &id).await;
        h.settle(&claimed, outcome).await;
        is_free(h).await;
    }
    let id = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
        .await;
    h.cancel(&id).await.unwrap();
    is_free(h).await;
}

/// E-4a: who has a key says for how long, not who comes; keys of other queues are other keys.
pub async fn the_scope_is_that_of_the_holder(h: &Harness) {
    let scopes = [
        UniqueScope::Unfinished,
        UniqueScope::Waiting,
        UniqueScope::Window(WINDOW),
    ];
    for held in scopes {
        let id = h.enqueue(keyed(h, held, "1").await).await;
        for scope in scopes {
            let new = keyed(h, scope, "1").await;
            assert_eq!(h.offer(new).await.unwrap(), hit(&id), "{held:?} {scope:?}");
            let mut other = keyed(h, scope, "2").await;
            other.queue = name("elsewhere");
            let other = h.enqueue(h.placed(other).await).await;
            h.cancel(&other).await.unwrap();
        }
        assert_eq!(h.row(&id).await.unique_key.unwrap().scope, held);
        h.cancel(&id).await.unwrap();
    }
}

/// E-4d: a job that is pruned within its window leaves its key taken until that is over.
pub async fn a_window_outlives_its_job(h: &Harness) {
    let window = WINDOW + Harness::RETENTION;
    let new = keyed(h, UniqueScope::Window(window), "1").await;
    let id = h.enqueue(new).await;
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, complete()).await;
    h.advance(Duration::from_secs(1));
    h.outlive_retention();
    assert_eq!(
        h.store
            .prune(&PruneRequest::before(h.now(), 100))
            .await
            .unwrap(),
        1
    );
    assert_eq!(h.store.get(&id).await.unwrap(), None);
    is_taken(h, &id).await;
    let mut other = keyed(h, UniqueScope::Unfinished, "2").await;
    other.on_conflict = OnConflict::Keep;
    assert_eq!(h.offer(other).await.unwrap(), hit(&id));
    assert_refused(h.offer(replacing(h, "2").await).await, ErrorKind::Conflict);
    assert_eq!(h.offer(replacing(h, "1").await).await.unwrap(), hit(&id));
    // Another prune within the window changes nothing, one after it neither.
    h.store
        .prune(&PruneRequest::before(h.now(), 100))
        .await
        .unwrap();
    is_taken(h, &id).await;
    h.advance(WINDOW);
    is_free(h).await;
    h.store
        .prune(&PruneRequest::before(h.now(), 100))
        .await
        .unwrap();
    is_free(h).await;
}

/// a job that would have its key again is not retried while another has it, in no scope.
pub async fn retry_now_takes_a_key_only_if_it_is_free(h: &Harness) {
    for scope in [
        UniqueScope::Unfinished,
        UniqueScope::Waiting,
        UniqueScope::Window(WINDOW),
    ] {
        let id = h.enqueue(keyed(h, scope, "1").await).await;
        h.cancel(&id).await.unwrap();
        let other = h.enqueue(keyed(h, scope, "2").await).await;
        assert_refused(h.retry_now(&id).await, ErrorKind::Conflict);
        h.cancel(&other).await.unwrap();
        h.retry_now(&id).await.unwrap();
        is_taken(h, &id).await;
        assert_refused(h.retry_now(&other).await, ErrorKind::Conflict);
        h.cancel(&id).await.unwrap();
    }
    // The key of a pruned job is as good as that of one that is there.
    let given_up = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "1").await)
        .await;
    h.cancel(&given_up).await.unwrap();
    h.advance(Duration::from_secs(1));
    let window = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
        .await;
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, complete()).await;
    assert_eq!(claimed.job.id, window);
    assert_refused(h.retry_now(&given_up).await, ErrorKind::Conflict);
    h.retry_now(&window).await.unwrap();
    is_taken(h, &window).await;
}

/// a job that has no claim on its key any more is retried whoever has it.
pub async fn retry_now_asks_for_no_key_that_is_not_wanted(h: &Harness) {
    for scope in [UniqueScope::Waiting, UniqueScope::Window(WINDOW)] {
        let id = h.enqueue(keyed(h, scope, "1").await).await;
        let claimed = h.claim_one("q").await;
        h.settle(&claimed, Outcome::Discard { error: failure() })
            .await;
        h.advance(WINDOW);
        let other = h
            .enqueue(keyed(h, UniqueScope::Unfinished, "2").await)
            .await;
        h.retry_now(&id).await.unwrap();
        is_taken(h, &other).await;
        for id in [&id, &other] {
            h.cancel(id).await.unwrap();
        }
    }
}

/// E-5: a window that is no window is refused.
pub async fn a_window_has_bounds(h: &Harness) {
    let century = Duration::from_secs(100 * 366 * 24 * 3600);
    for window in [Duration::ZERO, century, Duration::MAX] {
        let new = keyed(h, UniqueScope::Window(window), "1").await;
        assert_refused(h.offer(new).await, ErrorKind::Invalid);
    }
    let longest = UniqueScope::Window(UniqueScope::MAX_WINDOW);
    let mut new = keyed(h, longest, "1").await;
    new.unique_key = Some(UniqueKey::new("k".repeat(200), &new.kind, b"1").with_scope(longest));
    let id = h.enqueue(new.clone()).await;
    assert_eq!(h.row(&id).await.unique_key, new.unique_key);
}

/// S-5: a follow-up may replace the args of a job that waits, and has its key for as long as it
/// says.
pub async fn a_follow_up_meets_keys_as_any_job_does(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "1").await)
        .await;
    let parent = h.running("parent").await;
    settle_with(h, &parent, vec![replacing(h, "2").await]).await;
    assert_eq!(h.row(&id).await.args, "2");
    h.cancel(&id).await.unwrap();

    // The window of a job outlives its settle, so that it cannot follow itself.
    let window = UniqueScope::Window(WINDOW);
    let first = h.enqueue(keyed(h, window, "1").await).await;
    let claimed = h.claim_one("q").await;
    settle_with(h, &claimed, vec![keyed(h, window, "1").await]).await;
    assert!(h.claim("q", 10).await.is_empty());
    is_taken(h, &first).await;
}

/// A job with the key `k` in queue `q`.
pub(super) async fn keyed(h: &Harness, scope: UniqueScope, args: &'static str) -> NewJob {
    let mut new = h.new_job("q").await;
    new.args = Bytes::from_static(args.as_bytes());
    new.unique_key = Some(UniqueKey::new("k", &new.kind, &new.args).with_scope(scope));
    new
}

/// Whoever comes hears of this job.
async fn is_taken(h: &Harness, holder: &JobId) {
    let mut new = keyed(h, UniqueScope::Unfinished, "other").await;
    let error = assert_refused(h.offer(new.clone()).await, ErrorKind::Conflict);
    assert!(error.to_string().contains(holder.as_str()), "{error}");
    assert_eq!(h.store.get(&new.id).await.unwrap(), None);
    new.on_conflict = OnConflict::Keep;
    let answer = h.offer(new).await.unwrap();
    assert_eq!(answer.id(), holder);
}

/// Whoever comes gets the key; then it is free again.
async fn is_free(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "free").await)
        .await;
    h.cancel(&id).await.unwrap();
}

async fn settle_with(h: &Harness, claimed: &Claimed, follow_ups: Vec<NewJob>) {
    let mut settlement = settlement(claimed, complete());
    settlement.follow_ups = follow_ups;
    h.try_settle(settlement).await.unwrap();
}
