//! A back end that is away, slow or full, and processes that end meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::{Clock, SystemClock, SystemRandom};
use longshore_instrument::{Attribute, HoldToken, Span};
use longshore_spanlog::{Class, FrameHeader, Kind, Writer, WriterOptions};
use longshore_telemetry::{BreakerState, DropReason, Telemetry, TelemetrySettings};
use longshore_testkit::collector::{Behaviour, Collector};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{PATIENCE, grpc, settings, span, start};

/// A folder that goes away with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let unique = format!("longshore-outage-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(unique))
    }

    /// Settings that export to the collector, with the span log in this folder.
    fn settings(&self, collector: &Collector) -> TelemetrySettings {
        let endpoint = collector.http_endpoint();
        settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("LONGSHORE_TELEMETRY_SPAN_LOG", self.0.to_str().unwrap()),
        ])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits, without a fixed time, until something holds.
pub(super) async fn until(what: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !what() {
        assert!(clock.monotonic() < PATIENCE, "it never came about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn hold(telemetry: &Telemetry, spans: Vec<Span>) -> HoldToken {
    telemetry.recorder().keeper().unwrap().hold(spans).await
}

fn numbers(collector: &Collector) -> Vec<u64> {
    let spans = collector.spans();
    let mut numbers: Vec<u64> = spans
        .iter()
        .map(|span| u64::from_be_bytes(span.span_id.to_bytes()))
        .collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn an_unavailable_back_end_is_asked_again() {
    for http in [false, true] {
        let collector = Collector::start().unwrap();
        collector.set_behaviour(Behaviour::Unavailable(2));
        let mut settings = grpc(&collector);
        if http {
            let endpoint = collector.http_endpoint();
            settings = self::settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        }
        let telemetry = start(&settings);
        telemetry.recorder().record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(collector.requests().len(), 3, "http: {http}");
        assert_eq!(collector.spans().len(), 1);
        let counters = telemetry.counters();
        assert_eq!(counters.dropped_total(), 0);
        assert_eq!(counters.export_errors[&DropReason::Unavailable], 2);
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_counted() {
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Refuse);
    let telemetry = start(&grpc(&collector));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    assert_eq!(collector.requests().len(), 1);
    assert_eq!(telemetry.counters().dropped[&DropReason::Refused], 1);
}

#[tokio::test]
async fn a_dead_back_end_costs_the_caller_nothing_and_loss_is_counted() {
    // Nobody listens there.
    let port = longshore_testkit::Port::reserve().unwrap();
    let endpoint = format!("http://{}", port.address());
    bad_back_end(settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)])).await;
}

#[tokio::test]
async fn a_hung_back_end_costs_the_caller_nothing_and_loss_is_counted() {
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Hang);
    bad_back_end(grpc(&collector)).await;
}

async fn bad_back_end(mut settings: TelemetrySettings) {
    settings.backlog_bytes = 1 << 20;
    let telemetry = start(&settings);
    let recorder = telemetry.recorder();
    let total: u64 = 50_000;
    let clock = SystemClock::new();
    for number in 1..=total {
        recorder.record(vec![span(number)]);
    }
    // Whoever waited for the back end would need the 10 s of a timeout for each batch.
    assert!(clock.monotonic() < PATIENCE);
    // Bounds hold while it lasts.
    until(|| {
        telemetry
            .counters()
            .dropped
            .contains_key(&DropReason::BacklogFull)
    })
    .await;
    let clock = SystemClock::new();
    assert!(!telemetry.shutdown(Duration::from_millis(300)).await);
    assert!(clock.monotonic() < PATIENCE);
    // On a loaded machine the exporter may count its last batch a moment later: wait for its end.
    until(|| telemetry.counters().waiting() == 0).await;
    recorder.record(vec![span(1)]);
    let counters = telemetry.counters();
    assert_eq!(counters.created, total + 1);
    assert_eq!(counters.exported, 0);
    assert!(counters.dropped[&DropReason::Shutdown] > 0);
    assert_eq!(counters.dropped_total(), counters.created);
}

/// A line to a collector on which, from some moment on, nothing moves any more; new lines work.
struct Line {
    endpoint: String,
    is_dead: watch::Sender<bool>,
    lines: Arc<AtomicUsize>,
}

