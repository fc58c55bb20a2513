//! Traces of a queue that is not ours: any broker, any job library.
//!
//! [`ForeignQueue`] makes the same spans of such a queue's jobs as the engine makes of its own:
//! `queue.enqueue` where a job is put in, and for every attempt `queue.dequeue` (the wait),
//! `job.process`, `handler.execution` and `job.settle`. All it needs of the queue is a place for a
//! few short texts beside the message, such as headers, metadata or attributes.
//!
//! - The producer wraps its call in [`ForeignQueue::enqueue`] and puts what
//!   [`EnqueueSpan::inject`] gives into the message's headers.
//! - The consumer opens a [`ForeignAttempt`] from the headers, runs the handler in
//!   [`ForeignAttempt::run`], and ends it with [`ForeignAttempt::end`].
//! - Whether the trace is kept although it was not sampled is decided at that end by the
//!   recorder's [`Keeper`](crate::Keeper), and the enqueue span then leaves too. Later attempts
//!   follow if the queue carries [`header::KEEP`] on, or the caller knows.
//! - The ids of an attempt's spans follow from the enqueue span, the job's id and the number of
//!   the attempt, so that an attempt links to the one before without anything stored. The number
//!   must therefore differ between deliveries of one job.
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use longshore_core::AttemptOutcome;
//! use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
//! use longshore_instrument::{Recorder, SpanBuffer};
//!
//! # async fn send_mail() -> Result<(), std::io::Error> { Err(std::io::ErrorKind::TimedOut.into()) }
//! # fn main() {
//! # let mut example = std::pin::pin!(async {
//! let spans = Arc::new(SpanBuffer::default());
//! let queue = ForeignQueue::new("rabbitmq", spans.clone() as Arc<dyn Recorder>);
//!
//! // The producer.
//! let mut headers = HashMap::new();
//! let enqueue = queue.enqueue(ForeignJob::new("mail", "send_mail"));
//! enqueue.inject(|key, value| {
//!     headers.insert(key.to_owned(), value.to_owned());
//! });
//! // … publish the message with these headers …
//! enqueue.end(None);
//!
//! // The consumer.
//! let job = ForeignJob::new("mail", "send_mail").with_id("delivery-7");
//! let attempt = queue.attempt(job, &Delivery::first(), |key| headers.get(key).map(String::as_str));
//! let ending = match attempt.run(send_mail()).await {
//!     Ok(()) => Ending::completed(),
//!     Err(_) => Ending::failed(AttemptOutcome::Retried, "smtp_timeout"),
//! };
//! let ended = attempt.end(ending).await;
//! // … acknowledge or reject the message …
//! ended.settled(None);
//!
//! let names: Vec<_> = spans.spans().iter().map(|span| span.name.clone()).collect();
//! let expected = ["queue.enqueue", "queue.dequeue", "handler.execution", "job.process", "job.settle"];
//! assert_eq!(names, expected);
//! let traces: Vec<_> = spans.spans().iter().map(|span| span.trace_id).collect();
//! assert!(traces.windows(2).all(|two| two[0] == two[1]), "one connected trace");
//! # });
//! # use std::task::{Context, Waker};
//! # assert!(example.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
//! # }
//! ```

mod attempt;
mod delivery;
mod enqueue;
pub mod header;
mod ids;

use std::sync::Arc;

use longshore_core::{
    Clock, JobId, Kind, Priority, QueueName, Random, Relation, SystemClock, SystemRandom, TraceId,
};

use crate::measure::Measured;
use crate::recorder::{Recorder, RootRequest};

pub use attempt::{EndedAttempt, ForeignAttempt};
pub use delivery::{Delivery, Ending};
pub use enqueue::EnqueueSpan;

/// A job of a queue that is not ours, as far as its spans tell of it.
#[derive(Clone, Debug)]
pub struct ForeignJob {
    /// Its id; `None` as long as the queue has given it none.
    pub id: Option<JobId>,
    /// The queue.
    pub queue: QueueName,
    /// Which handler runs it.
    pub kind: Kind,
    /// The priority, for the rules of sampling and keeping.
    pub priority: Priority,
    /// Bytes of the message. The message itself never leaves.
    pub body_size: Option<usize>,
    /// Most attempts.
    pub max_attempts: Option<u32>,
    /// On whose behalf it runs.
    pub tenant_id: Option<String>,
    /// Which part of the system it belongs to.
    pub namespace: Option<String>,
}

impl ForeignJob {
    /// A job of a queue and kind. What our names cannot have becomes `_`.
    #[must_use]
    pub fn new(queue: &str, kind: &str) -> Self {
        Self {
            id: None,
            queue: QueueName::lossy(queue),
            kind: Kind::lossy(kind),
            priority: Priority::default(),
            body_size: None,
            max_attempts: None,
            tenant_id: None,
            namespace: None,
        }
    }

    /// The same job with the id that the queue gave it.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(JobId::lossy(id));
        self
    }
}

/// Makes the spans of a queue that is not ours. Cheap to clone; the [module](self) says how it is
/// used.
#[derive(Clone, Debug)]
pub struct ForeignQueue {
    system: &'static str,
    relation: Relation,
    recorder: Arc<dyn Recorder>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl ForeignQueue {
    /// For a queueing system, such as `rabbitmq`: the value of `messaging.system` on every span.
    /// OpenTelemetry's semantic conventions list the names of the well-known ones.
    #[must_use]
    pub fn new(system: &'static str, recorder: Arc<dyn Recorder>) -> Self {
        Self {
            system,
            relation: Relation::Parent,
            recorder,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }

    /// How attempts relate to the enqueue span: children of it ([`Relation::Parent`], as it is
    /// unless told otherwise), or traces of their own that link to it ([`Relation::Link`]). With
    /// [`Relation::Auto`] they are children of a job that is younger than
    /// [`AUTO_PARENT_MAX_AGE`](crate::relation::AUTO_PARENT_MAX_AGE); an older one's attempt then
    /// does not link to the attempt before, which may stand in either trace.
    #[must_use]
    pub const fn with_relation(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    /// With another clock and source of randomness, for tests.
    #[must_use]
    pub fn with_sources(mut self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        self.clock = clock;
        self.random = random;
        self
    }

    /// Hands over what was measured, if anyone looks.
    fn measure(&self, measured: Measured<'_>) {
        if self.recorder.measures() {
            let system = self.system;
            let measured = &measured;
            self.recorder
                .measure(&Measured::Foreign { system, measured });
        }
    }
}

/// What the sampler and its rules look at.
fn request<'a>(trace_id: TraceId, job: &'a ForeignJob, route: Option<&'a str>) -> RootRequest<'a> {
    RootRequest {
        trace_id,
        queue: &job.queue,
        kind: Some(&job.kind),
        priority: job.priority,
        tenant_id: job.tenant_id.as_deref(),
        namespace: job.namespace.as_deref(),
        route,
        jobs: 1,
    }
}

#[cfg(test)]
mod tests;
