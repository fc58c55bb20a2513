//! `worker --metrics`: a small HTTP server with `/metrics` and `/healthz`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use longshore_daemon::otlp::Receiver;
use longshore_telemetry::metrics::{ArchiveCounters, ArchiveTally, Beside};
use longshore_telemetry::{Metrics, MetricsFormat};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::address::listen;

/// Most connections at once; others wait to be accepted.
const CONNECTIONS: usize = 16;
/// Most time for a request to arrive.
const REQUEST: Duration = Duration::from_secs(5);
/// Most time for a connection, its answer included.
const CONNECTION: Duration = Duration::from_secs(30);
/// The pause after the system could give no connection.
const RESPITE: Duration = Duration::from_millis(100);
/// Most bytes of the head of a request.
const HEAD_BYTES: usize = 16 << 10;
const PLAIN: &str = "text/plain; charset=utf-8";

/// A server that ends when it is dropped.
#[derive(Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    told: Arc<Told>,
    task: AbortHandle,
}

/// What is told.
#[derive(Debug)]
struct Told {
    metrics: Metrics,
    /// What takes the spans of programs, once that is known.
    receiver: OnceLock<Receiver>,
    /// How far the copies to an archive are, once somebody makes them.
    copies: OnceLock<Vec<ArchiveTally>>,
}

impl Told {
    fn encode(&self, format: MetricsFormat) -> String {
        let beside = Beside {
            receiver: self.receiver.get().map(Receiver::counters),
            archive: self
                .copies
                .get()
                .and_then(|copies| ArchiveCounters::of_all(copies)),
            answers: None,
        };
        self.metrics.encode_with(format, &beside)
    }
}

impl Endpoint {
    /// Listens at `HOST:PORT`, or at this port of the loopback device.
    ///
    /// # Errors
    /// The address is none, or cannot be had.
    pub(super) async fn start(address: &str, metrics: Metrics) -> anyhow::Result<Self> {
        let listener = listen("--metrics", address, 9464).await?;
        let own = listener.local_addr()?;
        let told = Arc::new(Told {
            metrics,
            receiver: OnceLock::new(),
            copies: OnceLock::new(),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&told)));
        Ok(Self {
            address: own,
            told,
            task: task.abort_handle(),
        })
    }

    /// Tells from now on what programs sent to `receiver`, too.
    pub(super) fn tell_of(&self, receiver: Receiver) {
        // There is one for all programs of a process.
        let _was_told = self.told.receiver.set(receiver);
    }

    /// Tells from now on how far these copies are, too.
    pub(super) fn tell_of_copies(&self, copies: Vec<ArchiveTally>) {
        let _was_told = self.told.copies.set(copies);
    }

    /// Where the metrics are.
    pub(super) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, told: Arc<Told>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _peer)) = listener.accept().await else {
            tokio::time::sleep(RESPITE).await;
            continue;
        };
        let told = Arc::clone(&told);
        connections.spawn(async move {
            // What goes wrong with a connection is the other end's to tell.
            let _served = tokio::time::timeout(CONNECTION, converse(stream, &told)).await;
            drop(slot);
        });
    }
}

/// One request and its answer.
async fn converse(stream: TcpStream, told: &Told) -> hyper::Result<()> {
    let answer = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, told);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn answer(request: &Request<Incoming>, told: &Told) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        let allowed = hyper::header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let accepted = request.headers().get_all(ACCEPT).iter();
            let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
            let format = MetricsFormat::negotiate(&accepted.join(","));
            text(StatusCode::OK, format.content_type(), told.encode(format))
        }
        "/healthz" => text(StatusCode::OK, PLAIN, "ok\n"),
        _ => text(
            StatusCode::NOT_FOUND,
            PLAIN,
            "there are /metrics and /healthz\n",
        ),
    }
}

fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
