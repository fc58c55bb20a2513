//! One attempt, read aloud: open the span, run the handler under a deadline, decide what follows,
//! hand it to the settler.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use longshore_core::id::SpanPart;
use longshore_core::{AttemptError, Job, LeaseToken, SpanContext, Timestamp};
use longshore_instrument::relation::AttemptContext;
use longshore_instrument::{HandlerScope, HandlerStart};
use tokio::time::{sleep, timeout};

use super::Shared;
use super::keep::Keeping;
use super::settle::Finished;
use super::timeline::Timeline;
use super::verdict::{Circumstances, Decision, HandlerEnd};
use crate::attempt::{Attempt, StopReason};
use crate::handler::{BoxedHandler, BoxedRun};

/// A claimed job on its way to its handler.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) job: Arc<Job>,
    pub(crate) token: LeaseToken,
    pub(crate) context: Option<AttemptContext>,
    pub(crate) timeline: Timeline,
}

/// Runs a claimed job to its end and gives back what is to be settled; `None` if its lease was
/// lost, so that nothing may be.
pub(crate) async fn run(shared: &Arc<Shared>, claim: Claim, attempt: Attempt) -> Option<Finished> {
    let clock = &*shared.clock;
    let started_at = claim.timeline.now(clock);
    attempt.begin(started_at);
    let scope = open_scope(shared, &claim, started_at);
    let live = scope.as_ref().is_some_and(|scope| scope.is_live());
    let end = match shared.handler(&claim.job.kind) {
        None => HandlerEnd::Unknown,
        Some(handler) => supervise(shared, handler, &attempt, scope.as_deref()).await,
    };
    let ended_at = claim.timeline.now(clock);
    let stop = attempt.stop_reason();
    let decision = Circumstances {
        job: &claim.job,
        policy: shared.policy(&claim.job.kind),
        random: &*shared.random,
        stop,
        now: ended_at,
    }
    .decide(end);
    if let Some(scope) = &scope {
        scope.end(ended_at, failure_class(&decision));
    }
    if stop == Some(StopReason::LeaseLost) {
        record_children(shared, scope.as_deref());
        return None;
    }
    Some(Finished {
        claim,
        attempt,
        decision,
        handler: Some((started_at, ended_at)),
        handler_is_live: live,
        scope,
        keeping: Keeping::default(),
    })
}

/// Whoever took the job back keeps its trace and writes this attempt; what ran beneath it only this
/// process knows.
fn record_children(shared: &Shared, scope: Option<&dyn HandlerScope>) {
    if let (Some(recorder), Some(scope)) = (&shared.recorder, scope) {
        recorder.record(scope.decided(true));
    }
}

/// The class of the failure that a decision settles, if it is one.
pub(crate) fn failure_class(decision: &Decision) -> Option<&str> {
    failure(decision).map(|error| error.class.as_ref())
}

/// The failure that a decision settles, if it is one.
pub(crate) fn failure(decision: &Decision) -> Option<&AttemptError> {
    use longshore_core::Outcome;
    match &decision.outcome {
        Outcome::Retry { error, .. } | Outcome::Discard { error } => Some(error),
        Outcome::Complete { .. }
        | Outcome::NotYet { .. }
        | Outcome::Snooze { .. }
        | Outcome::Cancel { .. }
        | Outcome::HandBack => None,
    }
}

/// The context of the handler's span: what user spans and child jobs have as their parent. A
/// worker without telemetry hands on the context that the job came with.
pub(crate) fn handler_context(job: &Job, context: Option<&AttemptContext>) -> Option<SpanContext> {
    match context {
        Some(context) => Some(SpanContext {
            span_id: job.id.derive_span_id(job.claim, SpanPart::Handler),
            ..context.process.clone()
        }),
        None => job.trace.context().and_then(Result::ok),
    }
}

fn open_scope(shared: &Shared, claim: &Claim, at: Timestamp) -> Option<Box<dyn HandlerScope>> {
    let context = claim.context.as_ref()?;
    shared.recorder.as_ref()?.open_handler(HandlerStart {
        parent: context.process.clone(),
        context: handler_context(&claim.job, Some(context))?,
        job_id: claim.job.id.clone(),
        kind: claim.job.kind.clone(),
        queue: claim.job.queue.clone(),
        attempt: claim.job.attempt,
        at,
    })
}

/// Runs the handler until it returns, panics, or has to be stopped.
async fn supervise(
    shared: &Shared,
    handler: BoxedHandler,
    attempt: &Attempt,
    scope: Option<&dyn HandlerScope>,
) -> HandlerEnd {
    let job = attempt.job();
    let limit = job.timeout.unwrap_or(shared.options.timeout);
    let mut guarded = Guarded {
        run: Some(shared.run_of(handler, attempt.clone())),
        scope,
    };
    let stop_grace = shared.options.stop_grace;
    tokio::select! {
        biased;
        end = poll_fn(|context| guarded.poll(context)) => end,
        () = attempt.cancelled() => {
            wind_down(&mut guarded, stop_grace).await.unwrap_or(HandlerEnd::Dropped)
        }
        () = sleep(limit) => {
            attempt.stop(StopReason::Timeout);
            wind_down(&mut guarded, stop_grace).await;
            HandlerEnd::TimedOut(limit)
        }
    }
}

/// Lets a handler that was asked to stop go on for the grace.
async fn wind_down(guarded: &mut Guarded<'_>, grace: Duration) -> Option<HandlerEnd> {
    timeout(grace, poll_fn(|context| guarded.poll(context)))
        .await
        .ok()
}

/// A handler's future, polled and dropped under its span, its panics caught.
struct Guarded<'a> {
    run: Option<BoxedRun>,
    scope: Option<&'a dyn HandlerScope>,
}

impl Guarded<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<HandlerEnd> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(HandlerEnd::Dropped);
        };
        let mut polled = Ok(Poll::Pending);
        let mut once = || {
            polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context)));
        };
        match self.scope {
            Some(scope) => scope.within(&mut once),
            None => once(),
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(returned)) => {
                self.discard();
                Poll::Ready(HandlerEnd::Returned(returned))
            }
            Err(panic) => {
                self.discard();
                Poll::Ready(HandlerEnd::Panicked(message_of(&*panic)))
            }
        }
    }

    /// Drops the future, under its span; what panics in a destructor has no one left to tell.
    fn discard(&mut self) {
        let run = self.run.take();
        let mut drop_it = Some(move || drop(run));
        let mut once = || {
            if let Some(drop_it) = drop_it.take() {
                let _caught = catch_unwind(AssertUnwindSafe(drop_it));
            }
        };
        match self.scope {
            Some(scope) => scope.within(&mut once),
            None => once(),
        }
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        if self.run.is_some() {
            self.discard();
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the handler panicked with a value that is not text".to_owned())
}
