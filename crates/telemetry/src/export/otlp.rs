//! OTLP over gRPC and over HTTP, both on one hyper client.
//!
//! A gRPC export is one HTTP/2 request: five bytes of prefix, the message, and a status in the
//! trailers. Spoken directly it needs no gRPC framework, and the bytes encoded once serve both
//! transports and every repetition.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::Instant;

use super::Sent;
use crate::config::{Protocol, TelemetrySettings, Warning};
use crate::counters::DropReason;

/// Most attempts to send one batch.
const MAX_TRIES: u32 = 5;
/// The pause after the first failed try; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 4 << 20;

const AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));

type Body = Full<Bytes>;

/// A client of one OTLP receiver.
pub(crate) struct Otlp {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    uri: Uri,
    protocol: Protocol,
    headers: HeaderMap,
    gzip: bool,
    timeout: Duration,
}

/// A try that failed.
struct Failure {
    reason: DropReason,
    what: String,
    /// Whether it may be tried again, and after what pause if the server said so.
    again: Option<Option<Duration>>,
}

impl Otlp {
    /// A client; headers that cannot be sent come back as warnings.
    pub(crate) fn new(settings: &TelemetrySettings) -> Result<(Self, Vec<Warning>), Warning> {
        let url = &settings.endpoint.url;
        let uri: Uri = url.parse().map_err(|error| {
            Warning(format!(
                "`{url}` is not a URL ({error}): nothing is exported"
            ))
        })?;
        let protocol = settings.endpoint.protocol;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(|error| {
                Warning(format!(
                    "TLS cannot be set up ({error}): nothing is exported"
                ))
            })?
            .https_or_http();
        let connector = match protocol {
            Protocol::Grpc => connector.enable_http2().build(),
            Protocol::HttpProtobuf => connector.enable_http1().build(),
        };
        let client = Client::builder(TokioExecutor::new())
            .http2_only(protocol == Protocol::Grpc)
            .build(connector);
        let mut warnings = Vec::new();
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let parsed = HeaderName::try_from(name)
                .ok()
                .zip(HeaderValue::try_from(value).ok());
            match parsed {
                Some((name, value)) => {
                    headers.insert(name, value);
                }
                None => warnings.push(Warning(format!(
                    "the header `{name}` of telemetry.headers cannot be sent over HTTP and is left out"
                ))),
            }
        }
        let otlp = Self {
            client,
            uri,
            protocol,
            headers,
            gzip: settings.gzip,
            timeout: settings.timeout,
        };
        Ok((otlp, warnings))
    }

    /// Sends a request, repeating it within the timeout where that may help.
    pub(super) async fn send(&self, message: Bytes) -> Sent {
        let deadline = Instant::now() + self.timeout;
        let body = self.framed(message);
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let failure =
                match tokio::time::timeout_at(deadline, self.send_once(body.clone())).await {
                    Ok(Ok(rejected)) => return Sent::Taken { rejected },
                    Ok(Err(failure)) => failure,
                    Err(_elapsed) => return self.failed(DropReason::Timeout, "no answer in time"),
                };
            let jittered = pause.mul_f64(0.5 + fastrand::f64());
            let wait = failure.again.map(|asked| asked.unwrap_or(jittered));
            match wait {
                Some(wait) if tries < MAX_TRIES && Instant::now() + wait < deadline => {
                    tokio::time::sleep(wait).await;
                }
                _ => return self.failed(failure.reason, &failure.what),
            }
            tries += 1;
            pause *= 2;
        }
    }

    fn failed(&self, reason: DropReason, what: &str) -> Sent {
        let host = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        // A URL may carry a password; the host never does.
        let host = host.rsplit('@').next().unwrap_or_default();
        Sent::Failed {
            reason,
            what: format!("{host}: {what}"),
        }
    }

    /// The request's body: compressed if asked for, and for gRPC with its prefix.
    fn framed(&self, message: Bytes) -> Bytes {
        let message = if self.gzip { gzip(&message) } else { message };
        if self.protocol == Protocol::HttpProtobuf {
            return message;
        }
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut framed = Vec::with_capacity(message.len() + 5);
        framed.push(u8::from(self.gzip));
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&message);
        framed.into()
    }

    /// One try. The answer says how many spans were rejected.
    async fn send_once(&self, body: Bytes) -> Result<usize, Failure> {
        let response = self
            .client
            .request(self.request(body))
            .await
            .map_err(|error| unreachable_because(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| Failure {
                reason: DropReason::Unavailable,
                what: format!("the answer broke off ({error})"),
                again: Some(None),
            })?;
        let trailers = body.trailers().cloned();
        let head = Response::from_parts(head, ());
        match self.protocol {
            Protocol::Grpc => grpc_answer(&head, trailers.as_ref(), &body.to_bytes()),
            Protocol::HttpProtobuf => http_answer(&head, &body.to_bytes()),
        }
    }

    fn request(&self, body: Bytes) -> Request<Body> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let gzip = HeaderValue::from_static("gzip");
        match self.protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(
                    HeaderName::from_static("te"),
                    HeaderValue::from_static("trailers"),
                );
                if self.gzip {
                    headers.insert(HeaderName::from_static("grpc-encoding"), gzip);
                }
            }
            Protocol::HttpProtobuf => {
                headers.insert(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-protobuf"),
                );
                if self.gzip {
                    headers.insert(CONTENT_ENCODING, gzip);
                }
            }
        }
        request
    }
}

fn unreachable_because(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut what = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    Failure {
        reason: DropReason::Unavailable,
        what,
        again: Some(None),
    }
}

fn http_answer(head: &Response<()>, body: &[u8]) -> Result<usize, Failure> {
    let status = head.status();
    if status.is_success() {
        return Ok(rejected(body));
    }
    let retryable = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    Err(answered(
        format!("it answered {status}"),
        retryable,
        retry_after(head),
    ))
}

fn grpc_answer(
    head: &Response<()>,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Result<usize, Failure> {
    // An answer without a body carries its status in the headers.
    let status = trailers
        .and_then(|trailers| trailers.get("grpc-status"))
        .or_else(|| head.headers().get("grpc-status"))
        .and_then(|status| status.to_str().ok())
        .and_then(|status| status.parse::<u32>().ok());
    match status {
        Some(0) => Ok(body.get(5..).map_or(0, rejected)),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(code @ (1 | 4 | 10 | 11 | 14 | 15)) => Err(answered(
            format!("it answered with gRPC status {code}"),
            true,
            retry_after(head),
        )),
        Some(code) => Err(answered(
            format!("it answered with gRPC status {code}"),
            false,
            None,
        )),
        None => {
            // No gRPC server, but perhaps a proxy that says so.
            let failure = http_answer(head, &[]).err();
            Err(failure.unwrap_or_else(|| {
                answered(
                    "it does not speak gRPC; is the protocol right?".to_owned(),
                    false,
                    None,
                )
            }))
        }
    }
}

fn answered(what: String, retryable: bool, after: Option<Duration>) -> Failure {
    Failure {
        reason: if retryable {
            DropReason::Unavailable
        } else {
            DropReason::Refused
        },
        what,
        again: retryable.then_some(after),
    }
}

fn retry_after(head: &Response<()>) -> Option<Duration> {
    let seconds = head
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn rejected(body: &[u8]) -> usize {
    ExportTraceServiceResponse::decode(body)
        .ok()
        .and_then(|answer| answer.partial_success)
        .and_then(|partial| usize::try_from(partial.rejected_spans).ok())
        .unwrap_or(0)
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}
