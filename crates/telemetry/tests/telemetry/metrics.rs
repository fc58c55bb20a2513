//! What the metrics of running telemetry say.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::requests::{RequestCounts, RequestOutcome};
use longshore_core::{
    AttemptOutcome, Kind, QueueName, QueueStats, SpanContext, SpanId, Timestamp, TraceFlags,
    TraceId,
};
use longshore_instrument::{
    Example, HookMiss, Measured, Operation, PropagationFailure, Recorder, Span, StoreCall,
};
use longshore_telemetry::metrics::{
    AnswerCounters, ArchiveCounters, Beside, METRICS, ReceivedItems, ReceiverCounters, Shape,
    metrics_reference,
};
use longshore_telemetry::redact::Rule;
use longshore_telemetry::{MetricsFormat, Telemetry};
use longshore_testkit::collector::Collector;

use tracing_subscriber::layer::SubscriberExt;

use super::outage::until;
use super::{settings, span, start};

/// After a change that is meant, `LONGSHORE_WRITE_PAGES=1` writes the page anew.
#[test]
fn the_page_of_metrics_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
        std::fs::write(path, metrics_reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == metrics_reference(),
        "docs/metrics.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it"
    );
}

fn context(flags: u8) -> SpanContext {
    SpanContext::new(
        TraceId::from_u128(0xabc),
        SpanId::from_u64(0xdef),
        TraceFlags::new(flags),
    )
}

/// Measures one of everything; the failed attempt is the only one whose trace leaves.
fn measure_all(recorder: &dyn Recorder) {
    let queue: QueueName = "mail".parse().unwrap();
    let kind: Kind = "send".parse().unwrap();
    let at = Timestamp::from_unix_millis(1_700_000_000_000);
    let (kept, unsampled) = (context(1), context(0));
    let example = |context| Some(Example { context, at });
    recorder.measure(&Measured::Sent {
        queue: &queue,
        kind: &kind,
        jobs: 2,
        error_class: None,
        example: example(&unsampled),
    });
    recorder.measure(&Measured::Operation {
        operation: Operation::Enqueue,
        queue: Some(&queue),
        took: Duration::from_millis(3),
        error_class: None,
        example: None,
    });
    recorder.measure(&Measured::Store {
        call: StoreCall::Heartbeat,
        took: Duration::from_millis(3),
        error_class: Some("unavailable"),
    });
    recorder.measure(&Measured::Received {
        queue: &queue,
        jobs: 2,
    });
    let attempt = |outcome, error_class, context| {
        recorder.measure(&Measured::Attempt {
            queue: &queue,
            kind: &kind,
            outcome,
            error_class,
            wait: Duration::from_millis(30),
            run: Duration::from_millis(300),
            example: example(context),
        });
    };
    attempt(AttemptOutcome::Completed, None, &unsampled);
    attempt(AttemptOutcome::Retried, Some("timeout"), &kept);
    recorder.measure(&Measured::LeaseLost { queue: &queue });
    recorder.measure(&Measured::HookMissed {
        reason: HookMiss::Backlog,
        changes: 3,
    });
    recorder.measure(&Measured::Rescued {
        queue: &queue,
        kind: &kind,
        error_class: "lease_expired",
        example: None,
    });
    let mut stats = QueueStats::empty(queue.clone(), at);
    stats.available = 7;
    stats.oldest_available_at = Some(at.before(Duration::from_secs(90)));
    recorder.measure(&Measured::Queues(&[stats]));
    let counts = Arc::new(RequestCounts::new("aws.s3"));
    counts.count("put", RequestOutcome::Done);
    recorder.measure(&Measured::Requests(&counts));
    recorder.measure(&Measured::Requests(&counts));
    counts.count("put", RequestOutcome::Refused);
    // Another store, of which it hears when the first is closed already.
    drop(counts);
    let counts = Arc::new(RequestCounts::new("aws.s3"));
    recorder.measure(&Measured::Requests(&counts));
    counts.count("put", RequestOutcome::Done);
}

/// The samples of a page whose line begins so.
fn samples<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    let lines = page.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

/// What a receiver may have been sent.
fn received() -> ReceiverCounters {
    ReceiverCounters {
        requests: [(("grpc", "taken"), 2)].into(),
        spans: ReceivedItems {
            received: 8,
            accepted: 5,
            rejected: [("too_many", 2)].into(),
            dropped: [("busy", 1)].into(),
        },
        log_records: ReceivedItems::default(),
        redacted: [(Rule::Email, 4)].into(),
    }
}

