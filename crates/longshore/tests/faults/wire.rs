//! A line and a receiver that fail while jobs run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_telemetry::{BreakerState, DropReason, TelemetrySettings};
use longshore_testkit::collector::{Behaviour, Protocol};
use longshore_testkit::faulty_line::Fault;
use longshore_testkit::untrusted::Untrusted;
use tokio::task::JoinSet;

use crate::bed::{Bed, Folder, Way, until};

const JOBS: u64 = 150;
const MINUTE: Duration = Duration::from_secs(60);

/// Runs a test by every way that spans may leave.
async fn each_way<F: Future<Output = ()> + Send + 'static>(test: impl Fn(Way) -> F) {
    let mut runs = JoinSet::new();
    for way in Way::ALL {
        runs.spawn(test(way));
    }
    runs.join_all().await;
}

/// Nothing arrives while jobs run, all of it once the fault is gone, and none of it twice.
async fn outage(
    way: Way,
    settings: fn(&mut TelemetrySettings),
    begin: fn(&Bed),
    reason: DropReason,
    end: fn(&Bed),
) {
    let bed = Bed::new(way, settings);
    begin(&bed);
    bed.run_jobs(JOBS).await;
    assert_eq!(bed.arrived(), 0, "{way:?}");
    until(|| bed.failures() >= 2).await;
    assert_eq!(bed.warnings(), 1, "{way:?}");
    bed.clock.advance(MINUTE);
    until(|| bed.warnings() == 2).await;
    assert_eq!(bed.telemetry.counters().exported, 0, "{way:?}");

    let timeouts = || {
        bed.telemetry
            .counters()
            .export_errors
            .get(&DropReason::Timeout)
            .copied()
    };
    let before = timeouts();
    end(&bed);
    let counters = bed.assert_accounted().await;
    assert_eq!(counters.dropped_total(), 0, "{way:?}: {counters:?}");
    assert_eq!(counters.breaker, BreakerState::Closed, "{way:?}");
    assert!(counters.export_errors[&reason] > 0, "{way:?}: {counters:?}");
    // A receiver that takes longer than the exporter waits is sent the same again.
    let is_late = timeouts() != before;
    assert!(is_late || bed.duplicates() == 0, "{way:?}");
}

fn mend(bed: &Bed) {
    bed.line.set(Fault::None);
}

fn recover(bed: &Bed) {
    bed.collector.set_behaviour(Behaviour::Accept);
}

fn impatient(settings: &mut TelemetrySettings) {
    settings.timeout = Duration::from_millis(1500);
}

#[tokio::test]
async fn refused() {
    let begin = |bed: &Bed| bed.line.set(Fault::Refused);
    each_way(|way| outage(way, |_| {}, begin, DropReason::Unavailable, mend)).await;
}

#[tokio::test]
async fn black_holed() {
    let begin = |bed: &Bed| bed.line.set(Fault::BlackHole);
    each_way(|way| outage(way, impatient, begin, DropReason::Timeout, mend)).await;
}

#[tokio::test]
async fn reset_in_the_middle_of_the_request() {
    let begin = |bed: &Bed| bed.line.set(Fault::ResetRequest(300));
    each_way(|way| outage(way, |_| {}, begin, DropReason::Unavailable, mend)).await;
}

#[tokio::test]
async fn unavailable_503() {
    let begin = |bed: &Bed| {
        bed.collector
            .set_behaviour(Behaviour::Unavailable(u32::MAX));
    };
    each_way(|way| outage(way, |_| {}, begin, DropReason::Unavailable, recover)).await;
}

#[tokio::test]
async fn throttled_429_with_retry_after() {
    let begin = |bed: &Bed| {
        bed.collector
            .set_behaviour(Behaviour::Throttle { seconds: 1 });
    };
    each_way(|way| outage(way, |_| {}, begin, DropReason::Unavailable, recover)).await;
}

#[tokio::test]
async fn slow() {
    each_way(|way| async move {
        let bed = Bed::new(way, |settings| settings.timeout = MINUTE);
        bed.line.set(Fault::Slow {
            bytes: 2048,
            pause: Duration::from_millis(1),
        });
        bed.run_jobs(JOBS).await;
        let counters = bed.assert_accounted().await;
        assert_eq!((counters.dropped_total(), bed.failures()), (0, 0));
        assert_eq!(bed.duplicates(), 0, "{way:?}");
    })
    .await;
}

/// The receiver has taken the spans and the exporter cannot know: it must send them again, and
/// they come with the ids that they had.
#[tokio::test]
async fn broken_off_before_the_answer() {
    each_way(|way| async move {
        let bed = Bed::new(way, |_| {});
        bed.collector.set_behaviour(Behaviour::BreakOff);
        bed.run_jobs(JOBS).await;
        until(|| bed.failures() >= 2).await;
        assert_eq!(bed.warnings(), 1, "{way:?}");
        assert_eq!(bed.telemetry.counters().exported, 0, "{way:?}");
        assert!(bed.duplicates() > 0, "{way:?}");
        recover(&bed);
        let counters = bed.assert_accounted().await;
        assert_eq!(counters.dropped_total(), 0, "{way:?}: {counters:?}");
    })
    .await;
}

