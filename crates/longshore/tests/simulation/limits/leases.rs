//! A permit is given to another job only after the lease of the one that had it: then a limit also
//! holds for what the store shows as running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, ErrorKind, JobFilter, JobRequest, JobState, Producer, RawArgs, RawResult, Store,
    StoreError, Worker, WorkerBuilder,
};
use longshore_testkit::way::{Around, Effect, Traffic, Way};
use tokio::time::sleep;

use super::{World, at_most};
use crate::process;
use crate::subject::Kind;

const LEASE: Duration = Duration::from_secs(10);

/// A way on which one thing goes wrong when a test says so.
#[derive(Clone, Debug, Default)]
struct Broken {
    /// No document is read or written.
    documents: Arc<AtomicBool>,
    /// The answer of the next claim that brings jobs is lost.
    claim: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
    /// The next settle is refused, and there is no use in repeating it.
    settle: Arc<AtomicBool>,
}

impl Way for Broken {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let lost = || Err(StoreError::new(ErrorKind::Unavailable, "lost"));
        if method.ends_with("_document") && self.documents.load(Ordering::SeqCst) {
            return lost();
        }
        if method == "settle" && self.settle.swap(false, Ordering::SeqCst) {
            return Err(StoreError::new(ErrorKind::Internal, "refused"));
        }
        let answer = effect.await;
        if method == "claim" && self.lost.swap(false, Ordering::SeqCst) {
            return lost();
        }
        answer
    }

    async fn look(&self, _store: &Arc<dyn Store>, traffic: Traffic<'_>) {
        if matches!(traffic, Traffic::Claim(claimed) if !claimed.is_empty())
            && self.claim.swap(false, Ordering::SeqCst)
        {
            self.lost.store(true, Ordering::SeqCst);
        }
    }
}

/// One job of the kind may run at once, and there are two, of 20 s.
async fn world() -> World {
    let world = World::new(Kind::Memory, 3);
    world.faulty.heal();
    world.limit("kind:long", at_most(1)).await;
    let producer =
        Producer::new(world.store.clone()).with_clock(world.clock.clone(), world.random.clone());
    let long = || JobRequest::new("orders", "long").raw_args(vec![255]);
    producer.enqueue_many(vec![long(), long()]).await.unwrap();
    world
}

fn worker(world: &World, name: &str, way: &Broken) -> WorkerBuilder {
    let store = Arc::new(Around::through(world.store.clone(), way.clone()));
    let gauge = world.gauge.clone();
    let run = move |_: RawArgs, attempt: Attempt| {
        let at_work = gauge.enter(&attempt);
        async move {
            tokio::select! {
                () = sleep(Duration::from_secs(20)) => {}
                () = attempt.cancelled() => {}
            }
            drop(at_work);
            Ok::<_, longshore::JobError>(RawResult(None))
        }
    };
    world.worker(name, store).lease(LEASE).fallback(run)
}

/// Until the worker is dropped, which is its end.
fn start(worker: Worker) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        worker.run(std::future::pending()).await.unwrap();
    });
    tasks
}

async fn leased(world: &World) -> usize {
    let filter = JobFilter {
        states: vec![JobState::Running],
        ..JobFilter::default()
    };
    let now = world.store.now().await.unwrap();
    let page = world.store.list(&filter, None, 10).await.unwrap();
    let holds = |job: &&longshore::Job| job.lease_expires_at.is_some_and(|until| until > now);
    page.jobs.iter().filter(holds).count()
}

/// Lets so much time pass, in which there is never a second lease.
async fn watch(world: &World, seconds: u32) {
    for step in 0..seconds * 20 {
        sleep(Duration::from_millis(50)).await;
        let leases = leased(world).await;
        assert!(
            leases <= 1,
            "{leases} leases after {} s",
            f64::from(step) / 20.0
        );
    }
}

/// Its permit lasts for 22 s, and the handler is stopped after 16 s.
#[test]
fn a_lease_is_not_renewed_beyond_the_permit_of_its_job() {
    process::runtime(61).block_on(async {
        let (world, way) = (world().await, Broken::default());
        let first = worker(&world, "first", &way);
        let _first = start(first.build().unwrap());
        sleep(Duration::from_secs(1)).await;
        way.documents.store(true, Ordering::SeqCst);
        let second = worker(&world, "second", &Broken::default());
        let _second = start(second.build().unwrap());
        watch(&world, 80).await;
        world.all_are_completed(2).await;
    });
}

/// The lease ends later than the handler. Then permits can be renewed again.
#[test]
fn a_permit_stays_with_a_job_that_was_stopped_until_its_lease_has_ended() {
    process::runtime(61).block_on(async {
        let (world, way) = (world().await, Broken::default());
        let _worker = start(worker(&world, "only", &way).build().unwrap());
        sleep(Duration::from_secs(1)).await;
        way.documents.store(true, Ordering::SeqCst);
        while world.gauge.now("kind:long") == 1 {
            watch(&world, 1).await;
        }
        assert_eq!(leased(&world).await, 1, "it was stopped after its lease");
        way.documents.store(false, Ordering::SeqCst);
        watch(&world, 80).await;
        world.all_are_completed(2).await;
    });
}

#[test]
fn a_permit_stays_with_a_claim_without_an_answer_until_its_leases_have_ended() {
    process::runtime(61).block_on(async {
        let (world, way) = (world().await, Broken::default());
        way.claim.store(true, Ordering::SeqCst);
        let _worker = start(worker(&world, "only", &way).build().unwrap());
        watch(&world, 1).await;
        assert_eq!(world.gauge.most("kind:long"), 0, "the answer was not lost");
        assert_eq!(leased(&world).await, 1);
        watch(&world, 80).await;
        world.all_are_completed(2).await;
    });
}

#[test]
fn a_permit_stays_with_a_job_that_could_not_be_settled_until_its_lease_has_ended() {
    process::runtime(61).block_on(async {
        let (world, way) = (world().await, Broken::default());
        way.settle.store(true, Ordering::SeqCst);
        let _worker = start(worker(&world, "only", &way).build().unwrap());
        watch(&world, 21).await;
        assert!(!way.settle.load(Ordering::SeqCst), "nothing was settled");
        assert_eq!(leased(&world).await, 1);
        watch(&world, 80).await;
        world.all_are_completed(2).await;
    });
}
