//! What `--json` prints: the schemas of `docs/cli.md`. Every key is always there, `null` where
//! there is nothing to say; keys are added, never renamed or removed.

pub(crate) mod admin;
pub(crate) mod batch;
pub(crate) mod limit;
pub(crate) mod schedule;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::batch::METADATA_BATCH;
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{
    AttemptError, AttemptRecord, Enqueued, Job, QueueStats, SpanId, StopRequest, Timestamp, TraceId,
};
use longshore_instrument::relation::attempt_span;
use longshore_telemetry::Redactor;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::text;

/// A job.
#[derive(Debug, Serialize)]
pub(crate) struct JobJson<'a> {
    id: &'a str,
    queue: &'a str,
    kind: &'a str,
    state: &'static str,
    priority: u8,
    attempt: u32,
    max_attempts: u32,
    claim: u32,
    args: Option<Body>,
    args_base64: Option<String>,
    result: Option<Body>,
    result_base64: Option<String>,
    tags: &'a [String],
    metadata: &'a BTreeMap<String, String>,
    unique_key: Option<&'a str>,
    unique_scope: Option<&'static str>,
    unique_until: Option<Timestamp>,
    correlation_id: &'a str,
    parent_correlation_id: Option<&'a str>,
    tenant_id: Option<&'a str>,
    namespace: Option<&'a str>,
    schedule: Option<&'a str>,
    tick: Option<&'a str>,
    batch: Option<&'a str>,
    timeout_seconds: Option<f64>,
    enqueued_at: Timestamp,
    first_available_at: Timestamp,
    available_at: Timestamp,
    finished_at: Option<Timestamp>,
    cancel_requested: bool,
    stop_requested: Option<&'static str>,
    worker: Option<&'a str>,
    claimed_at: Option<Timestamp>,
    lease_expires_at: Option<Timestamp>,
    progress: Option<u8>,
    checkpoint_bytes: Option<usize>,
    result_bytes: Option<usize>,
    trace: TraceJson<'a>,
    history: Vec<AttemptJson<'a>>,
}

/// What became of a job that was enqueued.
#[derive(Debug, Serialize)]
pub(crate) struct MetJson<'a> {
    enqueued: &'static str,
    id: &'a str,
}

impl<'a> MetJson<'a> {
    pub(crate) fn of(enqueued: &'a Enqueued) -> Self {
        Self {
            enqueued: enqueued.as_str(),
            id: enqueued.id().as_str(),
        }
    }
}

/// A job that was enqueued, or met instead.
#[derive(Debug, Serialize)]
pub(crate) struct EnqueuedJson<'a> {
    pub(crate) enqueued: &'static str,
    #[serde(flatten)]
    pub(crate) job: JobJson<'a>,
}

/// The trace part of a job.
#[derive(Debug, Serialize)]
struct TraceJson<'a> {
    trace_id: Option<TraceId>,
    traceparent: Option<&'a str>,
    relation: &'static str,
    keep_reason: Option<&'a str>,
}

/// An ended attempt.
#[derive(Debug, Serialize)]
struct AttemptJson<'a> {
    attempt: u32,
    claim: u32,
    worker: &'a str,
    due_at: Timestamp,
    claimed_at: Timestamp,
    ended_at: Timestamp,
    wait_seconds: f64,
    duration_seconds: f64,
    outcome: &'static str,
    error: Option<ErrorJson<'a>>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
}

/// Why an attempt failed, without what may not be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorJson<'a> {
    pub(crate) class: Cow<'a, str>,
    pub(crate) message: Cow<'a, str>,
}

impl<'a> ErrorJson<'a> {
    /// The error as it may be shown.
    pub(crate) fn of(error: &'a AttemptError, redactor: &Redactor) -> Self {
        Self {
            class: redactor.text(&error.class),
            message: redactor.text(&error.message),
        }
    }
}

/// Bytes that are text: as the JSON they hold, else as a string.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Json(Box<RawValue>),
    Text(String),
}

impl Body {
    /// The bytes as text, or, if they are none, in base64.
    fn split(bytes: &[u8]) -> (Option<Self>, Option<String>) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return (None, Some(text::base64(bytes)));
        };
        // A record is one line. Outside of strings a line break is white space, and within one
        // JSON does not allow it.
        let line = text.trim().replace(['\n', '\r'], " ");
        let body = RawValue::from_string(line)
            .map_or_else(|_not_json| Self::Text(text.to_owned()), Self::Json);
        (Some(body), None)
    }
}

