//! The OTLP receiver: spans and log records over gRPC and HTTP, in protobuf and JSON, packed by
//! gzip or zstd.
//!
//! What comes is looked through before anything holds it: it has to be well-formed, within bounds,
//! and without what may not be kept ([`Redactor`]). It is answered once it is in the span log, from
//! where nothing but a broken disk takes it away. When more comes than can be written, senders are
//! told to pause. Metrics are not taken, and senders are told so.
//!
//! | step | look in |
//! | --- | --- |
//! | the body, bounded whatever it says of itself | `body.rs` |
//! | JSON made into protobuf | `json.rs` |
//! | what is in it, and what has to be hidden | `screen.rs`, by the table in `schema.rs` |
//! | why single spans are rejected, and what is counted | `fault.rs`, `counters.rs` |
//! | spans of programs that jobs run: they go with their job | `adoption.rs` |
//! | all of this but the log, for a body alone | `preview.rs` |
//! | the span log | `journal.rs` |
//! | why something is not taken, in the words of each protocol | `refusal.rs`, `transport.rs`, `grpc.rs`, `http.rs` |

mod adoption;
mod body;
mod counters;
mod fault;
mod grpc;
mod http;
mod journal;
mod json;
mod patch;
mod preview;
mod refusal;
#[cfg(test)]
mod sample;
mod schema;
mod screen;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::ORIGIN;
use axum::http::{Method, Response};
use axum::routing::any;
use bytes::Bytes;
use longshore_core::Clock;
use longshore_instrument::Span;
use longshore_spanlog::{Kind, LogError, MAX_BODY_BYTES};
use longshore_telemetry::metrics::ReceiverCounters;
use longshore_telemetry::{Redactor, Telemetry};
use tokio::sync::Semaphore;

pub use journal::JournalOptions;
pub use preview::{BodyForm, Preview, preview};

use crate::auth::{Access, Door, RateLimit, Scope};
use crate::serve::Peer;
use adoption::Adoption;
use body::{Memory, Packing, Share};
use counters::Tally;
use fault::{Fault, Rejected};
use http::Encoding;
use journal::{Journal, Parcel};
use refusal::Refusal;
use schema::Schema;
use screen::{Bounds, Screened, screen, screen_without};
use transport::Transport;

/// Most bytes that are looked through where other connections are waited for too.
const BRIEF: usize = 64 << 10;
/// Most time until spans that were handed to telemetry are written down.
const WRITTEN: Duration = Duration::from_secs(5);
/// Most messages in one another.
const DEPTH: usize = 40;

/// The bounds of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverOptions {
    /// Most bytes of a body, packed and unpacked. 16 MiB, which is also the largest frame of the
    /// span log.
    pub body_bytes: usize,
    /// Most spans or log records of a request; those beyond are rejected. 65,536.
    pub items: usize,
    /// Most attributes of a span, event, link, scope or resource; those beyond are dropped, and
    /// counted in the message. 1,024.
    pub attributes: usize,
    /// Most bytes of all requests that are being read or written down; beyond, senders are told to
    /// pause. 256 MiB.
    pub waiting_bytes: usize,
    /// Most requests that are being read or written down; beyond, senders are told to pause. 1,024.
    pub at_once: usize,
    /// Most time for a body to arrive. 30 s.
    pub patience: Duration,
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            body_bytes: MAX_BODY_BYTES,
            items: 1 << 16,
            attributes: 1024,
            waiting_bytes: 256 << 20,
            at_once: 1024,
            patience: Duration::from_secs(30),
        }
    }
}

/// Takes what programs send over OTLP. A clone is the same receiver; the last one that is dropped
/// writes down what was taken and closes the log.
#[derive(Clone, Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    door: Door,
    /// Whom spans belong to that are beneath what runs in this process.
    telemetry: Option<Arc<Telemetry>>,
}

#[derive(Debug)]
struct Shared {
    /// Nothing if all spans go through telemetry.
    journal: Option<Journal>,
    redactor: Arc<Redactor>,
    options: ReceiverOptions,
    memory: Arc<Memory>,
    /// One for each request that is being read or written down.
    turns: Semaphore,
    tally: Tally,
}

impl Shared {
    fn new(journal: Option<Journal>, redactor: Arc<Redactor>, options: ReceiverOptions) -> Self {
        Self {
            journal,
            redactor,
            options,
            memory: Arc::new(Memory::new(options.waiting_bytes)),
            turns: Semaphore::new(options.at_once),
            tally: Tally::default(),
        }
    }
}

/// What can be sent.
#[derive(Clone, Copy, Debug)]
struct Signal {
    kind: Kind,
    schema: &'static Schema,
    /// The name of the count of what was rejected, in JSON.
    rejected: &'static str,
}

const TRACES: Signal = Signal {
    kind: Kind::SPANS,
    schema: &schema::TRACES,
    rejected: "rejectedSpans",
};

