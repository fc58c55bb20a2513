//! Producer and worker together, without tracing and with it.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use longshore_core::SystemClock;
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_telemetry::{Config, Environment, Telemetry};

use crate::Folder;
use crate::direct::{KIND, QUEUE};
use crate::measure::{Samples, Scale, Stopwatch, Table, Turns};
use crate::sink::Sink;
use crate::store::open;

/// What is run.
#[derive(Clone, Copy)]
pub struct Setup {
    /// `None` for no telemetry.
    pub tracing: Option<Tracing>,
    /// Jobs enqueued in calls of 100.
    pub jobs: usize,
    /// Jobs enqueued one by one before them.
    pub singles: usize,
    pub concurrency: usize,
    /// How often a handler turns its [`work`].
    pub turns: u64,
}

/// What it came to.
pub struct Run {
    pub single_per_second: f64,
    pub enqueue_per_second: f64,
    pub enqueue_cpu_us: f64,
    pub run_per_second: f64,
    /// CPU of this process for each job run, until its last span has left.
    pub run_cpu_us: f64,
    /// CPU of the receiver's process for each job.
    pub sink_cpu_us: f64,
    /// Spans that stand in the span log.
    pub logged: u64,
    /// Bytes of the span log for each job.
    pub log_bytes: f64,
    /// Spans that the receiver took.
    pub exported: u64,
    /// Spans dropped, for whatever reason.
    pub dropped: u64,
}

/// How telemetry is set up.
#[derive(Clone, Copy)]
pub struct Tracing {
    /// The share of traces that is sampled.
    pub ratio: f64,
    /// Whether failed and slow jobs are kept whatever the sampler says.
    pub keeps: bool,
    /// Whether the store's requests have spans.
    pub storage_spans: bool,
    pub way: Way,
}

/// Which way spans go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through memory to the receiver.
    Memory,
    /// Through a span log on disk to the receiver.
    LogAndExport,
    /// Into a span log on disk, and no further: as the command line does without an endpoint.
    Log,
}

impl Tracing {
    /// As it is unless users say otherwise.
    pub const fn of(ratio: f64) -> Self {
        Self {
            ratio,
            keeps: true,
            storage_spans: true,
            way: Way::Memory,
        }
    }

    /// The same without storage spans.
    const fn without_storage(self) -> Self {
        Self {
            storage_spans: false,
            ..self
        }
    }

    /// The same the other way.
    pub const fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }
}

const TRACING: [(&str, Option<Tracing>); 9] = [
    ("off", None),
    ("1 %", Some(Tracing::of(0.01))),
    (
        "1 %, without keeping",
        Some(Tracing {
            keeps: false,
            ..Tracing::of(0.01)
        }),
    ),
    (
        "1 %, without storage spans",
        Some(Tracing::of(0.01).without_storage()),
    ),
    ("100 %", Some(Tracing::of(1.0))),
    (
        "100 %, without storage spans",
        Some(Tracing::of(1.0).without_storage()),
    ),
    (
        "100 %, local span log alone",
        Some(Tracing::of(1.0).by(Way::Log)),
    ),
    (
        "the same, without storage spans",
        Some(Tracing::of(1.0).without_storage().by(Way::Log)),
    ),
    (
        "100 %, through a span log",
        Some(Tracing::of(1.0).by(Way::LogAndExport)),
    ),
];

/// No-op jobs, the tracing in turns.
pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let turns = Turns::take(TRACING.len(), scale.rounds(15), async |variant| {
        let setup = Setup {
            tracing: TRACING[variant].1,
            jobs: 30_000,
            singles: 500,
            concurrency: 100,
            turns: 0,
        };
        end_to_end(&folder.fresh(), setup).await
    })
    .await?;
    let mut table = Table::new(
        "No-op jobs end to end: producer, worker with 100 handlers at a time, SQLite",
        &[
            "tracing",
            "enqueue one by one/s",
            "enqueue by 100/s",
            "µs CPU each",
            "run/s",
            "µs CPU each",
            "the receiver's",
            "run/s, of off",
            "spans written down",
            "their bytes a job",
            "spans exported",
            "lost",
        ],
    );
    for (variant, (name, _)) in TRACING.into_iter().enumerate() {
        table.row(vec![
            name.to_owned(),
            turns.of(variant, |run| run.single_per_second).cell(0),
            turns.of(variant, |run| run.enqueue_per_second).cell(0),
            turns.of(variant, |run| run.enqueue_cpu_us).cell(1),
            turns.of(variant, |run| run.run_per_second).cell(0),
            turns.of(variant, |run| run.run_cpu_us).cell(1),
            turns.of(variant, |run| run.sink_cpu_us).cell(1),
            turns.ratio(variant, 0, |run| run.run_per_second).spread(2),
            sum(turns.runs(variant), |run| run.logged),
            turns.of(variant, |run| run.log_bytes).cell(0),
            sum(turns.runs(variant), |run| run.exported),
            sum(turns.runs(variant), |run| run.dropped),
        ]);
    }
    table.print();
    Ok(())
}