impl<'a> JobJson<'a> {
    /// The record of a job, its errors redacted.
    pub(crate) fn of(job: &'a Job, redactor: &Redactor) -> Self {
        let (args, args_base64) = Body::split(&job.args);
        let (result, result_base64) = job.result.as_deref().map_or((None, None), Body::split);
        Self {
            id: job.id.as_str(),
            queue: job.queue.as_str(),
            kind: job.kind.as_str(),
            state: job.state.as_str(),
            priority: job.priority.get(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            claim: job.claim,
            args,
            args_base64,
            result,
            result_base64,
            tags: &job.tags,
            metadata: &job.metadata,
            unique_key: job.unique_key.as_ref().map(|unique| unique.key.as_str()),
            unique_scope: job.unique_key.as_ref().map(|unique| unique.scope.as_str()),
            unique_until: job
                .unique_key
                .as_ref()
                .and_then(|unique| unique.scope.ends_at(job.enqueued_at)),
            correlation_id: &job.correlation_id,
            parent_correlation_id: job.parent_correlation_id.as_deref(),
            tenant_id: job.tenant_id.as_deref(),
            namespace: job.namespace.as_deref(),
            schedule: job.metadata.get(METADATA_SCHEDULE).map(String::as_str),
            tick: job.metadata.get(METADATA_TICK).map(String::as_str),
            batch: job.metadata.get(METADATA_BATCH).map(String::as_str),
            timeout_seconds: job.timeout.map(|timeout| timeout.as_secs_f64()),
            enqueued_at: job.enqueued_at,
            first_available_at: job.first_available_at,
            available_at: job.available_at,
            finished_at: job.finished_at,
            cancel_requested: job.stop_requested.is_some(),
            stop_requested: job.stop_requested.map(StopRequest::as_str),
            worker: job.worker.as_ref().map(longshore_core::WorkerId::as_str),
            claimed_at: job.claimed_at,
            lease_expires_at: job.lease_expires_at,
            progress: job.progress,
            checkpoint_bytes: job.checkpoint.as_ref().map(bytes::Bytes::len),
            result_bytes: job.result.as_ref().map(bytes::Bytes::len),
            trace: TraceJson {
                trace_id: trace_id(job),
                traceparent: job.trace.traceparent.as_deref(),
                relation: job.trace.relation.as_str(),
                keep_reason: job.trace.keep.as_ref().map(|keep| keep.reason.as_str()),
            },
            history: job
                .history
                .iter()
                .map(|record| AttemptJson::of(job, record, redactor))
                .collect(),
        }
    }
}

impl<'a> AttemptJson<'a> {
    fn of(job: &Job, record: &'a AttemptRecord, redactor: &Redactor) -> Self {
        let span = span_of(job, record);
        Self {
            attempt: record.attempt,
            claim: record.claim,
            worker: record.worker.as_str(),
            due_at: record.due_at,
            claimed_at: record.claimed_at,
            ended_at: record.ended_at,
            wait_seconds: wait(record).as_secs_f64(),
            duration_seconds: ran(record).as_secs_f64(),
            outcome: record.outcome.as_str(),
            error: (record.error.as_ref()).map(|error| ErrorJson::of(error, redactor)),
            trace_id: span.map(|(trace_id, _)| trace_id),
            span_id: span.map(|(_, span_id)| span_id),
        }
    }
}

/// The trace to look up for a job: that of its last attempt, else that of its enqueue.
pub(crate) fn trace_id(job: &Job) -> Option<TraceId> {
    let attempt = job.last_attempt().and_then(|record| span_of(job, record));
    let attempt = attempt.map(|(trace_id, _)| trace_id);
    attempt.or_else(|| job.trace.context()?.ok().map(|context| context.trace_id))
}

/// The trace and span of an attempt, if it was traced. That of a lost attempt is derived, which
/// is only right where the job came with a context.
pub(crate) fn span_of(job: &Job, record: &AttemptRecord) -> Option<(TraceId, SpanId)> {
    let known = record.trace_id.is_some() || job.trace.traceparent.is_some();
    known.then(|| attempt_span(job, record)).flatten()
}

/// How long an attempt waited after it was due.
pub(crate) fn wait(record: &AttemptRecord) -> Duration {
    record.claimed_at.since(record.due_at)
}

/// How long an attempt took.
pub(crate) fn ran(record: &AttemptRecord) -> Duration {
    record.ended_at.since(record.claimed_at)
}

/// A page of jobs.
#[derive(Debug, Serialize)]
pub(crate) struct PageJson<'a> {
    pub(crate) jobs: Vec<JobJson<'a>>,
    pub(crate) next_cursor: Option<&'a str>,
    pub(crate) as_of: Option<Timestamp>,
}

/// What became of a job that was named.
#[derive(Debug, Serialize)]
pub(crate) struct ChangedJson<'a> {
    pub(crate) id: &'a str,
    pub(crate) state: Option<&'static str>,
    pub(crate) error: Option<String>,
}

/// A queue.
#[derive(Debug, Serialize)]
pub(crate) struct QueueJson<'a> {
    queue: &'a str,
    paused: bool,
    scheduled: u64,
    available: u64,
    running: u64,
    retryable: u64,
    completed: u64,
    cancelled: u64,
    discarded: u64,
    oldest_available_at: Option<Timestamp>,
    as_of: Timestamp,
}

impl<'a> QueueJson<'a> {
    /// The record of a queue.
    pub(crate) fn of(stats: &'a QueueStats) -> Self {
        Self {
            queue: stats.queue.as_str(),
            paused: stats.paused,
            scheduled: stats.scheduled,
            available: stats.available,
            running: stats.running,
            retryable: stats.retryable,
            completed: stats.completed,
            cancelled: stats.cancelled,
            discarded: stats.discarded,
            oldest_available_at: stats.oldest_available_at,
            as_of: stats.as_of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        serde_json::to_string(&Body::split(bytes)).unwrap()
    }

    #[test]
    fn bytes_are_shown_as_json_text_or_base64() {
        assert_eq!(shown(b"{\"n\":\n 1e400}\n"), "[{\"n\":  1e400},null]");
        assert_eq!(shown(b"12 words"), "[\"12 words\",null]");
        assert_eq!(shown(b"\xff"), "[null,\"/w==\"]");
    }

    #[test]
    fn deep_json_is_no_danger() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(shown(deep.as_bytes()).len() > 400_000);
    }
}
