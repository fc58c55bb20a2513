//! What a person or program does to jobs and queues, and what workers delete: one `queue.admin`
//! span each, with how many jobs it changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, Change, JobError, JobFilter, JobRequest, JobState, PrunePolicy, RawArgs, RawResult,
    Store,
};
use longshore_core::{JobId, SpanContext};
use longshore_instrument::span::AttributeValue as Value;
use longshore_instrument::table::{key, name};
use longshore_testkit::way::{Around, Effect, Way};

use crate::world::World;

type Raw = Result<RawResult, JobError>;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").max_attempts(1)
}

async fn fails(_args: RawArgs, _attempt: Attempt) -> Raw {
    Err(JobError::retry("flaky", "try 17"))
}

async fn succeeds(_args: RawArgs, _attempt: Attempt) -> Raw {
    Ok(RawResult(None))
}

fn orders() -> JobFilter {
    JobFilter {
        queue: Some("orders".parse().unwrap()),
        ..JobFilter::default()
    }
}

async fn states(world: &World, ids: &[JobId]) -> Vec<JobState> {
    let mut states = Vec::new();
    for id in ids {
        states.push(world.job(id).await.state);
    }
    states
}

/// The verb of each call, and how many jobs it changed.
fn admin_spans(world: &World) -> Vec<(String, Option<i64>)> {
    let spans = world.spans.spans();
    let calls = spans.iter().filter(|span| span.name == name::ADMIN);
    let said = calls.map(|span| {
        let value = |key| {
            span.attributes
                .iter()
                .find(|one| one.key == key)
                .map(|one| &one.value)
        };
        let verb = match value(key::OPERATION_NAME) {
            Some(Value::String(verb)) => verb.to_string(),
            _ => String::new(),
        };
        let count = match value(key::BATCH_COUNT) {
            Some(Value::Int(count)) => Some(*count),
            _ => None,
        };
        (verb, count)
    });
    said.collect()
}

/// A job by its id, a filter in two pages and a queue, each in one span, which is the caller's child
/// where there is a caller.
#[tokio::test(start_paused = true)]
async fn calls() {
    let world = World::new();
    let one = world.enqueue(order().delay(Duration::from_secs(60))).await;
    let requests = (0..600).map(|_| order().delay(Duration::from_secs(60)));
    let answers = world.producer().enqueue_many(requests.collect()).await;
    assert_eq!(answers.unwrap().len(), 600);
    let admin = world.admin();
    assert_eq!(
        admin.change(Change::Cancel, &one).await.unwrap(),
        JobState::Cancelled
    );
    let mut told = Vec::new();
    let caller = SpanContext::from_traceparent(CALLER).unwrap();
    let called = admin.clone().called_by(caller);
    let changed = called
        .change_all(Change::Discard, &orders(), |changed| {
            told.push(changed.done)
        })
        .await
        .unwrap();
    assert_eq!((changed.done, changed.asked, changed.refused), (600, 0, 0));
    assert_eq!(told, [500, 600]);
    // Nothing is left to discard, and so nothing to say.
    let again = called.change_all(Change::Discard, &orders(), |_| ()).await;
    assert_eq!(again.unwrap().done, 0);
    let queue = "orders".parse().unwrap();
    admin.pause(&queue).await.unwrap();
    admin.resume(&queue).await.unwrap();
    let said = admin_spans(&world);
    let expected = [
        ("cancel", None),
        ("discard", Some(600)),
        ("pause", None),
        ("resume", None),
    ];
    assert_eq!(said, expected.map(|(verb, count)| (verb.to_owned(), count)));
    world.assert_tree("admin");
}

/// What runs is asked to stop, and ends as it was asked to; its attempt was cancelled.
#[tokio::test(start_paused = true)]
async fn discarded_while_running() {
    let world = World::new();
    let id = world.enqueue(order().max_attempts(5)).await;
    let admin = world.admin();
    world
        .drain(move |_args: RawArgs, attempt: Attempt| {
            let admin = admin.clone();
            async move {
                let changed = admin.change_all(Change::Discard, &orders(), |_| ()).await;
                assert_eq!(changed.unwrap().asked, 1);
                attempt.cancelled().await;
                Raw::Err(JobError::retry("stopped", ""))
            }
        })
        .await;
    let job = world.job(&id).await;
    assert_eq!((job.state, job.history.len()), (JobState::Discarded, 1));
    assert_eq!(job.stop_requested, None);
    world.assert_tree("discarded_while_running");
}

