//! Clauses E-4 and what other calls do to a unique key.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Beat, Claimed, Enqueued, ErrorKind, Job, JobId, JobState, NewJob, OnConflict, Outcome,
    Priority, PruneRequest, UniqueKey, UniqueScope,
};

use crate::harness::{Harness, assert_refused, complete, failure, hit, name, retry_at, settlement};

const WINDOW: Duration = Duration::from_secs(60);
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

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

/// E-4b: a hit names the enqueue span of the job that is there.
pub async fn a_hit_names_the_span_of_the_holder(h: &Harness) {
    let mut new = keyed(h, UniqueScope::Unfinished, "1").await;
    new.trace.traceparent = Some(TRACEPARENT.to_owned());
    let span = new.trace.context().unwrap().unwrap();
    let id = h.enqueue(new.clone()).await;
    let by_key = h.offer(keyed(h, UniqueScope::Unfinished, "1").await).await;
    for answer in [by_key.unwrap(), h.offer(new).await.unwrap()] {
        let (id, span) = (id.clone(), Some(span.clone()));
        assert_eq!(answer, Enqueued::Hit { id, span });
    }
    let mut new = keyed(h, UniqueScope::Unfinished, "2").await;
    new.on_conflict = OnConflict::Replace { priority: false };
    let answer = h.offer(new).await.unwrap();
    let span = Some(span);
    assert_eq!(answer, Enqueued::Replaced { id, span });
}

/// E-4b: a job may leave the one that has its key as it is, whatever kind and args are.
pub async fn what_is_there_may_be_kept(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
        .await;
    let keep = async || {
        let mut new = keyed(h, UniqueScope::Unfinished, "2").await;
        new.kind = "other".try_into().unwrap();
        new.on_conflict = OnConflict::Keep;
        let before = h.row(&id).await;
        assert_eq!(h.offer(new).await.unwrap(), hit(&id));
        assert_eq!(h.row(&id).await, before);
    };
    keep().await;
    let claimed = h.claim_one("q").await;
    keep().await;
    h.settle(&claimed, complete()).await;
    keep().await;
}

/// E-4c: a job that waits gets the new args, and due time and priority if they come; all else of
/// it stays, but the checkpoint.
pub async fn a_waiting_job_gets_new_args(h: &Harness) {
    let later = h.now().after(Duration::from_secs(3600));
    let large = Bytes::from(vec![b'x'; 100_000]);
    let small = Bytes::from_static(b"2");
    for state in [
        JobState::Scheduled,
        JobState::Available,
        JobState::Retryable,
    ] {
        let id = waiting(h, state).await;
        for (args, due, priority) in [
            (small.clone(), None, false),
            (large.clone(), Some(later), false),
            (large.clone(), None, true),
            (small.clone(), Some(h.now()), true),
        ] {
            let mut new = keyed(h, UniqueScope::Waiting, "").await;
            new.unique_key = Some(UniqueKey::new("k", &new.kind, &args));
            new.args = args;
            new.scheduled_at = due;
            new.priority = Priority::LAST;
            new.on_conflict = OnConflict::Replace { priority };
            let new = h.placed(new).await;
            let mut expected = h.row(&id).await;
            expected.apply_replacement(&new, h.now());
            let answer = h.offer(new.clone()).await.unwrap();
            assert_eq!(answer, replaced(&id), "{state}");
            assert_eq!(h.row(&id).await, expected, "{state}");
            assert_eq!(h.store.get(&new.id).await.unwrap(), None);
        }
        let counted = h.store.queue_stats().await.unwrap();
        let queue = counted.iter().find(|stats| stats.queue == name("q"));
        assert_eq!(queue.unwrap().available, 1, "{state}");
        let claimed = h.claim_one("q").await;
        assert_eq!((&claimed.job.id, &claimed.job.args), (&id, &small));
        assert_eq!(claimed.job.checkpoint, None);
        h.settle(&claimed, complete()).await;
    }
}

/// E-4c: the args that replaced others are what the next job is compared with.
pub async fn the_new_args_are_bound_to_the_key(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Unfinished, "1").await)
        .await;
    assert_eq!(
        h.offer(replacing(h, "2").await).await.unwrap(),
        replaced(&id)
    );
    let same = keyed(h, UniqueScope::Unfinished, "2").await;
    assert_eq!(h.offer(same).await.unwrap(), hit(&id));
    let old = keyed(h, UniqueScope::Unfinished, "1").await;
    assert_refused(h.offer(old).await, ErrorKind::Conflict);
}

/// E-4c: a job that runs, is over, or is of another kind is not replaced: equal args are a hit,
/// others a conflict.
pub async fn only_a_waiting_job_of_the_same_kind_is_replaced(h: &Harness) {
    let id = h
        .enqueue(keyed(h, UniqueScope::Window(WINDOW), "1").await)
        .await;
    let mut other = replacing(h, "1").await;
    other.kind = "other".try_into().unwrap();
    other.unique_key = Some(UniqueKey::new("k", &other.kind, &other.args));
    assert_refused(h.offer(other).await, ErrorKind::Conflict);
    let claimed = h.claim_one("q").await;
    for over in [false, true] {
        if over {
            h.settle(&claimed, complete()).await;
        }
        let before = h.row(&id).await;
        assert_refused(h.offer(replacing(h, "2").await).await, ErrorKind::Conflict);
        assert_eq!(h.offer(replacing(h, "1").await).await.unwrap(), hit(&id));
        assert_eq!(h.row(&id).await, before);
    }
}

