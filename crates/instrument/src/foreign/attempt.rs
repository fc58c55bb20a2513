//! The consumer's side of a foreign job.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptOutcome, Baggage, JobId, Relation, SpanContext, SpanId, Timestamp, TraceId,
};

use super::delivery::{Delivery, Ending};
use super::header::{ENQUEUED, Enqueued, KEEP};
use super::ids::Ids;
use super::{ForeignJob, ForeignQueue, request};
use crate::build::foreign::{
    ForeignAttemptFacts, ForeignEnqueueFacts, foreign_attempt, foreign_enqueue, foreign_settle,
};
use crate::keep::{HoldToken, KeepFacts, KeepReason};
use crate::measure::{Example, Measured, Operation};
use crate::propagation;
use crate::recorder::{HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision};
use crate::relation::{self, AUTO_PARENT_MAX_AGE, AttemptContext};
use crate::span::Span;

/// One attempt at a foreign job, while it runs.
///
/// Dropped without [`ForeignAttempt::end`], as when the future around it is, or when the handler
/// panics, the attempt counts as handed back with the class `abandoned` or `panic`.
#[derive(Debug)]
#[must_use = "run the handler in it, and end it"]
pub struct ForeignAttempt {
    queue: ForeignQueue,
    job: ForeignJob,
    delivery: Delivery,
    context: AttemptContext,
    enqueued: Option<Enqueued>,
    baggage: Baggage,
    ids: Ids,
    kept: bool,
    scope: Option<Box<dyn HandlerScope>>,
    claimed_at: Timestamp,
    has_ended: bool,
}

impl ForeignQueue {
    /// A job was delivered, with headers that `get` reads. Headers that are missing or cannot be
    /// read begin a new trace and are counted; they never fail the job.
    pub fn attempt<'a>(
        &self,
        job: ForeignJob,
        delivery: &Delivery,
        get: impl Fn(&str) -> Option<&'a str>,
    ) -> ForeignAttempt {
        let claimed_at = self.clock.now();
        let enqueued = get(ENQUEUED).and_then(Enqueued::parse);
        let baggage = get(propagation::BAGGAGE).unwrap_or_default();
        let (baggage, _cut) = Baggage::select(baggage, self.recorder.baggage_keys());
        let creation = self.creation(&get);
        let ids = self.ids(&job, delivery.attempt, creation.as_ref());
        let age = enqueued.map(|enqueued| claimed_at.since(enqueued.at));
        let mut context = self.stands(&job, creation, &ids, age);
        let keeps = self.recorder.keeper().is_some();
        let kept = keeps && (delivery.kept || get(KEEP).is_some());
        if kept {
            context.keep();
        }
        let mut attempt = ForeignAttempt {
            queue: self.clone(),
            job,
            delivery: delivery.clone(),
            context,
            enqueued,
            baggage,
            ids,
            kept,
            scope: None,
            claimed_at,
            has_ended: false,
        };
        attempt.open_scope();
        let queue = &attempt.job.queue;
        self.measure(Measured::Received { queue, jobs: 1 });
        attempt
    }

    /// The context of the enqueue span.
    fn creation<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> Option<SpanContext> {
        let reason = match propagation::extract(get) {
            Ok(Some(context)) => return Some(relation::consistent(context)),
            Ok(None) => "missing",
            Err(error) => error.reason(),
        };
        let direction = "extract";
        let failure = PropagationFailure { direction, reason };
        self.recorder.propagation_failed(failure);
        None
    }

    fn ids(&self, job: &ForeignJob, attempt: u32, creation: Option<&SpanContext>) -> Ids {
        let id = job.id.as_ref().map_or("", JobId::as_str);
        let of = match creation {
            Some(creation) => format!("{}{}{id}", creation.trace_id, creation.span_id),
            // Nothing tells this job from one of another system: no other attempt finds these.
            None => TraceId::generate(&*self.random).to_string(),
        };
        Ids {
            of: Arc::from(of),
            attempt,
        }
    }

    /// Where an attempt stands among traces.
    fn stands(
        &self,
        job: &ForeignJob,
        creation: Option<SpanContext>,
        ids: &Ids,
        age: Option<Duration>,
    ) -> AttemptContext {
        let span_id = ids.span(SpanPart::Process);
        let Some(creation) = creation else {
            let trace_id = ids.trace(None);
            let decision = self.recorder.decide_root(&request(trace_id, job, None));
            return AttemptContext {
                process: relation::root(trace_id, span_id, &decision),
                parent: None,
                enqueue: None,
                previous: None,
            };
        };
        let is_child = match self.relation {
            Relation::Parent => true,
            Relation::Link => false,
            Relation::Auto => age.is_none_or(|age| age < AUTO_PARENT_MAX_AGE),
        };
        let at = |ids: &Ids| {
            let span_id = ids.span(SpanPart::Process);
            if is_child {
                let creation = creation.clone();
                return SpanContext {
                    span_id,
                    ..creation
                };
            }
            let trace_id = ids.trace(Some(relation::randomness(&creation)));
            let inherited = RootDecision {
                sampled: creation.flags.is_sampled(),
                threshold: relation::threshold(&creation.trace_state),
            };
            relation::root(trace_id, span_id, &inherited)
        };
        let before = ids
            .before()
            .filter(|_| is_child || self.relation == Relation::Link);
        AttemptContext {
            process: at(ids),
            parent: is_child.then_some(creation.span_id),
            previous: before.map(|ids| at(&ids)),
            enqueue: Some(creation),
        }
    }
}

