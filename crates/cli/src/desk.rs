//! What a person does to jobs: enqueues, cancels, retries; each with its span.

use std::sync::Arc;

use longshore_core::{
    Clock as _, Job, JobId, JobState, SpanContext, SpanId, StoreError, SystemClock, SystemRandom,
    Timestamp, TraceFlags, TraceId,
};
use longshore_instrument::build::admin_span;
use longshore_instrument::facts::AdminFacts;
use longshore_instrument::{Recorder, RootRequest};
use longshore_queue::Producer;

/// The calls of a person on a store.
#[derive(Debug)]
pub(crate) struct Desk {
    producer: Producer,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Desk {
    /// The calls on the producer's store.
    pub(crate) fn new(producer: Producer, recorder: Option<Arc<dyn Recorder>>) -> Self {
        Self { producer, recorder }
    }

    /// For enqueueing.
    pub(crate) const fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// As [`longshore_core::Store::cancel`].
    pub(crate) async fn cancel(&self, id: &JobId) -> Result<JobState, StoreError> {
        let started_at = SystemClock::new().now();
        let state = self.producer.store().cancel(id).await?;
        self.record(id, "cancel", started_at).await;
        Ok(state)
    }

    /// Makes a job run again now.
    ///
    /// # Errors
    /// As [`longshore_core::Store::retry_now`].
    pub(crate) async fn retry_now(&self, id: &JobId) -> Result<JobState, StoreError> {
        let started_at = SystemClock::new().now();
        let state = self.producer.store().retry_now(id).await?;
        self.record(id, "retry", started_at).await;
        Ok(state)
    }

    /// Records the span of a call that succeeded. That the job cannot be read for it is no reason
    /// to fail the call.
    async fn record(&self, id: &JobId, verb: &'static str, started_at: Timestamp) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        let Ok(Some(job)) = self.producer.store().get(id).await else {
            return;
        };
        let Some(context) = root(&**recorder, &job) else {
            return;
        };
        recorder.record(vec![admin_span(&AdminFacts {
            context: &context,
            parent: None,
            verb,
            job: &job,
            started_at,
            ended_at: SystemClock::new().now(),
        })]);
    }
}

/// The context of a new trace, if it is sampled.
fn root(recorder: &dyn Recorder, job: &Job) -> Option<SpanContext> {
    let trace_id = TraceId::generate(&SystemRandom);
    let decision = recorder.decide_root(&RootRequest {
        trace_id,
        queue: &job.queue,
        kind: Some(&job.kind),
        priority: job.priority,
        tenant_id: job.tenant_id.as_deref(),
        namespace: job.namespace.as_deref(),
    });
    let flags = TraceFlags::RANDOM.with_sampled(true);
    let mut context = SpanContext::new(trace_id, SpanId::generate(&SystemRandom), flags);
    context.trace_state = context.trace_state.with("ot", decision.ot.as_deref());
    decision.sampled.then_some(context)
}
