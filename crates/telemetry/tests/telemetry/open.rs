//! What the span log says of attempts that run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::{SpanId, Timestamp, WorkerId};
use longshore_instrument::{Attribute, Span};
use longshore_spanlog::{Class, Frame, Kind, Reader};
use longshore_telemetry::{SpanProcessor, Telemetry, TelemetrySettings};
use longshore_testkit::ManualClock;
use longshore_testkit::collector::{Collector, decode_request};
use opentelemetry::trace::{Span as _, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use super::outage::Folder;
use super::{PATIENCE, handler, settings, span};

const SECOND: Duration = Duration::from_secs(1);
const CARD: &str = "4111 1111 1111 1111";

fn logged_to(folder: &Folder, more: &[(&str, &str)]) -> TelemetrySettings {
    let log = ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap());
    settings(&[&[log], more].concat())
}

fn start(settings: &TelemetrySettings) -> (Telemetry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_000_000)));
    let (telemetry, warnings) = Telemetry::init(settings, clock.clone());
    assert_eq!(warnings, []);
    (telemetry, clock)
}

/// A second passes, and the thread that writes has looked.
async fn look(telemetry: &Telemetry, clock: &ManualClock) {
    clock.advance(SECOND);
    // The first turn of the thread may have begun before that, the second has not.
    for _turn in 0..2 {
        assert!(telemetry.flush(PATIENCE).await);
    }
}

