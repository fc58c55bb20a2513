//! The seam between the engine and telemetry.

use std::fmt;
use std::sync::Arc;

use longshore_core::{
    Job, JobId, Kind, Priority, QueueName, SpanContext, StoreInfo, Timestamp, TraceId, WorkerId,
};

use crate::keep::Keeper;
use crate::measure::Measured;
use crate::span::Span;

/// What a head sampler may look at when a new trace begins.
#[derive(Clone, Copy, Debug)]
pub struct RootRequest<'a> {
    /// The new trace; its low 56 bits are its randomness.
    pub trace_id: TraceId,
    /// The queue concerned.
    pub queue: &'a QueueName,
    /// The kind, unless several kinds are concerned.
    pub kind: Option<&'a Kind>,
    /// The priority.
    pub priority: Priority,
    /// The tenant.
    pub tenant_id: Option<&'a str>,
    /// The namespace.
    pub namespace: Option<&'a str>,
    /// The route of the web request that asks for the jobs, such as `/orders/{id}`.
    pub route: Option<&'a str>,
    /// How many jobs the trace is about.
    pub jobs: usize,
}

impl<'a> RootRequest<'a> {
    /// About a new trace of one job that is in a store.
    #[must_use]
    pub fn of(trace_id: TraceId, job: &'a Job) -> Self {
        Self {
            trace_id,
            queue: &job.queue,
            kind: Some(&job.kind),
            priority: job.priority,
            tenant_id: job.tenant_id.as_deref(),
            namespace: job.namespace.as_deref(),
            route: None,
            jobs: 1,
        }
    }
}

/// The answer of a head sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootDecision {
    /// Whether the trace is sampled.
    pub sampled: bool,
    /// The rejection threshold that the trace's randomness was held against, if that is how it
    /// was decided: how many of 2^56 traces are not sampled. Stated as `ot=th:…` in `tracestate`.
    pub threshold: Option<u64>,
}

/// What the live span of a handler needs.
#[derive(Clone, Debug)]
pub struct HandlerStart {
    /// The `job.process` span it is a child of.
    pub parent: SpanContext,
    /// Its own context, derived from job and claim.
    pub context: SpanContext,
    /// The job.
    pub job_id: JobId,
    /// The kind.
    pub kind: Kind,
    /// The queue.
    pub queue: QueueName,
    /// Which attempt.
    pub attempt: u32,
    /// When it begins.
    pub at: Timestamp,
}

/// The live span of a handler while it runs: user spans nest under it.
pub trait HandlerScope: fmt::Debug + Send + Sync {
    /// Calls `run`, once, with this scope as the current context.
    fn within(&self, run: &mut dyn FnMut());

    /// Ends the span. `error_class` is `error.type` if the handler failed.
    fn end(&self, at: Timestamp, error_class: Option<&str>);

    /// Whether the span is a live one, which this scope records when it ends. If not, the engine
    /// writes `handler.execution` from facts.
    fn is_live(&self) -> bool;

    /// Hears whether the job is kept. Gives back the user spans that were held beneath the
    /// handler until that was known; those that end later follow the decision. A scope that is
    /// dropped without a word takes it as no.
    fn decided(&self, kept: bool) -> Vec<Span>;
}

/// Why the trace context of a job could not be carried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PropagationFailure {
    /// `inject` or `extract`.
    pub direction: &'static str,
    /// `missing`, `malformed`, `version`, `trace_id`, `span_id`, `truncated`.
    pub reason: &'static str,
}

/// Where the engine's telemetry goes. Infallible to callers: no method blocks, fails or panics;
/// what goes wrong is counted by the implementation.
///
/// Only contexts whose sampled flag is set are recorded.
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Decides whether a new trace is sampled.
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision;

    /// What [`Recorder::decide_root`] says of a trace about which it was asked before, in this
    /// process or another: the same question, of which nothing is counted and from which nothing is
    /// learned.
    fn recall_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.decide_root(request)
    }

    /// The rejection threshold that a rule sets for these jobs, if one does. Beneath a sampled
    /// span the stricter of it and the span's own counts; see [`crate::relation::lowered`].
    fn limit(&self, _request: &RootRequest<'_>) -> Option<u64> {
        None
    }

    /// The route of the web request in which the caller stands, if anyone asks for it.
    fn current_route(&self) -> Option<Arc<str>> {
        None
    }

    /// The context that is current where the caller stands, such as the span of a web request.
    fn current(&self) -> Option<SpanContext>;

    /// The `baggage` header that is current where the caller stands; empty if none.
    fn current_baggage(&self) -> String;

    /// The baggage keys that may travel with a job.
    fn baggage_keys(&self) -> &[String];

    /// `service.name`, for the enqueue stub.
    fn service_name(&self) -> &str;

    /// Hears of a store whose jobs it will be told of, before any of them. Whoever makes a producer or
    /// a worker with a recorder says so, each time anew.
    fn serves(&self, _store: &StoreInfo) {}

    /// Takes finished spans.
    fn record(&self, spans: Vec<Span>);

    /// Starts the live span of a handler. `None`: there is no live span to be had, and the engine
    /// writes `handler.execution` from facts.
    fn open_handler(&self, start: HandlerStart) -> Option<Box<dyn HandlerScope>>;

    /// Counts a context that was lost on the way.
    fn propagation_failed(&self, failure: PropagationFailure);

    /// Whether anyone looks at spans before they end. If not, workers say nothing of them.
    fn watches(&self) -> bool {
        false
    }

    /// Hears which attempts of a worker have been running for a second and longer: their spans as
    /// [`open_spans`](crate::build::open_spans) makes them. All of them each time, at most once
    /// a second and only if that has changed; none when the worker begins and when it ends.
    fn running(&self, _worker: &WorkerId, _spans: Vec<Span>) {}

    /// Who decides which jobs are kept whatever the head sampler said; `None` if nobody does, so
    /// that only sampled traces leave.
    fn keeper(&self) -> Option<&dyn Keeper> {
        None
    }

    /// Whether the requests that stores make for the engine's calls become spans.
    fn takes_storage_spans(&self) -> bool {
        true
    }

    /// Whether anyone looks at what is measured. If not, the engine measures nothing.
    fn measures(&self) -> bool {
        false
    }

    /// Takes a measurement.
    fn measure(&self, _measured: &Measured<'_>) {}
}
