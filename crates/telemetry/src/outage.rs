//! An hour without a receiver, in simulated time: how often it is asked, what waits meanwhile and
//! how much of that there may be, and that all of it leaves when the hour is over.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{Clock, Random, SystemRandom, Timestamp};
use longshore_instrument::Span;
use longshore_spanlog::{Class, Policy};
use longshore_testkit::collector::Collector;
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::backlog::{Inlet, LogInlet, MemoryBacklog, Outlet, Parcel, SpanLogSettings, Stage};
use crate::config::{Config, Environment};
use crate::counters::{Counters, DropReason, Tally};
use crate::encode::{self, Resource};
use crate::export::{Breaker, BreakerState, Command, Exporter, Otlp, Sink, Upkeep};
use crate::keep::job_spans::tests::span;
use crate::logs::{LogFormat, log_subscriber};
use crate::minutely::Minutely;
use crate::signal::Signal;

const HOUR: u64 = 3600;
/// Spans made in each second of it.
const SPANS: u64 = 10;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Of real time, once there is a receiver again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time of a paused runtime.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_767_225_600_000).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What came of it.
struct Seen {
    counters: Counters,
    /// Requests that failed within the hour.
    tries: u64,
    warnings: usize,
    /// The most that waited at any time, in bytes.
    most_on_disk: u64,
    /// Ids that arrived, and spans that did.
    arrived: (usize, usize),
    /// Bytes of all bodies that arrived.
    bytes: usize,
}

fn ends(backlog: &Backlog, clock: &Arc<dyn Clock>, tally: &Arc<Tally>) -> (Inlet, Outlet) {
    match backlog {
        Backlog::Memory(bytes) => {
            let memory = Arc::new(MemoryBacklog::new(*bytes, Arc::clone(tally)));
            (Inlet::Memory(Arc::clone(&memory)), Outlet::Memory(memory))
        }
        Backlog::Log(folder, max_bytes) => {
            let policy = Policy {
                max_bytes: *max_bytes,
                ..Policy::default()
            };
            let settings = SpanLogSettings {
                folder: folder.clone(),
                policy,
            };
            let (clock, tally) = (Arc::clone(clock), Arc::clone(tally));
            let inlet = LogInlet::open(&settings, true, clock, &SystemRandom, tally).unwrap();
            let outlet = inlet.outlet();
            (Inlet::Log(Box::new(inlet)), Outlet::Log(Box::new(outlet)))
        }
    }
}

enum Backlog {
    Memory(usize),
    Log(PathBuf, u64),
}

/// Writes spans down each second of an hour in which the receiver refuses connections, and then
/// lets it come back.
async fn hour(backlog: Backlog) -> Seen {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock(Instant::now()));
    let warnings = Arc::new(Mutex::new(0));
    let _listening = count_warnings(&clock, &warnings);
    let collector = Collector::start().unwrap();
    let line = FaultyLine::to(collector.address()).unwrap();
    line.set(Fault::Refused);
    let tally = Arc::new(Tally::default());
    let (mut inlet, outlet) = ends(&backlog, &clock, &tally);
    let parcels = Arc::new(AtomicU64::new(0));
    let written = Arc::new(Notify::new());
    let (_deadline, deadline) = watch::channel(None);
    let (commands, receiver) = mpsc::unbounded_channel();
    let exporter = Exporter {
        signal: Signal::Traces,
        outlet,
        sink: Sink::Otlp(Box::new(otlp(&line.endpoint(), &clock))),
        written: Arc::clone(&written),
        batch_size: 512,
        delay: Duration::from_secs(1),
        clock: Arc::clone(&clock),
        tally: Arc::clone(&tally),
        deadline,
        breaker: Breaker::default(),
        parcels: Arc::clone(&parcels),
        taken: 0,
        gathered: Vec::new(),
        warning: Minutely::default(),
        upkeep: Upkeep::default(),
    };
    let exporting = tokio::task::LocalSet::new();
    exporting.spawn_local(exporter.run(receiver));

    let mut most_on_disk = 0;
    let outage = async {
        for second in 0..HOUR {
            inlet.append(parcel(second, &tally)).unwrap();
            inlet.tick();
            parcels.fetch_add(1, Ordering::Release);
            written.notify_one();
            if let Backlog::Log(folder, _) = &backlog {
                most_on_disk = most_on_disk.max(bytes_in(folder));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    exporting.run_until(outage).await;
    let within = tally.snapshot();
    assert_eq!((within.exported, within.breaker), (0, BreakerState::Open));
    let warnings = *warnings.lock().unwrap();

    line.set(Fault::None);
    let recovery = async {
        tokio::time::advance(LONGEST_PAUSE).await;
        // What is sent now takes real time.
        tokio::time::resume();
        let (done, flushed) = oneshot::channel();
        assert!(commands.send(Command::Flush(done)).is_ok());
        tokio::time::timeout(PATIENCE, flushed).await
    };
    exporting.run_until(recovery).await.unwrap().unwrap();
    let spans = collector.spans();
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.span_id).collect();
    Seen {
        counters: tally.snapshot(),
        tries: within.export_errors.values().sum(),
        warnings,
        most_on_disk,
        arrived: (ids.len(), spans.len()),
        bytes: collector.requests().iter().map(|one| one.body_bytes).sum(),
    }
}

fn otlp(endpoint: &str, clock: &Arc<dyn Clock>) -> Otlp {
    let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[]).unwrap();
    let (otlp, problems) = Otlp::new(&config.telemetry(), Arc::clone(clock)).unwrap();
    assert_eq!(problems, []);
    otlp
}