/// Connections are cut at any place of requests and answers.
#[tokio::test]
async fn cut_anywhere() {
    let failures = Arc::new(AtomicU64::new(0));
    for seed in crate::chosen("LONGSHORE_FAULT_SEEDS", 1..5) {
        each_way(|way| cut(way, seed, Arc::clone(&failures))).await;
    }
    assert!(failures.load(Ordering::Relaxed) > 0);
}

async fn cut(way: Way, seed: u64, failures: Arc<AtomicU64>) {
    let bed = Bed::new(way, |_| {});
    bed.line.set(Fault::Erratic { seed });
    bed.run_jobs(JOBS).await;
    failures.fetch_add(bed.failures(), Ordering::Relaxed);
    mend(&bed);
    let counters = bed.assert_accounted().await;
    assert_eq!(counters.dropped_total(), 0, "seed {seed}, {way:?}");
}

/// The receiver shows a certificate that nobody whom we trust has signed. Once its authority is in
/// the file of those whom we trust, everything leaves, without a restart.
#[tokio::test]
async fn wrong_certificate() {
    each_way(|way| async move {
        let other = Untrusted::before(([127, 0, 0, 1], 9).into()).unwrap();
        let trusted = Folder::new();
        let file = trusted.0.join("authority.pem");
        std::fs::write(&file, other.authority()).unwrap();
        let certificate = file.clone();
        let mut receiver = None;
        let bed = Bed::before(way, |collector, settings| {
            let front = Untrusted::before(collector.address()).unwrap();
            let path = match way.protocol {
                Protocol::Http => "/v1/traces",
                Protocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            };
            settings.endpoint.url = format!("{}{path}", front.endpoint());
            settings.tls.certificate = Some(certificate);
            receiver = Some(front);
        });
        bed.run_jobs(JOBS).await;
        until(|| bed.failures() >= 2).await;
        assert_eq!((bed.arrived(), bed.warnings()), (0, 1), "{way:?}");
        let said = bed.telemetry.counters().last_export_error.unwrap();
        assert!(said.contains("certificate"), "{said}");
        let receiver = receiver.unwrap();
        std::fs::write(&file, receiver.authority()).unwrap();
        let counters = bed.assert_accounted().await;
        assert_eq!(counters.dropped_total(), 0, "{way:?}: {counters:?}");
        assert_eq!(bed.duplicates(), 0, "{way:?}");
    })
    .await;
}

#[tokio::test]
async fn partial_success() {
    each_way(|way| async move {
        let bed = Bed::new(way, |_| {});
        let rejected = Behaviour::PartialSuccess { rejected: 3 };
        bed.collector.set_behaviour(rejected);
        bed.run_jobs(JOBS).await;
        let counters = bed.assert_accounted().await;
        let rejected = counters.dropped[&DropReason::Rejected];
        assert_eq!(counters.dropped_total(), rejected, "{way:?}: {counters:?}");
        assert_eq!((bed.duplicates(), bed.warnings()), (0, 1), "{way:?}");
    })
    .await;
}

/// One trouble after the other.
#[tokio::test]
async fn everything_in_turn() {
    each_way(|way| async move {
        let bed = Bed::new(way, |_| {});
        bed.collector.script([
            Behaviour::Unavailable(1),
            Behaviour::Throttle { seconds: 0 },
            Behaviour::PartialSuccess { rejected: 1 },
            Behaviour::Refuse,
            Behaviour::Unavailable(1),
            Behaviour::BreakOff,
        ]);
        bed.run_jobs(JOBS).await;
        let counters = bed.assert_accounted().await;
        assert_eq!(counters.dropped[&DropReason::Rejected], 1, "{way:?}");
        // What is refused is sent again in smaller parts, unless it was the smallest.
        assert_eq!(counters.breaker, BreakerState::Closed, "{way:?}");
    })
    .await;
}

/// Without a span log, what waits is bounded, and the rest is counted.
#[tokio::test]
async fn memory_is_bounded() {
    const BACKLOG: usize = 64 << 10;
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let way = Way::of(protocol, false);
        let bed = Bed::new(way, |settings| {
            settings.backlog_bytes = BACKLOG;
            settings.batch_size = 50;
        });
        bed.line.set(Fault::Refused);
        bed.run_jobs(4 * JOBS).await;
        mend(&bed);
        let counters = bed.assert_accounted().await;
        assert!(counters.dropped[&DropReason::BacklogFull] > 0, "{way:?}");
        assert_eq!(
            counters.dropped.len(),
            1,
            "for another reason: {counters:?}"
        );
        let requests = bed.collector.requests();
        let bytes: usize = requests.iter().map(|one| one.body_bytes).sum();
        let largest = requests.iter().map(|one| one.body_bytes).max().unwrap();
        // What waited, and what was on its way.
        assert!(bytes <= BACKLOG + 2 * largest, "{bytes}, {largest}");
    }
}
