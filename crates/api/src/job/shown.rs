//! Jobs of a store as they may be shown.

use std::time::Duration;

use longshore_core::batch::METADATA_BATCH;
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{AttemptRecord, SpanId, StopRequest, TraceId, WorkerId};
use longshore_instrument::relation::attempt_span;

use super::{Attempt, AttemptError, Job, JobTrace};
use crate::json::Json;

/// Takes out of a text what may not be shown.
pub type Redact<'a> = &'a (dyn Fn(&str) -> String + Sync);

impl Job {
    /// The record of a job, its errors redacted.
    #[must_use]
    pub fn of(job: &longshore_core::Job, redact: Redact<'_>) -> Self {
        let (args, args_base64) = Json::of_bytes(&job.args);
        let (result, result_base64) = job.result.as_deref().map_or((None, None), Json::of_bytes);
        let unique = job.unique_key.as_ref();
        let metadata = |key: &str| job.metadata.get(key).cloned();
        Self {
            id: job.id.to_string(),
            queue: job.queue.to_string(),
            kind: job.kind.to_string(),
            state: job.state.as_str().to_owned(),
            priority: job.priority.get(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            claim: job.claim,
            args,
            args_base64,
            result,
            result_base64,
            tags: job.tags.clone(),
            metadata: job.metadata.clone(),
            unique_key: unique.map(|unique| unique.key.clone()),
            unique_scope: unique.map(|unique| unique.scope.as_str().to_owned()),
            unique_until: unique.and_then(|unique| unique.scope.ends_at(job.enqueued_at)),
            correlation_id: job.correlation_id.clone(),
            parent_correlation_id: job.parent_correlation_id.clone(),
            tenant_id: job.tenant_id.clone(),
            namespace: job.namespace.clone(),
            schedule: metadata(METADATA_SCHEDULE),
            tick: metadata(METADATA_TICK),
            batch: metadata(METADATA_BATCH),
            timeout_seconds: job.timeout.map(|timeout| timeout.as_secs_f64()),
            enqueued_at: job.enqueued_at,
            first_available_at: job.first_available_at,
            available_at: job.available_at,
            finished_at: job.finished_at,
            cancel_requested: job.stop_requested.is_some(),
            stop_requested: job
                .stop_requested
                .map(|request: StopRequest| request.as_str().to_owned()),
            worker: job.worker.as_ref().map(WorkerId::to_string),
            claimed_at: job.claimed_at,
            lease_expires_at: job.lease_expires_at,
            progress: job.progress,
            checkpoint_bytes: job.checkpoint.as_ref().map(bytes::Bytes::len),
            result_bytes: job.result.as_ref().map(bytes::Bytes::len),
            held_back: Vec::new(),
            held_by: Vec::new(),
            trace: JobTrace::of(job),
            history: (job.history.iter())
                .map(|record| Attempt::of(job, record, redact))
                .collect(),
        }
    }
}

impl JobTrace {
    fn of(job: &longshore_core::Job) -> Self {
        Self {
            trace_id: trace_of(job),
            traceparent: job.trace.traceparent.as_deref().map(str::to_owned),
            relation: job.trace.relation.as_str().to_owned(),
            keep_reason: job.trace.keep.as_ref().map(|keep| keep.reason.to_string()),
        }
    }
}

impl Attempt {
    fn of(job: &longshore_core::Job, record: &AttemptRecord, redact: Redact<'_>) -> Self {
        let span = span_of(job, record);
        Self {
            attempt: record.attempt,
            claim: record.claim,
            worker: record.worker.to_string(),
            due_at: record.due_at,
            claimed_at: record.claimed_at,
            ended_at: record.ended_at,
            wait_seconds: waited(record).as_secs_f64(),
            duration_seconds: ran(record).as_secs_f64(),
            outcome: record.outcome.as_str().to_owned(),
            error: (record.error.as_ref()).map(|error| AttemptError::of(error, redact)),
            trace_id: span.map(|(trace_id, _)| trace_id),
            span_id: span.map(|(_, span_id)| span_id),
        }
    }
}

impl AttemptError {
    /// The error as it may be shown.
    #[must_use]
    pub fn of(error: &longshore_core::AttemptError, redact: Redact<'_>) -> Self {
        Self {
            class: redact(&error.class),
            message: redact(&error.message),
        }
    }
}

/// The trace to look up for a job: that of its last attempt, else that of its enqueue.
#[must_use]
pub fn trace_of(job: &longshore_core::Job) -> Option<TraceId> {
    let attempt = job.last_attempt().and_then(|record| span_of(job, record));
    let attempt = attempt.map(|(trace_id, _)| trace_id);
    attempt.or_else(|| job.trace.context()?.ok().map(|context| context.trace_id))
}

/// The trace and span of an attempt, if it was traced. That of a lost attempt is derived, which
/// is only right where the job came with a context.
#[must_use]
pub fn span_of(job: &longshore_core::Job, record: &AttemptRecord) -> Option<(TraceId, SpanId)> {
    let known = record.trace_id.is_some() || job.trace.traceparent.is_some();
    known.then(|| attempt_span(job, record)).flatten()
}

/// How long an attempt waited after it was due.
#[must_use]
pub fn waited(record: &AttemptRecord) -> Duration {
    record.claimed_at.since(record.due_at)
}

/// How long an attempt took.
#[must_use]
pub fn ran(record: &AttemptRecord) -> Duration {
    record.ended_at.since(record.claimed_at)
}
