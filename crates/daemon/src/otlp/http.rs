//! OTLP over HTTP: protobuf or JSON, answered in the same.

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::grpc;
use super::refusal::{Refusal, Remedy};

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// That of a request.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(CONTENT_TYPE).map(HeaderValue::to_str);
        let value = value.and_then(Result::ok).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refusal::MediaType),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The answer to a request that was taken.
pub(super) fn taken(encoding: Encoding, message: Vec<u8>) -> Response<Body> {
    answer(StatusCode::OK, encoding, message)
}

/// The answer to a request that was not.
pub(super) fn refused(encoding: Encoding, refusal: &Refusal) -> Response<Body> {
    let said = refusal.to_string();
    let message = match encoding {
        Encoding::Protobuf => grpc::status(refusal, &said),
        Encoding::Json => {
            let status = json!({"code": refusal.grpc(), "message": said});
            status.to_string().into_bytes()
        }
    };
    let status = StatusCode::from_u16(refusal.http()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = answer(status, encoding, message);
    let headers = response.headers_mut();
    if let Remedy::Repeat(pause) = refusal.remedy() {
        headers.insert(RETRY_AFTER, HeaderValue::from(pause.as_secs()));
    }
    match refusal {
        Refusal::Packing => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
        }
        Refusal::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

fn answer(status: StatusCode, encoding: Encoding, message: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(message));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(encoding.media_type());
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
