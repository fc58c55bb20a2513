//! The way to a receiver: straight, or through a proxy.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connection::chain;
use crate::config::{Protocol, ProxySettings};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes to and from a receiver, or the proxy before it.
pub(super) type Road = MaybeHttpsStream<TokioIo<TcpStream>>;

/// What a proxy did not do, and where it is set.
#[derive(Debug, thiserror::Error)]
#[error(
    "the proxy {name} {what}; see telemetry.https_proxy (HTTPS_PROXY) and telemetry.http_proxy \
     (HTTP_PROXY), or name the receiver in telemetry.no_proxy (NO_PROXY)"
)]
pub(super) struct ProxyError {
    name: String,
    what: String,
}

/// Opens connections towards one receiver.
#[derive(Clone)]
pub(super) struct Dialer {
    way: Way,
    /// The proxy's name, without a password.
    name: String,
}

#[derive(Clone)]
enum Way {
    Straight(HttpConnector),
    /// The proxy connects, and then knows nothing of what is said.
    Tunnel(Tunnel<HttpsConnector<HttpConnector>>),
    /// The proxy reads each request and passes it on.
    Forward {
        proxy: HttpsConnector<HttpConnector>,
        at: Uri,
        authorization: Option<HeaderValue>,
    },
}

impl Dialer {
    pub(super) fn new(
        uri: &Uri,
        protocol: Protocol,
        settings: &ProxySettings,
        tls: ClientConfig,
    ) -> Self {
        // The scheme is the TLS connector's affair.
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let Some(intercept) = proxy_for(uri, settings) else {
            return Self {
                way: Way::Straight(http),
                name: String::new(),
            };
        };
        let at = intercept.uri().clone();
        let name = at.authority().map(ToString::to_string).unwrap_or_default();
        let proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        // HTTP/2 without TLS cannot be passed on request by request.
        let way = if uri.scheme_str() == Some("https") || protocol == Protocol::Grpc {
            let tunnel = Tunnel::new(at, proxy);
            Way::Tunnel(match intercept.basic_auth() {
                Some(authorization) => tunnel.with_auth(authorization.clone()),
                None => tunnel,
            })
        } else {
            Way::Forward {
                proxy,
                at,
                authorization: intercept.basic_auth().cloned(),
            }
        };
        Self { way, name }
    }

    /// Whether requests are for the proxy to read, and the header that each of them needs then.
    pub(super) fn forwards(&self) -> (bool, Option<HeaderValue>) {
        match &self.way {
            Way::Forward { authorization, .. } => (true, authorization.clone()),
            Way::Straight(_) | Way::Tunnel(_) => (false, None),
        }
    }
}

fn proxy_for(uri: &Uri, settings: &ProxySettings) -> Option<Intercept> {
    // The matcher takes the star for names alone.
    if settings.no_proxy.split(',').any(|host| host.trim() == "*") {
        return None;
    }
    Matcher::builder()
        .http(settings.http.as_str())
        .https(settings.https.as_str())
        .no(settings.no_proxy.as_str())
        .build()
        .intercept(uri)
}

impl Service<Uri> for Dialer {
    type Response = Road;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Road, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.way {
            Way::Straight(http) => http.poll_ready(context).map_err(Into::into),
            Way::Tunnel(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
            Way::Forward { proxy, .. } => proxy.poll_ready(context),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let name = self.name.clone();
        match &mut self.way {
            Way::Straight(http) => {
                let connecting = http.call(uri);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) })
            }
            Way::Tunnel(tunnel) => {
                let connecting = tunnel.call(with_port(uri));
                Box::pin(async move { Ok(connecting.await.map_err(|e| said(name, &e))?) })
            }
            Way::Forward { proxy, at, .. } => {
                let connecting = proxy.call(at.clone());
                Box::pin(async move { Ok(connecting.await.map_err(|e| said(name, &*e))?) })
            }
        }
    }
}

fn said(name: String, error: &(dyn std::error::Error + 'static)) -> ProxyError {
    let what = format!("cannot be used ({})", chain(error));
    ProxyError { name, what }
}

/// A tunnel takes port 443 where none is named.
fn with_port(uri: Uri) -> Uri {
    let needs_port = uri.scheme_str() == Some("http") && uri.port().is_none();
    let host = uri
        .host()
        .filter(|_| needs_port)
        .map(|host| format!("{host}:80"));
    let Some(authority) = host.and_then(|host| host.parse().ok()) else {
        return uri;
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(authority);
    Uri::from_parts(parts).unwrap_or(uri)
}
