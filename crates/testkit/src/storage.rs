//! Storage spans: the requests of a store for jobs that go through the real queue, as traces.

mod calls;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::{Clock, Store, StoreError, SystemClock, SystemRandom, Timestamp};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span, SpanBuffer};
use longshore_queue::{
    Admin, Attempt, Change, JobError, JobRequest, Producer, RawArgs, RawResult, Worker,
};
use tokio::sync::Barrier;

pub use self::calls::assert_calls;
use crate::collector::trace_tree_with;
use crate::faulty_line::{Fault, FaultyLine};
use crate::way::{Around, Effect, Way};

/// What is printed of a span besides its name.
const TELLING: &[&str] = &[
    key::ATTEMPT,
    key::BATCH_COUNT,
    key::DB_SYSTEM,
    key::DB_BATCH,
    key::DB_STATUS,
    key::RPC_METHOD,
    key::STORAGE_REFUSED,
    key::STORAGE_FAILURES,
    key::STORAGE_REQUESTS,
    key::ERROR_TYPE,
];

/// Sends jobs of the queue `orders` through a store: one alone; three in one call, which end at one
/// time; and one that a person cancels. Gives back every span.
///
/// To be called on a runtime of one thread, so that three attempts are settled together.
pub async fn spans_of(store: &Arc<dyn Store>) -> Vec<Span> {
    let spans = Arc::new(SpanBuffer::default());
    let clock = Arc::new(Unhurried(SystemClock::new()));
    let producer = Producer::new(Arc::clone(store))
        .with_recorder(spans.clone())
        .with_clock(clock, Arc::new(SystemRandom));
    producer.enqueue(order()).await.unwrap();
    work(store, &spans, 1).await;
    let three = producer.enqueue_many((0..3).map(|_| order()).collect());
    assert!(three.await.unwrap().iter().all(Result::is_ok));
    work(store, &spans, 3).await;
    let waiting = producer.enqueue(order()).await.unwrap();
    let admin = Admin::new(Arc::clone(store)).with_recorder(spans.clone());
    admin.change(Change::Cancel, waiting.id()).await.unwrap();
    spans.spans()
}

/// A clock by which a second lasts a quarter of an hour. What a producer has read of limits stays
/// good for a second: how slow the machine is must not decide whether it reads them again.
#[derive(Debug)]
struct Unhurried(SystemClock);

impl Clock for Unhurried {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() / 1000
    }
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order")
}

/// Works until nothing is left, so many jobs at a time, all of which end together.
async fn work(store: &Arc<dyn Store>, spans: &Arc<SpanBuffer>, jobs: usize) {
    let all = Arc::new(Barrier::new(jobs));
    let wait = move |_args: RawArgs, _attempt: Attempt| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            Ok::<_, JobError>(RawResult(None))
        }
    };
    let worker = Worker::builder(Arc::clone(store))
        .queue("orders")
        .recorder(spans.clone())
        .concurrency(jobs)
        .drain(true)
        .fallback(wait)
        .build()
        .unwrap();
    worker.run(std::future::pending()).await.unwrap();
}

/// Whether a request of a store has this span.
#[must_use]
pub fn is_request(span: &Span) -> bool {
    longshore_instrument::build::is_storage(span)
}

/// Compares spans, as a tree per trace, with the file at `path`; with `LONGSHORE_WRITE_TREES` set it
/// is written anew. Every request stands within a span of the engine.
pub fn assert_tree(spans: &[Span], path: &Path) {
    for request in spans.iter().filter(|span| is_request(span)) {
        let above = |span: &&Span| Some(span.span_id) == request.parent_span_id;
        let above = spans.iter().find(above).unwrap();
        let engine = [name::ENQUEUE, name::CLAIM, name::SETTLE, name::ADMIN];
        assert!(engine.contains(&above.name.as_ref()), "{request:?}");
        assert!(above.start <= request.start, "{above:?} {request:?}");
        assert!(request.end <= above.end, "{above:?} {request:?}");
    }
    let mut spans = spans.to_vec();
    // In which order jobs that are alike were claimed is a store's own business.
    let claims = spans.iter_mut().filter(|span| span.name == name::CLAIM);
    claims.for_each(|span| span.links.clear());
    assert_file(&trace_tree_with(&spans, TELLING), path);
}

/// Compares what was said with a file, or writes it.
fn assert_file(said: &str, path: &Path) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the tests"
    )]
    if std::env::var("LONGSHORE_WRITE_TREES").is_ok() {
        std::fs::write(path, said).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(said, expected, "that is not what {path:?} says");
}

