//! An OpenTelemetry collector inside the test's own process.
//!
//! It listens on a free port of the loopback interface, speaks OTLP over gRPC and over
//! HTTP/protobuf on that one port, and keeps the spans and log records it receives. It can be told to misbehave, as a
//! real back end would. [`trace_tree`] prints spans as text for golden tests.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use longshore_core::TraceId;
use longshore_instrument::Span;
use tokio::sync::{Notify, oneshot};

mod decode;
mod log_record;
mod payload;
mod serve;
mod tree;

pub use decode::request as decode_request;
pub use log_record::LogRecord;
pub use tree::{trace_tree, trace_tree_with};

/// How the collector answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It takes what it gets.
    #[default]
    Accept,
    /// It answers "unavailable" (503, or gRPC status 14) this many times, then accepts.
    Unavailable(u32),
    /// It refuses for good: 400, or gRPC status 3.
    Refuse,
    /// It takes the request and never answers.
    Hang,
    /// It takes the request and breaks off before it has answered, so that the exporter has to
    /// send it again.
    BreakOff,
    /// It takes nothing and asks for a pause: 429 with `Retry-After`, or gRPC status 14 with
    /// `RetryInfo`.
    Throttle {
        /// Its length in seconds, at most 127.
        seconds: u8,
    },
    /// It takes the request but for its first so many spans or log records, and says so.
    PartialSuccess {
        /// How many it rejects.
        rejected: usize,
    },
}

/// The protocol that a request used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf bodies.
    Http,
}

/// One request as it arrived, whatever the answer was.
#[derive(Clone, Debug)]
pub struct Request {
    /// How it came.
    pub protocol: Protocol,
    /// The path of its URL.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Whether its body was compressed.
    pub compressed: bool,
    /// Bytes of the body as it came over the wire.
    pub body_bytes: usize,
    /// The message in it, unpacked; empty if it could not be unpacked.
    pub message: Vec<u8>,
    /// The resource attributes it carried, as text.
    pub resource: BTreeMap<String, String>,
    /// Whether what is in it was taken.
    pub accepted: bool,
}

/// What the collector and the connections that it serves share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    /// Of the next requests, each once.
    script: VecDeque<Behaviour>,
    requests: Vec<Request>,
    spans: Vec<Span>,
    log_records: Vec<LogRecord>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An OTLP collector on a thread of its own. Dropping it closes the port.
///
/// ```
/// use longshore_testkit::collector::Collector;
/// let collector = Collector::start()?;
/// assert!(collector.grpc_endpoint().starts_with("http://127.0.0.1:"));
/// assert!(collector.spans().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts a collector on a free port.
    ///
    /// # Errors
    /// If no port can be bound, or no thread started.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("otlp-collector".to_owned())
            .spawn(move || runtime.block_on(serve::run(listener, for_thread, stopped)))?;
        Ok(Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: the base
    /// URL, to which an exporter adds `/v1/traces` or `/v1/logs`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it answers from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.state().behaviour = behaviour;
    }

    /// Answers the next requests so, one after the other; those that come after them as
    /// [`Collector::set_behaviour`] says.
    pub fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.shared.state().script = behaviours.into_iter().collect();
    }

    /// The spans taken so far, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.shared.state().spans.clone()
    }

    /// The log records taken so far, in the order of their arrival.
    #[must_use]
    pub fn log_records(&self) -> Vec<LogRecord> {
        self.shared.state().log_records.clone()
    }

    /// The requests so far, those that were turned away included.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The spans of one trace, in the order of their arrival.
    #[must_use]
    pub fn trace(&self, trace_id: TraceId) -> Vec<Span> {
        let state = self.shared.state();
        let of_trace = |span: &&Span| span.trace_id == trace_id;
        state.spans.iter().filter(of_trace).cloned().collect()
    }

    /// Waits until at least `count` spans were taken, or `timeout` is over, and gives all spans
    /// taken by then.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Span> {
        self.wait_until(timeout, |state| state.spans.len() >= count)
            .await;
        self.spans()
    }

    /// Waits until at least `count` log records were taken, or `timeout` is over, and gives all that
    /// were taken by then.
    pub async fn wait_for_log_records(&self, count: usize, timeout: Duration) -> Vec<LogRecord> {
        self.wait_until(timeout, |state| state.log_records.len() >= count)
            .await;
        self.log_records()
    }

    /// Waits until at least `count` requests arrived, or `timeout` is over, and gives all requests
    /// by then.
    pub async fn wait_for_requests(&self, count: usize, timeout: Duration) -> Vec<Request> {
        self.wait_until(timeout, |state| state.requests.len() >= count)
            .await;
        self.requests()
    }

    /// Forgets what was received.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.spans.clear();
        state.log_records.clear();
        state.requests.clear();
    }

    async fn wait_until(&self, timeout: Duration, done: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                // Registered before the look, so that no change falls between look and wait.
                let changed = self.shared.changed.notified();
                if done(&self.shared.state()) {
                    return;
                }
                changed.await;
            }
        };
        // Running out of time is an answer too: the caller sees what is there.
        let _in_time = tokio::time::timeout(timeout, wait).await.is_ok();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
