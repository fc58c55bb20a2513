//! OTLP over gRPC and over HTTP, both on one hyper client.
//!
//! A gRPC export is one HTTP/2 request: five bytes of prefix, the message, and a status in the
//! trailers. Spoken directly it needs no gRPC framework, and the bytes encoded once serve both
//! transports and every repetition.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::answer::{self, Answer};
use super::{Failure, Sent};
use crate::config::{Protocol, TelemetrySettings, Warning};
use crate::counters::DropReason;

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 4 << 20;
/// The longest time that one export may take, whatever the settings say: later points in time
/// cannot be told.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

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
            timeout: settings.timeout.min(MAX_TIMEOUT),
        };
        Ok((otlp, warnings))
    }

    /// Sends a request once.
    pub(super) async fn send(&self, message: &Bytes) -> Sent {
        let sending = self.send_once(self.framed(message));
        let failure = match tokio::time::timeout(self.timeout, sending).await {
            Ok(Ok(rejected)) => return Sent::Taken { rejected },
            Ok(Err(failure)) => failure,
            Err(_elapsed) => Failure {
                reason: DropReason::Timeout,
                what: "no answer in time".to_owned(),
                again: Some(None),
            },
        };
        let host = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        // A URL may carry a password; the host never does.
        let host = host.rsplit('@').next().unwrap_or_default();
        Sent::Failed(Failure {
            what: format!("{host}: {}", failure.what),
            ..failure
        })
    }

    /// The request's body: compressed if asked for, and for gRPC with its prefix.
    fn framed(&self, message: &Bytes) -> Bytes {
        let message = if self.gzip {
            gzip(message)
        } else {
            message.clone()
        };
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
        let (trailers, body) = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => (body.trailers().cloned(), body.to_bytes()),
            // Whether the spans were taken is said before the body; its rest does not matter.
            Err(error) if error.is::<LengthLimitError>() => (None, Bytes::new()),
            Err(error) => {
                return Err(Failure {
                    reason: DropReason::Unavailable,
                    what: format!("the answer broke off ({error})"),
                    again: Some(None),
                });
            }
        };
        let answer = match self.protocol {
            Protocol::Grpc => answer::grpc(head.status, &head.headers, trailers.as_ref(), &body),
            Protocol::HttpProtobuf => answer::http(head.status, &head.headers, &body),
        };
        match answer {
            Answer::Taken { rejected } => Ok(rejected),
            Answer::Failed { what, again } => Err(Failure {
                reason: if again.is_some() {
                    DropReason::Unavailable
                } else {
                    DropReason::Refused
                },
                what,
                again,
            }),
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

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}