const LOGS: Signal = Signal {
    kind: Kind::LOGS,
    schema: &schema::LOGS,
    rejected: "rejectedLogRecords",
};

impl Receiver {
    /// A receiver that writes to a span log what `redactor` lets pass.
    ///
    /// # Errors
    /// The folder of the log cannot be made or written to.
    pub fn start(
        journal: JournalOptions,
        redactor: Arc<Redactor>,
        options: ReceiverOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let journal = Some(Journal::start(journal, Arc::clone(&clock))?);
        Ok(Self::new(journal, redactor, options, clock))
    }

    /// A receiver for the programs that jobs of this process run: what they send goes through
    /// `telemetry`, with their jobs, and nowhere else.
    #[must_use]
    pub fn of_programs(
        telemetry: Arc<Telemetry>,
        options: ReceiverOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let redactor = telemetry.redactor();
        Self::new(None, redactor, options, clock).with_telemetry(telemetry)
    }

    fn new(
        journal: Option<Journal>,
        redactor: Arc<Redactor>,
        options: ReceiverOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared::new(journal, redactor, options)),
            door: Door::new(Access::this_machine(), RateLimit::default(), clock),
            telemetry: None,
        }
    }

    /// The same, with the spans of programs that jobs of this process run going through `telemetry`.
    #[must_use]
    pub fn with_telemetry(self, telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry: Some(telemetry),
            ..self
        }
    }

    /// The same for whom `access` says, instead of this machine alone.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self {
            door: self.door.with_access(access),
            ..self
        }
    }

    /// What came so far, and what became of it.
    #[must_use]
    pub fn counters(&self) -> ReceiverCounters {
        let counters = self.shared.tally.snapshot();
        // Without a log of its own, the redactor is that of telemetry, which counts for itself.
        let own = self.shared.journal.as_ref();
        let redacted = own.map(|_| self.shared.redactor.counts());
        let redacted = redacted.unwrap_or_default();
        ReceiverCounters {
            redacted,
            ..counters
        }
    }

    /// The paths of OTLP, gRPC and HTTP alike.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/v1/traces", any(traces))
            .route("/v1/logs", any(logs))
            .route("/v1/metrics", any(unknown))
            .route(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                any(traces),
            )
            .route(
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                any(logs),
            )
            .route(
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                any(unknown),
            )
            .with_state(self.clone())
    }

    async fn answer(&self, request: Request, signal: Option<Signal>) -> Response<Body> {
        let transport = Transport::of(request.headers());
        let taken = match signal {
            Some(signal) => self.take(request, transport, signal).await,
            None => Err(Refusal::Unknown(request.uri().path().to_owned())),
        };
        let outcome = taken.as_ref().map_or_else(Refusal::reason, |_| "taken");
        self.shared.tally.answered(transport.as_str(), outcome);
        match (taken, transport) {
            (Ok(message), Transport::Grpc) => grpc::taken(&message),
            (Ok(message), Transport::Http(encoding)) => http::taken(encoding, message),
            (Err(refusal), transport) => {
                tracing::debug!(target: "longshore", "OTLP is refused: {refusal}");
                match transport {
                    Transport::Grpc => grpc::refused(&refusal),
                    Transport::Http(encoding) => http::refused(encoding, &refusal),
                }
            }
        }
    }

    /// Takes what is in a request; gives back the message that says so.
    async fn take(
        &self,
        request: Request,
        transport: Transport,
        signal: Signal,
    ) -> Result<Vec<u8>, Refusal> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        // Programs do not say where they were loaded from.
        if head.headers.contains_key(ORIGIN) {
            return Err(Refusal::WebPage);
        }
        let peer = head.extensions.get::<Peer>();
        self.door
            .admit(Scope::Write, &head.headers, &head.uri, peer)?;
        let _turn = self.shared.turns.try_acquire().or(Err(Refusal::Busy))?;
        let packing = transport.packing(&head.headers)?;
        let encoding = match transport {
            Transport::Grpc => Encoding::Protobuf,
            Transport::Http(_) => Encoding::of(&head.headers)?,
        };
        let options = self.shared.options;
        let mut share = self.shared.memory.share();
        let reading = body::read(body, options.body_bytes, &mut share);
        let body = tokio::time::timeout(options.patience, reading).await;
        let body = body.map_err(|_late| Refusal::BrokenOff)??;
        let (packed, packing) = match transport {
            Transport::Http(_) => (body, packing),
            Transport::Grpc => match grpc::message(&body)? {
                (message, true) => (message, packing),
                (message, false) => (message, Packing::None),
            },
        };
        let work = Work {
            packed,
            packing,
            encoding,
            signal,
            share,
        };
        let looked = self.look_through(work).await?;
        if signal.kind != Kind::SPANS && self.shared.journal.is_none() {
            return Err(Refusal::Unknown(head.uri.path().to_owned()));
        }
        let rejected = self.keep(signal.kind, looked).await?;
        Ok(transport.words(signal, &rejected))
    }

    /// Hands to telemetry and to the log what is theirs; gives back what is rejected.
    async fn keep(&self, kind: Kind, looked: Looked) -> Result<Rejected, Refusal> {
        let Looked {
            screened,
            adopted,
            share,
        } = looked;
        let tally = &self.shared.tally;
        let (items, mut rejected) = (screened.items, screened.rejected);
        tally.received(kind, items + rejected.count() + adopted.len());
        let handed = self.adopt(adopted, &mut rejected).await;
        let kept = match (handed, &self.shared.journal) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), _) if items == 0 => Ok(()),
            (Ok(()), Some(journal)) => {
                let parcel = Parcel {
                    kind,
                    body: screened.body,
                    items,
                    times: screened.times,
                    _share: share,
                };
                journal.put(parcel).await
            }
            // What telemetry could not read has nowhere else to go.
            (Ok(()), None) => {
                rejected.add(Fault::JobGone, items);
                tally.rejected(kind, &rejected);
                return Ok(rejected);
            }
        };
        tally.rejected(kind, &rejected);
        match &kept {
            Ok(()) => tally.accepted(kind, items),
            Err(refusal) => tally.dropped(kind, refusal.reason(), items),
        }
        kept.map(|()| rejected)
    }

    /// Hands spans to telemetry, and waits until those that leave are written down.
    async fn adopt(&self, spans: Vec<Span>, rejected: &mut Rejected) -> Result<(), Refusal> {
        let Some(telemetry) = self.telemetry.as_ref().filter(|_| !spans.is_empty()) else {
            return Ok(());
        };
        let count = spans.len();
        let tally = &self.shared.tally;
        if telemetry.room() < count {
            tally.dropped(Kind::SPANS, Refusal::Busy.reason(), count);
            return Err(Refusal::Busy);
        }
        let adopted = telemetry.adopt(spans);
        let dropped = adopted.dropped_total();
        rejected.add(Fault::JobGone, dropped);
        let left = count.saturating_sub(dropped);
        if telemetry.written(&adopted, WRITTEN).await {
            tally.accepted(Kind::SPANS, left);
            return Ok(());
        }
        tally.dropped(Kind::SPANS, Refusal::Busy.reason(), left);
        Err(Refusal::Busy)
    }

    /// Unpacks a body and looks through it; large ones where they keep nobody waiting.
    async fn look_through(&self, work: Work) -> Result<Looked, Refusal> {
        let telemetry = self.telemetry.clone();
        if work.packed.len() < BRIEF && work.packing == Packing::None {
            return work.run(&self.shared, telemetry.as_deref());
        }
        let shared = Arc::clone(&self.shared);
        let run = move || work.run(&shared, telemetry.as_deref());
        let ran = tokio::task::spawn_blocking(run).await;
        ran.unwrap_or(Err(Refusal::BrokenOff))
    }
}

