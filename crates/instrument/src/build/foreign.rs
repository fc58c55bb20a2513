//! The spans of a job of a queue that is not ours.

use std::borrow::Cow;

use longshore_core::{AttemptOutcome, SpanContext, SpanId, Timestamp};

use super::{LONG_WAIT, frame, job_failed, link, operation_of, optional, sibling};
use crate::foreign::ForeignJob;
use crate::relation::AttemptContext;
use crate::span::{Attribute, Span, SpanEvent, SpanKind, SpanStatus};
use crate::table::{EVENT_LONG_WAIT, key, name};

/// An enqueue call of a foreign queue that has ended.
pub(crate) struct ForeignEnqueueFacts<'a> {
    pub(crate) system: &'static str,
    pub(crate) job: &'a ForeignJob,
    /// How many jobs the call puts in; 1 if it is not known.
    pub(crate) jobs: usize,
    pub(crate) context: &'a SpanContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) error_class: Option<&'a str>,
    /// Written by a worker, for a producer that did not export it.
    pub(crate) rebuilt: bool,
}

pub(crate) fn foreign_enqueue(facts: &ForeignEnqueueFacts<'_>) -> Span {
    let kind = SpanKind::Producer;
    let mut span = frame(
        name::ENQUEUE,
        kind,
        facts.context,
        facts.parent,
        facts.times,
    );
    let mut attributes = operation_of(facts.system, "enqueue", "send", 8);
    about(facts.job, &mut attributes);
    if facts.jobs > 1 {
        attributes.push(Attribute::new(key::BATCH_COUNT, facts.jobs));
    }
    fail(facts.error_class, &mut span, &mut attributes);
    if facts.rebuilt {
        attributes.push(Attribute::new(key::REBUILT, true));
    }
    span.attributes = attributes;
    span
}

/// An attempt at a foreign job that has ended.
pub(crate) struct ForeignAttemptFacts<'a> {
    pub(crate) system: &'static str,
    pub(crate) job: &'a ForeignJob,
    pub(crate) context: &'a AttemptContext,
    pub(crate) attempt: u32,
    pub(crate) worker: Option<&'a str>,
    /// When it could have run, if that is known.
    pub(crate) available_at: Option<Timestamp>,
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) outcome: AttemptOutcome,
    pub(crate) error_class: Option<&'a str>,
    pub(crate) error_message: Option<&'a str>,
    pub(crate) dequeue_id: SpanId,
    /// The id of `handler.execution`, unless a live span stands for it.
    pub(crate) handler_id: Option<SpanId>,
}

/// `queue.dequeue`, `handler.execution` and last `job.process`.
pub(crate) fn foreign_attempt(facts: &ForeignAttemptFacts<'_>) -> Vec<Span> {
    let spans = [dequeue(facts), handler(facts), Some(process(facts))];
    spans.into_iter().flatten().collect()
}

fn dequeue(facts: &ForeignAttemptFacts<'_>) -> Option<Span> {
    let claimed_at = facts.times.0;
    let due_at = facts.available_at?.min(claimed_at);
    let own = sibling(&facts.context.process, facts.dequeue_id);
    let parent = facts.context.parent;
    let parent = parent.or(Some(facts.context.process.span_id));
    let times = (due_at, claimed_at);
    let mut span = frame(name::DEQUEUE, SpanKind::Client, &own, parent, times);
    let mut attributes = operation_of(facts.system, "dequeue", "receive", 8);
    about(facts.job, &mut attributes);
    let wait = claimed_at.since(due_at);
    attributes.push(Attribute::new(key::ATTEMPT, facts.attempt));
    attributes.push(Attribute::new(key::WAIT, wait.as_secs_f64()));
    if wait >= LONG_WAIT {
        span.events.push(SpanEvent {
            name: Cow::Borrowed(EVENT_LONG_WAIT),
            at: due_at.after(LONG_WAIT),
            attributes: Vec::new(),
        });
    }
    span.attributes = attributes;
    Some(span)
}

