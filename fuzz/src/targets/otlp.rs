//! Both ends of OTLP: a receiver's answer, what a receiver gets, and spans where they lie.

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use longshore_core::Timestamp;
use longshore_trace::otlp::{self, Decoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::answer::{self, Answer};
use crate::{decode, payload};

/// The lines up to an empty one as headers, and the rest.
fn headers(data: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(halves.next().unwrap_or_default());
        let (Ok(name), Ok(value)) = (name, value) else {
            break;
        };
        headers.insert(name, value);
    }
    (headers, rest)
}

/// The answer to an export, over both transports: status, headers, trailers, body.
pub fn otlp_answer(data: &[u8]) {
    let Some(([high, low], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let status = StatusCode::from_u16(status).unwrap();
    let (head, rest) = headers(rest);
    let (trailers, body) = headers(rest);
    let now = Timestamp::UNIX_EPOCH;
    for answer in [
        answer::http(status, &head, body, now),
        answer::grpc(status, &head, Some(&trailers), body, now),
        answer::grpc(status, &head, None, body, now),
    ] {
        if let Answer::Failed { what, .. } = answer {
            assert!(what.chars().count() < 400, "{what}");
        }
    }
    if status.is_success() {
        let taken = answer::http(status, &head, body, now);
        assert!(matches!(taken, Answer::Taken { .. }));
    }
}

/// An export as a receiver gets it.
pub fn otlp_request(data: &[u8]) {
    for message in [
        Some((data.to_vec(), false)),
        payload::http_message(data, "gzip"),
        payload::grpc_message(data, ""),
        payload::grpc_message(data, "gzip"),
    ] {
        let Some((message, _)) = message else {
            continue;
        };
        assert!(message.len() <= payload::MAX_MESSAGE.max(data.len()));
        let Some((spans, resource)) = decode::request(&message) else {
            continue;
        };
        assert!(spans.len() <= message.len() && resource.len() <= message.len());
        for attribute in spans.iter().flat_map(|span| &span.attributes) {
            let _text = decode::text(&attribute.value);
        }
    }
}

/// An export as the trace store finds it: what it reads without error is what the generated types
/// read, if they take the rest, too.
pub fn otlp_walk(data: &[u8]) {
    let mut clean = true;
    let mut spans = 0;
    for item in otlp::spans(data) {
        spans += 1;
        match item {
            Ok(span) => {
                let inner = span.events().count() + span.links().count();
                assert!(inner + span.attributes().count() <= data.len());
            }
            Err(error) => {
                clean = false;
                assert!(error.at <= data.len() && error.to_string().len() < 200);
            }
        }
    }
    assert!(spans <= data.len());
    let decoded = Decoder::default().decode(data);
    assert_eq!(decoded.spans.len() + decoded.refused, spans);
    if clean && let Ok(taken) = ExportTraceServiceRequest::decode(data) {
        let scopes = taken
            .resource_spans
            .iter()
            .flat_map(|spans| &spans.scope_spans);
        assert_eq!(scopes.map(|scope| scope.spans.len()).sum::<usize>(), spans);
    }
}
