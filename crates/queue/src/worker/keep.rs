//! Keeping a job's trace: decided for each attempt that has ended, before its outcome is stored.

use longshore_core::{JobState, Keep, Settled, Timestamp};
use longshore_instrument::build::{first_enqueue_span, past_spans};
use longshore_instrument::{HoldToken, KeepFacts, Recorder, Span};

use super::attempt::failure_class;
use super::poll::past_context;
use super::settle::{Finished, spans_of};
use super::{Shared, batch_spans, losses};

/// What was decided about an attempt.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// Whether its spans must be safe before its outcome is stored.
    pub(crate) is_kept: bool,
    /// To be written with the outcome.
    pub(crate) keep: Option<Keep>,
    /// Whether the job is kept from now on and was not before: then its past leaves too.
    begins: bool,
    /// The application's spans beneath the attempt, if they were held until now.
    user_spans: Vec<Span>,
}

/// Decides whether the job of an attempt is kept. From then on the attempt is sampled.
pub(crate) fn decide(shared: &Shared, finished: &mut Finished) {
    let Some(recorder) = shared.recorder.as_deref() else {
        return;
    };
    let job = &finished.claim.job;
    let ended_at = match finished.handler {
        Some((_, ended_at)) => ended_at,
        None => finished.claim.timeline.now(&*shared.clock),
    };
    let reason = recorder.keeper().and_then(|keeper| {
        keeper.decide(&KeepFacts {
            queue: &job.queue,
            kind: &job.kind,
            priority: job.priority,
            tenant_id: job.tenant_id.as_deref(),
            namespace: job.namespace.as_deref(),
            claim: job.claim,
            outcome: finished.decision.outcome.recorded_as(),
            error_class: failure_class(&finished.decision),
            wait: finished.claimed_at().since(job.available_at),
            run: finished.run(),
        })
    });
    let Some(context) = &mut finished.claim.context else {
        return;
    };
    let was_kept = job.trace.keep.is_some();
    if reason.is_some() {
        context.keep();
    }
    let leaves = context.is_sampled();
    let scope = finished.scope.take();
    finished.keeping = Keeping {
        is_kept: recorder.keeper().is_some() && (was_kept || reason.is_some()),
        keep: reason.filter(|_| !was_kept).map(|reason| Keep {
            reason: reason.as_str().to_owned(),
            at: ended_at,
        }),
        begins: reason.is_some() && !was_kept,
        user_spans: scope.map_or_else(Vec::new, |scope| scope.decided(leaves)),
    };
}

/// Puts the spans of kept attempts where they survive this process, as they are if the store does
/// what it is about to be asked for; and the enqueue spans that they share with others.
pub(crate) async fn hold(
    shared: &Shared,
    batch: &[Finished],
    sent_at: &[Timestamp],
) -> Option<HoldToken> {
    let keeper = shared.recorder.as_deref().and_then(Recorder::keeper)?;
    let mut spans = Vec::new();
    for (finished, sent_at) in batch.iter().zip(sent_at) {
        let mut companions = companions(shared, finished);
        if !finished.keeping.is_kept {
            spans.append(&mut batch_spans::take(&mut companions));
            continue;
        }
        let state = finished.decision.outcome.recorded_as().leads_to();
        let state = state.unwrap_or(JobState::Running);
        let at = finished.claim.timeline.now(&*shared.clock);
        let settled = Settled { state, at };
        spans.extend(spans_of(shared, finished, *sent_at, &settled));
        spans.append(&mut companions);
    }
    shared.batch_spans.leave_out(&mut spans);
    if spans.is_empty() {
        return None;
    }
    Some(keeper.hold(spans).await)
}

/// The spans that leave with an attempt besides its own: those of the application, and what of the
/// job's past has not left, or may not have.
pub(crate) fn companions(shared: &Shared, finished: &Finished) -> Vec<Span> {
    let job = &finished.claim.job;
    let context = finished.claim.context.as_ref().filter(|c| c.is_sampled());
    let Some((recorder, context)) = shared.recorder.as_deref().zip(context) else {
        return Vec::new();
    };
    let mut spans = finished.keeping.user_spans.clone();
    if finished.keeping.begins {
        spans.extend(past_spans(job, |job, at| past_context(recorder, job, at)));
    } else {
        spans.extend(first_enqueue_span(job, context));
    }
    spans.extend(losses::before(shared, recorder, job));
    spans
}

/// What leaves with an attempt that is not known to be settled: what ran beneath it only this
/// process knows, all else is written by whoever takes the job back.
pub(crate) fn left_behind(finished: &Finished) -> &[Span] {
    &finished.keeping.user_spans
}
