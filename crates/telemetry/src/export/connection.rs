//! Connections to a receiver, and why they broke: a client that pools connections tells less than
//! the connection knew.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use super::dialer::{Dialer, ProxyError, Road};
use super::tls;
use crate::config::{Protocol, ProxySettings, TlsSettings};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<Road>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// An error and what caused it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    what
}

/// What is known about the last connection that broke.
#[derive(Debug)]
pub(super) struct Trouble {
    tls: TlsSettings,
    what: Mutex<Option<String>>,
}

impl Trouble {
    pub(super) fn new(tls: TlsSettings) -> Self {
        Self {
            tls,
            what: Mutex::default(),
        }
    }

    /// What there is to say, once.
    pub(super) fn take(&self) -> Option<String> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, error: &(dyn std::error::Error + 'static)) {
        if let Some(error) = error.downcast_ref::<ProxyError>() {
            *self.slot() = Some(error.to_string());
        } else if let Some(error) = tls::cause(error) {
            *self.slot() = Some(tls::explain(error, &self.tls));
        }
    }

    /// A guess, which must not take the place of knowledge.
    fn hung_up(&self) {
        self.slot().get_or_insert_with(|| tls::hung_up(&self.tls));
    }
}

/// Makes connections for the client of one receiver.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<Dialer>,
    trouble: Arc<Trouble>,
    /// Whether requests go to a proxy that reads them.
    is_forwarded: bool,
    /// The header that such a proxy wants.
    authorization: Option<HeaderValue>,
}

impl Connector {
    /// A connector for a receiver; else what is wrong with the certificates that are set, if
    /// anything speaks TLS here.
    pub(super) fn new(
        uri: &Uri,
        protocol: Protocol,
        proxy: &ProxySettings,
        trouble: Arc<Trouble>,
    ) -> Result<Self, String> {
        let is_secure = uri.scheme_str() == Some("https") || proxy.is_secure();
        let config = if is_secure {
            tls::client(&trouble.tls)?
        } else {
            tls::trusting_nobody()?
        };
        let dialer = Dialer::new(uri, protocol, proxy, config.clone());
        let (is_forwarded, authorization) = dialer.forwards();
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let https = match protocol {
            Protocol::Grpc => builder.enable_http2().wrap_connector(dialer),
            Protocol::HttpProtobuf => builder.enable_http1().wrap_connector(dialer),
        };
        Ok(Self {
            https,
            trouble,
            is_forwarded,
            authorization,
        })
    }

    /// What every request must carry for the sake of a proxy.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = BoxError;
    type Future = Connecting<Link>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.https.call(uri);
        let trouble = Arc::clone(&self.trouble);
        let is_forwarded = self.is_forwarded;
        Box::pin(async move {
            let stream = connecting.await.inspect_err(|error| {
                trouble.note(error.as_ref());
            })?;
            let is_secure = matches!(stream, MaybeHttpsStream::Https(_));
            Ok(Link {
                stream,
                trouble,
                is_forwarded,
                is_silent: is_secure,
            })
        })
    }
}

/// A connection that notes why it breaks.
#[derive(Debug)]
pub(super) struct Link {
    stream: Stream,
    trouble: Arc<Trouble>,
    is_forwarded: bool,
    /// Whether it speaks TLS and nothing has been heard since the handshake.
    is_silent: bool,
}

impl Link {
    fn noted<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.trouble.note(error);
            if self.is_silent {
                self.trouble.hung_up();
            }
        }
        polled
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_silent {
            let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
            return self.noted(polled);
        }
        // The caller's buffer does not tell how much came; one of our own does.
        let mut first = [0; 256];
        let room = first.len().min(buffer.remaining());
        let mut first = ReadBuf::new(first.get_mut(..room).unwrap_or_default());
        let polled = Pin::new(&mut self.stream).poll_read(context, first.unfilled());
        if matches!(polled, Poll::Ready(Ok(()))) {
            if first.filled().is_empty() {
                self.trouble.hung_up();
            } else {
                self.is_silent = false;
                buffer.put_slice(first.filled());
            }
        }
        self.noted(polled)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.noted(polled)
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_forwarded)
    }
}
