//! Log events that leave as OTLP log records.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, SystemClock};
use longshore_telemetry::redact::{Action, Rule};
use longshore_telemetry::{Counters, DropReason, LogFormat, Telemetry, TelemetrySettings};
use longshore_testkit::collector::{Behaviour, Collector, LogRecord, Protocol};
use opentelemetry::trace::{TraceContextExt, Tracer};
use serde_json::Value;

use super::caught::Caught;
use super::outage::{Folder, until};
use super::{PATIENCE, handler, settings, span, start};

/// Settings that send log records to the collector.
fn logs_to(collector: &Collector, protocol: &str, more: &[(&str, &str)]) -> TelemetrySettings {
    let endpoint = collector.http_endpoint();
    let mut pairs = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    pairs.extend(more);
    settings(&pairs)
}

/// Lets a program log while its events go to `telemetry`, by a filter.
fn logging(telemetry: &Telemetry, filter: &str, program: impl FnOnce()) {
    let subscriber = Caught::default().log(LogFormat::Json, filter, telemetry);
    tracing::subscriber::with_default(subscriber, program);
}

fn say(telemetry: &Telemetry, count: u64) {
    logging(telemetry, "info", || {
        for number in 0..count {
            tracing::info!(number, "said");
        }
    });
}

fn counters(telemetry: &Telemetry) -> Counters {
    let counters = telemetry.log_counters().unwrap();
    let gone = counters.exported + counters.dropped_total();
    assert!(gone <= counters.created + counters.adopted, "{counters:?}");
    counters
}

