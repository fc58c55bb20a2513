//! What a call asks for at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{Enqueued, ErrorKind, JobFilter, JobId, NewJob, Store as _, UniqueKey};
use longshore_object::{
    Bounds, Landing, Listed, Object, ObjectStore, Objects, Range, RequestError, Tuning, Version,
};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::script::{new_job, place, wish};
use crate::server::{Actor, Server};

/// A server whose writes take a while, and whose answers to reads overtake each other.
#[derive(Debug)]
struct Slow {
    actor: Actor,
    reads: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    fn new() -> Self {
        let server = Arc::new(Server::new(Arc::new(ManualClock::default())));
        Self {
            actor: Actor::of(&server),
            reads: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// How many writes were under way at once, at most, since this was asked last.
    fn take_most(&self) -> usize {
        self.most.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Objects for Slow {
    fn system(&self) -> &'static str {
        self.actor.system()
    }

    fn location(&self) -> String {
        self.actor.location()
    }

    fn bounds(&self) -> Bounds {
        self.actor.bounds()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, RequestError> {
        let before = self.reads.fetch_add(1, Ordering::SeqCst);
        // Each is faster than the one before.
        for _ in 0..32usize.saturating_sub(before % 32) {
            tokio::task::yield_now().await;
        }
        self.actor.get(key).await
    }

    async fn create(&self, key: &str, bytes: Bytes) -> Result<Landing, RequestError> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Whoever else has something to send does.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let landing = self.actor.create(key, bytes).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        landing
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        version: &Version,
    ) -> Result<Landing, RequestError> {
        self.actor.replace(key, bytes, version).await
    }

    async fn delete(&self, key: &str) -> Result<(), RequestError> {
        self.actor.delete(key).await
    }

    async fn list(&self, range: Range<'_>) -> Result<Vec<Listed>, RequestError> {
        self.actor.list(range).await
    }
}

async fn open(slow: &Arc<Slow>) -> ObjectStore {
    open_with(slow, 1).await
}

async fn open_with(slow: &Arc<Slow>, seed: u64) -> ObjectStore {
    let random = Arc::new(SeededRandom::new(seed));
    let objects: Arc<dyn Objects> = Arc::<Slow>::clone(slow);
    ObjectStore::open_with(objects, random, Tuning::default())
        .await
        .unwrap()
}

async fn jobs(store: &ObjectStore, count: usize) -> Vec<NewJob> {
    let ids = store.mint(&vec![place(); count]).await.unwrap();
    ids.into_iter().map(new_job).collect()
}

#[tokio::test]
async fn the_batches_of_a_call_are_put_at_once() {
    let slow = Arc::new(Slow::new());
    let store = open(&slow).await;
    let new = jobs(&store, 400).await;
    slow.take_most();
    let answers = store.enqueue(new.clone()).await.unwrap();
    assert_eq!(slow.take_most(), 4);
    for (answer, new) in answers.iter().zip(&new) {
        let Ok(Enqueued::Created { id, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(id, &new.id);
    }
}

#[tokio::test]
async fn jobs_with_keys_are_put_at_once_and_still_meet_each_other_in_their_order() {
    let slow = Arc::new(Slow::new());
    let store = open(&slow).await;
    let mut new = jobs(&store, 40).await;
    for (number, job) in new.iter_mut().enumerate() {
        // Each of twenty keys comes twice, with other args.
        let key = format!("key {}", number % 20);
        job.unique_key = Some(UniqueKey::new(key, &job.kind, &[u8::from(number < 20)]));
    }
    let first = new[0].id.clone();
    // One comes again as it was.
    new.push(new[0].clone());
    slow.take_most();
    let answers = store.enqueue(new).await.unwrap();
    assert_eq!(slow.take_most(), Tuning::default().parallel);
    let (made, rest) = answers.split_at(20);
    for answer in made {
        assert!(matches!(answer, Ok(Enqueued::Created { .. })), "{answer:?}");
    }
    let (refused, again) = rest.split_at(20);
    for answer in refused {
        let refused = answer.as_ref().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
    let Ok(Enqueued::Hit { id, .. }) = &again[0] else {
        panic!("{again:?}");
    };
    assert_eq!(*id, first);
}

#[tokio::test]
async fn jobs_with_ids_of_their_own_wait_in_the_order_of_their_call() {
    let slow = Arc::new(Slow::new());
    let store = open(&slow).await;
    let id = |number: usize| -> JobId { format!("own-{number:02}").parse().unwrap() };
    let ids: Vec<JobId> = (0..16).map(id).collect();
    let new = ids.iter().cloned().map(new_job).collect();
    for answer in store.enqueue(new).await.unwrap() {
        assert!(matches!(answer, Ok(Enqueued::Created { .. })), "{answer:?}");
    }
    let listed = store.list(&JobFilter::default(), None, 100).await.unwrap();
    let newest_first: Vec<JobId> = ids.iter().rev().cloned().collect();
    let listed: Vec<JobId> = listed.jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(listed, newest_first);
    let claimed = store.claim(&wish("worker", 16)).await.unwrap();
    let claimed: Vec<JobId> = claimed.into_iter().map(|one| one.job.id).collect();
    assert_eq!(claimed, ids);
}

/// Who minted an id is no better than others: of calls at once with one id, one made the job.
#[tokio::test]
async fn of_calls_at_once_with_one_minted_id_one_is_told_that_it_made_the_job() {
    for several in [1, 2] {
        for minted_here in [true, false] {
            let slow = Arc::new(Slow::new());
            let (store, other) = (open(&slow).await, open_with(&slow, 2).await);
            let new = jobs(&store, several).await;
            let one = vec![new[0].clone()];
            let beside = if minted_here { &store } else { &other };
            let (first, second) =
                tokio::join!(store.enqueue(one.clone()), beside.enqueue(one.clone()));
            let answers = [first.unwrap().remove(0), second.unwrap().remove(0)];
            let made =
                |answer: &&Result<Enqueued, _>| matches!(answer, Ok(Enqueued::Created { .. }));
            assert_eq!(answers.iter().filter(made).count(), 1, "{answers:?}");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    }
}
