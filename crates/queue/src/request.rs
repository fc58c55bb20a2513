//! What a caller asks a producer to enqueue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::id::InvalidJobId;
use longshore_core::trace_context::TraceState;
use longshore_core::{
    Baggage, ErrorKind, JobId, Kind, NewJob, Place, Priority, Relation, SpanContext, StoreError,
    Timestamp,
};
use serde::Serialize;

use crate::unique::Unique;

/// A job to enqueue: its queue, kind and args, and whatever differs from the defaults.
///
/// The setters never fail; a value that is not allowed is reported by the call that enqueues.
///
/// ```
/// use std::time::Duration;
/// use longshore_queue::JobRequest;
/// let request = JobRequest::new("mail", "send_mail")
///     .args(&serde_json::json!({"to": "ann"}))
///     .delay(Duration::from_secs(60))
///     .tag("welcome");
/// ```
#[derive(Clone, Debug)]
pub struct JobRequest {
    queue: String,
    kind: String,
    args: Result<Bytes, String>,
    id: Option<String>,
    priority: Option<u8>,
    due: Due,
    max_attempts: u32,
    timeout: Option<Duration>,
    unique: Option<Unique>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    /// What the engine itself notes, whose keys callers may not use.
    noted: BTreeMap<String, String>,
    correlation_id: Option<String>,
    parent_correlation_id: Option<String>,
    tenant_id: Option<String>,
    namespace: Option<String>,
    route: Option<String>,
    relation: Relation,
    context: ExplicitContext,
}

/// What the keys begin with that only the engine writes: members of batches are told by them, and
/// the jobs of schedules.
const RESERVED: &str = "longshore.";

#[derive(Clone, Copy, Debug)]
enum Due {
    Now,
    In(Duration),
    At(Timestamp),
}

/// The id and the place of a job that is being made.
#[derive(Debug)]
pub(crate) struct Spot {
    id: JobId,
    place: Place,
    /// Whether the caller chose the id, and so may choose it again.
    pub(crate) chosen_id: bool,
}

impl Spot {
    pub(crate) fn chosen(id: JobId, place: Place) -> Self {
        Self {
            id,
            place,
            chosen_id: true,
        }
    }

    pub(crate) fn minted(id: JobId, place: Place) -> Self {
        Self {
            id,
            place,
            chosen_id: false,
        }
    }
}

/// Which span the caller says the job comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExplicitContext {
    /// Whatever span is current at the call.
    #[default]
    Ambient,
    /// This span.
    Given {
        /// The span, or why its text could not be read.
        context: Result<SpanContext, longshore_core::trace_context::InvalidTraceparent>,
        /// Its `baggage` header.
        baggage: String,
    },
}

/// Where a job comes from, as far as the caller says.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) context: ExplicitContext,
    /// The route of the web request.
    pub(crate) route: Option<String>,
    /// Whether the caller chose the id.
    pub(crate) chosen_id: bool,
}

