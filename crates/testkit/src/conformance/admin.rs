//! Clauses A and W: what people and programs do to jobs and queues, and waiting for work.

use std::time::Duration;

use longshore_core::{ErrorKind, JobId, JobState, UniqueKey};

use crate::harness::{Harness, assert_refused, complete, name};

/// No check waits longer than this for a store's answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// a waiting job is cancelled at once.
pub async fn cancel_ends_a_waiting_job(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_waiting()) {
        let id = h.job_in(state).await;
        let mut expected = h.row(&id).await;
        expected.apply_cancel(h.now());
        assert_eq!(h.store.cancel(&id).await.unwrap(), JobState::Cancelled);
        assert_eq!(h.row(&id).await, expected, "{state}");
        assert_eq!(expected.finished_at, Some(h.now()));
    }
    h.advance(Duration::from_secs(7200));
    for state in JobState::ALL {
        assert!(h.claim(state.as_str(), 10).await.is_empty(), "{state}");
    }
}

/// a running job goes on, marked; its holder ends it.
pub async fn cancel_asks_the_holder_of_a_running_job(h: &Harness) {
    let claimed = h.running("q").await;
    let mut expected = claimed.job.clone();
    expected.cancel_requested = true;
    for _ in 0..2 {
        let state = h.store.cancel(&claimed.job.id).await.unwrap();
        assert_eq!(state, JobState::Running);
        assert_eq!(h.row(&claimed.job.id).await, expected);
    }
}

/// a job that is over stays as it is.
pub async fn cancel_leaves_a_final_job_alone(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        let id = h.job_in(state).await;
        let before = h.row(&id).await;
        h.advance(Duration::from_secs(1));
        assert_eq!(h.store.cancel(&id).await.unwrap(), state);
        assert_eq!(h.row(&id).await, before);
    }
}

/// a job that does not exist can be neither cancelled nor retried.
pub async fn cancel_of_no_job_is_invalid(h: &Harness) {
    let id: JobId = "no-such-job".parse().unwrap();
    let error = assert_refused(h.store.cancel(&id).await, ErrorKind::Invalid);
    assert!(error.to_string().contains("no-such-job"), "{error}");
    assert_refused(h.store.retry_now(&id).await, ErrorKind::Invalid);
}

/// a job that is over runs again at once, its history intact.
pub async fn retry_now_revives_a_final_job(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        let id = h.job_in(state).await;
        h.advance(Duration::from_secs(1));
        let mut expected = h.row(&id).await;
        expected.apply_retry_now(h.now()).unwrap();
        assert_eq!(h.store.retry_now(&id).await.unwrap(), JobState::Available);
        assert_eq!(h.row(&id).await, expected, "{state}");
        let again = h.claim_one(state.as_str()).await;
        assert_eq!((again.job.attempt, again.job.claim), (2, 2));
        h.settle(&again, complete()).await;
        assert_eq!(h.row(&id).await.history.len(), 2);
    }
}

/// a job whose attempts are used up gets one more.
pub async fn retry_now_gives_one_more_attempt(h: &Harness) {
    let mut new = h.new_job("q").await;
    new.max_attempts = 1;
    let id = h.enqueue(new).await;
    let claimed = h.claim_one("q").await;
    let error = crate::harness::failure();
    h.settle(&claimed, longshore_core::Outcome::Discard { error })
        .await;
    h.store.retry_now(&id).await.unwrap();
    let row = h.row(&id).await;
    assert_eq!((row.attempt, row.max_attempts), (1, 2));
}

/// a job that waits for a later time can be claimed at once; one that is due keeps its place.
pub async fn retry_now_brings_a_waiting_job_forward(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_waiting()) {
        let id = h.job_in(state).await;
        h.advance(Duration::from_secs(1));
        let mut expected = h.row(&id).await;
        expected.apply_retry_now(h.now()).unwrap();
        assert_eq!(h.store.retry_now(&id).await.unwrap(), JobState::Available);
        assert_eq!(h.row(&id).await, expected, "{state}");
        assert_eq!(h.claim_one(state.as_str()).await.job.id, id);
    }
}

