//! What a receiver's answer means. It may be anything: a proxy's page, a broken message, a lie.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use longshore_core::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::retry_info;

/// Most characters of a receiver's own words.
const MAX_SAID: usize = 200;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was taken, but for so many spans or log records; and what the receiver had to say about it, in
    /// bounded text without control characters.
    Taken {
        rejected: usize,
        said: Option<String>,
    },
    /// It was not taken from this sender.
    Denied {
        what: String,
        /// Whether the receiver does not know who it is, rather than that it may not.
        is_unknown: bool,
    },
    /// It was not taken.
    Failed {
        /// What the receiver said, in bounded words of our own.
        what: String,
        /// Whether it may be sent again, and after what pause if the receiver said so.
        again: Option<Option<Duration>>,
    },
}

/// The answer to OTLP over HTTP.
pub(crate) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Answer {
    if status.is_success() {
        let is_message = says(headers, "application/x-protobuf");
        return taken(if is_message { body } else { &[] });
    }
    if let StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN = status {
        return Answer::Denied {
            what: format!("it answered {status}"),
            is_unknown: status == StatusCode::UNAUTHORIZED,
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
        again: retryable.then(|| retry_after(headers, now)),
    }
}

/// The answer to OTLP over gRPC.
pub(crate) fn grpc(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
    now: Timestamp,
) -> Answer {
    // An answer without a body carries its status in the headers.
    let said = |name: &str| {
        trailers
            .and_then(|trailers| trailers.get(name))
            .or_else(|| headers.get(name))
            .and_then(|value| value.to_str().ok())
    };
    let code = said("grpc-status").and_then(|code| code.parse::<u32>().ok());
    let asked = || said("grpc-status-details-bin").and_then(retry_info::pause);
    match code {
        Some(0) => taken(message(body).unwrap_or_default()),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(code @ (1 | 4 | 10 | 11 | 14 | 15)) => Answer::Failed {
            what: format!("it answered with gRPC status {code}"),
            again: Some(asked().or_else(|| retry_after(headers, now))),
        },
        // Exhausted, but only for a while where it says how long.
        Some(8) if asked().is_some() => Answer::Failed {
            what: "it is exhausted (gRPC status 8)".to_owned(),
            again: Some(asked()),
        },
        Some(code) => Answer::Failed {
            what: format!(
                "it answered with gRPC status {code}{}",
                grpc_mended_by(code)
            ),
            again: None,
        },
        // No gRPC server, but perhaps a proxy that says so.
        None if !status.is_success() => http(status, headers, &[], now),
        None => Answer::Failed {
            what: format!("it does not speak gRPC{PROTOCOL}"),
            again: None,
        },
    }
}

const ENDPOINT: &str = "; see telemetry.endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)";
const PROTOCOL: &str = "; see telemetry.protocol (OTEL_EXPORTER_OTLP_PROTOCOL)";

/// The setting that mends it, for those that one can mend.
fn mended_by(status: StatusCode) -> &'static str {
    match status {
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
        // Unimplemented: a server of something else.
        12 => ENDPOINT,
        _ => "",
    }
}

fn says(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE);
    said.is_none_or(|said| said.as_bytes().starts_with(kind.as_bytes()))
}

/// The pause that was asked for, in seconds or as a point in time. That is told by the receiver's
/// own clock where the answer says what it shows.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(asked).ok()?;
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = date
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH + now.since(Timestamp::UNIX_EPOCH));
    Some(at.duration_since(now).unwrap_or_default())
}

/// The message in a gRPC frame; none if it is compressed, which was not asked for.
fn message(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], rest) = body.split_first_chunk::<5>()? else {
        return None;
    };
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// What a receiver says of a request that it took. The answers for spans and for log records have
/// the same fields.
fn taken(message: &[u8]) -> Answer {
    let partial = ExportTraceServiceResponse::decode(message)
        .ok()
        .and_then(|answer| answer.partial_success)
        .unwrap_or_default();
    let said = partial.error_message.chars().take(MAX_SAID);
    let said: String = said.flat_map(char::escape_debug).collect();
    Answer::Taken {
        rejected: usize::try_from(partial.rejected_spans).unwrap_or(0),
        said: (!said.is_empty()).then_some(said),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 12:00:30 GMT";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn pause(pairs: &[(&'static str, &str)], now: Timestamp) -> Option<Option<Duration>> {
        match http(StatusCode::TOO_MANY_REQUESTS, &headers(pairs), &[], now) {
            Answer::Failed { again, .. } => again,
            Answer::Denied { .. } | Answer::Taken { .. } => None,
        }
    }

    #[test]
    fn a_pause_comes_in_seconds_or_as_a_date() {
        let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        let epoch = Timestamp::UNIX_EPOCH;
        assert_eq!(pause(&[("retry-after", " 7 ")], epoch), seconds(7));
        let dates = [("retry-after", LATER), ("date", NOON)];
        assert_eq!(pause(&dates, epoch), seconds(30));
        let passed = [("retry-after", NOON), ("date", LATER)];
        assert_eq!(pause(&passed, epoch), seconds(0));
        let own_clock = Timestamp::from_unix_millis(784_123_200_000 + 10_000);
        assert_eq!(pause(&[("retry-after", LATER)], own_clock), seconds(20));
        for bad in ["soon", "-1", "1.5", ""] {
            assert_eq!(pause(&[("retry-after", bad)], epoch), Some(None), "{bad}");
        }
    }

    #[test]
    fn an_exhausted_server_is_asked_again_only_if_it_says_when() {
        // RetryInfo of 3 s among the details of a status.
        let details = "GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAM";
        let again = |code: &str, details: &str| {
            let trailers = headers(&[("grpc-status", code), ("grpc-status-details-bin", details)]);
            let none = HeaderMap::new();
            let now = Timestamp::UNIX_EPOCH;
            match grpc(StatusCode::OK, &none, Some(&trailers), &[], now) {
                Answer::Failed { again, .. } => again,
                other => panic!("{other:?}"),
            }
        };
        let three = Some(Some(Duration::from_secs(3)));
        assert_eq!(again("14", details), three);
        assert_eq!(again("14", "?"), Some(None));
        assert_eq!(again("8", details), three);
        assert_eq!(again("8", "?"), None);
        assert_eq!(again("3", details), None);
    }

    #[test]
    fn what_a_receiver_says_is_bounded_and_harmless() {
        let message = |rejected_spans, error_message: String| {
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans,
                error_message,
            });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        };
        let Answer::Taken { rejected, said } = taken(&message(2, "too old\n\u{1b}[31m".into()))
        else {
            panic!("not taken");
        };
        assert_eq!(rejected, 2);
        assert_eq!(said.as_deref(), Some("too old\\n\\u{1b}[31m"));
        let Answer::Taken { said, .. } = taken(&message(0, "x".repeat(1 << 20))) else {
            panic!("not taken");
        };
        assert_eq!(said.map(|said| said.len()), Some(MAX_SAID));
    }
}