fn numbers(collector: &Collector) -> Vec<u64> {
    let records = collector.log_records();
    let number = |record: &LogRecord| record.attribute("number")?.parse().ok();
    let mut numbers: Vec<u64> = records.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// What a program says outside of jobs and within a handler, by one protocol.
async fn arrive(word: &str, protocol: Protocol, sampled: bool) {
    let collector = Collector::start().unwrap();
    let more = [
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-token=a%20b"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "till"),
    ];
    let telemetry = start(&logs_to(&collector, word, &more));
    let before = SystemClock::new().now();
    let scope = telemetry.recorder().open_handler(handler(sampled)).unwrap();
    let mut within = || {
        tracing::warn!(
            order = 7,
            large = u64::MAX,
            share = 0.5,
            paid = true,
            name = "ann",
            by = ?Some(1),
            "mail sent"
        );
    };
    logging(&telemetry, "info", || {
        tracing::debug!("not this");
        tracing::info!(target: "shop::desk", "outside");
        scope.within(&mut within);
    });
    drop(scope);
    assert!(telemetry.flush(PATIENCE).await);
    let [outside, inside] = <[_; 2]>::try_from(collector.log_records()).unwrap();
    assert_eq!(
        (outside.severity, outside.severity_text.as_str()),
        (9, "INFO")
    );
    assert_eq!(outside.scope, "shop::desk");
    assert_eq!((outside.body.as_str(), outside.span), ("outside", None));
    assert!(before <= inside.at && inside.at == inside.observed);
    assert_is_the_warning(&inside, sampled);
    let requests = collector.requests();
    let request = requests
        .iter()
        .find(|one| one.path.contains("ogs"))
        .unwrap();
    assert_eq!((request.protocol, request.compressed), (protocol, true));
    assert_eq!(request.headers["x-token"], "a b");
    assert_eq!(request.resource["service.name"], "till");
    let counters = counters(&telemetry);
    assert_eq!((counters.created, counters.exported), (2, 2));
    assert!(telemetry.shutdown(PATIENCE).await);
}

fn assert_is_the_warning(record: &LogRecord, sampled: bool) {
    assert_eq!(
        (record.severity, record.severity_text.as_str()),
        (13, "WARN")
    );
    assert_eq!(record.body, "mail sent");
    let context = record.span.clone().unwrap();
    let expected = handler(sampled).context;
    assert_eq!(context.trace_id, expected.trace_id);
    assert_eq!(context.span_id, expected.span_id);
    assert_eq!(context.flags.is_sampled(), sampled);
    let pairs = [
        ("order", "7"),
        ("large", "18446744073709551615"),
        ("share", "0.5"),
        ("paid", "true"),
        ("name", "ann"),
        ("by", "Some(1)"),
    ];
    assert_eq!(record.attributes.len(), pairs.len());
    for (key, value) in pairs {
        assert_eq!(record.attribute(key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test]
async fn records_arrive_by_both_protocols_with_all_they_carry() {
    for sampled in [true, false] {
        arrive("grpc", Protocol::Grpc, sampled).await;
        arrive("http/protobuf", Protocol::Http, sampled).await;
    }
}

#[tokio::test]
async fn records_beneath_the_applications_spans_carry_their_ids() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&logs_to(&collector, "grpc", &[]));
    logging(&telemetry, "info", || {
        let span = telemetry.tracer("shop").start("render");
        let context = opentelemetry::Context::current_with_span(span);
        let _here = context.attach();
        tracing::info!("by the API");
        tracing::info_span!("inner").in_scope(|| tracing::info!("by tracing"));
    });
    assert!(telemetry.shutdown(PATIENCE).await);
    let records = collector.log_records();
    let spans = collector.spans();
    for (record, name) in records.iter().zip(["render", "inner"]) {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let context = record.span.clone().unwrap();
        assert_eq!(
            (context.trace_id, context.span_id),
            (span.trace_id, span.span_id),
            "{name}"
        );
    }
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn a_record_is_redacted_and_cut_to_its_limits() {
    let collector = Collector::start().unwrap();
    let more = [
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "40"),
        ("LONGSHORE_TELEMETRY_BLOCKED_ATTRIBUTES", "mine"),
    ];
    let mut settings = logs_to(&collector, "grpc", &more);
    settings.redaction = settings.redaction.with_action(Rule::Blocked, Action::Drop);
    let telemetry = start(&settings);
    logging(&telemetry, "info", || {
        tracing::info!(
            target: "desk of ann@example.com",
            password = "enigma42",
            mine = "own",
            long = "x".repeat(100),
            fourth = 4,
            "mail to bob@example.com failed, {}",
            "y".repeat(100)
        );
    });
    assert!(telemetry.shutdown(PATIENCE).await);
    let [record] = <[LogRecord; 1]>::try_from(collector.log_records()).unwrap();
    assert_eq!(record.scope, "desk of [REDACTED:email]");
    assert!(record.body.starts_with("mail to [REDACTED:email] failed"));
    assert_eq!(record.body.chars().count(), 40);
    assert_eq!(record.attribute("long").unwrap().len(), 40);
    assert_eq!(
        record.attribute("password").unwrap(),
        "[REDACTED:secret_key]"
    );
    assert_eq!(record.attributes.len(), 2);
    assert_eq!(record.dropped, 2, "one by number, one by its key");
}

#[tokio::test]
async fn off_there_is_nothing() {
    let collector = Collector::start().unwrap();
    for (pairs, words) in [
        (vec![], "not asked for"),
        (vec![("OTEL_LOGS_EXPORTER", "none")], "none"),
        (
            vec![
                ("OTEL_LOGS_EXPORTER", "otlp"),
                ("OTEL_SDK_DISABLED", "true"),
            ],
            "disabled",
        ),
        (
            vec![("LONGSHORE_TELEMETRY_LOGS", "same")],
            "same as no spans",
        ),
    ] {
        let telemetry = start(&settings(&pairs));
        assert!(telemetry.log_layer().is_none(), "{words}");
        assert_eq!(telemetry.log_counters(), None, "{words}");
    }
    let endpoint = collector.http_endpoint();
    let folder = Folder::new("logs-off");
    let telemetry = start(&settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap()),
    ]));
    say(&telemetry, 3);
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    let paths: Vec<String> = collector
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/v1/traces"]);
    assert!(!folder.0.join("logs").exists());
}

#[tokio::test]
async fn records_without_spans_leave_too() {
    let collector = Collector::start().unwrap();
    let mut settings = logs_to(&collector, "grpc", &[("OTEL_TRACES_EXPORTER", "none")]);
    settings.span_log = None;
    let telemetry = start(&settings);
    say(&telemetry, 3);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(numbers(&collector), [0, 1, 2]);
}