/// Jobs of a millisecond of CPU, without tracing and with all of it exported, in turns.
pub async fn rows_of_work(folder: &Folder, scale: Scale) -> Result<()> {
    let turns_of_work = turns_of(Duration::from_millis(1));
    let variants = [TRACING[0], ("100 %", Some(Tracing::of(1.0)))];
    let turns = Turns::take(variants.len(), scale.rounds(15), async |variant| {
        let setup = Setup {
            tracing: variants[variant].1,
            jobs: 1_000,
            singles: 0,
            concurrency: 10,
            turns: turns_of_work,
        };
        end_to_end(&folder.fresh(), setup).await
    })
    .await?;
    let mut table = Table::new(
        "Jobs of 1 ms of CPU, 10 at a time",
        &[
            "tracing",
            "run/s",
            "µs CPU each",
            "the receiver's",
            "run/s, of off",
        ],
    );
    for (variant, (name, _)) in variants.into_iter().enumerate() {
        table.row(vec![
            name.to_owned(),
            turns.of(variant, |run| run.run_per_second).cell(0),
            turns.of(variant, |run| run.run_cpu_us).cell(1),
            turns.of(variant, |run| run.sink_cpu_us).cell(1),
            turns.ratio(variant, 0, |run| run.run_per_second).spread(3),
        ]);
    }
    table.print();
    Ok(())
}

fn sum(runs: &[Run], of: impl Fn(&Run) -> u64) -> String {
    runs.iter().map(of).sum::<u64>().to_string()
}

/// Some arithmetic that cannot be shortened, so that it costs the same in every run.
fn work(turns: u64) {
    let mut state = black_box(88_172_645_463_325_252_u64);
    for _turn in 0..turns {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

/// How many turns take `time` on this machine, by the fastest of several tries.
fn turns_of(time: Duration) -> u64 {
    const TURNS: u64 = 1_000_000;
    let tries = (0..20).map(|_| {
        let started = Instant::now();
        work(TURNS);
        started.elapsed().as_secs_f64()
    });
    let fastest = tries.collect::<Samples>().quantile(0.0);
    (TURNS as f64 * time.as_secs_f64() / fastest) as u64
}

async fn handler(turns: u64, _args: (), _attempt: Attempt) -> Result<(), JobError> {
    work(turns);
    Ok(())
}

/// A producer and then a worker.
pub async fn end_to_end(path: &Path, setup: Setup) -> Result<Run> {
    let store = open(path)?;
    let sink = Sink::start()?;
    let spans = path.with_extension("spans");
    let telemetry = setup.tracing.map(|tracing| set_up(tracing, &sink, &spans));
    let telemetry = telemetry.transpose()?;
    let mut producer = Producer::new(Arc::clone(&store));
    let mut builder = Worker::builder(store)
        .queue(QUEUE)
        .concurrency(setup.concurrency)
        .drain(true)
        .handler_with(KIND, setup.turns, handler);
    if let Some(telemetry) = &telemetry {
        producer = producer.with_recorder(telemetry.recorder());
        builder = builder.recorder(telemetry.recorder());
    }
    let watch = Stopwatch::start();
    for _job in 0..setup.singles {
        producer.enqueue(JobRequest::new(QUEUE, KIND)).await?;
    }
    let single_per_second = watch.per_second(setup.singles);
    let watch = Stopwatch::start();
    for _batch in 0..setup.jobs / 100 {
        let requests = (0..100).map(|_| JobRequest::new(QUEUE, KIND)).collect();
        producer.enqueue_many(requests).await?;
    }
    let enqueue_per_second = watch.per_second(setup.jobs);
    let enqueue_cpu_us = watch.cpu_us(setup.jobs);
    let worker = builder.build().context("the worker cannot be built")?;
    let jobs = setup.jobs + setup.singles;
    let watch = Stopwatch::start();
    let report = worker.run(std::future::pending()).await?;
    let run_per_second = watch.per_second(jobs);
    if report.completed != jobs as u64 {
        bail!("{} of {jobs} jobs were completed", report.completed);
    }
    let (mut logged, mut exported, mut dropped) = (0, 0, 0);
    if let Some(telemetry) = telemetry {
        telemetry.shutdown(Duration::from_secs(30)).await;
        let counters = telemetry.counters();
        (logged, exported) = (counters.logged, counters.exported);
        dropped = counters.dropped_total();
    }
    let mut log_bytes = 0;
    if spans.exists() {
        for entry in std::fs::read_dir(&spans)? {
            log_bytes += entry?.metadata()?.len();
        }
        std::fs::remove_dir_all(&spans)?;
    }
    Ok(Run {
        single_per_second,
        enqueue_per_second,
        enqueue_cpu_us,
        run_per_second,
        run_cpu_us: watch.cpu_us(jobs),
        sink_cpu_us: sink.stop()?.as_secs_f64() * 1e6 / jobs as f64,
        logged,
        log_bytes: log_bytes as f64 / jobs as f64,
        exported,
        dropped,
    })
}

/// Telemetry as users have it, over HTTP to a receiver that keeps nothing.
pub fn telemetry(ratio: f64, sink: &Sink) -> Result<Telemetry> {
    set_up(Tracing::of(ratio), sink, Path::new(""))
}

/// The same, with a span log in the folder `spans` if it is to have one.
fn set_up(tracing: Tracing, sink: &Sink, spans: &Path) -> Result<Telemetry> {
    let ratio = tracing.ratio.to_string();
    let spans = spans.to_str().context("the folder's name is no text")?;
    let (exporter, spans) = match tracing.way {
        Way::Memory => ("otlp", ""),
        Way::LogAndExport => ("otlp", spans),
        Way::Log => ("none", spans),
    };
    let environment = Environment::from_pairs([
        ("OTEL_TRACES_EXPORTER", exporter),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", ratio.as_str()),
        (
            "LONGSHORE_TELEMETRY_KEEP",
            if tracing.keeps { "true" } else { "false" },
        ),
        (
            "LONGSHORE_TELEMETRY_STORAGE_SPANS",
            if tracing.storage_spans {
                "true"
            } else {
                "false"
            },
        ),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", spans),
    ]);
    let settings = Config::load(&[], &environment, &[])?.telemetry();
    let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(telemetry)
}