/// E-4d: a job that is pruned within its window leaves its key taken until that is over.
pub async fn a_window_outlives_its_job(h: &Harness) {
    let new = keyed(h, UniqueScope::Window(WINDOW), "1").await;
    let id = h.enqueue(new).await;
    let claimed = h.claim_one("q").await;
    h.settle(&claimed, complete()).await;
    h.advance(Duration::from_secs(1));
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

/// E-4b: the jobs of one call meet each other in its order.
pub async fn the_jobs_of_one_call_meet_in_order(h: &Harness) {
    let mut jobs = Vec::new();
    for (args, on_conflict) in [
        ("1", OnConflict::Reject),
        ("1", OnConflict::Reject),
        ("2", OnConflict::Reject),
        ("3", OnConflict::Keep),
        ("4", OnConflict::Replace { priority: false }),
        ("1", OnConflict::Reject),
        ("4", OnConflict::Reject),
    ] {
        let mut new = keyed(h, UniqueScope::Waiting, args).await;
        new.on_conflict = on_conflict;
        jobs.push(h.placed(new).await);
    }
    let first = jobs[0].id.clone();
    let answers = h.store.enqueue(jobs).await.unwrap();
    let told = |answer: Result<Enqueued, _>| match answer {
        Ok(enqueued) => {
            assert_eq!(enqueued.id(), &first);
            enqueued.as_str()
        }
        Err(error) => assert_refused::<()>(Err(error), ErrorKind::Conflict)
            .kind()
            .as_str(),
    };
    let told: Vec<_> = answers.into_iter().map(told).collect();
    let expected = [
        "created", "hit", "conflict", "hit", "replaced", "conflict", "hit",
    ];
    assert_eq!(told, expected);
    assert_eq!(h.row(&first).await.args, "4");
}

/// E-4: of many who want a key at the same time one gets it, in every scope.
pub async fn one_of_many_gets_a_key(h: &Harness) {
    for scope in [
        UniqueScope::Unfinished,
        UniqueScope::Waiting,
        UniqueScope::Window(WINDOW),
    ] {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (store, new) = (h.store.clone(), keyed(h, scope, "1").await);
            calls.spawn(async move { store.enqueue(vec![new]).await.unwrap().remove(0).unwrap() });
        }
        let answers = calls.join_all().await;
        let created = |answer: &&Enqueued| matches!(answer, Enqueued::Created { .. });
        assert_eq!(answers.iter().filter(created).count(), 1, "{answers:?}");
        let ids: std::collections::HashSet<_> = answers.iter().map(Enqueued::id).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        h.cancel(answers[0].id()).await.unwrap();
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
async fn keyed(h: &Harness, scope: UniqueScope, args: &'static str) -> NewJob {
    let mut new = h.new_job("q").await;
    new.args = Bytes::from_static(args.as_bytes());
    new.unique_key = Some(UniqueKey::new("k", &new.kind, &new.args).with_scope(scope));
    new
}

async fn replacing(h: &Harness, args: &'static str) -> NewJob {
    let mut new = keyed(h, UniqueScope::Unfinished, args).await;
    new.on_conflict = OnConflict::Replace { priority: false };
    new
}

fn replaced(id: &JobId) -> Enqueued {
    Enqueued::Replaced {
        id: id.clone(),
        span: None,
    }
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

/// The job with the key, in a state in which it waits, with a checkpoint if it ran.
async fn waiting(h: &Harness, state: JobState) -> JobId {
    let mut new = keyed(h, UniqueScope::Unfinished, "1").await;
    if state == JobState::Scheduled {
        new.scheduled_at = Some(h.now().after(Duration::from_secs(60)));
        new = h.placed(new).await;
    }
    let id = h.enqueue(new).await;
    if state == JobState::Retryable {
        let claimed = h.claim_one("q").await;
        h.store
            .heartbeat(&[Beat {
                job_id: id.clone(),
                token: claimed.lease.token,
                extend_by: Harness::LEASE,
                progress: None,
                checkpoint: Some(Bytes::from_static(b"of the old args")),
            }])
            .await
            .unwrap();
        let then = h.now().after(Duration::from_secs(60));
        h.settle(&claimed, retry_at(then)).await;
        assert!(h.row(&id).await.checkpoint.is_some());
    }
    let row: Job = h.row(&id).await;
    assert_eq!(row.state, state);
    id
}

async fn settle_with(h: &Harness, claimed: &Claimed, follow_ups: Vec<NewJob>) {
    let mut settlement = settlement(claimed, complete());
    settlement.follow_ups = follow_ups;
    h.try_settle(settlement).await.unwrap();
}
