//! The processes of the experiment.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use longshore_core::{RetryPolicy, SystemClock};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_telemetry::{Config, Environment, Telemetry};
use opentelemetry::trace::Tracer;

use super::place::Place;
use super::plan::{OBJECTIVE_MS, Plan};

const KIND: &str = "job";
/// Jobs enqueued in one call, of which every other part of the jobs comes.
const TOGETHER: u64 = 5;
/// The longest time in which everything must have left at the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether everything has left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn config(place: &Place) -> Result<Config> {
    let objective = format!("{OBJECTIVE_MS}ms");
    let log = place.folder.join("spans");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", place.receiver.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
        ("LONGSHORE_TELEMETRY_RUN_OBJECTIVE", &objective),
        (
            "LONGSHORE_TELEMETRY_SPAN_LOG",
            log.to_str().context("no text")?,
        ),
    ];
    Ok(Config::load(&[], &Environment::from_pairs(pairs), &[])?)
}

fn telemetry(config: &Config) -> Result<Telemetry> {
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    for warning in config.warnings().iter().chain(&warnings) {
        bail!("{warning}");
    }
    Ok(telemetry)
}

/// Enqueues its half of the jobs, some one by one and some together.
pub async fn produce(place: &Place, seed: u64, part: u64, jobs: u64) -> Result<()> {
    let telemetry = telemetry(&config(place)?)?;
    let producer = Producer::new(place.open()?).with_recorder(telemetry.recorder());
    let mut together = Vec::new();
    for number in (part..jobs).step_by(2) {
        let plan = Plan::new(seed, number, jobs);
        let request = JobRequest::new(place.queue.as_str(), KIND)
            .args(&plan)
            .delay(Duration::from_millis(plan.delay));
        if (number / TOGETHER).is_multiple_of(4) {
            producer.enqueue(request).await?;
        } else {
            together.push(request);
        }
        if together.len() as u64 >= TOGETHER {
            enqueue_all(&producer, &mut together).await?;
        }
    }
    enqueue_all(&producer, &mut together).await?;
    if !telemetry.shutdown(PATIENCE).await {
        bail!("the producer lost spans: {:?}", telemetry.counters());
    }
    Ok(())
}

async fn enqueue_all(producer: &Producer, requests: &mut Vec<JobRequest>) -> Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    for answer in producer.enqueue_many(std::mem::take(requests)).await? {
        answer?;
    }
    Ok(())
}

/// Runs jobs until its standard input ends.
pub async fn work(place: &Place) -> Result<()> {
    let telemetry = telemetry(&config(place)?)?;
    telemetry.install_global();
    let worker = Worker::builder(place.open()?)
        .queue(place.queue.as_str())
        .handler(KIND, handle)
        .retry(RetryPolicy::fixed(Duration::from_millis(300)))
        .recorder(telemetry.recorder())
        .concurrency(64)
        .lease(Duration::from_secs(2))
        .build()?;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _closed = std::io::stdin().read_to_end(&mut Vec::new());
        let _nobody_waits = end.send(());
    });
    worker
        .run(async {
            let _closed = ended.await;
        })
        .await?;
    if !telemetry.shutdown(PATIENCE).await {
        bail!("the worker lost spans: {:?}", telemetry.counters());
    }
    Ok(())
}

async fn handle(plan: Plan, attempt: Attempt) -> Result<(), JobError> {
    let tracer = opentelemetry::global::tracer("keep");
    let span = tracer.start("work");
    let snoozed = attempt.job().claim.saturating_sub(attempt.number());
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(span);
    if snoozed < plan.snoozes {
        return Err(JobError::snooze(Duration::from_millis(200)));
    }
    if attempt.number() <= plan.failures {
        return Err(JobError::retry("planned", "as its plan says"));
    }
    tokio::time::sleep(Duration::from_millis(plan.work)).await;
    Ok(())
}

/// Sends what killed workers left, until nothing is left.
pub async fn sweep(place: &Place) -> Result<()> {
    let config = config(place)?;
    let log = config.telemetry().span_log.context("no span log")?;
    let telemetry = telemetry(&config)?;
    let since = Instant::now();
    while log.holdings()?.unshipped_bytes > 0 {
        if since.elapsed() > PATIENCE || !telemetry.flush(PATIENCE).await {
            bail!("what was left cannot be sent: {:?}", telemetry.counters());
        }
        // Files are taken over about once a second.
        tokio::time::sleep(LOOK_EVERY).await;
    }
    telemetry.shutdown(PATIENCE).await;
    Ok(())
}
