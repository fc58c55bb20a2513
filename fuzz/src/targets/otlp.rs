//! Both ends of OTLP: a receiver's answer, and what a receiver gets.

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use longshore_core::Timestamp;

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
