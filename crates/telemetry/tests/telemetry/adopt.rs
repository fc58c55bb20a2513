//! Spans that other programs hand in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{SpanId, TraceId};
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, Resource, Span};
use longshore_spanlog::{Class, Frame, Reader};
use longshore_telemetry::{DropReason, SpanOrigin};
use longshore_testkit::collector::{Behaviour, Collector, decode_request};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::outage::{Folder, until};
use super::{PATIENCE, grpc, handler, settings, span, start};

const CARD: &str = "4111 1111 1111 1111";

fn resource(service: &str) -> Arc<Resource> {
    let pairs = [("service.name", service), ("owner", CARD)];
    Arc::new(Resource {
        attributes: pairs
            .map(|(key, value)| Attribute::new(key, value.to_owned()))
            .to_vec(),
    })
}

/// A sampled span of another program.
fn from(resource: &Arc<Resource>, number: u64) -> Span {
    Span {
        trace_id: TraceId::from_u128(5),
        resource: Some(Arc::clone(resource)),
        ..span(number)
    }
}

#[tokio::test]
async fn they_leave_as_those_of_their_own_program_and_redacted() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    let (shop, till) = (resource("shop"), resource("till"));
    let mut lies = from(&shop, 2);
    // Who claims to be the engine is believed nothing.
    lies.attributes = vec![Attribute::new(key::OUTCOME, CARD)];
    lies.name = format!("paid with {CARD}").into();
    let adopted = telemetry.adopt(vec![from(&shop, 1), lies, from(&till, 3)]);
    assert_eq!(adopted.dropped_total(), 0);
    telemetry.recorder().record(vec![span(4)]);
    assert!(telemetry.flush(PATIENCE).await);
    let mut seen = Vec::new();
    for request in collector.requests() {
        let text = String::from_utf8_lossy(&request.message);
        assert!(!text.contains("1111 1111"), "{text}");
        let message = ExportTraceServiceRequest::decode(&*request.message).unwrap();
        for group in message.resource_spans {
            let resource = &group.resource.unwrap().attributes;
            let service = resource.iter().find(|pair| pair.key == "service.name");
            let service = format!("{:?}", service.unwrap().value);
            let spans = group.scope_spans.iter().flat_map(|scope| &scope.spans);
            seen.extend(spans.map(|span| (span.span_id[7], service.clone())));
        }
    }
    seen.sort();
    let services = ["shop", "shop", "till", "longshore"];
    assert_eq!(seen.len(), services.len());
    for ((_, service), expected) in seen.iter().zip(services) {
        assert!(service.contains(expected), "{seen:?}");
    }
    let counters = telemetry.counters();
    assert_eq!(counters.created_by[&SpanOrigin::Outside], 3);
    assert_eq!((counters.created, counters.exported), (4, 4));
}

fn frames(folder: &Path) -> Vec<Frame> {
    let mut reader = Reader::open(folder).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn what_is_said_to_be_written_is_in_the_log_and_of_the_class_base() {
    let folder = Folder::new("adopted");
    let log = ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap());
    let telemetry = start(&settings(&[log]));
    let before = telemetry.room();
    let adopted = telemetry.adopt(vec![from(&resource("shop"), 1)]);
    assert_eq!(adopted.dropped_total(), 0);
    assert!(telemetry.written(&adopted, PATIENCE).await);
    let frames = frames(&folder.0);
    let (spans, of_program) = decode_request(&frames[0].body).unwrap();
    assert_eq!((spans.len(), frames[0].header.class), (1, Class::Base));
    assert_eq!(of_program["service.name"], "shop");
    assert_eq!(telemetry.room(), before);
    assert!(telemetry.shutdown(PATIENCE).await);
}

/// A log that takes nothing, as on a full disk: nobody is told that his spans are safe, also if he
/// asks after they were refused. Once it takes spans again, it is said again.
#[tokio::test]
async fn what_the_log_refuses_is_not_said_to_be_written() {
    let folder = Folder::new("refusing");
    let log = ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap());
    let telemetry = start(&settings(&[log]));
    let adopt = |number| telemetry.adopt(vec![from(&resource("shop"), number)]);
    let first = adopt(1);
    assert!(telemetry.written(&first, PATIENCE).await);
    std::fs::remove_dir_all(&folder.0).unwrap();
    std::fs::write(&folder.0, "in the way").unwrap();
    let refused = adopt(2);
    assert_eq!(refused.dropped_total(), 0, "it was not known yet");
    assert!(!telemetry.written(&refused, PATIENCE).await);
    assert!(!telemetry.written(&refused, PATIENCE).await, "asked late");
    std::fs::remove_file(&folder.0).unwrap();
    let last = adopt(3);
    assert!(telemetry.written(&last, PATIENCE).await);
    let spans = frames(&folder.0)
        .iter()
        .map(|frame| frame.header.spans)
        .sum::<u32>();
    assert_eq!(spans, 1);
    let counted = || {
        telemetry
            .counters()
            .dropped
            .contains_key(&DropReason::LogError)
    };
    until(counted).await;
    telemetry.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let collector = Collector::start().unwrap();
    collector.set_behaviour(Behaviour::Hang);
    let endpoint = collector.http_endpoint();
    let mut settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    settings.queue_size = 4;
    settings.batch_size = 4;
    let telemetry = start(&settings);
    let shop = resource("shop");
    let many = (1..=10).map(|number| from(&shop, number)).collect();
    let adopted = telemetry.adopt(many);
    assert_eq!(adopted.dropped[&DropReason::QueueFull], 6);
    telemetry.shutdown(Duration::ZERO).await;
    let late = telemetry.adopt(vec![from(&shop, 1)]);
    assert_eq!(late.dropped[&DropReason::Shutdown], 1);
}

#[tokio::test]
async fn a_program_beneath_a_job_that_is_not_kept_leaves_nothing() {
    let collector = Collector::start().unwrap();
    let telemetry = start(&grpc(&collector));
    for kept in [false, true] {
        let begun = handler(false);
        let scope = telemetry.recorder().open_handler(begun.clone()).unwrap();
        let lent = telemetry.lend(&begun.context);
        assert!(lent.flags.is_sampled());
        let of_program = |number| Span {
            trace_id: lent.trace_id,
            parent_span_id: Some(lent.span_id),
            flags: lent.flags,
            trace_state: lent.trace_state.clone(),
            ..from(&resource("script"), number)
        };
        assert_eq!(telemetry.adopt(vec![of_program(7)]).dropped_total(), 0);
        let held = scope.decided(kept);
        assert_eq!(held.len(), usize::from(kept));
        telemetry.recorder().record(held);
        drop(scope);
        // The program flushed what it had as it ended.
        assert_eq!(telemetry.adopt(vec![of_program(8)]).dropped_total(), 0);
        assert!(telemetry.flush(PATIENCE).await);
        let numbers = collector
            .spans()
            .iter()
            .map(|span| span.span_id)
            .collect::<Vec<_>>();
        let expected = [SpanId::from_u64(7), SpanId::from_u64(8)];
        assert_eq!(numbers, if kept { &expected[..] } else { &[] });
    }
    let sampled = handler(true).context;
    assert_eq!(
        telemetry.lend(&sampled),
        sampled,
        "its spans leave in any case"
    );
}
