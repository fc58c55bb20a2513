//! How a question gets to a daemon, and its answer back.

use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

use super::ClientOptions;
use crate::error::ApiError;

/// Who asks: a daemon makes no trace of what our own views look at.
const AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));

/// Most bytes of an answer that is not what was asked for and is shown.
const SHOWN: usize = 300;

/// A question.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
}

impl Call {
    /// To a path below `/api/v1/`.
    pub(super) fn new(method: Method, path: &str, query: &str) -> Self {
        let mark = if query.is_empty() { "" } else { "?" };
        Self {
            method,
            path: format!("/api/v1/{path}{mark}{query}"),
            body: None,
        }
    }

    /// With a body of JSON.
    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }
}

/// The way to a daemon.
#[derive(Clone)]
pub(super) struct Transport {
    base: String,
    authorization: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    options: ClientOptions,
}

impl Transport {
    pub(super) fn new(
        url: &str,
        token: Option<&str>,
        options: ClientOptions,
    ) -> Result<Self, ApiError> {
        let base = base(url)?;
        let authorization = token.map(authorization).transpose()?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(options.connect));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(base.starts_with("https:"))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(https);
        Ok(Self {
            base,
            authorization,
            client,
            options,
        })
    }

    /// The address of the daemon.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Asks, and reads the answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let asked = self.ask(call);
        let Ok(answer) = tokio::time::timeout(self.options.answer, asked).await else {
            return Err(ApiError::Unavailable(format!(
                "{} gave no answer within {} s: see whether `longshore serve` there is overloaded, \
                 and ask again",
                self.base,
                self.options.answer.as_secs()
            )));
        };
        let (status, body) = answer?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                ApiError::Internal(format!(
                    "{} gave an answer that this version does not understand ({error}): see that \
                     the program on both sides is of one version",
                    self.base
                ))
            });
        }
        Err(self.refusal(status, &body))
    }

    async fn ask(&self, call: Call) -> Result<(StatusCode, Bytes), ApiError> {
        let uri: Uri = format!("{}{}", self.base, call.path)
            .parse()
            .map_err(|error| ApiError::Invalid(format!("the question is no address: {error}")))?;
        let mut request = Request::builder()
            .method(call.method)
            .uri(uri)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(call.body.unwrap_or_default()));
        let request = request
            .body(body)
            .map_err(|error| ApiError::Internal(format!("the question cannot be sent: {error}")))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| self.unreached(&error))?;
        let status = answer.status();
        Ok((status, self.read(answer).await?))
    }

    /// The body of an answer, within the bound.
    async fn read(&self, answer: Response<Incoming>) -> Result<Bytes, ApiError> {
        let mut body = answer.into_body();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreached(&error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.len() > self.options.answer_bytes {
                return Err(ApiError::Invalid(format!(
                    "the answer of {} is longer than {} MiB: ask for less, such as a trace alone",
                    self.base,
                    self.options.answer_bytes >> 20
                )));
            }
            read.extend_from_slice(&data);
        }
        Ok(read.freeze())
    }

    /// What an answer means that is not a success.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> ApiError {
        if let Ok(error) = serde_json::from_slice(body) {
            return error;
        }
        let shown = String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(body)).into_owned();
        let shown: String = shown.chars().filter(|c| !c.is_control()).collect();
        ApiError::Unavailable(format!(
            "{} answers {status} ({shown}), which `longshore serve` never does: see what listens \
             there",
            self.base
        ))
    }

    /// Why a daemon could not be asked, and what to do.
    fn unreached(&self, error: &(dyn Error + 'static)) -> ApiError {
        let base = &self.base;
        let kind = io_kind(error);
        ApiError::Unavailable(match kind {
            Some(io::ErrorKind::ConnectionRefused) => {
                format!("nothing listens on {base}: start `longshore serve` there")
            }
            Some(io::ErrorKind::TimedOut) => format!(
                "{base} cannot be reached within {} s: see that the address is right and no \
                 firewall is between",
                self.options.connect.as_secs()
            ),
            _ => format!("{base} cannot be asked: {}", chain(error)),
        })
    }
}

/// The address of a daemon without a path.
fn base(url: &str) -> Result<String, ApiError> {
    let wrong = |what: &str| {
        let shown: String = url.chars().take(200).collect();
        ApiError::Invalid(format!(
            "`{shown}` is no address of a daemon: {what}; write http://127.0.0.1:7350"
        ))
    };
    let uri: Uri = url.parse().map_err(|_error| wrong("it is no URL"))?;
    let scheme = uri.scheme_str().ok_or_else(|| wrong("it has no http://"))?;
    if scheme != "http" && scheme != "https" {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    let host = uri.authority().ok_or_else(|| wrong("it names no host"))?;
    if host.as_str().contains('@') {
        return Err(wrong("a token does not belong into it"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong("it has a path"));
    }
    Ok(format!("{scheme}://{host}"))
}

fn authorization(token: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_error| {
        ApiError::Invalid("the token has characters that no header can carry".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whom an address with TLS is trusted by: the authorities of this machine.
fn tls(is_secure: bool) -> Result<ClientConfig, ApiError> {
    let mut roots = RootCertStore::empty();
    if is_secure {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ApiError::Internal(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The kind of the I/O error that an error comes from.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        assert_eq!(
            base("http://127.0.0.1:7350/").unwrap(),
            "http://127.0.0.1:7350"
        );
        for wrong in [
            "127.0.0.1:7350",
            "ftp://a",
            "http://t@a",
            "http://a/api",
            "",
        ] {
            let error = base(wrong).unwrap_err();
            assert!(
                error.to_string().contains("no address of a daemon"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named_with_what_to_do() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = listener.local_addr().unwrap();
        drop(listener);
        let url = format!("http://{free}");
        let transport = Transport::new(&url, None, ClientOptions::default()).unwrap();
        let answer: Result<bool, ApiError> =
            transport.call(Call::new(Method::GET, "about", "")).await;
        assert_eq!(
            answer,
            Err(ApiError::Unavailable(format!(
                "nothing listens on {url}: start `longshore serve` there"
            )))
        );
    }
}
