//! What can be seen of an attempt while it runs, by those who read the span log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{
    Attempt, JobError, JobRequest, MemoryStore, Producer, RawArgs, RawResult, Store, Worker,
};
use longshore_core::id::SpanPart;
use longshore_core::{Clock, Random, SystemClock, SystemRandom, Timestamp};
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

#[tokio::test]
async fn a_long_job_shows_in_the_span_log_while_it_runs() {
    let number = SystemRandom.next_u64();
    let folder = std::env::temp_dir().join(format!("longshore-running-{number:016x}"));
    // Sampled or not, kept in the end or not: who looks on this machine sees it.
    for ratio in ["1", "0"] {
        let environment = Environment::from_pairs([
            ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.to_str().unwrap()),
            ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", ratio),
        ]);
        let config = Config::load(&[], &environment, &[]).unwrap();
        let clock = Arc::new(SystemClock::new());
        let (telemetry, warnings) = Telemetry::init(&config.telemetry(), clock);
        assert_eq!(*warnings, []);
        let telemetry = Arc::new(telemetry);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let producer = Producer::new(Arc::clone(&store)).with_recorder(telemetry.recorder());
        let enqueued = producer.enqueue(JobRequest::new("orders", "pack")).await;
        let id = enqueued.unwrap().id().clone();
        let end = Arc::new(Notify::new());
        let handler = {
            let (telemetry, end) = (Arc::clone(&telemetry), Arc::clone(&end));
            move |_args: RawArgs, _attempt: Attempt| pack(Arc::clone(&telemetry), Arc::clone(&end))
        };
        let worker = Worker::builder(store)
            .queue("orders")
            .recorder(telemetry.recorder())
            .fallback(handler)
            .drain(true)
            .build()
            .unwrap();
        let worker_id = worker.id().as_str().to_owned();
        let running = tokio::spawn(worker.run(std::future::pending()));

        let spans = until_open(&folder, |spans| spans.len() == 3).await;
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
        assert!(spans.iter().all(|span| span.end == Timestamp::UNIX_EPOCH));
        assert!(spans.iter().all(|span| span.start > Timestamp::UNIX_EPOCH));

        end.notify_one();
        running.await.unwrap().unwrap();
        until_open(&folder, |spans| spans.is_empty()).await;
        assert!(telemetry.shutdown(PATIENCE).await);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("4111"), "a card's number is in the log");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
