//! Longshore: the store alone, producer and worker together, and the telemetry alone.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use longshore_core::{
    AttemptOutcome, ClaimRequest, Clock, Job, JobId, JobState, NewJob, Outcome, Settlement, Store,
    SystemClock, SystemRandom, Timestamp, TraceId, WorkerId, id::SpanPart,
};
use longshore_instrument::build::attempt_spans;
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::relation::{self, AttemptContext};
use longshore_instrument::{Recorder, RootRequest};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_telemetry::{Config, Environment, Telemetry};

use crate::measure::{Rate, Stopwatch, allocations};
use crate::recorder::Discarding;
use crate::sink::Sink;

pub const QUEUE: &str = "bench";
pub const KIND: &str = "noop";

pub fn open(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(SqliteOptions::at(path))?))
}

pub async fn new_jobs(store: &dyn Store, count: usize) -> Result<Vec<NewJob>> {
    let ids = store.mint(count).await?;
    ids.into_iter()
        .map(|id| Ok(NewJob::new(id, QUEUE.parse()?, KIND.parse()?, "null")))
        .collect()
}

/// One caller of the store: enqueues everything, then claims and settles everything.
pub async fn store(path: &Path, jobs: usize, batch: usize) -> Result<Rate> {
    let store = open(path)?;
    let whole = Stopwatch::start();
    let watch = Stopwatch::start();
    enqueue(&*store, jobs, batch).await?;
    let enqueue_per_second = watch.per_second(jobs);
    let watch = Stopwatch::start();
    drain(&*store, jobs, batch).await?;
    Ok(Rate {
        enqueue_per_second,
        drain_per_second: watch.per_second(jobs),
        cpu_us: whole.cpu_us(jobs),
    })
}

pub async fn enqueue(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let mut made = 0;
    while made < jobs {
        let count = batch.min(jobs - made);
        let answers = store.enqueue(new_jobs(store, count).await?).await?;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
        made += count;
    }
    Ok(())
}

pub async fn drain(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let mut request = ClaimRequest {
        queues: vec![QUEUE.parse()?],
        limit: batch,
        lease: Duration::from_secs(30),
        worker: WorkerId::new("longshore-bench"),
        turn: 0,
    };
    let mut done = 0;
    while done < jobs {
        let claimed = store.claim(&request).await?;
        request.turn += claimed.len() as u64;
        let settlements: Vec<Settlement> = claimed
            .into_iter()
            .map(|claimed| Settlement {
                job_id: claimed.lease.job_id,
                token: claimed.lease.token,
                outcome: Outcome::Complete { result: None },
                follow_ups: Vec::new(),
                keep: None,
                span: None,
            })
            .collect();
        if settlements.is_empty() {
            bail!("the store ran out of jobs after {done} of {jobs}");
        }
        done += settlements.len();
        let answers = store.settle(settlements).await?;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
    }
    Ok(())
}

/// What producer and worker together came to.
pub struct EndToEnd {
    pub single_per_second: f64,
    pub enqueue_cpu_us: f64,
    pub rate: Rate,
    /// Spans that the back end took.
    pub exported: u64,
    /// Spans dropped, for whatever reason.
    pub dropped: u64,
}

async fn noop(_args: (), _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

/// A producer and then a worker of 100 handlers at a time. `ratio`: none for no telemetry.
pub async fn end_to_end(
    path: &Path,
    jobs: usize,
    singles: usize,
    ratio: Option<f64>,
) -> Result<EndToEnd> {
    let store = open(path)?;
    let sink = Sink::start()?;
    let telemetry = ratio.map(|ratio| telemetry(ratio, &sink)).transpose()?;
    let mut producer = Producer::new(Arc::clone(&store));
    if let Some(telemetry) = &telemetry {
        producer = producer.with_recorder(telemetry.recorder());
    }
    let watch = Stopwatch::start();
    for _job in 0..singles {
        producer.enqueue(JobRequest::new(QUEUE, KIND)).await?;
    }
    let single_per_second = watch.per_second(singles);
    let watch = Stopwatch::start();
    for _batch in 0..jobs / 100 {
        let requests = (0..100).map(|_| JobRequest::new(QUEUE, KIND)).collect();
        producer.enqueue_many(requests).await?;
    }
    let enqueue_per_second = watch.per_second(jobs);
    let enqueue_cpu_us = watch.cpu_us(jobs);
    let mut builder = Worker::builder(store)
        .queue(QUEUE)
        .concurrency(100)
        .drain(true)
        .handler(KIND, noop);
    if let Some(telemetry) = &telemetry {
        builder = builder.recorder(telemetry.recorder());
    }
    let worker = builder.build().context("the worker cannot be built")?;
    let watch = Stopwatch::start();
    let report = worker.run(std::future::pending()).await?;
    let rate = Rate {
        enqueue_per_second,
        drain_per_second: watch.per_second(jobs + singles),
        cpu_us: watch.cpu_us(jobs + singles),
    };
    if report.completed != (jobs + singles) as u64 {
        bail!(
            "{} of {} jobs were completed",
            report.completed,
            jobs + singles
        );
    }
    let (mut exported, mut dropped) = (0, 0);
    if let Some(telemetry) = telemetry {
        telemetry.shutdown(Duration::from_secs(30)).await;
        exported = telemetry.counters().exported;
        dropped = telemetry.counters().dropped_total();
    }
    Ok(EndToEnd {
        single_per_second,
        enqueue_cpu_us,
        rate,
        exported,
        dropped,
    })
}

/// Telemetry as users have it, over HTTP to a receiver that keeps nothing.
fn telemetry(ratio: f64, sink: &Sink) -> Result<Telemetry> {
    let ratio = ratio.to_string();
    let environment = Environment::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", ratio.as_str()),
    ]);
    let settings = Config::load(&[], &environment, &[])?.telemetry();
    let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(telemetry)
}

/// What the telemetry of one attempt costs.
pub struct Cost {
    pub nanoseconds: f64,
    pub allocations: f64,
}

/// Where an attempt stands among traces and, if it is sampled, its spans.
pub fn telemetry_of_one_attempt(sampled: bool) -> Cost {
    const ROUNDS: u32 = 200_000;
    let recorder = Discarding::new(if sampled { 1.0 } else { 0.0 });
    let worker = WorkerId::new("longshore-bench");
    let job = running_job(&recorder, &worker);
    let at = job.enqueued_at;
    let before = allocations();
    let started = Instant::now();
    for _round in 0..ROUNDS {
        let context = attempt_context(std::hint::black_box(&job), at, &recorder);
        if context.is_sampled() {
            let spans = attempt_spans(&facts(&job, &context, &worker, at));
            recorder.record(std::hint::black_box(spans));
        }
    }
    Cost {
        nanoseconds: started.elapsed().as_nanos() as f64 / f64::from(ROUNDS),
        allocations: (allocations() - before) as f64 / f64::from(ROUNDS),
    }
}

fn attempt_context(job: &Job, at: Timestamp, recorder: &Discarding) -> AttemptContext {
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
    }
}

fn facts<'a>(
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
        retry_delay: None,
        settle_error: None,
        previous: None,
        rebuilt: false,
    }
}

fn running_job(recorder: &Discarding, worker: &WorkerId) -> Job {
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
    job.apply_claim(worker, now.after(Duration::from_secs(30)), now);
    job
}
