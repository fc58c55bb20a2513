//! A queue that is not ours, at a receiver: every way out of the engine's and the application's
//! spans, with a processor of the application on it.

use std::collections::HashMap;

use longshore_core::AttemptOutcome;
use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
use longshore_instrument::{Attribute, AttributeValue, Span};
use longshore_telemetry::{SpanProcessor, TelemetrySettings};
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
async fn run(settings: &TelemetrySettings) {
    let telemetry = start(settings);
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
        run(&settings(&collector, ratio)).await;
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
