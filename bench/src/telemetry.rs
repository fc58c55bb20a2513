//! Telemetry by itself: what one job's costs, what is encoded, stored and held for it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptOutcome, Clock, Job, JobId, JobState, NewJob, SpanContext, SpanId, SystemClock,
    SystemRandom, Timestamp, TraceFlags, TraceId, WorkerId,
};
use longshore_instrument::build::attempt_spans;
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::relation::{self, AttemptContext};
use longshore_instrument::{HandlerStart, Recorder, RootRequest, Span};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker, WorkerBuilder};
use longshore_telemetry::Telemetry;
use longshore_telemetry::encode::{Resource, request};
use tokio::sync::{Semaphore, oneshot};

use crate::Folder;
use crate::allocator::{allocations, bytes_in_use};
use crate::direct::{KIND, QUEUE};
use crate::measure::{Samples, Table};
use crate::sink::Sink;
use crate::store;
use crate::{bridge, flood, redaction, storage, worker};

/// Where an attempt's telemetry and its parts are measured.
pub async fn rows(folder: &Folder) -> Result<()> {
    let mut table = Table::new(
        "Telemetry of one no-op job, no store and no worker around it",
        &["trace", "ns", "allocations"],
    );
    for (name, ratio) in [("not sampled", 0.0), ("sampled, its spans built", 1.0)] {
        let cost = telemetry_of_one_job(ratio).await?;
        table.row(vec![
            name.to_owned(),
            cost.nanoseconds.cell(0),
            format!("{:.1}", cost.allocations),
        ]);
    }
    table.print();
    storage::rows().await?;
    let spans = engine_spans()?;
    encode_rows(&spans)?;
    redaction::rows(&spans);
    bridge::rows().await?;
    flood::rows(&spans).await?;
    stored_rows(folder).await?;
    memory_rows(folder).await
}

/// What the telemetry of one job costs.
struct Cost {
    nanoseconds: Samples,
    allocations: f64,
}

/// The decision about a new trace, the context of the attempt, the scope of its handler and, if
/// it is sampled, its spans.
async fn telemetry_of_one_job(ratio: f64) -> Result<Cost> {
    // The spans of one try fit into the exporter's queue.
    const ROUNDS: u32 = 2_000;
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(ratio, &sink)?;
    let recorder = telemetry.recorder();
    let worker = WorkerId::new("longshore-bench");
    let job = running_job(&*recorder, &worker);
    let mut nanoseconds = Vec::new();
    let mut allocated = 0;
    for _try in 0..50 {
        let before = allocations();
        let started = Instant::now();
        for _round in 0..ROUNDS {
            one_job(&*recorder, std::hint::black_box(&job), &worker);
        }
        nanoseconds.push(started.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
        allocated = allocations() - before;
        telemetry.flush(Duration::from_secs(10)).await;
    }
    Ok(Cost {
        nanoseconds: nanoseconds.into_iter().collect(),
        allocations: allocated as f64 / f64::from(ROUNDS),
    })
}

fn one_job(recorder: &dyn Recorder, job: &Job, worker: &WorkerId) {
    let at = job.enqueued_at;
    let trace_id = job.id.derive_trace_id(0, None);
    std::hint::black_box(recorder.decide_root(&root_request(job, trace_id)));
    let context = attempt_context(job, at, recorder);
    let scope = recorder.open_handler(handler_start(job, &context));
    if let Some(scope) = &scope {
        scope.within(&mut || ());
        scope.end(at, None);
    }
    if context.is_sampled() {
        let facts = AttemptFacts {
            handler_is_live: true,
            ..facts(job, &context, worker, at)
        };
        recorder.record(attempt_spans(&facts));
    }
}

fn handler_start(job: &Job, context: &AttemptContext) -> HandlerStart {
    HandlerStart {
        parent: context.process.clone(),
        context: SpanContext {
            span_id: job.id.derive_span_id(job.claim, SpanPart::Handler),
            ..context.process.clone()
        },
        job_id: job.id.clone(),
        kind: job.kind.clone(),
        queue: job.queue.clone(),
        attempt: job.attempt,
        at: job.enqueued_at,
    }
}

/// A batch of spans of many attempts.
fn engine_spans() -> Result<Vec<Span>> {
    const ATTEMPTS: usize = 128;
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(1.0, &sink)?;
    let recorder = &*telemetry.recorder();
    let worker = WorkerId::new("longshore-bench");
    let of_attempt = |_| {
        let job = running_job(recorder, &worker);
        let at = job.enqueued_at;
        let context = attempt_context(&job, at, recorder);
        attempt_spans(&facts(&job, &context, &worker, at))
    };
    Ok((0..ATTEMPTS).flat_map(of_attempt).collect())
}

/// Such a batch as OTLP, and one of storage spans.
fn encode_rows(spans: &[Span]) -> Result<()> {
    let sink = Sink::start()?;
    let telemetry = worker::telemetry(1.0, &sink)?;
    let of_storage = storage::spans(&*telemetry.recorder(), spans.len())?;
    let resource = Resource::new([("service.name".to_owned(), "bench".to_owned())]);
    let mut table = Table::new(
        format!("A batch of {} spans as OTLP, for each span", spans.len()),
        &["spans", "encode ns", "bytes", "bytes, gzip"],
    );
    for (name, spans) in [("of attempts", spans), ("of storage", &of_storage)] {
        let nanoseconds: Samples = (0..500)
            .map(|_| {
                let started = Instant::now();
                std::hint::black_box(request(&resource, std::hint::black_box(spans)));
                started.elapsed().as_nanos() as f64 / spans.len() as f64
            })
            .collect();
        let bytes = request(&resource, spans);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes)?;
        table.row(vec![
            name.to_owned(),
            nanoseconds.cell(0),
            (bytes.len() / spans.len()).to_string(),
            (gzip.finish()?.len() / spans.len()).to_string(),
        ]);
    }
    table.print();
    Ok(())
}