/// What the parts of a process may have counted.
fn beside() -> Beside {
    Beside {
        receiver: Some(received()),
        archive: Some(ArchiveCounters {
            files: 3,
            bytes: 4096,
            deleted: 2,
            failures: 1,
            waiting: 5,
        }),
        answers: Some(AnswerCounters {
            at_once: 7,
            waited: 1,
            refused: 0,
            bytes: 64,
        }),
    }
}

/// What the page says among other things once all of it was measured once.
const LINES: &[&str] = &[
    r#"messaging_client_sent_messages_total{messaging_system="longshore",messaging_operation_name="enqueue",messaging_destination_name="mail",longshore_job_kind="send"} 2"#,
    r#"messaging_client_operation_duration_seconds_count{messaging_system="longshore",messaging_operation_name="enqueue",messaging_destination_name="mail"} 1"#,
    r#"messaging_client_consumed_messages_total{messaging_system="longshore",messaging_operation_name="claim",messaging_destination_name="mail"} 2"#,
    r#"messaging_process_duration_seconds_sum{messaging_system="longshore",messaging_operation_name="process",messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="retried",error_type="timeout"} 0.3"#,
    r#"longshore_queue_wait_seconds_count{messaging_destination_name="mail",longshore_job_kind="send"} 2"#,
    r#"longshore_attempts_total{messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="completed"} 1"#,
    r#"longshore_attempts_total{messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="retried",error_type="timeout"} 1 # {trace_id="00000000000000000000000000000abc",span_id="0000000000000def"} 1.0 1700000000.000"#,
    r#"longshore_attempts_total{messaging_destination_name="mail",longshore_job_kind="send",longshore_job_outcome="lost",error_type="lease_expired"} 1"#,
    r#"longshore_leases_lost_total{messaging_destination_name="mail"} 1"#,
    r#"longshore_hook_misses_total{reason="backlog_full"} 3"#,
    r#"longshore_jobs_rescued_total{messaging_destination_name="mail"} 1"#,
    r#"longshore_store_duration_seconds_count{longshore_store_call="heartbeat",error_type="unavailable"} 1"#,
    r#"longshore_store_requests_total{longshore_store_system="aws.s3",longshore_store_operation="put",outcome="done"} 2"#,
    r#"longshore_store_requests_total{longshore_store_system="aws.s3",longshore_store_operation="put",outcome="refused"} 1"#,
    r#"longshore_queue_depth{messaging_destination_name="mail",longshore_job_state="available"} 7"#,
    r#"longshore_queue_oldest_age_seconds{messaging_destination_name="mail"} 90"#,
    r#"longshore_queue_paused{messaging_destination_name="mail"} 0"#,
    r#"queue_trace_spans_created_total{component="queue",operation="enqueue"} 1"#,
    r#"queue_trace_sampling_ratio{queue_name="mail"} 1"#,
    r#"queue_trace_context_propagation_failures_total{direction="extract",reason="malformed"} 1"#,
    "longshore_trace_spans_exported_total 1",
    "longshore_trace_breaker_open 0",
    "longshore_log_records_created_total 1",
    "longshore_log_records_exported_total 1",
    r#"longshore_log_records_dropped_total{reason="queue_full"} 0"#,
    r#"longshore_log_export_errors_total{backend="otlp",error_type="timeout"} 0"#,
    "longshore_log_records_waiting 0",
    "longshore_archive_files_total 3",
    "longshore_archive_bytes_total 4096",
    "longshore_archive_deleted_total 2",
    "longshore_archive_failures_total 1",
    "longshore_archive_files_waiting 5",
    r#"longshore_answers_total{outcome="at_once"} 7"#,
    "longshore_answers_memory_bytes 64",
    r#"longshore_receiver_requests_total{protocol="grpc",outcome="taken"} 2"#,
    r#"longshore_receiver_received_total{signal="spans"} 8"#,
    r#"longshore_receiver_accepted_total{signal="spans"} 5"#,
    r#"longshore_receiver_accepted_total{signal="log_records"} 0"#,
    r#"longshore_receiver_rejected_total{signal="spans",reason="too_many"} 2"#,
    r#"longshore_receiver_dropped_total{signal="spans",reason="busy"} 1"#,
    r#"longshore_receiver_redacted_total{rule="email"} 4"#,
];

