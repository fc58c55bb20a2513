//! The spans of one attempt: `queue.dequeue`, `job.process`, `handler.execution`, `job.settle`.

use longshore_core::id::SpanPart;
use longshore_core::{JobState, SpanId, Timestamp};
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    LONG_WAIT, about, frame, job_failed, link, of_metadata, operation, searchable, sibling,
};
use crate::facts::{AttemptFacts, OpenFacts};
use crate::span::{Attribute, Span, SpanEvent, SpanKind, SpanStatus};
use crate::table::{EVENT_LONG_WAIT, key, name};

/// The spans of an attempt that has ended, or was lost.
#[must_use]
pub fn attempt_spans(facts: &AttemptFacts<'_>) -> Vec<Span> {
    let mut spans = Vec::with_capacity(4);
    spans.push(dequeue(facts));
    if !facts.handler_is_live {
        spans.extend(handler(facts));
    }
    spans.extend(settle(facts));
    spans.push(process(facts));
    spans
}

/// The spans of an attempt that runs, as far as they are known, with the ids that they will have
/// and an end of [`Timestamp::UNIX_EPOCH`].
#[must_use]
pub fn open_spans(facts: &OpenFacts<'_>) -> Vec<Span> {
    let process = begun(facts);
    let handler = facts.handler_at.map(|at| {
        let part = SpanPart::Handler;
        let own = facts.job.id.derive_span_id(facts.job.claim, part);
        let own = sibling(&process.context(), own);
        let parent = Some(process.span_id);
        let mut span = frame(name::HANDLER, SpanKind::Internal, &own, parent, (at, at));
        let kind = facts.job.kind.as_str().to_owned();
        span.attributes = vec![Attribute::new(key::HANDLER, kind)];
        span
    });
    let open = |span| Span {
        end: Timestamp::UNIX_EPOCH,
        ..span
    };
    [process].into_iter().chain(handler).map(open).collect()
}

fn derived(facts: &AttemptFacts<'_>, part: SpanPart) -> SpanId {
    facts.job.id.derive_span_id(facts.job.claim, part)
}

/// The wait: from due to claimed. Under the enqueue span if the attempt is its child, else under
/// the attempt, which starts later than its wait.
fn dequeue(facts: &AttemptFacts<'_>) -> Span {
    let job = facts.job;
    let own = sibling(&facts.context.process, derived(facts, SpanPart::Dequeue));
    let parent = facts.context.parent;
    let parent = parent.or(Some(facts.context.process.span_id));
    let due_at = job.available_at.min(facts.claimed_at);
    let times = (due_at, facts.claimed_at);
    let mut span = frame(name::DEQUEUE, SpanKind::Client, &own, parent, times);
    let wait = facts.claimed_at.since(due_at);
    let mut attributes = operation("dequeue", "receive", 7);
    about(job, &mut attributes);
    attributes.push(Attribute::new(key::ATTEMPT, job.attempt));
    attributes.push(Attribute::new(key::WAIT, wait.as_secs_f64()));
    if let Some(previous) = facts.previous {
        let backoff = due_at.since(previous.ended_at);
        attributes.push(Attribute::new(key::BACKOFF, backoff.as_secs_f64()));
    } else {
        let delay = job.first_available_at.since(job.enqueued_at);
        if !delay.is_zero() {
            attributes.push(Attribute::new(key::SCHEDULED_DELAY, delay.as_secs_f64()));
        }
    }
    if wait >= LONG_WAIT {
        span.events.push(SpanEvent {
            name: Cow::Borrowed(EVENT_LONG_WAIT),
            at: due_at.after(LONG_WAIT),
            attributes: Vec::new(),
        });
    }
    mark_rebuilt(facts, &mut attributes);
    span.attributes = attributes;
    span
}

fn process(facts: &AttemptFacts<'_>) -> Span {
    let mut span = begun(&OpenFacts {
        job: facts.job,
        context: facts.context,
        worker: facts.worker,
        claimed_at: facts.claimed_at,
        handler_at: None,
    });
    span.end = facts.ended_at.max(span.start);
    let mut attributes = std::mem::take(&mut span.attributes);
    attributes.push(Attribute::new(key::OUTCOME, facts.outcome.as_str()));
    if let Some(delay) = facts.retry_delay {
        attributes.push(Attribute::new(key::RETRY_DELAY, delay.as_secs_f64()));
    }
    mark_failed(facts, &mut span, &mut attributes);
    if let Some(class) = facts.error_class {
        let at = facts.handler.map_or(facts.ended_at, |(_, ended)| ended);
        span.events.push(job_failed(class, facts.error_message, at));
    }
    mark_rebuilt(facts, &mut attributes);
    span.attributes = attributes;
    span
}