impl Line {
    async fn to(collector: &Collector) -> Self {
        let behind = super::tls::address(collector);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (is_dead, dies) = watch::channel(false);
        let lines = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lines);
        tokio::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
                tokio::spawn(carry(stream, behind, is_first, dies.clone()));
            }
        });
        Self {
            endpoint,
            is_dead,
            lines,
        }
    }
}

async fn carry(
    mut client: TcpStream,
    behind: SocketAddr,
    is_mortal: bool,
    mut dies: watch::Receiver<bool>,
) {
    let mut server = TcpStream::connect(behind).await.unwrap();
    let died = async { dies.wait_for(|dead| *dead).await.is_ok() };
    let is_dead = tokio::select! {
        _gone = copy_bidirectional(&mut client, &mut server) => false,
        died = died, if is_mortal => died,
    };
    if is_dead {
        // Both ends stay open, and hear nothing.
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_dead_line_is_left_for_a_new_one() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().unwrap();
        let line = Line::to(&collector).await;
        let telemetry = start(&settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &line.endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ]));
        telemetry.recorder().record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
        line.is_dead.send_replace(true);
        telemetry.recorder().record(vec![span(2)]);
        assert!(telemetry.flush(PATIENCE).await, "{protocol}");
        // An answer that was late on a busy machine makes a span come twice.
        let mut arrived = numbers(&collector);
        arrived.dedup();
        assert_eq!(arrived, [1, 2]);
        assert!(line.lines.load(Ordering::SeqCst) >= 2);
        let errors = telemetry.counters().export_errors;
        assert!(errors[&DropReason::Timeout] >= 1, "{errors:?}");
    }
}

#[tokio::test]
async fn what_waited_out_an_outage_leaves_when_it_is_over() {
    let folder = Folder::new("over");
    let collector = Collector::start().unwrap();
    for settings in [grpc(&collector), folder.settings(&collector)] {
        collector.clear();
        collector.set_behaviour(Behaviour::Unavailable(u32::MAX));
        let telemetry = start(&settings);
        for number in 1..=100 {
            telemetry.recorder().record(vec![span(number)]);
        }
        until(|| telemetry.counters().breaker == BreakerState::Open).await;
        collector.set_behaviour(Behaviour::Accept);
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(numbers(&collector), (1..=100).collect::<Vec<_>>());
        let counters = telemetry.counters();
        assert_eq!((counters.exported, counters.waiting()), (100, 0));
        assert_eq!(counters.breaker, BreakerState::Closed);
        assert!(telemetry.shutdown(PATIENCE).await);
    }
}

