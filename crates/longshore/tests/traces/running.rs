//! What can be seen of an attempt while it runs, by those who read the span log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{
    Attempt, JobError, JobRequest, MemoryStore, Producer, RawArgs, RawResult, Store, Worker,
};
use longshore_core::id::SpanPart;
use longshore_core::{Clock, JobId, Random, SystemClock, SystemRandom};
use longshore_instrument::Span;
use longshore_instrument::table::{key, name};
use longshore_spanlog::{Kind, Reader};
use longshore_testkit::collector::decode_request;
use opentelemetry::KeyValue;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use tokio::sync::Notify;

/// Long enough for a loaded machine, never waited for in full unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const CARD: &str = "4111 1111 1111 1111";

/// A job that goes on until it is told to end.
async fn pack(telemetry: Arc<Telemetry>, end: Arc<Notify>) -> Result<RawResult, JobError> {
    let current = opentelemetry::Context::current();
    current
        .span()
        .set_attribute(KeyValue::new("customer", CARD));
    let tracer = telemetry.tracer("shop");
    let builder = tracer.span_builder("wrap");
    let span = builder.with_attributes([KeyValue::new("card", CARD), KeyValue::new("boxes", 3)]);
    let span = tracer.build(span);
    let context = opentelemetry::Context::current_with_span(span);
    let wait = async {
        tracer.start("over at once");
        end.notified().await;
    };
    wait.with_context(context).await;
    Ok(RawResult(None))
}

/// What the log says is open now; nothing if it has not said anything yet.
fn open_now(folder: &Path) -> Option<Vec<Span>> {
    let mut reader = Reader::open(folder).unwrap();
    let mut last = None;
    while let Some(frame) = reader.next_frame().unwrap() {
        if frame.header.kind == Kind::OPEN {
            last = decode_request(&frame.body).map(|(spans, _)| spans);
        }
    }
    last
}

/// Waits until the log says something that will do.
async fn until_open(folder: &Path, will_do: impl Fn(&[Span]) -> bool) -> Vec<Span> {
    let clock = SystemClock::new();
    loop {
        if let Some(spans) = open_now(folder).filter(|spans| will_do(spans)) {
            return spans;
        }
        assert!(clock.monotonic() < PATIENCE, "it never came about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Telemetry that writes to a folder of its own, and a worker for one job that runs long.
struct Bed {
    folder: PathBuf,
    telemetry: Arc<Telemetry>,
    store: Arc<dyn Store>,
    /// Ends the job.
    end: Arc<Notify>,
}

impl Bed {
    fn new(ratio: &str) -> Self {
        let number = SystemRandom.next_u64();
        let folder = std::env::temp_dir().join(format!("longshore-running-{number:016x}"));
        let environment = Environment::from_pairs([
            ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.to_str().unwrap()),
            ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", ratio),
        ]);
        let config = Config::load(&[], &environment, &[]).unwrap();
        let clock = Arc::new(SystemClock::new());
        let (telemetry, warnings) = Telemetry::init(&config.telemetry(), clock);
        assert_eq!(*warnings, []);
        Self {
            folder,
            telemetry: Arc::new(telemetry),
            store: Arc::new(MemoryStore::new()),
            end: Arc::new(Notify::new()),
        }
    }

    async fn enqueue(&self, kind: &str) -> JobId {
        let producer = Producer::new(Arc::clone(&self.store));
        let producer = producer.with_recorder(self.telemetry.recorder());
        let enqueued = producer.enqueue(JobRequest::new("orders", kind)).await;
        enqueued.unwrap().id().clone()
    }

    fn worker(&self) -> Worker {
        let (telemetry, end) = (Arc::clone(&self.telemetry), Arc::clone(&self.end));
        let handler = move |_args: RawArgs, attempt: Attempt| {
            let (telemetry, end) = (Arc::clone(&telemetry), Arc::clone(&end));
            async move {
                if attempt.job().kind.as_str() == "short" {
                    return Ok(RawResult(None));
                }
                pack(telemetry, end).await
            }
        };
        let worker = Worker::builder(Arc::clone(&self.store))
            .queue("orders")
            .recorder(self.telemetry.recorder())
            .fallback(handler)
            .drain(true);
        worker.build().unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// Sampled or not, kept in the end or not: who looks on this machine sees it.
#[tokio::test]
async fn a_long_job_shows_in_the_span_log_while_it_runs() {
    for ratio in ["1", "0"] {
        let bed = Bed::new(ratio);
        let id = bed.enqueue("pack").await;
        let worker = bed.worker();
        let worker_id = worker.id().as_str().to_owned();
        let running = tokio::spawn(worker.run(std::future::pending()));

        let spans = until_open(&bed.folder, |spans| spans.len() == 3).await;
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let (process, handler) = (named(name::PROCESS), named(name::HANDLER));
        assert_eq!(process.span_id, id.derive_span_id(1, SpanPart::Process));
        assert_eq!(process.attribute(key::WORKER), Some(&worker_id.into()));
        assert_eq!(process.attribute(key::OUTCOME), None);
        assert_eq!(handler.span_id, id.derive_span_id(1, SpanPart::Handler));
        assert_eq!(handler.parent_span_id, Some(process.span_id));
        let wrap = named("wrap");
        assert_eq!(wrap.parent_span_id, Some(handler.span_id));
        assert_eq!(wrap.trace_id, process.trace_id);
        assert_eq!(wrap.attribute("boxes"), Some(&3_i64.into()));
        assert!(spans.iter().all(Span::is_open));

        bed.end.notify_one();
        running.await.unwrap().unwrap();
        until_open(&bed.folder, |spans| spans.is_empty()).await;
        assert!(bed.telemetry.shutdown(PATIENCE).await);
        for entry in std::fs::read_dir(&bed.folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("1111 1111"), "a card's number is in the log");
        }
    }
}

#[tokio::test]
async fn what_a_dropped_worker_ran_is_not_open_any_more() {
    let bed = Bed::new("1");
    bed.enqueue("pack").await;
    let running = tokio::spawn(bed.worker().run(std::future::pending()));
    until_open(&bed.folder, |spans| !spans.is_empty()).await;
    running.abort();
    until_open(&bed.folder, |spans| spans.is_empty()).await;
    assert!(bed.telemetry.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn short_jobs_are_not_mentioned() {
    let bed = Bed::new("1");
    for _job in 0..20 {
        bed.enqueue("short").await;
    }
    bed.worker().run(std::future::pending()).await.unwrap();
    assert!(bed.telemetry.shutdown(PATIENCE).await);
    assert_eq!(open_now(&bed.folder), None);
}