/// The names of the requests that say how long they waited for a connection or for whoever writes.
#[must_use]
pub fn waited(spans: &[Span]) -> Vec<&str> {
    let waits = |span: &&Span| is_request(span) && span.attribute(key::STORAGE_WAIT).is_some();
    spans.iter().filter(waits).map(|span| &*span.name).collect()
}

/// Enqueues jobs on a store behind a line, of which nothing is left at some time, and sees that the
/// connection that could not be made is in the trace of a job, with the server it was to lead to and
/// the store's word for `why`.
pub async fn assert_no_connection_shows(
    store: Arc<dyn Store>,
    line: &FaultyLine,
    why: &'static str,
) {
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(store)
        .with_recorder(spans.clone())
        .with_clock(
            Arc::new(Unhurried(SystemClock::new())),
            Arc::new(SystemRandom),
        );
    producer.enqueue(order()).await.unwrap();
    line.set(Fault::Refused);
    // The first one may still have a connection, and lose it.
    for _try in 0..3 {
        producer.enqueue(order()).await.unwrap_err();
    }
    line.set(Fault::None);
    let spans = spans.spans();
    let request = spans.iter().find(|span| span.name == "CONNECT").unwrap();
    assert!(is_request(request) && request.status.is_error());
    let class = request.attribute(key::ERROR_TYPE);
    assert_eq!(class, Some(&AttributeValue::from(why)), "{request:?}");
    let good = |span: &&Span| is_request(span) && !span.status.is_error();
    let good = spans.iter().find(good).unwrap();
    for of_server in [
        key::DB_SYSTEM,
        key::DB_NAMESPACE,
        key::SERVER_ADDRESS,
        key::SERVER_PORT,
    ] {
        let said = request.attribute(of_server);
        assert_eq!(said, good.attribute(of_server), "{of_server}");
        assert!(said.is_some(), "{of_server}");
    }
    let above = |span: &&Span| Some(span.span_id) == request.parent_span_id;
    let above = spans.iter().find(above).unwrap();
    assert_eq!(above.name, name::ENQUEUE);
    assert!(above.status.is_error(), "{above:?}");
}

/// Breaks the line to a store while it hears of a settle for the first time.
#[derive(Debug)]
struct BreaksOnce {
    line: Arc<FaultyLine>,
    fault: Fault,
    is_done: AtomicBool,
}

impl Way for BreaksOnce {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let breaks = method == "settle" && !self.is_done.swap(true, Ordering::Relaxed);
        if breaks {
            self.line.set(self.fault);
        }
        let answer = effect.await;
        if breaks {
            self.line.set(Fault::None);
        }
        answer
    }
}

/// Runs a job on a store behind a line that breaks while the job is settled, and sees that the job is
/// done and that its one trace shows the requests that failed, as errors, and the one that did not.
pub async fn assert_trouble_shows(store: Arc<dyn Store>, line: Arc<FaultyLine>, fault: Fault) {
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(Arc::clone(&store)).with_recorder(spans.clone());
    producer.enqueue(order()).await.unwrap();
    let breaks = BreaksOnce {
        line,
        fault,
        is_done: AtomicBool::new(false),
    };
    let store: Arc<dyn Store> = Arc::new(Around::through(store, breaks));
    work(&store, &spans, 1).await;
    let spans = spans.spans();
    let there = |id| spans.iter().any(|span| span.span_id == id);
    // Claims that the worker tried meanwhile failed too, each in a trace of its own.
    let is_failed_claim = |span: &Span| {
        let root = spans
            .iter()
            .find(|root| root.trace_id == span.trace_id && root.parent_span_id.is_none());
        root.is_some_and(|root| root.name == name::CLAIM && root.status.is_error())
    };
    let stray = spans.iter().find(|span| {
        let is_of_job = span.trace_id == spans[0].trace_id;
        !(is_of_job || is_failed_claim(span)) || !span.parent_span_id.is_none_or(there)
    });
    assert_eq!(stray, None, "{spans:?}");
    let settle = spans.iter().find(|span| span.name == name::SETTLE).unwrap();
    let below = |span: &&Span| span.parent_span_id == Some(settle.span_id);
    let (failed, good): (Vec<_>, Vec<_>) = spans
        .iter()
        .filter(below)
        .partition(|span| span.status.is_error());
    assert!(failed.iter().all(|span| is_request(span)), "{failed:?}");
    let says_why = |span: &&Span| span.attribute(key::ERROR_TYPE).is_some();
    assert!(
        !failed.is_empty() && failed.iter().all(says_why),
        "{spans:?}"
    );
    assert!(!good.is_empty(), "{spans:?}");
    let counted = settle.attribute(key::STORAGE_FAILURES);
    assert_eq!(counted, Some(&AttributeValue::from(failed.len())));
}