/// Retrying by filter takes what failed, and leaves what completed or was cancelled.
#[tokio::test(start_paused = true)]
async fn what_failed_is_found_and_retried() {
    let world = World::new();
    let failed = world.enqueue(order()).await;
    world.drain(fails).await;
    let completed = world.enqueue(order()).await;
    world.drain(succeeds).await;
    let cancelled = world.enqueue(order()).await;
    let admin = world.admin();
    admin.change(Change::Cancel, &cancelled).await.unwrap();
    let ids = [failed.clone(), completed, cancelled];

    let found = admin
        .find(Change::Retry, &orders(), 10, |_| ())
        .await
        .unwrap();
    assert_eq!((found.jobs, found.some.len()), (1, 1));
    assert_eq!(found.some[0].id, failed);
    use JobState as S;
    assert_eq!(
        states(&world, &ids).await,
        [S::Discarded, S::Completed, S::Cancelled]
    );
    admin
        .change_all(Change::Retry, &orders(), |_| ())
        .await
        .unwrap();
    assert_eq!(
        states(&world, &ids).await,
        [S::Available, S::Completed, S::Cancelled]
    );
    let running = JobFilter {
        states: vec![S::Running],
        ..orders()
    };
    let refused = admin.change_all(Change::Retry, &running, |_| ()).await;
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("nothing to retry") && said.contains("discarded"),
        "{said}"
    );

    world.drain(fails).await;
    let failures = admin
        .failures(&orders(), |_| ())
        .await
        .unwrap()
        .into_sorted();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].attempts, failures[0].jobs), (2, 1));
    assert_eq!(
        (&failures[0].last_job, &*failures[0].class),
        (&failed, "flaky")
    );
    let last = world.job(&failed).await.history[1].clone();
    assert_eq!(failures[0].last_trace, last.trace_id);
    assert_eq!(failures[0].last_seen, last.ended_at);
}

/// Another work takes its turn whenever someone is about to: they share a document.
#[derive(Debug)]
struct Crowded {
    store: Arc<dyn Store>,
    left: AtomicUsize,
}

impl Crowded {
    async fn intrude(&self, left: usize) {
        let document = self.store.read_document("maintenance").await.unwrap();
        let version = document.map_or(0, |document| document.version);
        let body =
            format!(r#"{{"batches":{{"worker":"w{left}","until":"2026-01-01T00:00:00Z"}}}}"#);
        let written = self
            .store
            .write_document("maintenance", version, body.into());
        written.await.unwrap();
    }
}

impl Way for Crowded {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, longshore::StoreError> {
        if method == "write_document" {
            let fewer = |left: usize| left.checked_sub(1);
            let before = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
            if let Ok(left) = before {
                self.intrude(left).await;
            }
        }
        effect.await
    }
}

/// A worker whose turn collides with those at other works has it all the same.
#[tokio::test(start_paused = true)]
async fn a_turn_is_not_lost_to_another_work() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    world.drain(succeeds).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let crowded = Crowded {
        store: world.store.clone(),
        left: AtomicUsize::new(5),
    };
    let store = Arc::new(Around::through(world.store.clone(), crowded));
    let mut policy = PrunePolicy::keep_all();
    policy.completed.keep = Some(0);
    let worker = world.worker_of(store).prune(policy).fallback(succeeds);
    let until = tokio::time::sleep(Duration::from_secs(5));
    worker.build().unwrap().run(until).await.unwrap();
    assert!(
        world.store.get(&id).await.unwrap().is_none(),
        "its turn is lost"
    );
}

/// Workers delete what the policy lets go, one of them a minute, in a span; none if nothing goes.
#[tokio::test(start_paused = true)]
async fn pruned_by_workers() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.enqueue(order()).await);
        world.drain(succeeds).await;
    }
    let mut policy = PrunePolicy::keep_all();
    policy.completed.keep = Some(1);
    let work = async |worker: &str, seconds| {
        let worker = world.worker().id(worker).prune(policy).fallback(succeeds);
        let until = tokio::time::sleep(Duration::from_secs(seconds));
        worker.build().unwrap().run(until).await.unwrap();
    };
    // The turn of the last worker that ran has to be over.
    work("early", 5).await;
    assert!(world.store.get(&ids[0]).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(60)).await;
    tokio::join!(work("one", 5), work("two", 5));
    for (id, is_there) in ids.iter().zip([false, false, true]) {
        assert_eq!(world.store.get(id).await.unwrap().is_some(), is_there);
    }
    work("three", 130).await;
    assert_eq!(admin_spans(&world), [("prune".to_owned(), Some(2))]);
    world.assert_tree("pruned");
}