/// What is in a body.
struct Looked {
    /// What goes into the log.
    screened: Screened,
    /// What goes through telemetry.
    adopted: Vec<Span>,
    share: Share,
}

/// A body that arrived.
struct Work {
    packed: Bytes,
    packing: Packing,
    encoding: Encoding,
    signal: Signal,
    share: Share,
}

impl Work {
    fn run(mut self, shared: &Shared, telemetry: Option<&Telemetry>) -> Result<Looked, Refusal> {
        let most = shared.options.body_bytes;
        let body = body::unpacked(self.packed, self.packing, most, &mut self.share)?;
        let message = match self.encoding {
            Encoding::Protobuf => body,
            Encoding::Json => {
                let message = json::to_protobuf(&body, self.signal.schema)
                    .map_err(|error| Refusal::Json(error.to_string()))?;
                self.share.take(message.len())?;
                message.into()
            }
        };
        let bounds = Bounds {
            items: shared.options.items,
            attributes: shared.options.attributes,
            depth: DEPTH,
        };
        let (schema, redactor) = (self.signal.schema, &shared.redactor);
        let mut screened = screen(message, schema, redactor, bounds)?;
        let mut adoption = Adoption::default();
        if let Some(telemetry) = telemetry.filter(|_| self.signal.kind == Kind::SPANS) {
            let all = shared.journal.is_none();
            adoption = Adoption::of(&screened.body, telemetry, all);
        }
        if !adoption.ids.is_empty() {
            let (rejected, rest) = (screened.rejected, screened.body);
            screened = screen_without(&adoption.ids, rest, schema, redactor, bounds)?;
            screened.rejected = rejected;
        }
        Ok(Looked {
            screened,
            adopted: adoption.spans,
            share: self.share,
        })
    }
}

async fn traces(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    receiver.answer(request, Some(TRACES)).await
}

async fn logs(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    receiver.answer(request, Some(LOGS)).await
}

async fn unknown(State(receiver): State<Receiver>, request: Request) -> Response<Body> {
    receiver.answer(request, None).await
}