fn handler(facts: &ForeignAttemptFacts<'_>) -> Option<Span> {
    let own = sibling(&facts.context.process, facts.handler_id?);
    let parent = Some(facts.context.process.span_id);
    let kind = SpanKind::Internal;
    let mut span = frame(name::HANDLER, kind, &own, parent, facts.times);
    let handler = facts.job.kind.as_str().to_owned();
    let mut attributes = vec![Attribute::new(key::HANDLER, handler)];
    fail(facts.error_class, &mut span, &mut attributes);
    span.attributes = attributes;
    Some(span)
}

fn process(facts: &ForeignAttemptFacts<'_>) -> Span {
    let context = facts.context;
    let kind = SpanKind::Consumer;
    let mut span = frame(
        name::PROCESS,
        kind,
        &context.process,
        context.parent,
        facts.times,
    );
    span.parent_is_remote = context.parent.is_some();
    let mut attributes = operation_of(facts.system, "process", "process", 12);
    about(facts.job, &mut attributes);
    attributes.push(Attribute::new(key::ATTEMPT, facts.attempt));
    if let Some(most) = facts.job.max_attempts {
        attributes.push(Attribute::new(key::MAX_ATTEMPTS, most));
    }
    let retries = facts.attempt.saturating_sub(1);
    attributes.push(Attribute::new(key::RETRY_COUNT, retries));
    if let Some(worker) = facts.worker {
        attributes.push(Attribute::new(key::WORKER, worker.to_owned()));
    }
    attributes.push(Attribute::new(key::OUTCOME, facts.outcome.as_str()));
    fail(facts.error_class, &mut span, &mut attributes);
    if let Some(class) = facts.error_class {
        let event = job_failed(class, facts.error_message, facts.times.1);
        span.events.push(event);
    }
    span.attributes = attributes;
    let enqueue = context.enqueue.clone().map(|to| link(to, "enqueue"));
    let previous = context.previous.clone();
    let previous = previous.map(|to| link(to, "previous_attempt"));
    span.links.extend(enqueue.into_iter().chain(previous));
    span
}

/// `job.settle`: until the foreign queue had taken the outcome.
pub(crate) fn foreign_settle(
    (system, job): (&'static str, &ForeignJob),
    process: &SpanContext,
    span_id: SpanId,
    times: (Timestamp, Timestamp),
    (outcome, error_class): (AttemptOutcome, Option<&str>),
) -> Span {
    let own = sibling(process, span_id);
    let parent = Some(process.span_id);
    let mut span = frame(name::SETTLE, SpanKind::Client, &own, parent, times);
    let mut attributes = operation_of(system, "settle", "settle", 8);
    about(job, &mut attributes);
    attributes.push(Attribute::new(key::OUTCOME, outcome.as_str()));
    fail(error_class, &mut span, &mut attributes);
    span.attributes = attributes;
    span
}

fn about(job: &ForeignJob, attributes: &mut Vec<Attribute>) {
    attributes.push(Attribute::new(key::QUEUE, job.queue.as_str().to_owned()));
    if let Some(id) = &job.id {
        attributes.push(Attribute::new(key::JOB_ID, id.as_str().to_owned()));
    }
    attributes.push(Attribute::new(key::KIND, job.kind.as_str().to_owned()));
    if let Some(size) = job.body_size {
        attributes.push(Attribute::new(key::BODY_SIZE, size));
    }
    optional(key::TENANT, &job.tenant_id, attributes);
    optional(key::NAMESPACE, &job.namespace, attributes);
}

fn fail(class: Option<&str>, span: &mut Span, attributes: &mut Vec<Attribute>) {
    if let Some(class) = class {
        attributes.push(Attribute::new(key::ERROR_TYPE, class.to_owned()));
        span.status = SpanStatus::Error(Cow::Owned(class.to_owned()));
    }
}
