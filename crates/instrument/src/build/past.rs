//! What happened to a job before it was decided that its trace is kept.

use longshore_core::{AttemptRecord, Job, JobState};

use super::{attempt_spans, enqueue_span_from_stub};
use crate::facts::AttemptFacts;
use crate::recorder::RootDecision;
use crate::relation::attempt_context;
use crate::span::Span;

/// The spans of a kept job that nobody exported while it was not kept: the enqueue span from its
/// stub, and of each attempt before the current one the wait and the attempt itself, rebuilt from
/// the attempt history with the ids that they had.
///
/// `job` is the job as the current attempt has it. What the history no longer remembers
/// ([`AttemptRecord::MAX_KEPT`]) cannot be rebuilt.
#[must_use]
pub fn past_spans(job: &Job) -> Vec<Span> {
    let mut spans = Vec::new();
    let earlier = job.history.iter().filter(|record| record.claim < job.claim);
    for record in earlier {
        spans.extend(skeleton(job, record));
    }
    if let Some(Ok(enqueue)) = job.trace.context() {
        spans.extend(enqueue_span_from_stub(job, &enqueue));
    }
    spans
}

fn skeleton(job: &Job, record: &AttemptRecord) -> Vec<Span> {
    let then = as_it_ran(job, record);
    let sampled = |_trace| RootDecision {
        sampled: true,
        ot: None,
    };
    // A failure to read the context was counted when the attempt began.
    let mut context = attempt_context(&then, record.claimed_at, sampled, |_failure| {});
    context.keep();
    let failed = record.outcome.is_failure();
    let error = record.error.as_ref().filter(|_| failed);
    let retry_delay = job
        .history
        .iter()
        .find(|later| later.claim == record.claim + 1)
        .map_or(job.available_at, |later| later.due_at)
        .since(record.ended_at);
    attempt_spans(&AttemptFacts {
        job: &then,
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
        retry_delay: (!retry_delay.is_zero()).then_some(retry_delay),
        settle_error: None,
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
