//! Clauses E-4, E-4b and E-4c: what happens when a job comes whose key another has.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Beat, Enqueued, ErrorKind, Job, JobId, JobState, NewJob, OnConflict, Priority, UniqueKey,
    UniqueScope,
};

use super::unique::keyed;
use crate::harness::{Harness, assert_refused, complete, hit, name, retry_at};

const WINDOW: Duration = Duration::from_secs(60);
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

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

pub(super) async fn replacing(h: &Harness, args: &'static str) -> NewJob {
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