/// What is known of `job.process` as the attempt begins.
fn begun(facts: &OpenFacts<'_>) -> Span {
    let (job, context) = (facts.job, facts.context);
    let times = (facts.claimed_at, facts.claimed_at);
    let kind = SpanKind::Consumer;
    let mut span = frame(name::PROCESS, kind, &context.process, context.parent, times);
    span.parent_is_remote = context.parent.is_some();
    let mut attributes = operation("process", "process", 14);
    about(job, &mut attributes);
    of_metadata(&job.metadata, &mut attributes);
    searchable(&job.tags, &job.metadata, &mut attributes);
    attributes.push(Attribute::new(key::ATTEMPT, job.attempt));
    attributes.push(Attribute::new(key::MAX_ATTEMPTS, job.max_attempts));
    attributes.push(Attribute::new(
        key::RETRY_COUNT,
        job.attempt.saturating_sub(1),
    ));
    attributes.push(Attribute::new(key::CLAIM, job.claim));
    let priority = u32::from(job.priority.get());
    attributes.push(Attribute::new(key::PRIORITY, priority));
    let worker = facts.worker.as_str().to_owned();
    attributes.push(Attribute::new(key::WORKER, worker));
    attributes.push(Attribute::new(key::BODY_SIZE, job.args.len()));
    let hash = xxh3_64(&job.args);
    attributes.push(Attribute::new(key::ARGS_HASH, format!("{hash:016x}")));
    span.attributes = attributes;
    span.links
        .extend(context.enqueue.clone().map(|to| link(to, "enqueue")));
    let previous = context.previous.clone();
    span.links
        .extend(previous.map(|to| link(to, "previous_attempt")));
    span
}

fn handler(facts: &AttemptFacts<'_>) -> Option<Span> {
    let times = facts.handler?;
    let own = sibling(&facts.context.process, derived(facts, SpanPart::Handler));
    let parent = Some(facts.context.process.span_id);
    let mut span = frame(name::HANDLER, SpanKind::Internal, &own, parent, times);
    let kind = facts.job.kind.as_str().to_owned();
    let mut attributes = vec![Attribute::new(key::HANDLER, kind)];
    mark_failed(facts, &mut span, &mut attributes);
    mark_rebuilt(facts, &mut attributes);
    span.attributes = attributes;
    Some(span)
}

fn settle(facts: &AttemptFacts<'_>) -> Option<Span> {
    let times = facts.settle?;
    let own = sibling(&facts.context.process, derived(facts, SpanPart::Settle));
    let parent = Some(facts.context.process.span_id);
    let mut span = frame(name::SETTLE, SpanKind::Client, &own, parent, times);
    let mut attributes = operation("settle", "settle", 5);
    let job = facts.job;
    attributes.push(Attribute::new(key::QUEUE, job.queue.as_str().to_owned()));
    attributes.push(Attribute::new(key::JOB_ID, job.id.as_str().to_owned()));
    attributes.push(Attribute::new(key::OUTCOME, facts.outcome.as_str()));
    attributes.push(Attribute::new(key::FROM_STATE, JobState::Running.as_str()));
    attributes.push(Attribute::new(key::TO_STATE, facts.to_state.as_str()));
    span.attributes = attributes;
    Some(span)
}

fn mark_failed(facts: &AttemptFacts<'_>, span: &mut Span, attributes: &mut Vec<Attribute>) {
    let class = facts.error_class.or_else(|| {
        let failed = facts.outcome.is_failure();
        failed.then_some("unknown")
    });
    if let Some(class) = class {
        attributes.push(Attribute::new(key::ERROR_TYPE, class.to_owned()));
        span.status = SpanStatus::Error(Cow::Owned(class.to_owned()));
    }
}

fn mark_rebuilt(facts: &AttemptFacts<'_>, attributes: &mut Vec<Attribute>) {
    if facts.rebuilt {
        attributes.push(Attribute::new(key::REBUILT, true));
    }
}
