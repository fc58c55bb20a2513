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
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use longshore_core::Clock;

use super::answer::{self, Answer};
use super::connection::{Connector, Trouble, chain};
use super::google::Tokens;
use super::{Failure, Sent};
use crate::config::value;
use crate::config::{Exporter, Protocol, ProxySettings, TelemetrySettings, Warning};
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
    /// None where connections are to be made and certificates to be read, for the first time or
    /// anew.
    client: Option<Client<Connector, Body>>,
    proxy: ProxySettings,
    /// For a proxy that reads requests.
    proxy_authorization: Option<HeaderValue>,
    trouble: Arc<Trouble>,
    uri: Uri,
    protocol: Protocol,
    headers: HeaderMap,
    /// Where the receiver is Google's.
    tokens: Option<Tokens>,
    gzip: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Otlp {
    /// A client. Headers that cannot be sent and certificates that cannot be used come back as
    /// warnings.
    pub(crate) fn new(
        settings: &TelemetrySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Vec<Warning>), Warning> {
        let url = &settings.endpoint.url;
        let uri = without_user(url).map_err(|error| {
            let url = value::without_password(url);
            Warning(format!(
                "`{url}` is not a URL ({error}): nothing is exported"
            ))
        })?;
        let protocol = settings.endpoint.protocol;
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
        let mut otlp = Self {
            client: None,
            proxy: settings.proxy.clone(),
            proxy_authorization: None,
            trouble: Arc::new(Trouble::new(settings.tls.clone())),
            uri,
            protocol,
            headers,
            tokens: (settings.exporter == Exporter::CloudTrace)
                .then(|| Tokens::new(settings, Arc::clone(&clock))),
            gzip: settings.gzip,
            timeout: settings.timeout.min(MAX_TIMEOUT),
            clock,
        };
        let credentials = otlp.tokens.as_ref().map_or(Ok(()), Tokens::check);
        if let Err(problem) = otlp.client().and(credentials) {
            warnings.push(Warning(format!(
                "{problem}: nothing is exported until that is mended"
            )));
        }
        Ok((otlp, warnings))
    }

    /// Where requests go; without user and password.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    fn client(&mut self) -> Result<Client<Connector, Body>, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let trouble = Arc::clone(&self.trouble);
        let connector = Connector::new(&self.uri, self.protocol, &self.proxy, trouble)?;
        self.proxy_authorization = connector.authorization().cloned();
        let client = Client::builder(TokioExecutor::new())
            .http2_only(self.protocol == Protocol::Grpc)
            .build(connector);
        Ok(self.client.insert(client).clone())
    }

    /// Sends a request, framed, once; twice if its token is not taken any more.
    pub(super) async fn send(&mut self, body: &Bytes) -> Sent {
        let failure = match self.try_to_send(body).await {
            Ok((rejected, said)) => return Sent::Taken { rejected, said },
            Err(failure) => failure,
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

    async fn try_to_send(&mut self, body: &Bytes) -> Result<(usize, Option<String>), Failure> {
        let client = self.client().map_err(Failure::for_now)?;
        let Some(tokens) = self.tokens.clone() else {
            let answer = self.send_in_time(&client, self.request(body)).await?;
            return settled(answer);
        };
        let mut is_second = false;
        loop {
            let mut request = self.request(body);
            let authorized = tokens.authorize(request.headers_mut()).await;
            authorized.map_err(Failure::for_now)?;
            match self.send_in_time(&client, request).await? {
                Answer::Denied { is_unknown, what } => {
                    tokens.forget();
                    if is_second || !is_unknown {
                        // Somebody may give the account its role while the spans wait.
                        return Err(Failure::for_now(tokens.explain(&what)));
                    }
                    is_second = true;
                }
                answer => return settled(answer),
            }
        }
    }

    async fn send_in_time(
        &mut self,
        client: &Client<Connector, Body>,
        request: Request<Body>,
    ) -> Result<Answer, Failure> {
        // What broke an idle connection says nothing about this request.
        self.trouble.take();
        let sent = tokio::time::timeout(self.timeout, self.send_once(client, request)).await;
        let trouble = self.trouble.take();
        match sent {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(match trouble {
                Some(what) => {
                    // Perhaps other certificates have been put there.
                    self.client = None;
                    Failure { what, ..failure }
                }
                None => failure,
            }),
            Err(_elapsed) => {
                // Perhaps the connection is dead, and the next request would go by it again.
                self.client = None;
                Err(Failure {
                    reason: DropReason::Timeout,
                    what: "no answer in time; see telemetry.timeout (OTEL_EXPORTER_OTLP_TIMEOUT)"
                        .to_owned(),
                    again: Some(None),
                })
            }
        }
    }

    /// The request's body: compressed if asked for, and for gRPC with its prefix.
    pub(super) fn framed(&self, message: &Bytes) -> Bytes {
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

    /// One try.
    async fn send_once(
        &self,
        client: &Client<Connector, Body>,
        request: Request<Body>,
    ) -> Result<Answer, Failure> {
        let response = client
            .request(request)
            .await
            .map_err(|error| unreachable_because(&error))?;
        let (head, body) = response.into_parts();
        let (trailers, body) = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => (body.trailers().cloned(), body.to_bytes()),
            // Whether the spans were taken is said before the body; its rest does not matter.
            Err(error) if error.is::<LengthLimitError>() => (None, Bytes::new()),
            Err(error) => {
                return Err(Failure::for_now(format!("the answer broke off ({error})")));
            }
        };
        let now = self.clock.now();
        Ok(match self.protocol {
            Protocol::Grpc => {
                answer::grpc(head.status, &head.headers, trailers.as_ref(), &body, now)
            }
            Protocol::HttpProtobuf => answer::http(head.status, &head.headers, &body, now),
        })
    }

    fn request(&self, body: &Bytes) -> Request<Body> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.proxy_authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
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

/// What an answer comes to.
fn settled(answer: Answer) -> Result<(usize, Option<String>), Failure> {
    let refused = |what| Failure {
        reason: DropReason::Refused,
        what,
        again: None,
    };
    match answer {
        Answer::Taken { rejected, said } => Ok((rejected, said)),
        Answer::Denied { what, .. } => Err(refused(format!(
            "{what}; see telemetry.headers (OTEL_EXPORTER_OTLP_HEADERS)"
        ))),
        Answer::Failed { what, again: None } => Err(refused(what)),
        Answer::Failed { what, again } => Err(Failure {
            again,
            ..Failure::for_now(what)
        }),
    }
}

/// The URL without user and password: those beneath log it, and gRPC sends it as the host's name.
fn without_user(url: &str) -> Result<Uri, hyper::http::Error> {
    let uri: Uri = url.parse()?;
    let mut parts = uri.into_parts();
    if let Some(authority) = &parts.authority
        && let Some((_user, host)) = authority.as_str().rsplit_once('@')
    {
        parts.authority = Some(host.parse()?);
    }
    Ok(Uri::from_parts(parts)?)
}

fn unreachable_because(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut what = chain(error);
    let mut source = std::error::Error::source(error);
    let mut is_other_language = false;
    while let Some(cause) = source {
        is_other_language |= cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse);
        source = cause.source();
    }
    if error.is_connect() {
        what.push_str(
            "; is the receiver there? see telemetry.endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)",
        );
    } else if is_other_language {
        what.push_str(
            "; if it speaks TLS, write https:// in telemetry.endpoint (OTEL_EXPORTER_OTLP_ENDPOINT), and if it speaks gRPC, set telemetry.protocol (OTEL_EXPORTER_OTLP_PROTOCOL) to grpc",
        );
    }
    Failure::for_now(what)
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}