fn frames(folder: &Path) -> Vec<Frame> {
    let mut reader = Reader::open(folder).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

fn open_frames(folder: &Folder) -> Vec<Frame> {
    let mut frames = frames(&folder.0);
    frames.retain(|frame| frame.header.kind == Kind::OPEN);
    frames
}

fn read(frame: &Frame) -> (Vec<Span>, BTreeMap<String, String>) {
    let (spans, resource) = decode_request(&frame.body).unwrap();
    assert_eq!(spans.len(), frame.header.spans as usize);
    (spans, resource)
}

/// An attempt as a worker names it, for the handler of [`handler`].
fn attempt() -> Vec<Span> {
    let mut spans = vec![span(1), span(2)];
    for (span, name) in spans.iter_mut().zip(["job.process", "handler.execution"]) {
        span.trace_id = handler(true).context.trace_id;
        span.name = name.into();
        span.end = Timestamp::UNIX_EPOCH;
    }
    spans
}

fn worker() -> WorkerId {
    WorkerId::new("packer-1")
}

#[tokio::test]
async fn what_is_open_beneath_a_running_attempt_is_in_the_log_and_nowhere_else() {
    for sampled in [true, false] {
        let folder = Folder::new(&format!("open-{sampled}"));
        let collector = Collector::start().unwrap();
        let endpoint = collector.http_endpoint();
        let settings = logged_to(&folder, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        let (telemetry, clock) = start(&settings);
        let recorder = telemetry.recorder();
        assert!(recorder.watches());
        recorder.running(&worker(), Vec::new());
        let scope = recorder.open_handler(handler(sampled)).unwrap();
        let tracer = telemetry.tracer("shop");
        let mut held = Vec::new();
        scope.within(&mut || {
            let current = Context::current();
            current.span().set_attribute(KeyValue::new("note", CARD));
            tracer.start("over").end();
            let mut outer = tracer.start(format!("charge {CARD}"));
            outer.set_attribute(KeyValue::new("not_seen", "said after it began"));
            let outer = Context::current_with_span(outer);
            let builder = tracer
                .span_builder("query")
                .with_attributes([KeyValue::new("note", CARD), KeyValue::new("rows", 7)]);
            held.push(tracer.build_with_context(builder, &outer));
            held.push(tracer.start_with_context("elsewhere", &Context::new()));
            let _current = outer.clone().attach();
            held.push(tracer.start("inner"));
            drop(outer);
        });
        look(&telemetry, &clock).await;
        assert_eq!(open_frames(&folder), [], "no worker has named an attempt");

        recorder.running(&worker(), attempt());
        look(&telemetry, &clock).await;
        let [frame] = <[Frame; 1]>::try_from(open_frames(&folder)).unwrap();
        assert_eq!(frame.header.class, Class::Base);
        assert_eq!(frame.header.first, Timestamp::from_unix_millis(1_000));
        let (spans, resource) = read(&frame);
        assert_eq!(resource["service.name"], "longshore");
        assert!(!resource.contains_key("longshore.open_spans.omitted"));
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        // The outer one ended as its last context went.
        let expected = ["job.process", "handler.execution", "query", "inner"];
        assert_eq!(names, expected, "{sampled}");
        assert!(spans.iter().all(|span| span.end == Timestamp::UNIX_EPOCH));
        assert_eq!(spans[1].parent_span_id, Some(SpanId::from_u64(1)));
        let rows = Attribute::new("rows", 7_i64);
        assert!(spans[2].attributes.contains(&rows));
        let noted = spans[1].attribute("note").is_some();
        assert_eq!(noted, sampled, "only a live handler's span can be added to");
        let text = format!("{spans:?}");
        assert!(!text.contains("1111 1111"), "{text}");

        look(&telemetry, &clock).await;
        assert_eq!(open_frames(&folder).len(), 1, "nothing has changed");
        held.clear();
        look(&telemetry, &clock).await;
        let names = |frame: &Frame| read(frame).0.len();
        let counts: Vec<usize> = open_frames(&folder).iter().map(names).collect();
        assert_eq!(counts, [4, 2]);
        recorder.running(&worker(), Vec::new());
        look(&telemetry, &clock).await;
        let counts: Vec<usize> = open_frames(&folder).iter().map(names).collect();
        assert_eq!(counts, [4, 2, 0]);

        scope.end(Timestamp::from_unix_millis(2_000), None);
        drop(scope);
        assert!(telemetry.shutdown(PATIENCE).await);
        assert_eq!(telemetry.counters().waiting(), 0);
        // Nor does who comes later send it.
        let (later, _clock) = start(&settings);
        assert!(later.flush(PATIENCE).await && later.shutdown(PATIENCE).await);
        let sent = collector.spans();
        assert!(sent.iter().all(|span| span.end > span.start), "{sent:?}");
        assert_eq!(later.counters().adopted, 0);
    }
}

#[tokio::test]
async fn a_frame_has_bounds_and_says_what_it_leaves_out() {
    let folder = Folder::new("open-bounds");
    let (telemetry, clock) = start(&logged_to(&folder, &[]));
    let many = (1..=1500).map(|number| Span {
        end: Timestamp::UNIX_EPOCH,
        attributes: Vec::new(),
        ..span(number)
    });
    telemetry.recorder().running(&worker(), many.collect());
    look(&telemetry, &clock).await;
    let large = |number| Span {
        end: Timestamp::UNIX_EPOCH,
        attributes: vec![Attribute::new("text", "x ".repeat(400)); 20],
        ..span(number)
    };
    let some = (1..=10).map(large).collect();
    telemetry.recorder().running(&worker(), some);
    // Until there is room again in what frames may take.
    for _second in 0..80 {
        look(&telemetry, &clock).await;
    }
    let frames = open_frames(&folder);
    let seen = frames.iter().map(|frame| {
        let (spans, resource) = read(frame);
        let omitted = resource["longshore.open_spans.omitted"].clone();
        assert!(frame.body.len() < 66_000, "{}", frame.body.len());
        (spans.len(), omitted.parse::<usize>().unwrap())
    });
    let seen: Vec<_> = seen.collect();
    assert!(seen.len() >= 2, "{seen:?}");
    assert!(seen[0].0 <= 1000 && seen[0].0 + seen[0].1 == 1500);
    assert_eq!(seen[1], (3, 7), "64 KiB hold no more of these");
    assert!(telemetry.shutdown(PATIENCE).await);
}

/// Looks at every span that leaves, and changes nothing.
#[derive(Debug, Default)]
struct Looked(AtomicUsize);

impl SpanProcessor for Looked {
    fn process(&self, _span: &mut Span) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_frame_that_has_to_wait_is_not_made_each_second() {
    let folder = Folder::new("open-waits");
    let looked = Arc::new(Looked::default());
    let mut settings = logged_to(&folder, &[]);
    settings.processors.push(Arc::clone(&looked) as _);
    let (telemetry, clock) = start(&settings);
    let large = |number| Span {
        end: Timestamp::UNIX_EPOCH,
        attributes: vec![Attribute::new("text", "x ".repeat(400)); 30],
        ..span(number)
    };
    for turn in [1, 2] {
        telemetry
            .recorder()
            .running(&worker(), vec![large(turn), large(turn + 10)]);
        for _second in 0..10 {
            look(&telemetry, &clock).await;
        }
    }
    assert_eq!(open_frames(&folder).len(), 1, "the second one waits");
    let looks = looked.0.load(Ordering::Relaxed);
    assert!(looks <= 6, "{looks}");
    assert!(telemetry.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn what_there_is_no_room_for_counts_only_beneath_what_runs() {
    let folder = Folder::new("open-missed");
    let (telemetry, clock) = start(&logged_to(&folder, &[]));
    // The first look of the thread that writes is over: the next one is a second away.
    look(&telemetry, &clock).await;
    let recorder = telemetry.recorder();
    let tracer = telemetry.tracer("shop");
    // Nobody was watching yet when these began.
    let early = Context::current_with_span(tracer.start("root"));
    let start = |_| tracer.start_with_context("early", &early);
    let mut early: Vec<_> = (0..50).map(start).collect();
    recorder.running(&worker(), attempt());
    let root = Context::current_with_span(tracer.start("root"));
    let start = |_| tracer.start_with_context("elsewhere", &root);
    let mut elsewhere: Vec<_> = (0..20_000).map(start).collect();
    let scope = recorder.open_handler(handler(true)).unwrap();
    let mut beneath = Vec::new();
    scope.within(&mut || {
        let outer = tracer.start("outer");
        let outer = Context::current_with_span(outer);
        beneath.extend((0..99).map(|_| tracer.start_with_context("beneath", &outer)));
        beneath.push(tracer.start("beneath"));
        early.clear();
        drop(outer);
    });
    for _second in 0..3 {
        look(&telemetry, &clock).await;
    }
    let omitted = |frame: &Frame| {
        let omitted = read(frame).1.remove("longshore.open_spans.omitted");
        omitted.map_or(0, |text| text.parse::<usize>().unwrap())
    };
    let last = open_frames(&folder).pop().unwrap();
    assert_eq!(omitted(&last), 100);
    elsewhere.clear();
    beneath.clear();
    recorder.running(&worker(), attempt()[..1].to_vec());
    look(&telemetry, &clock).await;
    let last = open_frames(&folder).pop().unwrap();
    assert_eq!(omitted(&last), 0);
    drop(scope);
    assert!(telemetry.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn in_the_long_run_frames_take_little() {
    let folder = Folder::new("open-budget");
    let (telemetry, clock) = start(&logged_to(&folder, &[]));
    let recorder = telemetry.recorder();
    for second in 0..600_u64 {
        let changing = (1..20).map(|number| Span {
            attributes: vec![Attribute::new("text", "x ".repeat(400))],
            ..span(second * 100 + number)
        });
        recorder.running(&worker(), changing.collect());
        look(&telemetry, &clock).await;
    }
    let changed = open_frames(&folder);
    let bytes: usize = changed.iter().map(|frame| frame.body.len()).sum();
    assert!(changed.len() > 4, "at first there is room for some at once");
    assert!(bytes <= (64 << 10) + 610 * 1024, "{bytes}");

    // What stays as it is is said again each minute, since files of the log go.
    recorder.running(&worker(), attempt());
    for _second in 0..190 {
        look(&telemetry, &clock).await;
    }
    let repeated = open_frames(&folder).len() - changed.len();
    assert!((3..=5).contains(&repeated), "{repeated}");
    assert!(telemetry.shutdown(PATIENCE).await);
    let last = open_frames(&folder).pop().unwrap();
    assert_eq!(last.header.spans, 0, "nothing is open when it has ended");
}

#[tokio::test]
async fn it_can_be_switched_off_and_is_where_there_is_no_span_log() {
    let folder = Folder::new("open-off");
    let off = ("LONGSHORE_TELEMETRY_OPEN_SPANS", "false");
    let elsewhere = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    for settings in [logged_to(&folder, &[off]), settings(&[elsewhere])] {
        let (telemetry, clock) = start(&settings);
        assert!(!telemetry.recorder().watches());
        telemetry.recorder().running(&worker(), attempt());
        clock.advance(SECOND);
        telemetry.shutdown(Duration::ZERO).await;
    }
    assert_eq!(open_frames(&folder), []);
}