#[tokio::test]
async fn the_next_process_sends_what_the_last_one_could_not() {
    let folder = Folder::new("next");
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Unavailable(u32::MAX));
    let settings = folder.settings(&collector);
    let telemetry = start(&settings);
    telemetry.recorder().record((1..=20).map(span).collect());
    // Nothing is lost, so this is a good end. It takes all that time, since nothing leaves.
    assert!(telemetry.shutdown(Duration::from_secs(2)).await);
    assert_eq!(telemetry.counters().dropped_total(), 0);
    assert_eq!(collector.spans().len(), 0);
    drop(telemetry);

    collector.set_behaviour(Behaviour::Accept);
    let telemetry = start(&settings);
    assert_eq!(collector.wait_for(20, PATIENCE).await.len(), 20);
    telemetry.recorder().record(vec![span(21)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(numbers(&collector), (1..=21).collect::<Vec<_>>());
    let counters = telemetry.counters();
    assert_eq!((counters.adopted, counters.created), (20, 1));
    drop(telemetry);

    // Whoever comes after finds nothing to do.
    let telemetry = start(&settings);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(telemetry.counters().adopted, 0);
}

#[tokio::test]
async fn what_was_held_when_the_process_died_leaves_as_it_was() {
    let folder = Folder::new("held");
    let collector = Collector::start().unwrap();
    let settings = folder.settings(&collector);
    let telemetry = start(&settings);
    hold(&telemetry, vec![span(1), span(2)]).await;
    // Its locks go with it, as they would with its process.
    drop(telemetry);
    let telemetry = start(&settings);
    assert_eq!(collector.wait_for(2, PATIENCE).await.len(), 2);
    assert_eq!(telemetry.counters().adopted, 2);
}

#[tokio::test]
async fn what_is_too_large_for_one_frame_is_held_whole() {
    let folder = Folder::new("large");
    let collector = Collector::start().unwrap();
    let settings = folder.settings(&collector);
    let telemetry = start(&settings);
    // Some 6 MiB, where a frame takes 4.
    let large = |number| {
        let mut span = span(number);
        let text = "x".repeat(900);
        span.attributes.push(Attribute::new("text", text));
        span
    };
    let spans: Vec<Span> = (1..=6000).map(large).collect();
    hold(&telemetry, spans).await;
    assert!(telemetry.flush(PATIENCE).await);
    drop(telemetry);
    let telemetry = start(&settings);
    let arrived = collector.wait_for(6000, PATIENCE).await;
    assert_eq!(arrived.len(), 6000);
    assert!(telemetry.shutdown(PATIENCE).await);
    drop(telemetry);
    let telemetry = start(&settings);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(telemetry.counters().adopted, 0, "none is sent again");
}

#[tokio::test]
async fn the_final_form_supersedes_what_was_held() {
    let folder = Folder::new("final");
    let collector = Collector::start().unwrap();
    let settings = folder.settings(&collector);
    let telemetry = start(&settings);
    let recorder = telemetry.recorder();
    let keeper = recorder.keeper().unwrap();
    let kept = hold(&telemetry, vec![span(1)]).await;
    let lost = hold(&telemetry, vec![span(2)]).await;
    keeper.release(kept, vec![span(11), span(12)]);
    keeper.release(lost, Vec::new());
    assert!(telemetry.flush(PATIENCE).await);
    assert_eq!(numbers(&collector), [11, 12]);
    assert!(telemetry.shutdown(PATIENCE).await);
    drop((recorder, telemetry));
    let telemetry = start(&settings);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(telemetry.counters().adopted, 0);
    assert_eq!(numbers(&collector), [11, 12]);
}

#[tokio::test]
async fn without_an_exporter_spans_stay_in_the_span_log() {
    let folder = Folder::new("stay");
    let path = folder.0.to_str().unwrap();
    let telemetry = start(&settings(&[("LONGSHORE_TELEMETRY_SPAN_LOG", path)]));
    telemetry.recorder().record(vec![span(1), span(2)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    let mut reader = longshore_spanlog::Reader::open(&folder.0).unwrap();
    let frame = reader.next_frame().unwrap().unwrap();
    assert_eq!(frame.header.spans, 2);
    assert_eq!(reader.next_frame().unwrap(), None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_said_and_spans_leave_all_the_same() {
    let file = Folder::new("file");
    std::fs::write(&file.0, "").unwrap();
    let collector = Collector::start().unwrap();
    let clock = std::sync::Arc::new(SystemClock::new());
    let (telemetry, warnings) = Telemetry::init(&file.settings(&collector), clock);
    assert_eq!(warnings.len(), 1);
    let warning = warnings[0].to_string();
    assert!(warning.contains("the span log cannot be used"), "{warning}");
    assert!(warning.contains(file.0.to_str().unwrap()), "{warning}");
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(numbers(&collector), [1]);
    std::fs::remove_file(&file.0).unwrap();
}

/// A program that came before log records, in whose folder they are all the same.
#[tokio::test]
async fn frames_of_log_records_among_spans_do_no_harm() {
    let folder = Folder::new("logs-among");
    let collector = Collector::start().unwrap();
    let endpoint = collector.http_endpoint();
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap()),
    ];
    let clock = Arc::new(SystemClock::new());
    let options = WriterOptions::default();
    let mut writer = Writer::open(&folder.0, options, clock.clone(), &SystemRandom).unwrap();
    let now = clock.now();
    for kind in [Kind::LOGS, Kind::from_number(99).unwrap()] {
        let header = FrameHeader {
            kind,
            ..FrameHeader::of_spans(Class::Base, 3, now, now)
        };
        writer.append(&header, b"no spans at all").unwrap();
    }
    drop(writer);
    let telemetry = start(&settings(&pairs));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(collector.spans().len(), 1);
    assert_eq!(collector.requests().len(), 1);
    let seen = telemetry.counters();
    assert_eq!(
        (seen.adopted, seen.dropped_total(), seen.waiting()),
        (0, 0, 0)
    );
}
