//! A queue that is not ours, at a receiver: every way out of the engine's and the application's
//! spans, with a processor of the application on it.

use std::collections::HashMap;

use longshore_core::AttemptOutcome;
use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
use longshore_instrument::{Attribute, AttributeValue, Span};
use longshore_telemetry::{MetricsFormat, SpanProcessor, TelemetrySettings};
use longshore_testkit::collector::{Collector, trace_tree};
use opentelemetry::trace::{Span as _, Tracer};

use super::{PATIENCE, grpc, start};

const CARD: &str = "4111 1111 1111 1111";

/// Puts a region on every span, and a secret beside it.
#[derive(Debug)]
struct Labels;

impl SpanProcessor for Labels {
    fn process(&self, span: &mut Span) {
        span.attributes.push(Attribute::new("region", "eu"));
        let secret = format!("paid with {CARD}");
        span.attributes.push(Attribute::new("note", secret));
    }
}

fn settings(collector: &Collector, ratio: f64) -> TelemetrySettings {
    let mut settings = grpc(collector).with_processor(Labels);
    settings.sampling_ratio = ratio;
    settings
}

/// One job that fails once, with a span of the application in each attempt.
/// Gives back what was measured.
async fn run(settings: &TelemetrySettings) -> String {
    let telemetry = start(settings);
    let metrics = telemetry.metrics();
    let queue = ForeignQueue::new("rabbitmq", telemetry.recorder());
    let job = || ForeignJob::new("mail", "send").with_id("7");
    let mut headers = HashMap::new();
    let enqueue = queue.enqueue(job());
    enqueue.inject(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
    enqueue.end(None);
    let failed = Ending::failed(AttemptOutcome::Retried, "smtp").with_message(CARD);
    for (number, ending) in [(1, failed), (2, Ending::completed())] {
        let get = |key: &str| headers.get(key).map(String::as_str);
        let attempt = queue.attempt(job(), &Delivery::nth(number), get);
        let handler = async { telemetry.tracer("app").start("render").end() };
        attempt.run(handler).await;
        let ended = attempt.end(ending).await;
        ended.inject_keep(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
        ended.settled(None);
    }
    assert!(telemetry.shutdown(PATIENCE).await);
    let counters = telemetry.counters();
    assert_eq!(counters.dropped_total(), 0);
    metrics.encode(MetricsFormat::OpenMetrics)
}

/// The text of an attribute; empty if it has none.
fn text(span: &Span, key: &str) -> String {
    match span.attribute(key) {
        Some(AttributeValue::String(text)) => text.to_string(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn sampled_or_kept_the_job_leaves_whole_once_and_redacted() {
    let mut trees = Vec::new();
    for ratio in [1.0, 0.0] {
        let collector = Collector::start().unwrap();
        let metrics = run(&settings(&collector, ratio)).await;
        assert_measured(&metrics, ratio > 0.0);
        let spans = collector.spans();
        assert_eq!(spans.len(), 1 + 5 + 4, "{}", trace_tree(&spans));
        for span in &spans {
            assert_eq!(text(span, "region"), "eu");
            assert!(text(span, "note").contains("[REDACTED:"), "{span:?}");
        }
        assert!(!format!("{spans:?}").contains(CARD), "{spans:?}");
        let tree = trace_tree(&spans);
        trees.push(tree.replace(" longshore.rebuilt=true", ""));
    }
    let shape = |tree: &str| -> Vec<String> {
        let attributes = [" longshore.job", " error.type"];
        let bare = |line: &str| {
            let ends = attributes.iter().filter_map(|key| line.find(key));
            line[..ends.min().unwrap_or(line.len())].to_owned()
        };
        tree.lines().map(bare).collect()
    };
    assert_eq!(shape(&trees[0]), shape(&trees[1]));
}

/// Counted and timed as our own jobs are, under the name of their system; with an example where the
/// trace leaves.
fn assert_measured(metrics: &str, sampled: bool) {
    let line = |begin: &str| {
        let found = metrics.lines().find(|line| line.starts_with(begin));
        assert!(found.is_some(), "{begin} is not in {metrics}");
        found.unwrap()
    };
    let job = r#"messaging_destination_name="mail",longshore_job_kind="send""#;
    let rabbit = r#"messaging_system="rabbitmq""#;
    let enqueue = r#"{messaging_operation_name="enqueue""#;
    let claim = r#"{messaging_operation_name="claim""#;
    let process = r#"{messaging_operation_name="process""#;
    let mail = r#"messaging_destination_name="mail""#;
    let retried = r#"longshore_job_outcome="retried",error_type="smtp""#;
    let completed = r#"longshore_job_outcome="completed""#;
    let sent = line(&format!(
        "messaging_client_sent_messages_total{enqueue},{job},{rabbit}}} 1"
    ));
    assert_eq!(sent.contains("trace_id"), sampled);
    line(&format!(
        "messaging_client_consumed_messages_total{claim},{mail},{rabbit}}} 2"
    ));
    let run = "messaging_process_duration_seconds";
    line(&format!(
        "{run}_count{process},{job},{retried},{rabbit}}} 1"
    ));
    line(&format!(
        "{run}_count{process},{job},{completed},{rabbit}}} 1"
    ));
    for end in [retried, completed] {
        let failed = line(&format!(
            "longshore_attempts_total{{{job},{end},{rabbit}}} 1"
        ));
        assert!(failed.contains("trace_id"), "it is kept: {failed}");
    }
    for operation in ["enqueue", "settle"] {
        let operation = format!(r#"messaging_operation_name="{operation}",{mail},{rabbit}"#);
        line(&format!(
            "messaging_client_operation_duration_seconds_count{{{operation}}}"
        ));
    }
    assert!(
        !metrics.contains(r#"messaging_system="longshore""#),
        "{metrics}"
    );
}
