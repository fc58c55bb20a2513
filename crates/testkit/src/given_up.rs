//! Calls that are given up half-way, as by a time limit or a client that is gone, on any store: what is
//! done on the same store afterwards is stored, and nobody has the answer of another's call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, JobId, JobState, NewJob, Place, PruneRequest, QueueName, Store,
    WorkerId,
};

use crate::harness::{completion, name};

/// More steps than any call takes.
const MOST: usize = 400;
/// How often a call is begun again that came to its end at its first step, as one may whose thread was
/// held up until the answer was there.
const PASSES: usize = 100;
/// Numbers what is made, so that nothing meets what was made before.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Goes on with a call for so many steps, and gives it up then; `None` if it was.
pub async fn steps<T>(call: impl Future<Output = T>, most: usize) -> Option<T> {
    let mut call = pin!(call);
    let mut taken = 0;
    poll_fn(|cx| {
        if taken == most {
            return Poll::Ready(None);
        }
        taken += 1;
        call.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Gives each kind of call up after its first step, its second and so on. `store` is what they are
/// called on, `other` another way to the same store, and `outlive` lets the time pass for which jobs are
/// kept.
///
/// # Panics
/// If a promise is broken.
pub async fn check(store: &dyn Store, other: &dyn Store, outlive: impl Fn()) {
    let enqueues = each(async |most| {
        let jobs = jobs(store, &queue("enqueue"), 3).await;
        let ended = steps(store.enqueue(jobs.clone()), most).await.is_some();
        // Whoever does not know enqueues again.
        for answer in store.enqueue(jobs.clone()).await.unwrap() {
            answer.unwrap();
        }
        for job in &jobs {
            assert!(other.get(&job.id).await.unwrap().is_some(), "step {most}");
        }
        ended
    });
    enqueues.await;
    each(async |most| claim(store, other, most).await).await;
    each(async |most| settle(store, other, most).await).await;
    each(async |most| beat(store, other, most).await).await;
    each(async |most| write(store, other, most).await).await;
    each(async |most| {
        let queue = queue("prune");
        let ids = enqueued(store, &queue, 1).await;
        let claimed = store.claim(&wish(&queue)).await.unwrap();
        let settlements = claimed.iter().map(completion).collect();
        store.settle(settlements).await.unwrap().remove(0).unwrap();
        outlive();
        let over = store.now().await.unwrap().after(Duration::from_secs(1));
        let request = PruneRequest::before(over, 100);
        let ended = steps(store.prune(&request), most).await.is_some();
        while store.prune(&request).await.unwrap() > 0 {}
        assert_eq!(other.get(&ids[0]).await.unwrap(), None, "step {most}");
        ended
    })
    .await;
}

/// Does it with one step more each time, until a call came to its end.
async fn each(mut gives_up: impl AsyncFnMut(usize) -> bool) {
    for _ in 0..PASSES {
        let mut most = 0;
        while !gives_up(most).await {
            most += 1;
            assert!(most < MOST, "a call does not end");
        }
        if most > 1 {
            return;
        }
    }
    panic!("nothing was given up");
}

fn numbered(what: &str) -> String {
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn queue(what: &str) -> QueueName {
    name(&numbered(what))
}

fn wish(queue: &QueueName) -> ClaimRequest {
    let worker = WorkerId::new("worker-1");
    ClaimRequest::new(worker, vec![queue.clone()], 2, Duration::from_secs(600))
}

async fn jobs(store: &dyn Store, queue: &QueueName, count: usize) -> Vec<NewJob> {
    let places = vec![Place::new(queue.clone()); count];
    let ids = store.mint(&places).await.unwrap().into_iter();
    let new = |id| NewJob::new(id, queue.clone(), "check".parse().unwrap(), "{}");
    ids.map(new).collect()
}

async fn enqueued(store: &dyn Store, queue: &QueueName, count: usize) -> Vec<JobId> {
    let jobs = jobs(store, queue, count).await;
    let ids = jobs.iter().map(|job| job.id.clone()).collect();
    for answer in store.enqueue(jobs).await.unwrap() {
        answer.unwrap();
    }
    ids
}

/// A lease of which nobody heard ends by itself; no other is given out for its job.
async fn claim(store: &dyn Store, other: &dyn Store, most: usize) -> bool {
    let queue = queue("claim");
    let ids = enqueued(store, &queue, 6).await;
    let first = steps(store.claim(&wish(&queue)), most).await;
    let ended = first.is_some();
    let mut leased: Vec<JobId> = Vec::new();
    let mut answers = vec![first.transpose().unwrap().unwrap_or_default()];
    for _ in 0..4 {
        answers.push(store.claim(&wish(&queue)).await.unwrap());
    }
    for claimed in answers.into_iter().flatten() {
        assert_eq!(claimed.job.queue, queue, "step {most}");
        assert!(!leased.contains(&claimed.job.id), "step {most}");
        let row = other.get(&claimed.job.id).await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.claim),
            (JobState::Running, 1),
            "step {most}"
        );
        let settled = store.settle(vec![completion(&claimed)]).await.unwrap();
        assert!(
            settled.iter().all(Result::is_ok),
            "step {most}: {settled:?}"
        );
        leased.push(claimed.job.id);
    }
    // At most those of the call that was given up are held by nobody.
    assert!(leased.len() + 2 >= ids.len(), "step {most}: {leased:?}");
    ended
}

async fn settle(store: &dyn Store, other: &dyn Store, most: usize) -> bool {
    let queue = queue("settle");
    let ids = enqueued(store, &queue, 2).await;
    let claimed = store.claim(&wish(&queue)).await.unwrap();
    let of_all = || claimed.iter().map(completion).collect();
    let ended = steps(store.settle(of_all()), most).await.is_some();
    // Nothing of another call is taken for this one's answer.
    assert_eq!(store.get(&ids[0]).await.unwrap().unwrap().id, ids[0]);
    store.settle(of_all()).await.unwrap();
    for id in &ids {
        let row = other.get(id).await.unwrap().unwrap();
        assert_eq!(row.state, JobState::Completed, "step {most}");
        assert_eq!(row.history.len(), 1, "step {most}");
    }
    ended
}

async fn beat(store: &dyn Store, other: &dyn Store, most: usize) -> bool {
    let queue = queue("beat");
    enqueued(store, &queue, 2).await;
    let claimed = store.claim(&wish(&queue)).await.unwrap();
    let beat = |at: usize, progress| Beat {
        job_id: claimed[at].job.id.clone(),
        token: claimed[at].lease.token,
        extend_by: Duration::from_secs(600),
        progress: Some(progress),
        checkpoint: None,
    };
    let first = [beat(0, 10)];
    let ended = steps(store.heartbeat(&first), most).await.is_some();
    let answers = store.heartbeat(&[beat(0, 20), beat(1, 30)]).await.unwrap();
    assert_eq!(answers.len(), 2, "step {most}");
    for answer in &answers {
        assert!(
            !matches!(answer, BeatAnswer::Lost),
            "step {most}: {answers:?}"
        );
    }
    for (claimed, progress) in claimed.iter().zip([20, 30]) {
        let row = other.get(&claimed.job.id).await.unwrap().unwrap();
        assert_eq!(row.progress, Some(progress), "step {most}");
    }
    ended
}

async fn write(store: &dyn Store, other: &dyn Store, most: usize) -> bool {
    let document = numbered("check/written");
    let first = store.write_document(&document, 0, "1".into());
    let ended = steps(first, most).await.is_some();
    let there = store.read_document(&document).await.unwrap();
    let version = there.map_or(0, |there| there.version);
    store
        .write_document(&document, version, "2".into())
        .await
        .unwrap();
    let read = other.read_document(&document).await.unwrap().unwrap();
    assert_eq!(&read.body[..], b"2", "step {most}");
    ended
}
