//! gRPC, as far as OTLP needs it: a call is one HTTP/2 request whose body is one message behind a
//! prefix of five bytes, and whose answer ends with its status in a trailer.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};

use super::refusal::{Refusal, Remedy};
use super::wire;

/// Bytes before a message: whether it is packed, and its length.
const PREFIX: usize = 5;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The one message of a body, and whether it is packed.
pub(super) fn message(body: &Bytes) -> Result<(Bytes, bool), Refusal> {
    let (flag, rest) = body.split_first().ok_or(Refusal::Frame)?;
    let (length, message) = rest.split_first_chunk().ok_or(Refusal::Frame)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if *flag > 1 || message.len() != length {
        return Err(Refusal::Frame);
    }
    Ok((body.slice(PREFIX..), *flag == 1))
}

/// The answer to a request that was taken.
pub(super) fn taken(message: &[u8]) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let frame = [&[0], length.to_be_bytes().as_slice(), message].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(frame)).with_trailers(std::future::ready(Some(Ok(trailers))));
    answer(Body::new(body))
}

/// The answer to a request that was not.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = answer(Body::empty());
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(u16::from(refusal.grpc())));
    let said = refusal.to_string();
    if let Ok(said) = HeaderValue::from_str(&percent_encoded(&said)) {
        headers.insert(MESSAGE, said);
    }
    let details = status(refusal, &said);
    if let Ok(details) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(details)) {
        headers.insert(DETAILS, details);
    }
    response
}

fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        axum::http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(ACCEPTED, HeaderValue::from_static("identity,gzip,zstd"));
    response
}

/// A `google.rpc.Status`, with a `RetryInfo` if the same request may be taken later.
pub(super) fn status(refusal: &Refusal, said: &str) -> Vec<u8> {
    let mut status = Vec::new();
    wire::put_number(&mut status, 1, u64::from(refusal.grpc()));
    wire::put_bytes(&mut status, 2, said.as_bytes());
    if let Remedy::Repeat(pause) = refusal.remedy() {
        let mut duration = Vec::new();
        wire::put_number(&mut duration, 1, pause.as_secs());
        let mut info = Vec::new();
        wire::put_bytes(&mut info, 1, &duration);
        let from = wire::open(&mut status, 3);
        wire::put_bytes(&mut status, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        wire::put_bytes(&mut status, 2, &info);
        wire::close(&mut status, from);
    }
    status
}

/// A message as a header can hold it.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            // Writing to a text cannot fail.
            _ => {
                let _written = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
