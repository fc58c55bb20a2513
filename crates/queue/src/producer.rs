//! The producer: stamps jobs with the trace that asks for them and hands them to a store.

use std::sync::Arc;

use longshore_core::id::SpanPart;
use longshore_core::{
    Clock, EnqueueStub, Enqueued, JobId, NewJob, Random, SpanContext, SpanId, Store, StoreError,
    SystemClock, SystemRandom, Timestamp,
};
use longshore_instrument::build::enqueue_span;
use longshore_instrument::facts::EnqueueFacts;
use longshore_instrument::{PropagationFailure, Recorder, RootRequest, relation};

use crate::request::{ExplicitContext, JobRequest, invalid, select_baggage};

/// Enqueues jobs. Cheap to clone.
///
/// Each call makes one `queue.enqueue` span, a child of the span that is current at the call (or
/// that the request names), and puts its context into the envelope of the jobs.
#[derive(Clone, Debug)]
pub struct Producer {
    store: Arc<dyn Store>,
    recorder: Option<Arc<dyn Recorder>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Most bytes of a service name in an enqueue stub.
const STUB_SERVICE_BYTES: usize = 64;

/// Jobs of one call that come from the same span, and their places in the call.
struct Group {
    context: ExplicitContext,
    places: Vec<usize>,
    jobs: Vec<NewJob>,
}

/// The context that a group's jobs carry, and the span above it.
struct Stamp {
    context: SpanContext,
    parent: Option<SpanId>,
    remote: bool,
}

impl Producer {
    /// A producer for a store, without telemetry.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            recorder: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }

    /// With telemetry.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// With telemetry, if there is any.
    #[must_use]
    pub(crate) fn with_optional_recorder(mut self, recorder: Option<Arc<dyn Recorder>>) -> Self {
        self.recorder = recorder;
        self
    }

    /// With another clock and randomness, for tests and simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        self.clock = clock;
        self.random = random;
        self
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Enqueues one job; returns once it is durable.
    ///
    /// # Errors
    /// `Invalid` if a value is not allowed, `Conflict` if its unique key is held by a job with
    /// other args. After `Unavailable` the outcome is unknown; give the job an
    /// [id](JobRequest::id) or a [unique key](JobRequest::unique_key) to make repeating safe.
    pub async fn enqueue(&self, request: JobRequest) -> Result<Enqueued, StoreError> {
        let answers = self.enqueue_many(vec![request]).await?;
        answers
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(no_answer()))
    }

