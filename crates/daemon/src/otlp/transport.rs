//! The ways a request comes, and the answer in the words of each.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};

use super::Signal;
use super::body::Packing;
use super::fault::Rejected;
use super::http::Encoding;
use super::refusal::Refusal;
use super::wire;

/// How a request came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    Grpc,
    Http(Encoding),
}

impl Transport {
    /// A word for it, as a metric label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http(Encoding::Protobuf) => "http/protobuf",
            Self::Http(Encoding::Json) => "http/json",
        }
    }

    /// That of a request.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if media_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
            return Self::Grpc;
        }
        Self::Http(Encoding::of(headers).unwrap_or(Encoding::Json))
    }

    /// How the body is packed.
    pub(super) fn packing(self, headers: &HeaderMap) -> Result<Packing, Refusal> {
        let value = match self {
            Self::Grpc => headers.get("grpc-encoding"),
            Self::Http(_) => headers.get(CONTENT_ENCODING),
        };
        let name = value.map(|value| value.to_str().unwrap_or("?"));
        Packing::named(name.unwrap_or_default())
    }

    /// The message that says what was taken.
    pub(super) fn words(self, signal: Signal, all: &Rejected) -> Vec<u8> {
        let (rejected, why) = (all.count(), all.why());
        match self {
            Self::Http(Encoding::Json) => {
                if rejected == 0 {
                    return b"{}".to_vec();
                }
                let rejected = rejected.to_string();
                let said = serde_json::json!({
                    "partialSuccess": {(signal.rejected): rejected, "errorMessage": why}
                });
                said.to_string().into_bytes()
            }
            Self::Grpc | Self::Http(Encoding::Protobuf) => {
                let mut message = Vec::new();
                if rejected > 0 {
                    let mut partial = Vec::new();
                    wire::put_number(&mut partial, 1, rejected as u64);
                    wire::put_bytes(&mut partial, 2, why.as_bytes());
                    wire::put_bytes(&mut message, 1, &partial);
                }
                message
            }
        }
    }
}
