//! A store, a worker and telemetry in virtual time.

use std::sync::Arc;
use std::time::Duration;

use longshore::instrument::Span;
use longshore::{
    Admin, Attempt, Handler, Job, JobError, JobId, JobRequest, MemoryStore, Producer, RawArgs,
    RawResult, SpanBuffer, Store, Timestamp, Worker, WorkerBuilder,
};
use longshore_core::{Clock, Random};
use longshore_testkit::SeededRandom;
use longshore_testkit::collector::trace_tree;

/// The virtual time of a paused tokio runtime, for the store and the worker alike.
#[derive(Debug)]
pub(crate) struct VirtualClock(tokio::time::Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_767_225_600_000).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// An order.
pub(crate) fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").args(&7)
}

/// A handler that succeeds after a moment.
pub(crate) async fn succeed(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(RawResult(None))
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) spans: Arc<SpanBuffer>,
    clock: Arc<VirtualClock>,
    random: Arc<dyn Random>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_spans(SpanBuffer::default())
    }

    pub(crate) fn with_spans(spans: SpanBuffer) -> Self {
        let clock = Arc::new(VirtualClock(tokio::time::Instant::now()));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        Self {
            store: Arc::new(MemoryStore::with(clock.clone(), random.clone())),
            spans: Arc::new(spans),
            clock,
            random,
        }
    }

    /// The time and the randomness of this world.
    pub(crate) fn clock(&self) -> (Arc<dyn Clock>, Arc<dyn Random>) {
        (self.clock.clone(), self.random.clone())
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer::new(self.store.clone())
            .with_recorder(self.spans.clone())
            .with_clock(self.clock.clone(), self.random.clone())
    }

    /// Limits the queue.
    pub(crate) async fn limit(&self, limit: &str) {
        let body = format!(r#"{{"limits":{{"queue:orders":{limit}}}}}"#);
        let name = longshore_core::limit::CONFIGURATION;
        let written = self.store.write_document(name, 0, body.into()).await;
        written.unwrap();
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.store.clone())
            .with_recorder(self.spans.clone())
            .with_clock(self.clock.clone(), self.random.clone())
    }

    pub(crate) async fn enqueue(&self, request: JobRequest) -> JobId {
        self.producer().enqueue(request).await.unwrap().id().clone()
    }

    pub(crate) fn worker(&self) -> WorkerBuilder {
        self.worker_of(self.store.clone())
    }

    /// A worker that reaches the store on some way.
    pub(crate) fn worker_of(&self, store: Arc<dyn Store>) -> WorkerBuilder {
        Worker::builder(store)
            .queue("orders")
            .id("w1")
            .recorder(self.spans.clone())
            .clock(self.clock.clone(), self.random.clone())
    }

    /// Runs everything that is in the queue with one handler.
    pub(crate) async fn drain<M>(&self, handler: impl Handler<M>) {
        let worker = self.worker().drain(true).fallback(handler).build().unwrap();
        worker.run(std::future::pending()).await.unwrap();
    }

    pub(crate) async fn job(&self, id: &JobId) -> Job {
        self.store.get(id).await.unwrap().unwrap()
    }

    /// Every attempt hangs under or links to an enqueue span that is there, once.
    pub(crate) fn assert_one_enqueue_span_each(&self) {
        let spans = self.spans.spans();
        let mut ids: Vec<_> = spans
            .iter()
            .map(|span| (span.trace_id, span.span_id))
            .collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "a span was exported twice");
        for attempt in spans.iter().filter(|span| span.name == "job.process") {
            let enqueue = &attempt.links.first().unwrap().context;
            let there = spans.iter().any(|span| {
                span.name == "queue.enqueue"
                    && (span.trace_id, span.span_id) == (enqueue.trace_id, enqueue.span_id)
            });
            assert!(there, "the enqueue span of {attempt:?} is missing");
        }
    }

    /// Compares the spans so far with the file of this name.
    pub(crate) fn assert_tree(&self, name: &str) {
        assert_tree_of(&self.spans.spans(), name);
    }
}

/// Compares spans with the file of this name.
pub(crate) fn assert_tree_of(spans: &[Span], name: &str) {
    let tree = trace_tree(spans);
    let path = format!(
        "{}/tests/traces/trees/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the tests"
    )]
    if std::env::var("LONGSHORE_WRITE_TREES").is_ok() {
        std::fs::write(&path, &tree).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(tree, expected, "the tree of {name} is not what {path} says");
}