/// Counts the warnings of this thread while what it gives back lives.
fn count_warnings(
    clock: &Arc<dyn Clock>,
    warnings: &Arc<Mutex<usize>>,
) -> tracing::subscriber::DefaultGuard {
    let warnings = Arc::clone(warnings);
    let count = move |_line: &[u8]| {
        *warnings.lock().unwrap() += 1;
        Ok(())
    };
    let clock = Arc::clone(clock);
    let lines = log_subscriber(LogFormat::Human, "warn", clock, None, count).unwrap();
    tracing::subscriber::set_default(lines)
}

fn parcel(second: u64, tally: &Tally) -> Parcel {
    let first = second * SPANS + 1;
    let spans: Vec<Span> = (first..first + SPANS)
        .map(|number| span(number, "x"))
        .collect();
    tally.created(&spans);
    Parcel {
        body: encode::request(&Resource::new(Vec::new()), &spans),
        spans: spans.len(),
        class: Class::Base,
        stage: Stage::Final,
        times: (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH),
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files.map(|file| file.metadata().unwrap().len()).sum()
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = SystemRandom.next_u64();
        Self(std::env::temp_dir().join(format!("longshore-hour-{number:016x}")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

impl Seen {
    fn assert_quiet_and_accounted(&self) {
        let counters = &self.counters;
        // Pauses double from 50 to 100 ms up to 30 to 60 s; on a slow machine a try takes a while
        // of the simulated time, too.
        assert!((40..=135).contains(&self.tries), "{} tries", self.tries);
        assert!((1..=61).contains(&self.warnings), "{}", self.warnings);
        assert_eq!(counters.created, HOUR * SPANS);
        assert_eq!(counters.waiting(), 0, "{counters:?}");
        // A batch that is on its way when retention deletes its file counts as dropped, too.
        let twice = (counters.exported + counters.dropped_total()).checked_sub(counters.created);
        let on_its_way = if counters.dropped.contains_key(&DropReason::Retention) {
            512
        } else {
            0
        };
        assert!(
            twice.is_some_and(|twice| twice <= on_its_way),
            "{counters:?}"
        );
        let exported = usize::try_from(counters.exported).unwrap();
        assert_eq!(self.arrived, (exported, exported));
        assert_eq!(counters.breaker, BreakerState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_in_memory_keeps_what_fits() {
    const BYTES: usize = 1 << 20;
    let seen = hour(Backlog::Memory(BYTES)).await;
    seen.assert_quiet_and_accounted();
    assert!(seen.counters.dropped[&DropReason::BacklogFull] > 0);
    assert_eq!(seen.counters.dropped.len(), 1, "{:?}", seen.counters);
    // What waited, and the batch that was sent again and again.
    assert!(seen.bytes <= BYTES + (200 << 10), "{}", seen.bytes);
    assert!(seen.bytes > BYTES / 2, "{}", seen.bytes);
}

#[tokio::test(start_paused = true)]
async fn an_hour_in_a_log_loses_nothing() {
    let folder = Folder::new();
    let seen = hour(Backlog::Log(folder.0.clone(), 1 << 30)).await;
    seen.assert_quiet_and_accounted();
    assert_eq!(seen.counters.dropped_total(), 0, "{:?}", seen.counters);
}

#[tokio::test(start_paused = true)]
async fn an_hour_in_a_small_log_keeps_its_bound() {
    let folder = Folder::new();
    let bound = 2 << 20;
    let seen = hour(Backlog::Log(folder.0.clone(), bound)).await;
    seen.assert_quiet_and_accounted();
    assert!(seen.counters.dropped[&DropReason::Retention] > 0);
    assert_eq!(seen.counters.dropped.len(), 1, "{:?}", seen.counters);
    // The bound is for closed files; the open one is younger than a quarter of an hour.
    let of_a_file = u64::try_from(seen.bytes).unwrap() + (1 << 20);
    assert!(
        seen.most_on_disk < bound + of_a_file,
        "{}",
        seen.most_on_disk
    );
}