impl ForeignAttempt {
    /// The context of `job.process`.
    #[must_use]
    pub const fn context(&self) -> &SpanContext {
        &self.context.process
    }

    /// Hands the headers for a call that the handler makes to `set`: the context of
    /// `handler.execution`, and the baggage that came with the job. Jobs that it enqueues by
    /// [`ForeignQueue::enqueue`] need none of this where the recorder knows what is current.
    pub fn inject(&self, set: impl FnMut(&str, &str)) {
        propagation::inject(&self.handler_context(), &self.baggage, set);
    }

    fn open_scope(&mut self) {
        let job = &self.job;
        self.scope = self.queue.recorder.open_handler(HandlerStart {
            parent: self.context.process.clone(),
            context: self.handler_context(),
            job_id: job.id.clone().unwrap_or_else(|| JobId::lossy("")),
            kind: job.kind.clone(),
            queue: job.queue.clone(),
            attempt: self.delivery.attempt,
            at: self.claimed_at,
        });
    }

    fn handler_context(&self) -> SpanContext {
        SpanContext {
            span_id: self.ids.span(SpanPart::Handler),
            ..self.context.process.clone()
        }
    }

    /// Runs the handler, so that spans made in it and calls made by it stand beneath the attempt.
    pub async fn run<F: Future>(&self, handler: F) -> F::Output {
        let mut handler = pin!(handler);
        poll_fn(|cx| {
            let Some(scope) = &self.scope else {
                return handler.as_mut().poll(cx);
            };
            let mut polled = None;
            scope.within(&mut || polled = Some(handler.as_mut().poll(cx)));
            polled.unwrap_or_else(|| handler.as_mut().poll(cx))
        })
        .await
    }

    /// The handler has ended. Decides whether the trace is kept, and if so waits, at most 100 ms,
    /// until the spans would survive this process. Acknowledge the message after this.
    pub async fn end(mut self, ending: Ending<'_>) -> EndedAttempt {
        let mut ended = self.finish(ending);
        if ended.kept.is_some()
            && let Some(keeper) = self.queue.recorder.keeper()
        {
            ended.held = Some(keeper.hold(ended.spans.clone()).await);
        }
        ended
    }

    fn finish(&mut self, ending: Ending<'_>) -> EndedAttempt {
        self.has_ended = true;
        let ended_at = self.queue.clock.now();
        let recorder = Arc::clone(&self.queue.recorder);
        let scope = self.scope.take();
        if let Some(scope) = &scope {
            scope.end(ended_at, ending.error_class);
        }
        let reason = self.decide(&*recorder, ending, ended_at);
        let leaves_with_it = reason.is_some() && !self.kept;
        if reason.is_some() {
            self.context.keep();
        }
        let leaves = self.context.is_sampled();
        self.measure(ending, ended_at);
        let user_spans = scope.as_ref().map(|scope| scope.decided(leaves));
        let mut spans = user_spans.unwrap_or_default();
        let is_live = scope.is_some_and(|scope| scope.is_live());
        if leaves {
            spans.extend(self.enqueue_span().filter(|_| leaves_with_it));
            spans.extend(foreign_attempt(&ForeignAttemptFacts {
                system: self.queue.system,
                job: &self.job,
                context: &self.context,
                attempt: self.delivery.attempt,
                worker: self.delivery.worker.as_deref(),
                available_at: self.available_at(),
                times: (self.claimed_at, ended_at),
                outcome: ending.outcome,
                error_class: ending.error_class,
                error_message: ending.error_message,
                dequeue_id: self.ids.span(SpanPart::Dequeue),
                handler_id: (!is_live).then(|| self.ids.span(SpanPart::Handler)),
            }));
        }
        let kept = match (reason, self.kept) {
            (Some(reason), _) => Some(reason.as_str()),
            (None, true) => Some("before"),
            (None, false) => None,
        };
        EndedAttempt {
            recorder,
            spans,
            kept,
            held: None,
            ended_at,
            outcome: ending.outcome,
            attempt: self.settled_later(),
        }
    }

