//! What each protocol says and is told.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use longshore_daemon::otlp::{BodyForm, ReceiverOptions, preview};
use longshore_spanlog::{Class, Kind, Reader};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::bed::{Bed, request, span};

pub(crate) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(crate) fn frame(is_packed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(is_packed)], length.as_slice(), message].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[tokio::test]
async fn spans_come_by_every_protocol_and_packing() {
    let bed = Bed::new().await;
    let message = |number| request(vec![span(number)]);
    let json = |number: u64| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{number:032x}",
            "spanId":"{number:016x}","name":"span {number}","kind":1,
            "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000"}}]}}]}}]}}"#
        )
    };
    let gzipped = ("content-encoding", "gzip");
    let zstded = ("content-encoding", "zstd");
    for (headers, body) in [
        (vec![PROTOBUF], message(1)),
        (vec![PROTOBUF, gzipped], gzip(&message(2))),
        (vec![PROTOBUF, zstded], zstd(&message(3))),
        (vec![JSON], json(4).into_bytes()),
        (vec![JSON, gzipped], gzip(json(5).as_bytes())),
        (vec![JSON, zstded], zstd(json(6).as_bytes())),
        (
            vec![("content-type", "application/json; charset=utf-8")],
            json(7).into_bytes(),
        ),
    ] {
        let answer = bed.send("/v1/traces", &headers, body).await;
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        let is_json = headers[0].1.starts_with("application/json");
        assert_eq!(answer.text(), if is_json { "{}" } else { "" });
        assert!(headers[0].1.starts_with(answer.header("content-type")));
    }
    for (headers, body) in [
        (vec![GRPC], frame(false, &message(8))),
        (
            vec![GRPC, ("grpc-encoding", "gzip")],
            frame(true, &gzip(&message(9))),
        ),
        (
            vec![GRPC, ("grpc-encoding", "zstd")],
            frame(true, &zstd(&message(10))),
        ),
        // One that may pack, and did not.
        (
            vec![GRPC, ("grpc-encoding", "gzip")],
            frame(false, &message(11)),
        ),
    ] {
        let answer = bed.send(EXPORT, &headers, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.trailers["grpc-status"], "0", "{headers:?}");
        assert_eq!(answer.body, [0; 5][..], "an empty message");
    }
    let mut names: Vec<String> = bed.spans().into_iter().map(|span| span.name).collect();
    names.sort_by_key(|name| name[5..].parse::<u64>().unwrap());
    let all: Vec<String> = (1..=11).map(|number| format!("span {number}")).collect();
    assert_eq!(names, all);
    assert_eq!(bed.receiver.counters().spans.accepted, 11);
}

#[tokio::test]
async fn a_request_is_in_the_log_byte_for_byte_when_it_is_answered() {
    let bed = Bed::new().await;
    let message = request((1..=100).map(span).collect());
    let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
    assert_eq!(answer.status, 200);
    let frames = bed.frames();
    assert_eq!(frames.len(), 1);
    assert!(frames[0].body == message);
    let header = frames[0].header;
    assert_eq!(
        (header.kind, header.class, header.spans),
        (Kind::SPANS, Class::Base, 100)
    );
    assert_eq!(header.flags, 0x80, "nobody exports it again");
    assert_eq!(header.first.unix_nanos(), 1_700_000_000_000_000_000);
    assert_eq!(header.last.unix_nanos(), 1_700_000_001_000_000_000);
}

