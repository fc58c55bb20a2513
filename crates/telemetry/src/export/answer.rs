//! What a receiver's answer means. It may be anything: a proxy's page, a broken message, a lie.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was taken, but for so many spans.
    Taken { rejected: usize },
    /// It was not taken.
    Failed {
        /// What the receiver said, in bounded words of our own.
        what: String,
        /// Whether it may be sent again, and after what pause if the receiver said so.
        again: Option<Option<Duration>>,
    },
}

/// The answer to OTLP over HTTP.
pub(crate) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    if status.is_success() {
        return Answer::Taken {
            rejected: if says(headers, "application/x-protobuf") {
                rejected(body)
            } else {
                0
            },
        };
    }
    let retryable = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            // The receiver has not seen it.
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    Answer::Failed {
        what: format!("it answered {status}{}", mended_by(status)),
        again: retryable.then(|| retry_after(headers)),
    }
}

/// The answer to OTLP over gRPC.
pub(crate) fn grpc(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Answer {
    // An answer without a body carries its status in the headers.
    let code = trailers
        .and_then(|trailers| trailers.get("grpc-status"))
        .or_else(|| headers.get("grpc-status"))
        .and_then(|code| code.to_str().ok())
        .and_then(|code| code.parse::<u32>().ok());
    match code {
        Some(0) => Answer::Taken {
            rejected: message(body).map_or(0, rejected),
        },
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(code @ (1 | 4 | 10 | 11 | 14 | 15)) => Answer::Failed {
            what: format!("it answered with gRPC status {code}"),
            again: Some(retry_after(headers)),
        },
        Some(code) => Answer::Failed {
            what: format!(
                "it answered with gRPC status {code}{}",
                grpc_mended_by(code)
            ),
            again: None,
        },
        // No gRPC server, but perhaps a proxy that says so.
        None if !status.is_success() => http(status, headers, &[]),
        None => Answer::Failed {
            what: format!("it does not speak gRPC{PROTOCOL}"),
            again: None,
        },
    }
}

const HEADERS: &str = "; see telemetry.headers (OTEL_EXPORTER_OTLP_HEADERS)";
const ENDPOINT: &str = "; see telemetry.endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)";
const PROTOCOL: &str = "; see telemetry.protocol (OTEL_EXPORTER_OTLP_PROTOCOL)";

/// The setting that mends it, for those that one can mend.
fn mended_by(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => HEADERS,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "; set user and password in telemetry.http_proxy (HTTP_PROXY)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ENDPOINT,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => PROTOCOL,
        status if status.is_redirection() => ENDPOINT,
        _ => "",
    }
}

fn grpc_mended_by(code: u32) -> &'static str {
    match code {
        // Permission denied, unauthenticated.
        7 | 16 => HEADERS,
        // Unimplemented: a server of something else.
        12 => ENDPOINT,
        _ => "",
    }
}

fn says(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE);
    said.is_none_or(|said| said.as_bytes().starts_with(kind.as_bytes()))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The message in a gRPC frame; none if it is compressed, which was not asked for.
fn message(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], rest) = body.split_first_chunk::<5>()? else {
        return None;
    };
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn rejected(message: &[u8]) -> usize {
    ExportTraceServiceResponse::decode(message)
        .ok()
        .and_then(|answer| answer.partial_success)
        .and_then(|partial| usize::try_from(partial.rejected_spans).ok())
        .unwrap_or(0)
}
