//! How connections are taken, served and ended.

mod patience;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use patience::Patient;
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
    /// Most time for the head of a request to arrive, what comes before the first one on a
    /// connection included: the handshake of TLS, and silence. 10 s.
    pub head: Duration,
    /// Most time in which the other end takes nothing of an answer. 30 s.
    pub taking: Duration,
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
            taking: Duration::from_secs(30),
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
    let graceful = GracefulShutdown::new();
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer, slot) = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        let caller = Caller {
            peer,
            router: router.clone(),
            options,
            watcher: graceful.watcher(),
        };
        let (tls, stopped) = (tls.clone(), stopping.subscribe());
        connections.spawn(async move {
            match tls {
                None => converse(stream, caller).await,
                Some(tls) => {
                    if let Some(stream) = shake(&tls, stream, options.head, stopped).await {
                        converse(stream, caller).await;
                    }
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    // What does not end within the grace is broken off with the tasks of the set.
    tokio::time::timeout(options.grace, graceful.shutdown())
        .await
        .is_ok()
}

/// Begins TLS; nothing with one that speaks none, takes too long, or has said nothing yet when the
/// server stops.
async fn shake(
    tls: &Tls,
    stream: TcpStream,
    most: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    tokio::select! {
        shaken = tokio::time::timeout(most, tls.acceptor.accept(stream)) => shaken.ok()?.ok(),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    }
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

/// Who is at the other end of a connection, and what answers there.
struct Caller {
    peer: SocketAddr,
    router: Router,
    options: ServerOptions,
    watcher: Watcher,
}

/// All requests of a connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, caller: Caller) {
    let Caller {
        peer,
        router,
        options,
        watcher,
    } = caller;
    let router = TowerToHyperService::new(router);
    let has_asked = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&has_asked);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        asks.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let stream = TokioIo::new(Patient::new(stream, options.taking));
    let builder = builder(options);
    let connection = builder.serve_connection_with_upgrades(stream, answer);
    let mut connection = std::pin::pin!(watcher.watch(connection.into_owned()));
    // Nothing else bounds how long it may take until the version of HTTP is known, and on HTTP/2
    // until something is asked.
    // What goes wrong with a connection is the other end's to tell.
    if let Ok(_broken) = tokio::time::timeout(options.head, &mut connection).await {
        return;
    }
    if has_asked.load(Ordering::Relaxed) {
        let _broken = connection.await;
    }
}

fn builder(options: ServerOptions) -> auto::Builder<TokioExecutor> {
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
    builder
}
