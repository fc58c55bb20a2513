//! What a person does to jobs: enqueues, cancels, retries; each with its span.

use std::sync::Arc;

use longshore_core::{
    Clock as _, ErrorKind, Job, JobId, JobState, SpanContext, SpanId, StoreError, SystemClock,
    SystemRandom, Timestamp, TraceId,
};
use longshore_instrument::build::admin_span;
use longshore_instrument::facts::AdminFacts;
use longshore_instrument::{PropagationFailure, Recorder, RootRequest, relation};
use longshore_queue::Producer;

use crate::caller::Caller;

/// The calls of a person on a store.
#[derive(Debug)]
pub(crate) struct Desk {
    producer: Producer,
    recorder: Option<Arc<dyn Recorder>>,
    caller: Caller,
}

impl Desk {
    /// The calls of `caller` on the producer's store.
    pub(crate) const fn new(
        producer: Producer,
        recorder: Option<Arc<dyn Recorder>>,
        caller: Caller,
    ) -> Self {
        Self {
            producer,
            recorder,
            caller,
        }
    }

    /// Who calls.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
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
        let ids = std::slice::from_ref(id);
        let state = answer(self.producer.store().cancel(ids).await?)?;
        self.record(id, "cancel", started_at).await;
        Ok(state)
    }

    /// Makes a job run again now.
    ///
    /// # Errors
    /// As [`longshore_core::Store::retry_now`].
    pub(crate) async fn retry_now(&self, id: &JobId) -> Result<JobState, StoreError> {
        let started_at = SystemClock::new().now();
        let ids = std::slice::from_ref(id);
        let state = answer(self.producer.store().retry_now(ids).await?)?;
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
        let parent = self.parent(&**recorder);
        let context = match &parent {
            Some(parent) => SpanContext {
                span_id: SpanId::generate(&SystemRandom),
                ..parent.clone()
            },
            None => root(&**recorder, &job),
        };
        if !context.flags.is_sampled() {
            return;
        }
        let mut span = admin_span(&AdminFacts {
            context: &context,
            parent: parent.as_ref().map(|parent| parent.span_id),
            verb,
            job: &job,
            started_at,
            ended_at: SystemClock::new().now(),
        });
        span.parent_is_remote = parent.is_some();
        recorder.record(vec![span]);
    }

    /// The caller's span; one that cannot be read is counted.
    fn parent(&self, recorder: &dyn Recorder) -> Option<SpanContext> {
        let read = self.caller.context()?;
        read.inspect_err(|error| {
            recorder.propagation_failed(PropagationFailure {
                direction: "extract",
                reason: error.reason(),
            });
        })
        .ok()
    }
}

/// The context of a new trace.
fn root(recorder: &dyn Recorder, job: &Job) -> SpanContext {
    let trace_id = TraceId::generate(&SystemRandom);
    let decision = recorder.decide_root(&RootRequest::of(trace_id, job));
    relation::root(trace_id, SpanId::generate(&SystemRandom), &decision)
}

/// The answer for the one job that was asked about.
fn answer(mut answers: Vec<Result<JobState, StoreError>>) -> Result<JobState, StoreError> {
    answers.pop().unwrap_or_else(|| {
        Err(StoreError::new(
            ErrorKind::Corrupt,
            "the store gave no answer for the job",
        ))
    })
}
