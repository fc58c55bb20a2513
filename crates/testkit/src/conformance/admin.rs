//! Clauses A and W: what people and programs do to jobs and queues, and waiting for work.

use std::time::Duration;

use longshore_core::{ErrorKind, JobId, JobState, Outcome, PruneRequest, StopRequest, UniqueKey};

use crate::harness::{Harness, assert_refused, complete, name};

/// No check waits longer than this for a store's answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// a waiting job is cancelled at once.
pub async fn cancel_ends_a_waiting_job(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_waiting()) {
        let id = h.job_in(state).await;
        let mut expected = h.row(&id).await;
        expected.apply_stop(StopRequest::Cancel, h.now());
        assert_eq!(h.cancel(&id).await.unwrap(), JobState::Cancelled);
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
    expected.stop_requested = Some(StopRequest::Cancel);
    for _ in 0..2 {
        let state = h.cancel(&claimed.job.id).await.unwrap();
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
        assert_eq!(h.cancel(&id).await.unwrap(), state);
        assert_eq!(h.row(&id).await, before);
    }
}

/// a job that does not exist can be neither cancelled nor retried.
pub async fn cancel_of_no_job_is_invalid(h: &Harness) {
    let id: JobId = "no-such-job".parse().unwrap();
    let error = assert_refused(h.cancel(&id).await, ErrorKind::Invalid);
    assert!(error.to_string().contains("no-such-job"), "{error}");
    assert_refused(h.retry_now(&id).await, ErrorKind::Invalid);
}

/// a waiting job is discarded at once, its history as it was; one that is over stays as it is.
pub async fn discard_ends_a_waiting_job(h: &Harness) {
    for state in JobState::ALL {
        let id = h.job_in(state).await;
        if state == JobState::Running {
            continue;
        }
        let mut expected = h.row(&id).await;
        expected.apply_stop(StopRequest::Discard, h.now());
        let after = if state.is_final() {
            state
        } else {
            JobState::Discarded
        };
        for _ in 0..2 {
            assert_eq!(h.discard(&id).await.unwrap(), after, "{state}");
            assert_eq!(h.row(&id).await, expected, "{state}");
            h.advance(Duration::from_secs(1));
        }
        assert!(h.claim(state.as_str(), 10).await.is_empty(), "{state}");
    }
    let none = h.discard(&"no-such-job".parse().unwrap()).await;
    assert_refused(none, ErrorKind::Invalid);
}

/// a running job goes on, marked; whatever its holder makes of it but a success, and also if
/// its lease is lost, it is discarded. Of several requests the last one counts.
pub async fn discard_asks_the_holder_of_a_running_job(h: &Harness) {
    let at = h.now().after(Duration::from_secs(60));
    let endings = [
        (Outcome::Cancel { error: None }, JobState::Discarded),
        (crate::harness::retry_at(at), JobState::Discarded),
        (Outcome::Snooze { available_at: at }, JobState::Discarded),
        (Outcome::HandBack, JobState::Discarded),
        (complete(), JobState::Completed),
    ];
    for (outcome, state) in endings {
        let claimed = h.running("q").await;
        let id = &claimed.job.id;
        h.cancel(id).await.unwrap();
        assert_eq!(h.discard(id).await.unwrap(), JobState::Running);
        let asked = h.row(id).await.stop_requested;
        assert_eq!(asked, Some(StopRequest::Discard));
        let settled = h.settle(&claimed, outcome.clone()).await;
        assert_eq!(settled.state, state, "{outcome:?}");
        let row = h.row(id).await;
        assert_eq!((row.state, row.stop_requested), (state, None));
        assert_eq!(row.finished_at, Some(h.now()));
    }
    let lost = h.running("q").await;
    h.discard(&lost.job.id).await.unwrap();
    h.advance(Harness::LEASE * 2);
    let rescued = h.store.rescue(10).await.unwrap();
    assert_eq!(rescued[0].job.state, JobState::Discarded);
    let cancelled = h.running("q").await;
    h.discard(&cancelled.job.id).await.unwrap();
    h.cancel(&cancelled.job.id).await.unwrap();
    let settled = h.settle(&cancelled, Outcome::HandBack).await;
    assert_eq!(settled.state, JobState::Cancelled);
}

/// each job of a call has its own answer, in order; one that is refused harms no
/// other, and one that is named twice is changed once.
pub async fn changes_answer_each_item_for_itself(h: &Harness) {
    let missing: JobId = "no-such-job".parse().unwrap();
    let waiting = h.job_in(JobState::Available).await;
    let running = h.job_in(JobState::Running).await;
    let over = h.job_in(JobState::Completed).await;
    let ids = [
        waiting.clone(),
        missing.clone(),
        running.clone(),
        over.clone(),
        waiting,
    ];
    let states = |answers: Vec<Result<JobState, longshore_core::StoreError>>| {
        let kinds = answers
            .into_iter()
            .map(|answer| answer.map_err(|error| error.kind()));
        kinds.collect::<Vec<_>>()
    };
    use JobState as S;
    let none = Err(ErrorKind::Invalid);
    let cancelled = states(h.store.cancel(&ids).await.unwrap());
    let expected = [
        Ok(S::Cancelled),
        none,
        Ok(S::Running),
        Ok(S::Completed),
        Ok(S::Cancelled),
    ];
    assert_eq!(cancelled, expected);
    let retried = states(h.store.retry_now(&ids).await.unwrap());
    let again = Ok(S::Available);
    assert_eq!(
        retried,
        [again, none, Err(ErrorKind::Conflict), again, again]
    );
    let discarded = states(h.store.discard(&ids).await.unwrap());
    let over = Ok(S::Discarded);
    assert_eq!(discarded, [over, none, Ok(S::Running), over, over]);
    assert_eq!(h.store.cancel(&[]).await.unwrap().len(), 0);
}