impl JobRequest {
    /// A request for the handler of `kind` to run with empty args, `null`.
    #[must_use]
    pub fn new(queue: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            queue: queue.into(),
            kind: kind.into(),
            args: Ok(Bytes::from_static(b"null")),
            id: None,
            priority: None,
            due: Due::Now,
            max_attempts: NewJob::DEFAULT_MAX_ATTEMPTS,
            timeout: None,
            unique: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            noted: BTreeMap::new(),
            correlation_id: None,
            parent_correlation_id: None,
            tenant_id: None,
            namespace: None,
            route: None,
            relation: Relation::default(),
            context: ExplicitContext::default(),
        }
    }

    /// The args, as JSON.
    #[must_use]
    pub fn args<A: Serialize + ?Sized>(mut self, args: &A) -> Self {
        self.args = serde_json::to_vec(args)
            .map(Bytes::from)
            .map_err(|error| error.to_string());
        self
    }

    /// The args as bytes of the caller's own format.
    #[must_use]
    pub fn raw_args(mut self, args: impl Into<Bytes>) -> Self {
        self.args = Ok(args.into());
        self
    }

    /// The job's id, chosen by the caller: enqueueing it again is a hit.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How urgent it is: 1 first, 4 last, 2 by default. Every eighth job that a worker takes is the
    /// oldest of a lower priority than the most urgent one, if there is any.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Runs it after this long at the earliest.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Due::In(delay);
        self
    }

    /// Runs it at this time at the earliest.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.due = Due::At(at);
        self
    }

    /// Most attempts; 20 by default.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// Most time for one attempt; the worker's own limit by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// At most one job of the queue has this key until it is over. Enqueueing it again is a hit if
    /// kind and args are equal, else an error. [`JobRequest::unique`] can say other things.
    #[must_use]
    pub fn unique_key(self, key: impl Into<String>) -> Self {
        self.unique(Unique::by_key(key))
    }

    /// At most one such job of the queue at a time.
    #[must_use]
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Adds a word to search by.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds a pair to search by. Keys that begin with `longshore.` are the engine's own and refused.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a pair of the engine's own.
    pub(crate) fn note(mut self, key: &str, value: impl Into<String>) -> Self {
        self.noted.insert(key.to_owned(), value.into());
        self
    }

    /// What belongs together across jobs; the job's own id by default.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// On whose behalf the job runs.
    #[must_use]
    pub fn tenant_id(mut self, id: impl Into<String>) -> Self {
        self.tenant_id = Some(id.into());
        self
    }

    /// Which part of the system it belongs to.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The route of the web request that asks for the job, such as `/orders/{id}`, for sampling
    /// rules that look at it. It does not travel with the job. Without it, the route that
    /// telemetry knows of the current span.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// How the attempts' traces relate to this call's.
    #[must_use]
    pub fn relation(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    /// The span the job comes from, instead of the current one.
    #[must_use]
    pub fn context(mut self, context: SpanContext) -> Self {
        self.context = ExplicitContext::Given {
            context: Ok(context),
            baggage: String::new(),
        };
        self
    }

    /// The span the job comes from as W3C headers, from whatever tracing library. One that cannot
    /// be read is counted and a new trace begins; empty texts stand for absent headers.
    #[must_use]
    pub fn traceparent(mut self, traceparent: &str, tracestate: &str, baggage: &str) -> Self {
        let context = SpanContext::from_traceparent(traceparent).map(|mut context| {
            context.trace_state = TraceState::parse(tracestate).0;
            context
        });
        self.context = ExplicitContext::Given {
            context,
            baggage: baggage.to_owned(),
        };
        self
    }

    /// Where the job comes from, as far as the caller says.
    pub(crate) fn source(&self, chosen_id: bool) -> Source {
        Source {
            context: self.context.clone(),
            route: self.route.clone(),
            chosen_id,
        }
    }

    /// Whether the request says which span it comes from.
    pub(crate) fn names_a_context(&self) -> bool {
        self.context != ExplicitContext::Ambient
    }

    /// Takes over what a child has in common with its parent, where the request does not say.
    pub(crate) fn child_of(mut self, parent: &longshore_core::Job) -> Self {
        self.parent_correlation_id = Some(parent.correlation_id.clone());
        self.tenant_id = self.tenant_id.or_else(|| parent.tenant_id.clone());
        self.namespace = self.namespace.or_else(|| parent.namespace.clone());
        self
    }

    /// The id the caller chose, if any.
    pub(crate) fn chosen_id(&self) -> Option<Result<JobId, InvalidJobId>> {
        self.id.as_ref().map(|id| id.parse())
    }

    /// Where the job will wait.
    pub(crate) fn place(&self, now: Timestamp) -> Result<Place, StoreError> {
        let priority = self.priority.map(Priority::try_from).transpose();
        Ok(Place {
            queue: self.queue.parse().map_err(invalid)?,
            priority: priority.map_err(invalid)?.unwrap_or_default(),
            scheduled_at: match self.due {
                Due::Now => None,
                Due::In(delay) => Some(now.after(delay)),
                Due::At(at) => Some(at),
            },
        })
    }

    /// Checks everything and makes the job, its trace part still empty.
    pub(crate) fn into_new_job(self, spot: Spot) -> Result<NewJob, StoreError> {
        let kind: Kind = self.kind.parse().map_err(invalid)?;
        let args = self.args.map_err(|problem| {
            invalid(Cow::from(format!(
                "the args of the {kind} job cannot be written as JSON: {problem}"
            )))
        })?;
        if let Some(key) = self.metadata.keys().find(|key| key.starts_with(RESERVED)) {
            return Err(invalid(Cow::from(format!(
                "the metadata {key:?} of the {kind} job begins with {RESERVED:?}, as only what the \
                 engine writes does: choose another key"
            ))));
        }
        let mut job = NewJob::new(spot.id, spot.place.queue, kind, args);
        job.priority = spot.place.priority;
        job.scheduled_at = spot.place.scheduled_at;
        job.max_attempts = self.max_attempts;
        job.timeout = self.timeout;
        if let Some(unique) = self.unique {
            let (key, on_conflict) = unique.bind(&job.kind, &job.args, self.priority.is_some());
            job.unique_key = Some(key);
            job.on_conflict = on_conflict;
        }
        job.tags = self.tags;
        job.metadata = self.metadata;
        job.metadata.extend(self.noted);
        job.correlation_id = self.correlation_id;
        job.parent_correlation_id = self.parent_correlation_id;
        job.tenant_id = self.tenant_id;
        job.namespace = self.namespace;
        job.trace.relation = self.relation;
        job.validate()?;
        Ok(job)
    }
}

/// The `baggage` members that may travel.
pub(crate) fn select_baggage(header: &str, listed: &[String]) -> (Baggage, usize) {
    if header.is_empty() || listed.is_empty() {
        return (Baggage::default(), 0);
    }
    Baggage::select(header, listed)
}

pub(crate) fn invalid(problem: impl std::fmt::Display) -> StoreError {
    StoreError::new(ErrorKind::Invalid, problem.to_string())
}