/// a running job is left to its holder.
pub async fn retry_now_of_a_running_job_is_a_conflict(h: &Harness) {
    let claimed = h.running("q").await;
    let answer = h.store.retry_now(&claimed.job.id).await;
    assert_refused(answer, ErrorKind::Conflict);
    assert_eq!(h.row(&claimed.job.id).await, claimed.job);
}

/// a job that is over is not revived while an unfinished one has its unique key.
pub async fn retry_now_respects_unique_keys(h: &Harness) {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut new = h.new_job("q").await;
        new.unique_key = Some(UniqueKey::new("k", &new.kind, &new.args));
        ids.push(h.enqueue(new).await);
        h.store.cancel(&ids[0]).await.unwrap();
    }
    let before = h.row(&ids[0]).await;
    let error = assert_refused(h.store.retry_now(&ids[0]).await, ErrorKind::Conflict);
    assert!(error.to_string().contains(ids[1].as_str()), "{error}");
    assert_eq!(h.row(&ids[0]).await, before);
    h.store.cancel(&ids[1]).await.unwrap();
    h.store.retry_now(&ids[0]).await.unwrap();
    let answer = h.store.retry_now(&ids[1]).await;
    assert_refused(answer, ErrorKind::Conflict);
}

/// nobody claims from a paused queue; what runs goes on, and other queues are not affected.
pub async fn pause_stops_claims_and_resume_allows_them(h: &Harness) {
    let running = h.running("q").await;
    let waiting = h.enqueue_plain("q").await;
    let other = h.enqueue_plain("other").await;
    for _ in 0..2 {
        h.store.pause(&name("q")).await.unwrap();
    }
    let mut request = Harness::request("q", 10);
    request.queues.push(name("other"));
    let claimed = h.store.claim(&request).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job.id, other);
    h.settle(&running, complete()).await;
    h.enqueue_plain("q").await;

    for _ in 0..2 {
        h.store.resume(&name("q")).await.unwrap();
    }
    assert_eq!(h.claim_one("q").await.job.id, waiting);
}

/// prune deletes jobs that were over before the time given, at most as many as asked for, and
/// no unfinished one however old.
pub async fn prune_deletes_only_old_finished_jobs(h: &Harness) {
    let mut ids = Vec::new();
    for state in JobState::ALL {
        ids.push((state, h.job_in(state).await));
    }
    h.advance(Duration::from_secs(86_400));
    let recent = h.running("recent").await;
    h.settle(&recent, complete()).await;
    let before = h.now().before(Duration::from_secs(3600));
    assert_eq!(h.store.prune(before, 2).await.unwrap(), 2);
    assert_eq!(h.store.prune(before, 100).await.unwrap(), 1);
    assert_eq!(h.store.prune(before, 100).await.unwrap(), 0);
    for (state, id) in &ids {
        let there = h.store.get(id).await.unwrap().is_some();
        assert_eq!(there, !state.is_final(), "{state}");
    }
    assert_eq!(h.row(&recent.job.id).await.state, JobState::Completed);
}

/// W-1: who waits goes on once a job is enqueued, or at the latest when its time is up.
pub async fn wait_wakes_on_enqueue(h: &Harness) {
    let queues = [name("q")];
    let waiting = h.store.wait(&queues, PATIENCE / 3);
    let both = async { tokio::join!(waiting, h.enqueue_plain("q")) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    let due_already = h.store.wait(&queues, PATIENCE / 3);
    tokio::time::timeout(PATIENCE, due_already).await.unwrap();
    h.claim_one("q").await;
}

/// W-1: who waits in vain goes on when its time is up.
pub async fn wait_returns_when_time_is_up(h: &Harness) {
    let queues = [name("q")];
    let waiting = h.store.wait(&queues, Duration::from_millis(20));
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}