/// a job that is over runs again at once, its history intact.
pub async fn retry_now_revives_a_final_job(h: &Harness) {
    for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        let id = h.job_in(state).await;
        h.advance(Duration::from_secs(1));
        let mut expected = h.row(&id).await;
        expected.apply_retry_now(h.now()).unwrap();
        assert_eq!(h.retry_now(&id).await.unwrap(), JobState::Available);
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
    h.settle(&claimed, Outcome::Discard { error }).await;
    h.retry_now(&id).await.unwrap();
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
        assert_eq!(h.retry_now(&id).await.unwrap(), JobState::Available);
        assert_eq!(h.row(&id).await, expected, "{state}");
        assert_eq!(h.claim_one(state.as_str()).await.job.id, id);
    }
}

/// a running job is left to its holder.
pub async fn retry_now_of_a_running_job_is_a_conflict(h: &Harness) {
    let claimed = h.running("q").await;
    let answer = h.retry_now(&claimed.job.id).await;
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
        h.cancel(&ids[0]).await.unwrap();
    }
    let before = h.row(&ids[0]).await;
    let error = assert_refused(h.retry_now(&ids[0]).await, ErrorKind::Conflict);
    assert!(error.to_string().contains(ids[1].as_str()), "{error}");
    assert_eq!(h.row(&ids[0]).await, before);
    h.cancel(&ids[1]).await.unwrap();
    h.retry_now(&ids[0]).await.unwrap();
    let answer = h.retry_now(&ids[1]).await;
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
    assert_eq!(
        h.store
            .prune(&PruneRequest::before(before, 2))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        h.store
            .prune(&PruneRequest::before(before, 100))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        h.store
            .prune(&PruneRequest::before(before, 100))
            .await
            .unwrap(),
        0
    );
    for (state, id) in &ids {
        let there = h.store.get(id).await.unwrap().is_some();
        assert_eq!(there, !state.is_final(), "{state}");
    }
    assert_eq!(h.row(&recent.job.id).await.state, JobState::Completed);
}

/// of each state asked for, the jobs beyond the newest go, and those of other states stay; age
/// and number both count.
pub async fn prune_goes_by_state_and_number(h: &Harness) {
    let final_states = [
        JobState::Completed,
        JobState::Cancelled,
        JobState::Discarded,
    ];
    let mut ids = Vec::new();
    for _ in 0..4 {
        for state in final_states {
            ids.push((state, h.job_in(state).await));
        }
        h.advance(Duration::from_secs(60));
    }
    let request = |states: &[JobState], keep_newest, limit| PruneRequest {
        states: states.to_vec(),
        before: None,
        keep_newest,
        limit,
    };
    h.outlive_retention();
    let nothing = request(&[], None, 100);
    assert_eq!(h.store.prune(&nothing).await.unwrap(), 0);
    let running = request(&[JobState::Completed, JobState::Running], Some(0), 100);
    assert_refused(h.store.prune(&running).await, ErrorKind::Invalid);

    let completed = request(&[JobState::Completed], Some(3), 100);
    assert_eq!(h.store.prune(&completed).await.unwrap(), 1);
    assert_eq!(h.store.prune(&completed).await.unwrap(), 0);
    let each = request(&[JobState::Cancelled, JobState::Discarded], Some(3), 100);
    assert_eq!(h.store.prune(&each).await.unwrap(), 2);
    // The oldest of each has gone.
    let gone: Vec<bool> = gone(h, &ids).await;
    assert_eq!(gone, [vec![true; 3], vec![false; 9]].concat());

    // Two are old enough, and two are too many: as the two are the same, two go.
    let second = h.row(&ids[5].1).await.finished_at.unwrap();
    let both = PruneRequest {
        states: vec![JobState::Discarded],
        before: Some(second.after(Duration::from_nanos(1))),
        keep_newest: Some(1),
        limit: 100,
    };
    assert_eq!(h.store.prune(&both).await.unwrap(), 2);
    let rest = request(&[], Some(0), 4);
    assert_eq!(h.store.prune(&rest).await.unwrap(), 4);
    assert_eq!(h.store.prune(&rest).await.unwrap(), 3);
    assert_eq!(h.store.prune(&rest).await.unwrap(), 0);
}

async fn gone(h: &Harness, ids: &[(JobState, JobId)]) -> Vec<bool> {
    let mut gone = Vec::new();
    for (_, id) in ids {
        gone.push(h.store.get(id).await.unwrap().is_none());
    }
    gone
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