#[tokio::test]
async fn what_is_rejected_is_said_and_the_rest_is_taken() {
    let bed = Bed::new().await;
    let mut bad = span(2);
    bad.trace_id.clear();
    let message = request(vec![span(1), bad, span(3)]);
    let said = |bytes: &[u8]| {
        let answer = ExportTraceServiceResponse::decode(bytes).unwrap();
        let partial = answer.partial_success.unwrap();
        assert_eq!(
            partial.error_message,
            "a span has no trace id or no span id"
        );
        partial.rejected_spans
    };
    let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
    assert_eq!((answer.status, said(&answer.body)), (200, 1));
    let answer = bed.send(EXPORT, &[GRPC], frame(false, &message)).await;
    assert_eq!(
        (answer.header("grpc-status"), said(&answer.body[5..])),
        ("0", 1)
    );
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#;
    let answer = bed.send("/v1/traces", &[JSON], json).await;
    assert_eq!(
        answer.text(),
        r#"{"partialSuccess":{"errorMessage":"an id has a wrong length","rejectedSpans":"1"}}"#
    );
    let counters = bed.receiver.counters();
    let spans = &counters.spans;
    assert_eq!((spans.received, spans.accepted), (7, 4));
    assert_eq!(spans.rejected["missing_ids"], 2);
    assert_eq!(spans.rejected["wrong_ids"], 1);
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        assert_eq!(counters.requests[&(protocol, "taken")], 1, "{protocol}");
    }
    assert_eq!(bed.spans().len(), 4);
}

#[tokio::test]
async fn log_records_are_written_beside_and_metrics_are_refused_with_the_reason() {
    let bed = Bed::new().await;
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"1700000000000000000","severityNumber":"SEVERITY_NUMBER_ERROR",
        "body":{"stringValue":"login of ada@example.com"}}]}]}]}"#;
    let answer = bed.send("/v1/logs", &[JSON], json).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{}"),
        "{}",
        answer.text()
    );
    let mut reader = Reader::open(bed.folder.0.join("logs")).unwrap();
    let frame = reader.next_frame().unwrap().unwrap();
    assert_eq!((frame.header.kind, frame.header.spans), (Kind::LOGS, 1));
    let text = String::from_utf8_lossy(&frame.body).into_owned();
    assert!(text.contains("login of [REDACTED:email]"), "{text}");
    assert!(bed.frames().is_empty(), "spans are by themselves");

    let answer = bed.send("/v1/metrics", &[JSON], "{}").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.text().contains("metrics are not"),
        "{}",
        answer.text()
    );
    let export = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let answer = bed.send(export, &[GRPC], frame_of_nothing()).await;
    assert_eq!(answer.header("grpc-status"), "12");
    assert!(answer.header("grpc-message").contains("metrics are not"));
}

fn frame_of_nothing() -> Bytes {
    Bytes::from(frame(false, &[]))
}

#[tokio::test]
async fn secrets_are_not_written_down() {
    let bed = Bed::new().await;
    let mut secret = span(1);
    secret.name = "mail to ada@example.com".to_owned();
    let answer = bed
        .send("/v1/traces", &[PROTOBUF], request(vec![secret]))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(bed.spans()[0].name, "mail to [REDACTED:email]");
    let frames = bed.frames();
    let written = String::from_utf8_lossy(&frames[0].body);
    assert!(!written.contains("example.com"));
}

#[test]
fn a_body_can_be_looked_through_without_being_kept() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/otlp_receiver"
    );
    let look = |file: &str, is_logs, is_json, packing| {
        let bytes = std::fs::read(format!("{corpus}/{file}")).unwrap();
        let form = BodyForm {
            is_logs,
            is_json,
            packing,
        };
        let body = Bytes::from(bytes).slice(1..);
        preview(body, form, Arc::default(), ReceiverOptions::default())
    };
    let json = look("spans_json", false, true, "").unwrap();
    assert_eq!((json.items, json.rejected), (2, 1));
    let text = String::from_utf8_lossy(&json.message);
    assert!(text.contains("service.name") && !text.contains("hunter2"));
    let packed = look("logs_json_zstd", true, true, "zstd").unwrap();
    assert_eq!(Ok(packed), look("logs_json", true, true, ""));
    let packed = look("spans_gzip", false, false, "gzip").unwrap();
    assert!(packed.items > 0);
    assert_eq!(Ok(packed), look("spans", false, false, ""));
    let refused = look("spans_gzip", false, false, "snappy").unwrap_err();
    assert!(refused.contains("gzip or zstd"), "{refused}");
}