#[tokio::test]
async fn everything_that_is_measured_is_told_and_only_traces_that_leave_are_examples() {
    let collector = Collector::start().unwrap();
    let endpoint = collector.http_endpoint();
    let telemetry = start(&settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ]));
    let metrics = telemetry.metrics();
    let recorder = telemetry.recorder();
    measure_all(&*recorder);
    let layer = tracing_subscriber::registry().with(telemetry.log_layer());
    tracing::subscriber::with_default(layer, || tracing::info!("said"));
    recorder.record(vec![span(1)]);
    recorder.propagation_failed(PropagationFailure {
        direction: "extract",
        reason: "malformed",
    });
    assert!(telemetry.flush(super::PATIENCE).await);

    let page = metrics.encode_with(MetricsFormat::OpenMetrics, &beside());
    for line in LINES {
        assert!(page.lines().any(|own| own == *line), "{line}\n{page}");
    }
    // One bucket of the duration, one of the wait, and the count of attempts.
    let with_exemplars = page.lines().filter(|line| line.contains(" # {"));
    assert_eq!(with_exemplars.count(), 3, "{page}");
    for metric in METRICS {
        let family = metric.name.trim_end_matches("_total");
        let declared = samples(&page, &format!("# TYPE {family} "));
        assert_eq!(declared.len(), 1, "{family}");
    }
    assert!(telemetry.shutdown(super::PATIENCE).await);
}

#[tokio::test]
async fn failed_exports_are_counted_by_their_reason() {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let telemetry = start(&settings(&pairs));
    let metrics = telemetry.metrics();
    telemetry.recorder().record(vec![span(1)]);
    until(|| !telemetry.counters().export_errors.is_empty()).await;
    assert!(!telemetry.shutdown(Duration::from_millis(100)).await);
    let page = metrics.encode(MetricsFormat::Classic);
    let errors = samples(&page, "queue_trace_export_errors_total{backend=\"otlp\"");
    assert!(!errors.is_empty(), "{page}");
    assert!(errors[0].contains("error_type=\""), "{page}");
}

#[tokio::test]
async fn where_no_trace_leaves_nothing_is_an_example_and_the_ratio_is_zero() {
    let telemetry = start(&settings(&[]));
    let metrics = telemetry.metrics();
    measure_all(&*telemetry.recorder());
    let page = metrics.encode(MetricsFormat::OpenMetrics);
    assert!(!page.contains(" # {"), "{page}");
    let ratio = samples(&page, "queue_trace_sampling_ratio");
    assert_eq!(
        ratio,
        [r#"queue_trace_sampling_ratio{queue_name="mail"} 0"#]
    );
}

#[tokio::test]
async fn nothing_is_measured_before_anyone_looks() {
    let telemetry = start(&settings(&[]));
    let recorder = telemetry.recorder();
    assert!(!recorder.measures());
    measure_all(&*recorder);
    let page = telemetry.metrics().encode(MetricsFormat::Classic);
    assert_eq!(samples(&page, "longshore_attempts_total"), [""; 0]);
    assert!(recorder.measures());
}

#[tokio::test]
async fn what_users_name_is_bounded_and_redacted() {
    let telemetry = start(&settings(&[]));
    let metrics = telemetry.metrics();
    let recorder = telemetry.recorder();
    let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
    let fail = |error_class: &str| {
        recorder.measure(&Measured::Attempt {
            queue: &queue,
            kind: &kind,
            outcome: AttemptOutcome::Retried,
            error_class: Some(error_class),
            wait: Duration::ZERO,
            run: Duration::ZERO,
            example: None,
        });
    };
    fail("login of ada@example.com refused");
    for number in 0..5000 {
        fail(&format!("E{number}"));
    }
    let page = metrics.encode(MetricsFormat::OpenMetrics);
    assert!(!page.contains("ada@example.com"));
    assert!(page.contains("[REDACTED:email]"));
    assert_eq!(samples(&page, "longshore_attempts_total").len(), 1001);
    let over = r#"longshore_metrics_overflow_total{metric="longshore_attempts_total"} 4001"#;
    assert!(page.lines().any(|line| line == over), "{over}");
}

#[test]
fn only_the_engines_spans_have_their_names_as_labels() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let telemetry: Telemetry = start(&settings(&[("OTEL_TRACES_EXPORTER", "stdout")]));
        let foreign = Span {
            scope: "app".into(),
            ..span(1)
        };
        telemetry.recorder().record(vec![foreign, span(2)]);
        let page = telemetry.metrics().encode(MetricsFormat::Classic);
        let created = samples(&page, "queue_trace_spans_created_total{");
        assert_eq!(
            created,
            [
                r#"queue_trace_spans_created_total{component="queue",operation="enqueue"} 1"#,
                r#"queue_trace_spans_created_total{component="application",operation="span"} 1"#,
            ]
        );
    });
}

#[test]
fn histograms_say_seconds() {
    for metric in METRICS {
        let is_histogram = matches!(metric.shape, Shape::Histogram(_));
        assert!(!is_histogram || metric.name.ends_with("_seconds"));
    }
}
