//! The producer's side of a foreign job.

use longshore_core::{Baggage, SpanContext, SpanId, Timestamp, TraceId};

use super::header::{ENQUEUED, Enqueued};
use super::{ForeignJob, ForeignQueue, request};
use crate::build::foreign::{ForeignEnqueueFacts, foreign_enqueue};
use crate::measure::{Example, Measured, Operation};
use crate::propagation;
use crate::recorder::RootRequest;
use crate::relation;

/// The call that puts a job into a foreign queue, while it runs.
///
/// Dropped without [`EnqueueSpan::end`], as when the future around it is, the call counts as failed
/// with the class `abandoned`.
#[derive(Debug)]
#[must_use = "inject the context into the message, and end the span once the queue has answered"]
pub struct EnqueueSpan {
    queue: ForeignQueue,
    job: ForeignJob,
    jobs: usize,
    context: SpanContext,
    parent: Option<SpanId>,
    baggage: Baggage,
    started_at: Timestamp,
    has_ended: bool,
}

impl ForeignQueue {
    /// A job is about to be put in: a child of the span that is current here, or else the first of
    /// a new trace, about which the sampler decides.
    pub fn enqueue(&self, job: ForeignJob) -> EnqueueSpan {
        self.enqueue_many(job, 1)
    }

    /// The same for one call that puts in so many jobs of a queue and kind. It makes one span, and
    /// every message carries the same headers. The jobs' ids must differ then: their attempts are
    /// told apart by them.
    pub fn enqueue_many(&self, job: ForeignJob, jobs: usize) -> EnqueueSpan {
        let span_id = SpanId::generate(&*self.random);
        let caller = self.recorder.current();
        let parent = caller.as_ref().map(|caller| caller.span_id);
        let route = self.recorder.current_route();
        let context = if let Some(caller) = caller {
            let limit = RootRequest {
                jobs,
                ..request(caller.trace_id, &job, route.as_deref())
            };
            let caller = relation::lowered(caller, self.recorder.limit(&limit));
            SpanContext { span_id, ..caller }
        } else {
            let trace_id = TraceId::generate(&*self.random);
            let decision = self.recorder.decide_root(&RootRequest {
                jobs,
                ..request(trace_id, &job, route.as_deref())
            });
            relation::root(trace_id, span_id, &decision)
        };
        let baggage = self.recorder.current_baggage();
        let (baggage, _cut) = Baggage::select(&baggage, self.recorder.baggage_keys());
        EnqueueSpan {
            started_at: self.clock.now(),
            queue: self.clone(),
            job,
            jobs,
            context,
            parent,
            baggage,
            has_ended: false,
        }
    }
}

impl EnqueueSpan {
    /// The context of the span.
    #[must_use]
    pub const fn context(&self) -> &SpanContext {
        &self.context
    }

    /// Hands the headers that the message has to carry to `set`: `traceparent`, our copy of it,
    /// [`ENQUEUED`], and, where there is something to say, `tracestate` and `baggage`. Each at
    /// most once; none is longer than about 1 KiB.
    pub fn inject(&self, mut set: impl FnMut(&str, &str)) {
        propagation::inject(&self.context, &self.baggage, &mut set);
        let enqueued = Enqueued {
            at: self.started_at,
            parent: self.parent,
        };
        set(ENQUEUED, &enqueued.to_text());
    }

    /// The queue has given the job this id.
    pub fn set_id(&mut self, id: &str) {
        self.job.id = Some(longshore_core::JobId::lossy(id));
    }

    /// The queue has answered; `error_class` is `error.type` if it did not take the job.
    pub fn end(mut self, error_class: Option<&str>) {
        self.finish(error_class);
    }

    fn finish(&mut self, error_class: Option<&str>) {
        self.has_ended = true;
        let recorder = &self.queue.recorder;
        let ended_at = self.queue.clock.now();
        self.measure(ended_at, error_class);
        if !self.context.flags.is_sampled() {
            return;
        }
        recorder.record(vec![foreign_enqueue(&ForeignEnqueueFacts {
            system: self.queue.system,
            job: &self.job,
            jobs: self.jobs,
            context: &self.context,
            parent: self.parent,
            times: (self.started_at, ended_at),
            error_class,
            rebuilt: false,
        })]);
    }
}

impl EnqueueSpan {
    fn measure(&self, at: Timestamp, error_class: Option<&str>) {
        let context = &self.context;
        let example = Some(Example { context, at });
        let queue = &self.job.queue;
        self.queue.measure(Measured::Sent {
            queue,
            kind: &self.job.kind,
            jobs: u64::try_from(self.jobs).unwrap_or(u64::MAX),
            error_class,
            example,
        });
        self.queue.measure(Measured::Operation {
            operation: Operation::Enqueue,
            queue: Some(queue),
            took: at.since(self.started_at),
            error_class,
            example,
        });
    }
}

impl Drop for EnqueueSpan {
    fn drop(&mut self) {
        if !self.has_ended {
            self.finish(Some("abandoned"));
        }
    }
}
