//! How connections are taken, served and ended.

mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub use tls::{Tls, TlsError};

/// The pause after the system could give no connection.
const RESPITE: Duration = Duration::from_millis(100);

/// The other end of the connection that a request came by; every request has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Most connections at once; others wait to be accepted. 1,024.
    pub connections: usize,
    /// Most time for the head of a request to arrive. 10 s.
    pub head: Duration,
    /// Most bytes of the head of a request. 64 KiB.
    pub head_bytes: usize,
    /// Most requests at once on one HTTP/2 connection. 128.
    pub streams: u32,
    /// Most time for requests that are being answered when the server stops. 10 s.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(10),
            head_bytes: 64 << 10,
            streams: 128,
            grace: Duration::from_secs(10),
        }
    }
}

/// Answers HTTP/1.1 and HTTP/2 on `listener` until `stop` ends; then takes no more connections and
/// lets requests that are being answered finish, within the grace of `options`. Says whether all
/// did.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    stop: impl Future<Output = ()> + Send,
) -> bool {
    serve_within(None, listener, router, options, stop).await
}

/// The same within TLS, if there is any.
pub async fn serve_within(
    tls: Option<Tls>,
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    stop: impl Future<Output = ()> + Send,
) -> bool {
    let slots = Arc::new(Semaphore::new(options.connections));
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, peer, slot) = accepted;
        let (router, tls, watcher) = (router.clone(), tls.clone(), connections.watcher());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, peer, router, options, watcher).await,
                Some(tls) => {
                    let shaken = tls.acceptor.accept(stream);
                    // One that speaks no TLS goes away, or is let go.
                    if let Ok(Ok(stream)) = tokio::time::timeout(options.head, shaken).await {
                        converse(stream, peer, router, options, watcher).await;
                    }
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    tokio::time::timeout(options.grace, connections.shutdown())
        .await
        .is_ok()
}

type Slot = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Slot) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            // Nobody closes the semaphore.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and waited for.
                let _slower = stream.set_nodelay(true);
                return (stream, peer, slot);
            }
            Err(_) => tokio::time::sleep(RESPITE).await,
        }
    }
}

/// All requests of a connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    options: ServerOptions,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head)
        .max_buf_size(options.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams)
        .max_header_list_size(u32::try_from(options.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(options.head));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer);
    // What goes wrong with a connection is the other end's to tell.
    let _broken = watcher.watch(connection.into_owned()).await;
}