/// The receiver of log records may be another one, and is told nothing that is for that of traces.
#[tokio::test]
async fn what_is_for_traces_alone_does_not_hold_for_records() {
    let [traces, logs] = [(); 2].map(|()| Collector::start().unwrap());
    let (for_traces, for_logs) = (traces.http_endpoint(), logs.http_endpoint());
    let own = format!("{for_logs}/v1/logs");
    let telemetry = start(&settings(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &for_traces),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-all=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-token=s3cr3t"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &own),
        ("LONGSHORE_TELEMETRY_LOGS", "same"),
    ]));
    say(&telemetry, 1);
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!((traces.spans().len(), traces.log_records().len()), (1, 0));
    assert_eq!((logs.spans().len(), logs.log_records().len()), (0, 1));
    let [request] = <[_; 1]>::try_from(logs.requests()).unwrap();
    assert_eq!(request.protocol, Protocol::Http);
    assert_eq!(request.headers.get("x-all").map(String::as_str), Some("1"));
    assert_eq!(request.headers.get("x-token"), None);
    let [request] = <[_; 1]>::try_from(traces.requests()).unwrap();
    assert_eq!(request.headers["x-token"], "s3cr3t");
}

#[tokio::test]
async fn partial_success_and_refusals_are_counted() {
    for word in ["grpc", "http/protobuf"] {
        let collector = Collector::start().unwrap();
        collector.set_behaviour(Behaviour::PartialSuccess { rejected: 2 });
        let telemetry = start(&logs_to(&collector, word, &[]));
        say(&telemetry, 5);
        assert!(telemetry.flush(PATIENCE).await);
        let seen = counters(&telemetry);
        let requests = u64::try_from(collector.requests().len()).unwrap();
        assert_eq!(seen.dropped[&DropReason::Rejected], 5 - seen.exported);
        assert_eq!(collector.log_records().len() as u64, seen.exported);
        assert!(seen.exported >= 5 - 2 * requests, "{seen:?}");
        let why = seen.last_export_error.unwrap();
        assert!(why.contains("log records: rejected as"), "{why}");
        collector.set_behaviour(Behaviour::Refuse);
        say(&telemetry, 4);
        assert!(telemetry.flush(PATIENCE).await);
        let seen = counters(&telemetry);
        assert_eq!(seen.dropped[&DropReason::Refused], 4);
        assert_eq!((seen.created, seen.waiting()), (9, 0));
        assert_eq!(telemetry.counters().dropped_total(), 0, "spans are others");
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_costs_nothing_and_loses_nothing_within_bounds() {
    let folder = Folder::new("logs-away");
    let log = folder.0.to_str().unwrap();
    for (logged, word) in [(false, "grpc"), (true, "http/protobuf")] {
        let collector = Collector::start().unwrap();
        collector.set_behaviour(Behaviour::Unavailable(u32::MAX));
        let more = [("LONGSHORE_TELEMETRY_SPAN_LOG", log)];
        let more = if logged { &more[..] } else { &[] };
        let telemetry = start(&logs_to(&collector, word, more));
        for _ in 0..4 {
            say(&telemetry, 1000);
        }
        let seen = counters(&telemetry);
        assert_eq!((seen.created, seen.exported), (4000, 0));
        until(|| !counters(&telemetry).export_errors.is_empty()).await;
        assert_eq!(counters(&telemetry).dropped_total(), 0);
        collector.set_behaviour(Behaviour::Accept);
        assert!(telemetry.flush(PATIENCE).await);
        assert_eq!(collector.log_records().len(), 4000, "logged: {logged}");
        let seen = counters(&telemetry);
        assert_eq!((seen.exported, seen.waiting()), (4000, 0));
        assert_eq!(seen.logged, if logged { 4000 } else { 0 });
        assert!(telemetry.shutdown(PATIENCE).await);
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_all_of_it_accounted_for() {
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Hang);
    let mut settings = logs_to(&collector, "grpc", &[]);
    settings.logs.as_mut().unwrap().backlog_bytes = 100_000;
    let telemetry = start(&settings);
    say(&telemetry, 20_000);
    until(|| {
        counters(&telemetry)
            .dropped
            .contains_key(&DropReason::BacklogFull)
    })
    .await;
    assert!(!telemetry.shutdown(Duration::from_millis(200)).await);
    until(|| counters(&telemetry).waiting() == 0).await;
    say(&telemetry, 1);
    let seen = counters(&telemetry);
    assert_eq!((seen.created, seen.exported), (20_001, 0));
    assert_eq!(seen.dropped_total(), 20_001, "{seen:?}");
    // Spans went their own way all the time.
    assert_eq!(telemetry.counters().dropped_total(), 0);
}

#[tokio::test]
async fn the_next_process_sends_what_the_last_one_could_not() {
    let folder = Folder::new("logs-next");
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Unavailable(u32::MAX));
    let log = folder.0.to_str().unwrap();
    let settings = logs_to(&collector, "grpc", &[("LONGSHORE_TELEMETRY_SPAN_LOG", log)]);
    let telemetry = start(&settings);
    say(&telemetry, 20);
    // It takes all that time, since nothing leaves.
    assert!(telemetry.shutdown(Duration::from_secs(2)).await);
    assert_eq!(counters(&telemetry).waiting(), 20);
    drop(telemetry);

    collector.set_behaviour(Behaviour::Accept);
    // One that exports no log records, be it set so or of an older version, leaves them alone.
    let mut without = settings.clone();
    without.logs = None;
    let telemetry = start(&without);
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(telemetry.counters().adopted, 0);
    assert_eq!((collector.spans().len(), numbers(&collector).len()), (1, 0));
    drop(telemetry);

    let telemetry = start(&settings);
    let records = collector.wait_for_log_records(20, PATIENCE).await;
    assert_eq!(records.len(), 20);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(numbers(&collector), (0..20).collect::<Vec<_>>());
    assert_eq!(counters(&telemetry).adopted, 20);
    drop(telemetry);

    let telemetry = start(&settings);
    assert!(telemetry.shutdown(PATIENCE).await);
    assert_eq!(counters(&telemetry).adopted, 0, "nothing is left to do");
}

/// A record as a line of OTLP in JSON has it.
fn assert_is_in_json(text: &str) {
    let said: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let records = &said[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records[0]["body"]["stringValue"], "in a job");
    assert_eq!(records[0]["severityNumber"], 9);
    let context = handler(true).context;
    assert_eq!(records[0]["traceId"], context.trace_id.to_string());
    assert_eq!(records[0]["spanId"], context.span_id.to_string());
    let attribute = &records[0]["attributes"][0];
    assert_eq!(attribute["value"]["intValue"], "7");
}

async fn print_one(settings: &TelemetrySettings) -> String {
    let printed = Caught::default();
    let clock = Arc::new(SystemClock::new());
    let (telemetry, warnings) =
        Telemetry::init_with_writer(settings, clock, Box::new(printed.clone()));
    assert_eq!(warnings, []);
    let scope = telemetry.recorder().open_handler(handler(true)).unwrap();
    logging(&telemetry, "info", || {
        scope.within(&mut || tracing::info!(order = 7, "in a job"));
    });
    drop(scope);
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    printed.text()
}

#[tokio::test]
async fn printed_and_filed_records_are_otlp_in_json() {
    let pairs = [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_LOGS_EXPORTER", "console"),
    ];
    let printed = print_one(&settings(&pairs)).await;
    assert_is_in_json(&printed);
    assert!(printed.contains("queue.enqueue PRODUCER"), "{printed}");

    let folder = Folder::new("logs-file");
    folder.put("nothing", "");
    let at = |name: &str| folder.0.join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (spans, logs) = (at("traces.jsonl"), at("logs.jsonl"));
    let pairs = [
        ("LONGSHORE_TELEMETRY_EXPORTER", "file"),
        ("LONGSHORE_TELEMETRY_FILE", &text(&spans)),
        ("LONGSHORE_TELEMETRY_LOGS", "same"),
        ("LONGSHORE_TELEMETRY_LOGS_FILE", &text(&logs)),
    ];
    assert_eq!(print_one(&settings(&pairs)).await, "");
    assert_is_in_json(&std::fs::read_to_string(&logs).unwrap());
    let spans = std::fs::read_to_string(&spans).unwrap();
    assert!(spans.contains("resourceSpans") && !spans.contains("resourceLogs"));
}
