//! A producer and a worker on a store in a file, with telemetry that leaves over a line that can
//! fail.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, RetryPolicy, Store, SystemClock};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_sqlite::{SqliteOptions, SqliteStore};
use longshore_telemetry::{Config, Counters, Environment, Telemetry, TelemetrySettings, Warning};
use longshore_testkit::ManualClock;
use longshore_testkit::collector::{Collector, Protocol};
use longshore_testkit::faulty_line::FaultyLine;

use crate::log_lines;

/// Long enough for a loaded machine, never waited for in full unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes away with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        use longshore_core::Random;
        let number = longshore_core::SystemRandom.next_u64();
        let path = std::env::temp_dir().join(format!("longshore-faults-{number:016x}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Threads of a store and of telemetry may still close their files.
        for _try in 0..1000 {
            let _not_yet = std::fs::remove_dir_all(&self.0);
            if !self.0.exists() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// How spans leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) protocol: Protocol,
    /// Whether they are written to a span log first.
    pub(crate) logged: bool,
}

impl Way {
    /// By each protocol, with a span log and without.
    pub(crate) const ALL: [Self; 4] = [
        Self::of(Protocol::Http, false),
        Self::of(Protocol::Http, true),
        Self::of(Protocol::Grpc, false),
        Self::of(Protocol::Grpc, true),
    ];

    pub(crate) const fn of(protocol: Protocol, logged: bool) -> Self {
        Self { protocol, logged }
    }
}

pub(crate) struct Bed {
    pub(crate) way: Way,
    pub(crate) collector: Collector,
    pub(crate) line: FaultyLine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) telemetry: Telemetry,
    /// The receiver, as log lines name it.
    host: String,
    /// Log lines of tests before, whose receivers may have had the same port.
    lines_before: usize,
    store: Arc<dyn Store>,
    folder: Folder,
}

impl Bed {
    pub(crate) fn new(way: Way, change: impl FnOnce(&mut TelemetrySettings)) -> Self {
        Self::before(way, |_, settings| change(settings))
    }

    /// The same, with settings that depend on the collector.
    pub(crate) fn before(
        way: Way,
        change: impl FnOnce(&Collector, &mut TelemetrySettings),
    ) -> Self {
        let (bed, warnings) = Self::open(way, change);
        assert_eq!(warnings, []);
        bed
    }

    /// The same with what telemetry had to say about its settings.
    pub(crate) fn open(
        way: Way,
        change: impl FnOnce(&Collector, &mut TelemetrySettings),
    ) -> (Self, Vec<Warning>) {
        log_lines::listen();
        let lines_before = log_lines::count();
        let folder = Folder::new();
        let collector = Collector::start().unwrap();
        let line = FaultyLine::to(collector.address()).unwrap();
        let url = format!("sqlite:{}", folder.0.join("jobs.db").display());
        let store = SqliteStore::open(SqliteOptions::from_url(&url).unwrap()).unwrap();
        let log = folder.0.join("spans");
        let mut settings = settings(way, &line.endpoint(), log.to_str().unwrap());
        change(&collector, &mut settings);
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let (telemetry, warnings) = Telemetry::init(&settings, clock.clone());
        let host = settings.endpoint.url.split('/').nth(2).unwrap().to_owned();
        let bed = Self {
            way,
            host,
            lines_before,
            collector,
            line,
            clock,
            telemetry,
            store: Arc::new(store),
            folder,
        };
        (bed, warnings)
    }

    /// The folder of the span log, if it was not put elsewhere.
    pub(crate) fn span_log(&self) -> PathBuf {
        self.folder.0.join("spans")
    }

    /// Enqueues so many jobs and runs them to their end. Every tenth fails once before.
    pub(crate) async fn run_jobs(&self, jobs: u64) {
        let recorder = self.telemetry.recorder();
        let producer = Producer::new(Arc::clone(&self.store)).with_recorder(recorder);
        let request = |number| JobRequest::new("orders", "pack").args(&number);
        let requests = (0..jobs).map(request).collect();
        for answer in producer.enqueue_many(requests).await.unwrap() {
            answer.unwrap();
        }
        let worker = Worker::builder(Arc::clone(&self.store))
            .queue("orders")
            .handler("pack", pack)
            .retry(RetryPolicy::fixed(Duration::from_millis(1)))
            .recorder(self.telemetry.recorder())
            .concurrency(32)
            .drain(true)
            .build()
            .unwrap();
        let report = worker.run(std::future::pending()).await.unwrap();
        assert_eq!(report.completed, jobs, "{:?}", self.way);
    }

    /// Waits until everything that can leave has left; every span that was made is accounted for.
    pub(crate) async fn sent(&self) -> Counters {
        assert!(self.telemetry.flush(PATIENCE).await, "{:?}", self.way);
        let counters = self.telemetry.counters();
        assert_eq!(counters.waiting(), 0, "{:?}: {counters:?}", self.way);
        let made = counters.exported + counters.dropped_total();
        assert_eq!(made, counters.created, "{:?}: {counters:?}", self.way);
        counters
    }

    /// The same, and what was taken by the receiver is there.
    pub(crate) async fn assert_accounted(&self) -> Counters {
        let counters = self.sent().await;
        let arrived = self.arrived() as u64;
        assert_eq!(arrived, counters.exported, "{:?}: {counters:?}", self.way);
        counters
    }

    /// How many spans arrived, each counted once.
    pub(crate) fn arrived(&self) -> usize {
        let spans = self.collector.spans();
        let ids = spans.iter().map(|span| (span.trace_id, span.span_id));
        ids.collect::<BTreeSet<_>>().len()
    }

    /// How many spans arrived more often than once.
    pub(crate) fn duplicates(&self) -> usize {
        self.collector.spans().len() - self.arrived()
    }

    /// Warnings about this receiver.
    pub(crate) fn warnings(&self) -> usize {
        log_lines::since(self.lines_before, &self.host, "once a minute at most")
    }

    /// Requests that failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.telemetry.counters().export_errors.values().sum()
    }
}

/// Waits, without a fixed time, until something holds.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !what() {
        assert!(clock.monotonic() < PATIENCE, "it never came about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn settings(way: Way, endpoint: &str, log: &str) -> TelemetrySettings {
    let protocol = match way.protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http/protobuf",
    };
    let mut pairs = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let log = if way.logged { log } else { "off" };
    pairs.push(("LONGSHORE_TELEMETRY_SPAN_LOG", log));
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    assert_eq!(config.warnings(), []);
    config.telemetry()
}

/// The card that handlers log, which nobody may see.
pub(crate) const CARD: &str = "4111 1111 1111 1111";

async fn pack(number: u64, attempt: Attempt) -> Result<(), JobError> {
    tracing::info!(target: "shop", number, card = CARD, "packing for ann@example.com");
    if number.is_multiple_of(10) && attempt.number() == 1 {
        return Err(JobError::retry("planned", "every tenth fails once"));
    }
    Ok(())
}
