//! What happened to a job before it was decided that its trace is kept.

use longshore_core::{AttemptRecord, Job, JobState, Timestamp};

use super::{attempt_spans, enqueue_span_from_stub};
use crate::facts::AttemptFacts;
use crate::relation::{AttemptContext, certain};
use crate::span::Span;

/// The spans of a kept job that nobody exported while it was not kept: the enqueue span from its
/// stub, and of each attempt before the current one the wait and the attempt itself, rebuilt from
/// the attempt history with the ids that they had.
///
/// `job` is the job as the current attempt has it, and `head` gives the context that an attempt of
/// it had by the samplers' word alone. What the history no longer remembers
/// ([`AttemptRecord::MAX_KEPT`]) cannot be rebuilt.
#[must_use]
pub fn past_spans(job: &Job, head: impl Fn(&Job, Timestamp) -> AttemptContext) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut stub_left = false;
    let earlier = job.history.iter().filter(|record| record.claim < job.claim);
    for record in earlier {
        let mut then = as_it_ran(job, record);
        then.trace.keep = None;
        let context = head(&then, record.claimed_at);
        if context.is_sampled() {
            // The stub leaves with a first attempt that does.
            stub_left |= record.claim == 1;
        } else {
            spans.extend(skeleton(&then, record, context));
        }
    }
    let enqueue = job.trace.context().and_then(Result::ok);
    if let Some(mut enqueue) = enqueue.filter(|_| !stub_left) {
        if !enqueue.flags.is_sampled() {
            enqueue.trace_state = certain(&enqueue.trace_state);
        }
        spans.extend(enqueue_span_from_stub(job, &enqueue));
    }
    spans
}

fn skeleton(then: &Job, record: &AttemptRecord, mut context: AttemptContext) -> Vec<Span> {
    context.keep();
    let failed = record.outcome.is_failure();
    let error = record.error.as_ref().filter(|_| failed);
    attempt_spans(&AttemptFacts {
        job: then,
        context: &context,
        worker: &record.worker,
        claimed_at: record.claimed_at,
        handler: None,
        handler_is_live: false,
        settle: None,
        ended_at: record.ended_at,
        outcome: record.outcome,
        to_state: record.outcome.leads_to().unwrap_or(JobState::Available),
        error_class: error.map(|error| error.class.as_ref()),
        error_message: error.map(|error| error.message.as_str()),
        retry_delay: None,
        previous: then.last_attempt(),
        rebuilt: true,
    })
}

/// The job as the worker of a past attempt had it.
#[must_use]
pub fn as_it_ran(job: &Job, record: &AttemptRecord) -> Job {
    let mut then = job.clone();
    then.history.retain(|earlier| earlier.claim < record.claim);
    then.claim = record.claim;
    then.attempt = record.attempt;
    then.available_at = record.due_at;
    then.claimed_at = Some(record.claimed_at);
    then
}
