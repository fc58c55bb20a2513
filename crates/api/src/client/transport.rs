//! How a question gets to a daemon, and its answer back.

use std::error::Error;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri};
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

/// How answers may be packed.
const ZSTD: &str = "zstd";

/// Most bytes of an answer that is read where others wait.
const BRIEF: usize = 64 << 10;

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
    /// Whether answers may come packed: not from this machine, where that costs more than it saves.
    takes_packed: bool,
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
            takes_packed: !is_here(&base),
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
    pub(super) async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        call: Call,
    ) -> Result<T, ApiError> {
        let (status, body) = self.ask(call).await?;
        if !status.is_success() {
            return Err(self.refusal(status, &body.bytes));
        }
        body.parse(self.options.answer_bytes).await.map_err(|wrong| {
            ApiError::Internal(format!(
                "{} gave an answer that this version does not understand ({wrong}): see that the \
                 program on both sides is of one version",
                self.base
            ))
        })
    }

    async fn ask(&self, call: Call) -> Result<(StatusCode, Answered), ApiError> {
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
        if self.takes_packed {
            request = request.header(ACCEPT_ENCODING, ZSTD);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(call.body.unwrap_or_default()));
        let request = request
            .body(body)
            .map_err(|error| ApiError::Internal(format!("the question cannot be sent: {error}")))?;
        let answer = self.patiently(self.client.request(request)).await?;
        let answer = answer.map_err(|error| self.unreached(&error))?;
        let status = answer.status();
        let encoding = answer.headers().get(CONTENT_ENCODING);
        let is_packed = encoding.is_some_and(|encoding| encoding == ZSTD);
        let bytes = self.read(answer.into_body()).await?;
        Ok((status, Answered { bytes, is_packed }))
    }

    /// What comes next, if anything comes for so long.
    async fn patiently<T>(&self, next: impl Future<Output = T>) -> Result<T, ApiError> {
        let silence = self.options.silence;
        let next = tokio::time::timeout(silence, next).await;
        next.map_err(|_late| {
            ApiError::Unavailable(format!(
                "{} said nothing for {} s: see whether `longshore serve` there is overloaded, and \
                 ask again",
                self.base,
                silence.as_secs()
            ))
        })
    }

    /// The body of an answer, within the bound.
    async fn read<B>(&self, mut body: B) -> Result<Bytes, ApiError>
    where
        B: Body<Data = Bytes, Error: Error + 'static> + Unpin,
    {
        let mut read = BytesMut::new();
        while let Some(frame) = self.patiently(body.frame()).await? {
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

/// The body of an answer.
struct Answered {
    bytes: Bytes,
    is_packed: bool,
}

impl Answered {
    /// What it says; a large one is read where it keeps nobody waiting. `most` bounds what is packed
    /// in it, too.
    async fn parse<T: DeserializeOwned + Send + 'static>(self, most: usize) -> Result<T, String> {
        if self.bytes.len() < BRIEF && !self.is_packed {
            return parsed(&self.bytes);
        }
        let parse = move || match self.is_packed {
            true => parsed(&unpacked(&self.bytes, most)?),
            false => parsed(&self.bytes),
        };
        let read = tokio::task::spawn_blocking(parse).await;
        read.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn parsed<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn unpacked(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| error.to_string();
    let reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong)?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX);
    let mut reader = reader.take(bound.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(wrong)?;
    match bytes.len() > most {
        true => Err(format!("it is longer than {} MiB", most >> 20)),
        false => Ok(bytes),
    }
}

/// Whether an address is one of this machine.
fn is_here(base: &str) -> bool {
    let uri: Option<Uri> = base.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = bare.parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
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
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use hyper::body::Frame;

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
    async fn what_is_packed_is_read_and_bounded() {
        let said: Vec<u32> = (0..100_000).collect();
        let json = serde_json::to_vec(&said).unwrap();
        for (bytes, is_packed) in [
            (json.clone(), false),
            (zstd::encode_all(&*json, 1).unwrap(), true),
        ] {
            let bytes = Bytes::from(bytes);
            let answered = |bytes| Answered { bytes, is_packed };
            let read: Vec<u32> = answered(bytes.clone()).parse(json.len()).await.unwrap();
            assert_eq!(read, said);
            if is_packed {
                let read = answered(bytes).parse::<Vec<u32>>(json.len() - 1).await;
                assert!(read.unwrap_err().contains("longer than"));
            }
        }
    }

    /// An answer of which a piece comes after each of these pauses, and then nothing more.
    struct Slow(Vec<Duration>, Pin<Box<tokio::time::Sleep>>);

    impl Slow {
        fn of(pauses: &[u64]) -> Self {
            let mut pauses: Vec<_> = pauses.iter().copied().map(Duration::from_secs).collect();
            pauses.reverse();
            let first = pauses.pop().unwrap_or_default();
            Self(pauses, Box::pin(tokio::time::sleep(first)))
        }
    }

    impl Body for Slow {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            std::task::ready!(self.1.as_mut().poll(context));
            let Some(pause) = self.0.pop() else {
                return Poll::Ready(None);
            };
            self.1 = Box::pin(tokio::time::sleep(pause));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
        }
    }

    /// It is silence that ends it, and not how long it takes altogether.
    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_long_as_long_as_it_goes_on() {
        let transport = Transport::new("http://a", None, ClientOptions::default()).unwrap();
        let read = transport.read(Slow::of(&[29, 29, 29, 29])).await;
        assert_eq!(read.unwrap().len(), 3);
        let silent = transport.read(Slow::of(&[1, 31, 1])).await.unwrap_err();
        let words = silent.to_string();
        assert!(words.contains("http://a said nothing for 30 s"), "{words}");
    }

    #[test]
    fn what_comes_from_this_machine_is_not_packed() {
        for (address, here) in [
            ("http://127.0.0.1:7350", true),
            ("http://[::1]:7350", true),
            ("https://LOCALHOST", true),
            ("http://10.0.0.1:7350", false),
            ("https://queue.example", false),
        ] {
            assert_eq!(is_here(address), here, "{address}");
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
