//! The trace part of new jobs: which span asks for them, and what they carry of it.

use std::sync::Arc;

use longshore_core::id::SpanPart;
use longshore_core::{Baggage, EnqueueStub, NewJob, SpanContext, SpanId, Timestamp, TraceId};
use longshore_instrument::{PropagationFailure, Recorder, RootRequest, relation};

use super::Producer;
use crate::request::{ExplicitContext, Source, select_baggage};

/// Most characters of a service name in an enqueue stub, so that it keeps to its 160 bytes.
const STUB_SERVICE_CHARS: usize = 16;
/// Tells the spans of calls that enqueue one chosen id from each other, and from those of claims.
const OF_A_CALL: u32 = 1 << 31;

/// The span that asks for jobs.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    caller: Option<SpanContext>,
    remote: bool,
    baggage: Baggage,
    /// The route of the web request that asks.
    route: Option<Arc<str>>,
    /// Whether the caller chose the id of the first job, and might choose it again for other work.
    chosen_id: bool,
    /// The `traceparent` of the firing before, if a schedule asks, or of the enqueue span of the
    /// members, if a batch does.
    follows: Option<String>,
}

/// Who writes the enqueue span of a job if it is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Whoever stamps the job, once it is durable.
    Stamper,
    /// The worker of the job's first attempt, from the stub: nobody else hears that the job came
    /// to be.
    FirstWorker,
}

/// The context that jobs carry, and the span above it.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) context: SpanContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) parent_is_remote: bool,
}

impl Origin {
    /// A tick of a schedule or the end of a batch, which nobody called. Its trace follows from the
    /// id of its job, so that all workers that enqueue it write the same into it.
    pub(super) fn event(follows: Option<String>) -> Self {
        Self {
            caller: None,
            remote: false,
            baggage: Baggage::default(),
            route: None,
            chosen_id: false,
            follows,
        }
    }

    /// What jobs carry where nobody makes a span for them.
    pub(super) const fn carried(&self) -> Option<&SpanContext> {
        self.caller.as_ref()
    }

    pub(super) const fn chosen_id(&self) -> bool {
        self.chosen_id
    }
}

impl Producer {
    /// The span that asks for jobs, and the baggage that may travel with them.
    pub(super) fn origin(&self, source: &Source) -> Origin {
        let recorder = self.recorder.as_deref();
        let (caller, remote, baggage) = match &source.context {
            ExplicitContext::Given { context, baggage } => {
                if let Err(error) = context {
                    self.failed("inject", error.reason());
                }
                (context.clone().ok(), true, baggage.clone())
            }
            ExplicitContext::Ambient => {
                let baggage = recorder.map(Recorder::current_baggage);
                (self.current(), false, baggage.unwrap_or_default())
            }
        };
        let listed = recorder.map_or(&[][..], Recorder::baggage_keys);
        let (baggage, cut) = select_baggage(&baggage, listed);
        if cut > 0 {
            self.failed("inject", "truncated");
        }
        let route = source.route.as_deref().map(Arc::from);
        Origin {
            caller,
            remote,
            baggage,
            route: route.or_else(|| recorder.and_then(Recorder::current_route)),
            chosen_id: source.chosen_id,
            follows: None,
        }
    }

    /// Puts the trace part into jobs that share an enqueue span. Without a recorder, a context
    /// that the caller gave travels on as it is, and none is invented.
    pub(super) fn stamp(
        &self,
        jobs: &mut [NewJob],
        origin: &Origin,
        started_at: Timestamp,
        writer: Writer,
    ) -> Option<Stamp> {
        for job in &mut *jobs {
            job.trace.baggage = origin.baggage.clone();
        }
        let Some(recorder) = &self.recorder else {
            if let Some(caller) = &origin.caller {
                carry(jobs, caller);
            }
            return None;
        };
        let stamp = self.enqueue_context(&**recorder, jobs, origin)?;
        carry(jobs, &stamp.context);
        // The stub says that nobody has written the span: it was not sampled, or not yet made.
        if writer == Writer::FirstWorker || !stamp.context.flags.is_sampled() {
            let service = recorder.service_name().chars();
            let stub = EnqueueStub {
                started_at,
                parent_span_id: stamp.parent,
                service: service.take(STUB_SERVICE_CHARS).collect(),
                follows: origin.follows.clone(),
            };
            for job in jobs {
                job.trace.enqueue_stub = Some(stub.clone());
            }
        }
        Some(stamp)
    }

    /// The context of the enqueue span: under the caller's if there is one, else a new root.
    fn enqueue_context(
        &self,
        recorder: &dyn Recorder,
        jobs: &[NewJob],
        origin: &Origin,
    ) -> Option<Stamp> {
        let first = jobs.first()?;
        // A minted id is enqueued by one call; a chosen one may come again, in a span of its own.
        let call = match origin.chosen_id {
            false => 0,
            true => OF_A_CALL | u32::try_from(self.random.next_u64() >> 33).unwrap_or_default(),
        };
        let span_id = first.id.derive_span_id(call, SpanPart::Enqueue);
        if let Some(caller) = &origin.caller {
            let limit = recorder.limit(&root_request(caller.trace_id, jobs, first, origin));
            return Some(Stamp {
                parent: Some(caller.span_id),
                context: SpanContext {
                    span_id,
                    ..relation::lowered(caller.clone(), limit)
                },
                parent_is_remote: origin.remote,
            });
        }
        let trace_id = first.id.derive_trace_id(call, None);
        let decision = recorder.decide_root(&root_request(trace_id, jobs, first, origin));
        let is_large = jobs.len() > relation::AUTO_PARENT_MAX_BATCH as usize;
        let root = match is_large {
            true => relation::batch_root,
            false => relation::root,
        };
        Some(Stamp {
            context: root(trace_id, span_id, &decision),
            parent: None,
            parent_is_remote: false,
        })
    }

    fn failed(&self, direction: &'static str, reason: &'static str) {
        if let Some(recorder) = &self.recorder {
            recorder.propagation_failed(PropagationFailure { direction, reason });
        }
    }
}

/// What a sampler may look at: what the jobs have in common, and the first one's queue and
/// priority.
fn root_request<'a>(
    trace_id: TraceId,
    jobs: &'a [NewJob],
    first: &'a NewJob,
    origin: &'a Origin,
) -> RootRequest<'a> {
    let all = |same: fn(&NewJob, &NewJob) -> bool| jobs.iter().all(|job| same(job, first));
    let tenant_id = first.tenant_id.as_deref();
    let namespace = first.namespace.as_deref();
    RootRequest {
        trace_id,
        queue: &first.queue,
        kind: all(|job, first| job.kind == first.kind).then_some(&first.kind),
        priority: first.priority,
        tenant_id: tenant_id.filter(|_| all(|job, first| job.tenant_id == first.tenant_id)),
        namespace: namespace.filter(|_| all(|job, first| job.namespace == first.namespace)),
        route: origin.route.as_deref(),
        jobs: jobs.len(),
    }
}

fn carry(jobs: &mut [NewJob], context: &SpanContext) {
    let traceparent = context.traceparent();
    for job in jobs {
        job.trace.traceparent = Some(traceparent.clone());
        job.trace.tracestate = context.trace_state.clone();
    }
}