/// What tracing adds to the record of a job that has run once.
async fn stored_rows(folder: &Folder) -> Result<()> {
    let none = stored_bytes(&folder.fresh(), None, 1, false).await?;
    let mut table = Table::new(
        "Trace metadata in the record of a job that has run once",
        &["trace", "bytes"],
    );
    for (name, ratio, batch, caller) in [
        ("sampled, a single job", 1.0, 1, false),
        ("sampled, of a batch of 100", 1.0, 100, false),
        ("not sampled, a single job", 0.0, 1, false),
        ("not sampled, of a batch of 100", 0.0, 100, false),
        (
            "not sampled, of a batch of 100, enqueued within a span",
            0.0,
            100,
            true,
        ),
    ] {
        let bytes = stored_bytes(&folder.fresh(), Some(ratio), batch, caller).await?;
        table.row(vec![name.to_owned(), format!("{:.0}", bytes - none)]);
    }
    table.print();
    Ok(())
}

/// A producer and a worker on a fresh store, with telemetry or without.
struct Rig {
    producer: Producer,
    worker: WorkerBuilder,
    telemetry: Option<Telemetry>,
    /// Where the spans go, for as long as this is there.
    _sink: Sink,
}

impl Rig {
    fn new(path: &Path, ratio: Option<f64>) -> Result<Self> {
        let store = store::open(path)?;
        let sink = Sink::start()?;
        let telemetry = ratio.map(|ratio| worker::telemetry(ratio, &sink));
        let telemetry = telemetry.transpose()?;
        let mut producer = Producer::new(Arc::clone(&store));
        let mut worker = Worker::builder(store).queue(QUEUE);
        if let Some(telemetry) = &telemetry {
            producer = producer.with_recorder(telemetry.recorder());
            worker = worker.recorder(telemetry.recorder());
        }
        Ok(Self {
            producer,
            worker,
            telemetry,
            _sink: sink,
        })
    }
}

async fn stored_bytes(path: &Path, ratio: Option<f64>, batch: usize, caller: bool) -> Result<f64> {
    let rig = Rig::new(path, ratio)?;
    let span = SpanContext::new(
        TraceId::generate(&SystemRandom),
        SpanId::generate(&SystemRandom),
        TraceFlags::RANDOM,
    );
    let request = |_| match JobRequest::new(QUEUE, KIND) {
        request if caller => request.context(span.clone()),
        request => request,
    };
    rig.producer
        .enqueue_many((0..batch).map(request).collect())
        .await?;
    let worker = rig.worker.drain(true);
    let worker = worker.handler(KIND, async |(): (), _attempt| Ok::<(), JobError>(()));
    let worker = worker.build().context("the worker cannot be built")?;
    worker.run(std::future::pending()).await?;
    let bytes = "SELECT avg(length(ifnull(envelope, '')) + length(ifnull(keep, ''))
                   + length(ifnull(history, ''))) FROM longshore_job";
    Ok(rusqlite::Connection::open(path)?.query_row(bytes, [], |row| row.get(0))?)
}

