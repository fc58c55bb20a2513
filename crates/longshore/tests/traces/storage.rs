//! The requests that a store makes stand beneath the calls they were made for. The trees of each
//! store are in its own tests; here each method of the contract is one request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, Batch, Change, ErrorKind, JobError, JobFilter, JobRequest, Limit, MemoryStore,
    PrunePolicy, RawArgs, RawResult, Schedule, Store, StoreError,
};
use longshore_core::round_trip::{self, Answer, Server, Target};
use longshore_testkit::storage::{is_request, spans_of};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::time::sleep;

use crate::world::{World, order, succeed};

#[tokio::test]
async fn a_store_in_memory_makes_none() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert!(!spans_of(&store).await.iter().any(is_request));
}

/// The names of requests.
pub(crate) type Watched = Arc<Mutex<Vec<&'static str>>>;

/// Every call of the store is a request of this name, which takes a millisecond.
#[derive(Debug)]
struct Asks {
    server: Arc<Server>,
    /// The requests that somebody watched.
    watched: Watched,
    /// How many claims fail, before others do not.
    failing: AtomicUsize,
}

impl Way for Asks {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let request = round_trip::begin(&self.server, method, || Target::Nothing);
        if request.is_watched() {
            self.watched.lock().unwrap().push(method);
        }
        sleep(Duration::from_millis(1)).await;
        let fewer = |left: usize| left.checked_sub(1).filter(|_| method == "claim");
        let failing = &self.failing;
        if failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
            .is_ok()
        {
            request.end(Answer::failed("connection"));
            return Err(StoreError::new(ErrorKind::Unavailable, "away"));
        }
        let answer = effect.await;
        request.end(Answer::Good);
        answer
    }
}

/// A world whose store makes requests, and those that somebody watched.
pub(crate) fn asking(failing: usize) -> (World, Watched) {
    let mut world = World::new();
    let watched = Watched::default();
    let asks = Asks {
        server: Arc::new(Server {
            system: "asked",
            ..Server::default()
        }),
        watched: Arc::clone(&watched),
        failing: AtomicUsize::new(failing),
    };
    world.store = Arc::new(Around::through(world.store.clone(), asks));
    (world, watched)
}

/// The first member of a batch adds another.
async fn adds(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    if &args.0[..] == b"7" {
        let batch = attempt.batch().unwrap();
        let more = JobRequest::new("orders", "place_order").args(&8);
        batch.add(vec![more]).await.unwrap();
    }
    Ok(RawResult(None))
}

#[tokio::test(start_paused = true)]
async fn of_a_batch() {
    let (world, _) = asking(0);
    let batch = Batch::new([order()]).id("b");
    world.producer().enqueue_batch(batch).await.unwrap();
    let worker = world.worker().drain(true).concurrency(1).fallback(adds);
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    world.assert_tree("storage_batch");
}

/// What people do: to jobs, to queues, to schedules and to limits.
#[tokio::test(start_paused = true)]
async fn of_the_calls_of_people() {
    let (world, _) = asking(0);
    let admin = world.admin();
    let id = world.enqueue(order()).await;
    world.enqueue(order()).await;
    admin.change(Change::Cancel, &id).await.unwrap();
    let all = JobFilter::default();
    admin
        .change_all(Change::Cancel, &all, |_| ())
        .await
        .unwrap();
    let mut policy = PrunePolicy::keep_all();
    policy.cancelled.keep = Some(0);
    admin.prune(&policy, |_| ()).await.unwrap();
    let queue = "orders".parse().unwrap();
    admin.pause(&queue).await.unwrap();
    admin.resume(&queue).await.unwrap();
    let schedules = admin.schedules();
    let nightly = "nightly".parse().unwrap();
    let (queue, kind) = ("orders".parse().unwrap(), "tidy".parse().unwrap());
    let daily = Schedule::new(
        "nightly".parse().unwrap(),
        "@daily".parse().unwrap(),
        queue,
        kind,
    );
    schedules.put(daily).await.unwrap();
    schedules.pause(&nightly).await.unwrap();
    schedules.resume(&nightly).await.unwrap();
    schedules.trigger(&nightly).await.unwrap();
    schedules.remove(&nightly).await.unwrap();
    let one = Limit {
        concurrency: Some(1),
        ..Limit::default()
    };
    let limits = admin.limits();
    let set = limits.set("queue:orders".parse().unwrap(), one);
    set.await.unwrap();
    world.assert_tree("storage_admin");
}

/// Two claims fail before a job is there; then a worker deletes it, in its turn.
#[tokio::test(start_paused = true)]
async fn of_what_workers_do() {
    let (world, _) = asking(2);
    world.enqueue(order()).await;
    let mut policy = PrunePolicy::keep_all();
    policy.completed.keep = Some(0);
    let worker = world
        .worker()
        .prune(policy)
        .concurrency(1)
        .fallback(succeed);
    let until = sleep(Duration::from_secs(70));
    worker.build().unwrap().run(until).await.unwrap();
    world.assert_tree("storage_worker");
}

/// The requests for jobs whose trace does not leave stand nowhere; of those that are about such jobs
/// alone nothing is noted.
#[tokio::test(start_paused = true)]
async fn of_traces_that_do_not_leave() {
    let (world, watched) = asking(0);
    let caller = |flags: &str| {
        let caller = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        order().traceparent(&caller, "", "")
    };
    let both = vec![caller("00"), caller("01")];
    let producer = world.producer();
    producer.enqueue_many(both).await.unwrap();
    // Both are settled together.
    world.drain(succeed).await;
    world.assert_tree("storage_left_out");
    watched.lock().unwrap().clear();
    producer.enqueue(caller("00")).await.unwrap();
    world.drain(succeed).await;
    let mut watched = watched.lock().unwrap().clone();
    watched.retain(|method| ["mint", "enqueue", "settle"].contains(method));
    assert_eq!(watched, ["mint"], "nobody knows yet whether it leaves");
}