    fn decide(
        &self,
        recorder: &dyn Recorder,
        ending: Ending<'_>,
        ended_at: Timestamp,
    ) -> Option<KeepReason> {
        let wait = self.available_at().map(|due| self.claimed_at.since(due));
        let (wait, run) = (wait.unwrap_or_default(), ended_at.since(self.claimed_at));
        recorder.keeper()?.decide(&KeepFacts {
            queue: &self.job.queue,
            kind: &self.job.kind,
            priority: self.job.priority,
            tenant_id: self.job.tenant_id.as_deref(),
            namespace: self.job.namespace.as_deref(),
            claim: self.delivery.attempt,
            outcome: ending.outcome,
            error_class: ending.error_class,
            wait,
            run,
        })
    }

    fn measure(&self, ending: Ending<'_>, at: Timestamp) {
        let wait = self.available_at().map(|due| self.claimed_at.since(due));
        let context = &self.context.process;
        self.queue.measure(Measured::Attempt {
            queue: &self.job.queue,
            kind: &self.job.kind,
            outcome: ending.outcome,
            error_class: ending.error_class,
            wait: wait.unwrap_or_default(),
            run: at.since(self.claimed_at),
            example: Some(Example { context, at }),
        });
    }

    fn available_at(&self) -> Option<Timestamp> {
        let enqueued = self.enqueued.filter(|_| self.delivery.attempt <= 1);
        self.delivery
            .available_at
            .or(enqueued.map(|enqueued| enqueued.at))
    }

    /// The enqueue span, if its producer has not exported it.
    fn enqueue_span(&self) -> Option<Span> {
        let enqueued = self.enqueued?;
        let creation = self.context.enqueue.as_ref();
        let mut context = creation
            .filter(|creation| !creation.flags.is_sampled())?
            .clone();
        context.flags = context.flags.with_sampled(true);
        context.trace_state = relation::certain(&context.trace_state);
        Some(foreign_enqueue(&ForeignEnqueueFacts {
            system: self.queue.system,
            job: &self.job,
            jobs: 1,
            context: &context,
            parent: enqueued.parent,
            times: (enqueued.at, enqueued.at),
            error_class: None,
            rebuilt: true,
        }))
    }

    fn settled_later(&self) -> Settling {
        Settling {
            queue: self.queue.clone(),
            job: self.job.clone(),
            process: self.context.process.clone(),
            span_id: self.ids.span(SpanPart::Settle),
        }
    }
}

impl Drop for ForeignAttempt {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let class = match std::thread::panicking() {
            true => "panic",
            false => "abandoned",
        };
        // What comes back records itself when it is dropped. Nobody waits here until it is safe.
        drop(self.finish(Ending::failed(AttemptOutcome::HandedBack, class)));
    }
}

/// What is needed to write `job.settle`.
#[derive(Debug)]
struct Settling {
    queue: ForeignQueue,
    job: ForeignJob,
    process: SpanContext,
    span_id: SpanId,
}

/// An attempt that has ended and whose outcome the foreign queue does not know yet.
///
/// Its spans leave with [`EndedAttempt::settled`], or without `job.settle` when it is dropped, as
/// where somebody else acknowledges the message.
#[derive(Debug)]
#[must_use = "say when the queue has taken the outcome, or drop it"]
pub struct EndedAttempt {
    recorder: Arc<dyn Recorder>,
    spans: Vec<Span>,
    kept: Option<&'static str>,
    held: Option<HoldToken>,
    ended_at: Timestamp,
    outcome: AttemptOutcome,
    attempt: Settling,
}

impl EndedAttempt {
    /// Whether the job's trace is kept, by this attempt or one before.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Hands the header [`KEEP`] to `set` if the trace is kept. Put it with the message where the
    /// queue lets headers change, so that the attempts after this one follow.
    pub fn inject_keep(&self, mut set: impl FnMut(&str, &str)) {
        if let Some(reason) = self.kept {
            set(KEEP, reason);
        }
    }

    /// The foreign queue has answered; `error_class` is `error.type` if it did not take the
    /// outcome.
    pub fn settled(mut self, error_class: Option<&str>) {
        let settling = &self.attempt;
        let now = settling.queue.clock.now();
        settling.queue.measure(Measured::Operation {
            operation: Operation::Settle,
            queue: Some(&settling.job.queue),
            took: now.since(self.ended_at),
            error_class,
            example: Some(Example {
                context: &settling.process,
                at: now,
            }),
        });
        if !settling.process.flags.is_sampled() {
            return;
        }
        let process = settling.process.span_id;
        for span in self.spans.iter_mut().filter(|span| span.span_id == process) {
            span.end = span.end.max(now);
        }
        let settle = foreign_settle(
            (settling.queue.system, &settling.job),
            &settling.process,
            settling.span_id,
            (self.ended_at, now),
            (self.outcome, error_class),
        );
        self.spans.push(settle);
    }
}

impl Drop for EndedAttempt {
    fn drop(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        match (self.held, self.recorder.keeper()) {
            (Some(token), Some(keeper)) => keeper.release(token, spans),
            _ if spans.is_empty() => {}
            _ => self.recorder.record(spans),
        }
    }
}