    /// Enqueues many jobs in one call, one answer per job in order. A job that is refused does
    /// not hold up the others.
    ///
    /// # Errors
    /// Of the whole call, if the store could not be asked.
    pub async fn enqueue_many(
        &self,
        requests: Vec<JobRequest>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let started_at = self.clock.now();
        let (mut answers, groups) = self.group(requests, started_at);
        for mut group in groups {
            let stamp = self.stamp(&mut group, started_at);
            let made = self.send(group.jobs, stamp, started_at).await?;
            for (place, answer) in group.places.into_iter().zip(made) {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
        }
        let answers = answers.into_iter();
        Ok(answers
            .map(|answer| answer.unwrap_or_else(|| Err(no_answer())))
            .collect())
    }

    /// Makes jobs of requests and stamps them with the current trace, for a store's own
    /// transactional enqueue. No span is made, since nobody knows yet whether the transaction
    /// will commit; the jobs carry the caller's context.
    ///
    /// # Errors
    /// The first request that is not allowed.
    pub fn prepare(&self, requests: Vec<JobRequest>) -> Result<Vec<NewJob>, StoreError> {
        let now = self.clock.now();
        let make = |request: JobRequest| {
            let context = request.explicit_context().clone();
            let id = self.id_of(&request, now)?;
            let mut job = request.into_new_job(id, now)?;
            let caller = match context {
                ExplicitContext::Given { context, .. } => context.ok(),
                ExplicitContext::Ambient => self.current(),
            };
            if let Some(caller) = caller {
                carry(&mut job, &caller);
            }
            Ok(job)
        };
        requests.into_iter().map(make).collect()
    }

    /// The span that is current where the caller stands.
    pub(crate) fn current(&self) -> Option<SpanContext> {
        self.recorder
            .as_ref()
            .and_then(|recorder| recorder.current())
    }

    /// Whether the caller stands in a span of the same trace as `context`.
    pub(crate) fn stands_in(&self, context: &SpanContext) -> bool {
        self.current()
            .is_some_and(|current| current.trace_id == context.trace_id)
    }

    fn id_of(&self, request: &JobRequest, now: Timestamp) -> Result<JobId, StoreError> {
        match request.chosen_id() {
            Some(id) => id.map_err(invalid),
            None => Ok(JobId::generate(now, &*self.random)),
        }
    }

    /// Makes jobs of the requests and puts those that come from the same span together. A request
    /// that is not allowed has its answer already.
    fn group(
        &self,
        requests: Vec<JobRequest>,
        now: Timestamp,
    ) -> (Vec<Option<Result<Enqueued, StoreError>>>, Vec<Group>) {
        let mut answers = Vec::with_capacity(requests.len());
        let mut groups: Vec<Group> = Vec::new();
        for (place, request) in requests.into_iter().enumerate() {
            let context = request.explicit_context().clone();
            let made = self
                .id_of(&request, now)
                .and_then(|id| request.into_new_job(id, now));
            match made {
                Err(error) => answers.push(Some(Err(error))),
                Ok(job) => {
                    answers.push(None);
                    match groups.iter_mut().find(|group| group.context == context) {
                        Some(group) => {
                            group.places.push(place);
                            group.jobs.push(job);
                        }
                        None => groups.push(Group {
                            context,
                            places: vec![place],
                            jobs: vec![job],
                        }),
                    }
                }
            }
        }
        (answers, groups)
    }

    /// Puts the trace part into a group's jobs. Without a recorder, a context that the caller
    /// gave travels on as it is, and none is invented.
    fn stamp(&self, group: &mut Group, started_at: Timestamp) -> Option<Stamp> {
        let batch_size = u32::try_from(group.jobs.len()).unwrap_or(u32::MAX);
        let listed = self
            .recorder
            .as_ref()
            .map_or(&[][..], |recorder| recorder.baggage_keys());
        let (caller, remote, baggage) = match &group.context {
            ExplicitContext::Given { context, baggage } => {
                (self.readable(context), true, baggage.clone())
            }
            ExplicitContext::Ambient => {
                let recorder = self.recorder.as_deref();
                let baggage = recorder.map(Recorder::current_baggage);
                let current = recorder.and_then(Recorder::current);
                (current, false, baggage.unwrap_or_default())
            }
        };
        let (baggage, cut) = select_baggage(&baggage, listed);
        if cut > 0 {
            self.failed("inject", "truncated");
        }
        for job in &mut group.jobs {
            job.trace.batch_size = batch_size;
            job.trace.baggage = baggage.clone();
        }
        let Some(recorder) = &self.recorder else {
            if let Some(caller) = caller {
                group.jobs.iter_mut().for_each(|job| carry(job, &caller));
            }
            return None;
        };
        let stamp = enqueue_context(&**recorder, group.jobs.first()?, caller, remote);
        let stub = (!stamp.context.flags.is_sampled()).then(|| EnqueueStub {
            started_at,
            parent_span_id: stamp.parent,
            service: recorder
                .service_name()
                .chars()
                .take(STUB_SERVICE_BYTES / 4)
                .collect(),
        });
        let traceparent = stamp.context.traceparent();
        for job in &mut group.jobs {
            job.trace.traceparent = Some(traceparent.clone());
            job.trace.tracestate = stamp.context.trace_state.clone();
            job.trace.enqueue_stub.clone_from(&stub);
        }
        Some(stamp)
    }

    fn readable(
        &self,
        context: &Result<SpanContext, longshore_core::trace_context::InvalidTraceparent>,
    ) -> Option<SpanContext> {
        match context {
            Ok(context) => Some(context.clone()),
            Err(error) => {
                self.failed("inject", error.reason());
                None
            }
        }
    }

    fn failed(&self, direction: &'static str, reason: &'static str) {
        if let Some(recorder) = &self.recorder {
            recorder.propagation_failed(PropagationFailure { direction, reason });
        }
    }

    async fn send(
        &self,
        jobs: Vec<NewJob>,
        stamp: Option<Stamp>,
        started_at: Timestamp,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let sampled = stamp.filter(|stamp| stamp.context.flags.is_sampled());
        let (Some(stamp), Some(recorder)) = (sampled, &self.recorder) else {
            return self.store.enqueue(jobs).await;
        };
        let answer = self.store.enqueue(jobs.clone()).await;
        let failure = match &answer {
            Err(error) => Some(error.kind()),
            Ok(answers) => answers
                .iter()
                .find_map(|one| one.as_ref().err().map(StoreError::kind)),
        };
        let span = enqueue_span(&EnqueueFacts {
            context: &stamp.context,
            parent: stamp.parent,
            parent_is_remote: stamp.remote && stamp.parent.is_some(),
            jobs: &jobs,
            started_at,
            ended_at: self.clock.now(),
            error_class: failure.map(longshore_core::ErrorKind::as_str),
        });
        recorder.record(span.into_iter().collect());
        answer
    }
}

/// The context of the enqueue span: under the caller's if there is one, else a new root.
fn enqueue_context(
    recorder: &dyn Recorder,
    first: &NewJob,
    caller: Option<SpanContext>,
    remote: bool,
) -> Stamp {
    let span_id = first.id.derive_span_id(0, SpanPart::Enqueue);
    match caller {
        Some(caller) => Stamp {
            parent: Some(caller.span_id),
            context: SpanContext { span_id, ..caller },
            remote,
        },
        None => {
            let trace_id = first.id.derive_trace_id(0, None);
            let decision = recorder.decide_root(&RootRequest {
                trace_id,
                queue: &first.queue,
                kind: Some(&first.kind),
                priority: first.priority,
                tenant_id: first.tenant_id.as_deref(),
                namespace: first.namespace.as_deref(),
            });
            Stamp {
                context: relation::root(trace_id, span_id, &decision),
                parent: None,
                remote: false,
            }
        }
    }
}

fn carry(job: &mut NewJob, context: &SpanContext) {
    job.trace.traceparent = Some(context.traceparent());
    job.trace.tracestate = context.trace_state.clone();
}

fn no_answer() -> StoreError {
    StoreError::new(
        longshore_core::ErrorKind::Internal,
        "the store gave fewer answers than there were jobs",
    )
}
