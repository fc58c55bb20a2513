//! Programs that jobs run, whose spans come back from outside: they leave with their job or not at
//! all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{
    Attempt, JobError, JobRequest, MemoryStore, Producer, RawArgs, RawResult, Store, Worker,
};
use longshore_core::id::SpanPart;
use longshore_core::{JobId, SpanContext, SpanId, SystemClock, Timestamp};
use longshore_instrument::table::name;
use longshore_instrument::{Attribute, Dropped, Resource, Span, SpanKind, SpanStatus, relation};
use longshore_testkit::collector::Collector;

const PATIENCE: Duration = Duration::from_secs(60);
const CARD: &str = "4111 1111 1111 1111";

/// What a program's exporter sends that was handed this context: the inner span first, as it ended
/// first. `first` and the next number are their ids.
fn program(context: &SpanContext, first: u64) -> Vec<Span> {
    let attributes = vec![Attribute::new("service.name", "script")];
    let resource = Arc::new(Resource { attributes });
    let span = |number, parent, name: &'static str| Span {
        trace_id: context.trace_id,
        span_id: SpanId::from_u64(number),
        parent_span_id: Some(parent),
        parent_is_remote: parent == context.span_id,
        flags: context.flags,
        trace_state: context.trace_state.clone(),
        name: name.into(),
        kind: SpanKind::Internal,
        start: Timestamp::from_unix_millis(1_000),
        end: Timestamp::from_unix_millis(2_000),
        attributes: vec![Attribute::new("note", CARD)],
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: "script".into(),
        dropped: Dropped::default(),
        resource: Some(Arc::clone(&resource)),
    };
    let outer = SpanId::from_u64(first);
    vec![
        span(first + 1, outer, "inner"),
        span(first, context.span_id, "outer"),
    ]
}

/// Jobs are told by their args: whether to fail, and a number for the spans of their program.
struct Bed {
    telemetry: Arc<Telemetry>,
    producer: Producer,
    /// The contexts that were lent.
    lent: Mutex<Vec<(u64, SpanContext)>>,
}

impl Bed {
    async fn run(&self, args: &[u8], attempt: &Attempt) -> Result<(), JobError> {
        let (fails, number): (bool, u64) = serde_json::from_slice(args).unwrap();
        let lent = self.telemetry.lend(attempt.context().unwrap());
        assert!(lent.flags.is_sampled(), "else the program makes no spans");
        let mut spans = program(&lent, number);
        let outer = spans.pop().unwrap();
        assert_eq!(self.telemetry.adopt(spans).dropped_total(), 0);
        // What it enqueues by that context is the job's child, and no more sampled than the job.
        let child = JobRequest::new("later", "child").context(outer.context());
        self.producer.enqueue(child).await.unwrap();
        assert_eq!(self.telemetry.adopt(vec![outer]).dropped_total(), 0);
        self.lent.lock().unwrap().push((number, lent));
        if fails {
            return Err(JobError::discard("planned", "it was told to"));
        }
        Ok(())
    }
}

async fn bed(ratio: &str, jobs: &[(bool, u64)]) -> (Collector, Arc<Bed>, Vec<JobId>) {
    let collector = Collector::start().unwrap();
    let endpoint = collector.grpc_endpoint();
    let environment = Environment::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("LONGSHORE_TELEMETRY_SAMPLING_RATIO", ratio),
    ]);
    let config = Config::load(&[], &environment, &[]).unwrap();
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    assert_eq!(*warnings, []);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bed = Arc::new(Bed {
        producer: Producer::new(Arc::clone(&store)).with_recorder(telemetry.recorder()),
        telemetry: Arc::new(telemetry),
        lent: Mutex::default(),
    });
    // One call, so that all of them are in one trace.
    let request = |job: &(bool, u64)| JobRequest::new("orders", "exec").args(job);
    let requests = jobs.iter().map(request).collect();
    let enqueued = bed.producer.enqueue_many(requests).await.unwrap();
    let ids = enqueued.into_iter().map(|job| job.unwrap().id().clone());
    let ids = ids.collect();
    let for_handler = Arc::clone(&bed);
    let handler = move |args: RawArgs, attempt: Attempt| {
        let bed = Arc::clone(&for_handler);
        async move { bed.run(&args.0, &attempt).await.map(|()| RawResult(None)) }
    };
    let worker = Worker::builder(store)
        .queue("orders")
        .recorder(bed.telemetry.recorder())
        .fallback(handler)
        .drain(true)
        .build()
        .unwrap();
    worker.run(std::future::pending()).await.unwrap();
    (collector, bed, ids)
}

#[tokio::test]
async fn spans_of_a_program_leave_only_with_a_job_that_is_kept() {
    let jobs = [(false, 100), (true, 200), (false, 300), (true, 400)];
    let (collector, bed, ids) = bed("0", &jobs).await;
    // As a program ends that its job did not wait for.
    for (number, lent) in bed.lent.lock().unwrap().iter() {
        let late = program(lent, number + 50);
        assert_eq!(bed.telemetry.adopt(late).dropped_total(), 0);
    }
    assert!(bed.telemetry.shutdown(PATIENCE).await);
    let spans = collector.spans();
    let by_programs = spans.iter().filter(|span| span.scope == "script");
    let mut numbers: Vec<u64> = by_programs
        .clone()
        .map(|span| u64::from_be_bytes(span.span_id.to_bytes()))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [200, 201, 250, 251, 400, 401, 450, 451]);
    for span in by_programs {
        assert_eq!(span.trace_state.get("ot"), Some("th:0"));
        assert_eq!(relation::lender(&span.trace_state), None);
        assert!(!format!("{span:?}").contains("1111 1111"));
    }
    let outer = |number| {
        let id = SpanId::from_u64(number);
        spans.iter().find(|span| span.span_id == id).unwrap()
    };
    for (id, number) in [(&ids[1], 200), (&ids[3], 400)] {
        let handler = id.derive_span_id(1, SpanPart::Handler);
        assert_eq!(outer(number).parent_span_id, Some(handler));
        assert!(spans.iter().any(|span| span.span_id == handler));
    }
    // The jobs that the programs enqueued are no more sampled than theirs were.
    let children = spans.iter().filter(|span| {
        let queue = span.attribute(longshore_instrument::table::key::QUEUE);
        span.name == name::ENQUEUE && queue == Some(&"later".to_owned().into())
    });
    assert_eq!(children.count(), 0);
    assert_eq!(bed.telemetry.counters().waiting(), 0);
}

#[tokio::test]
async fn spans_of_a_program_leave_at_once_with_a_sampled_job() {
    let (collector, bed, _ids) = bed("1", &[(false, 100)]).await;
    assert!(bed.telemetry.shutdown(PATIENCE).await);
    let spans = collector.spans();
    let by_programs = spans.iter().filter(|span| span.scope == "script");
    assert_eq!(by_programs.count(), 2);
}