/// What a running job takes in the worker's memory.
async fn memory_rows(folder: &Folder) -> Result<()> {
    let mut table = Table::new(
        "Memory of a job while its handler runs, 10,000 of them at a time",
        &["trace", "bytes"],
    );
    for (name, ratio) in [
        ("no telemetry", None),
        ("not sampled", Some(0.0)),
        ("sampled", Some(1.0)),
    ] {
        let bytes = bytes_in_flight(&folder.fresh(), ratio).await?;
        table.row(vec![name.to_owned(), bytes.to_string()]);
    }
    table.print();
    Ok(())
}

async fn bytes_in_flight(path: &Path, ratio: Option<f64>) -> Result<usize> {
    const JOBS: usize = 10_000;
    let rig = Rig::new(path, ratio)?;
    for _batch in 0..JOBS / 100 {
        let requests = (0..100).map(|_| JobRequest::new(QUEUE, KIND)).collect();
        rig.producer.enqueue_many(requests).await?;
    }
    let doors = Arc::new((Semaphore::new(0), Semaphore::new(0)));
    let worker = rig
        .worker
        .concurrency(JOBS)
        .handler_with(KIND, Arc::clone(&doors), wait_at_doors)
        .build()
        .context("the worker cannot be built")?;
    let before = bytes_in_use();
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run(async {
        let _stopped = stopped.await;
    }));
    let (arrived, leave) = &*doors;
    arrived.acquire_many(u32::try_from(JOBS)?).await?.forget();
    if let Some(telemetry) = &rig.telemetry {
        telemetry.flush(Duration::from_secs(10)).await;
    }
    let bytes = bytes_in_use().saturating_sub(before) / JOBS;
    leave.add_permits(JOBS);
    let _worker_is_there = stop.send(());
    worker.await??;
    Ok(bytes)
}

/// Says that it is there, and waits until it may go.
async fn wait_at_doors(
    doors: Arc<(Semaphore, Semaphore)>,
    _args: (),
    _attempt: Attempt,
) -> Result<(), JobError> {
    doors.0.add_permits(1);
    let _open = doors.1.acquire().await;
    Ok(())
}

pub fn attempt_context(job: &Job, at: Timestamp, recorder: &dyn Recorder) -> AttemptContext {
    let decide = |trace_id| recorder.decide_root(&root_request(job, trace_id));
    let failed = |failure| recorder.propagation_failed(failure);
    relation::attempt_context(job, at, decide, failed)
}

fn root_request(job: &Job, trace_id: TraceId) -> RootRequest<'_> {
    RootRequest {
        trace_id,
        queue: &job.queue,
        kind: Some(&job.kind),
        priority: job.priority,
        tenant_id: None,
        namespace: None,
        route: None,
        jobs: 1,
    }
}

pub fn facts<'a>(
    job: &'a Job,
    context: &'a AttemptContext,
    worker: &'a WorkerId,
    at: Timestamp,
) -> AttemptFacts<'a> {
    AttemptFacts {
        job,
        context,
        worker,
        claimed_at: at,
        handler: Some((at, at)),
        handler_is_live: false,
        settle: Some((at, at)),
        ended_at: at,
        outcome: AttemptOutcome::Completed,
        to_state: JobState::Completed,
        error_class: None,
        error_message: None,
        retry_delay: None,
        previous: None,
        rebuilt: false,
    }
}

pub fn running_job(recorder: &dyn Recorder, worker: &WorkerId) -> Job {
    let now = SystemClock::new().now();
    let id = JobId::generate(now, &SystemRandom);
    let queue = QUEUE.parse().expect("a good name");
    let kind = KIND.parse().expect("a good name");
    let mut job = Job::from_new(NewJob::new(id, queue, kind, "null"), now);
    let trace_id = job.id.derive_trace_id(0, None);
    let span_id = job.id.derive_span_id(0, SpanPart::Enqueue);
    let decision = recorder.decide_root(&root_request(&job, trace_id));
    let root = relation::root(trace_id, span_id, &decision);
    job.trace.traceparent = Some(root.traceparent());
    job.trace.tracestate = root.trace_state;
    job.apply_claim(worker, now.after(Duration::from_secs(30)), now);
    job
}
