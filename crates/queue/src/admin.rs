//! What people and programs do to jobs and queues: change their fate one by one or by filter, delete
//! what is over, stop and start queues; each call with its `queue.admin` span, and those about
//! schedules and limits with theirs.

mod change;
mod failures;
mod prune;

use std::sync::Arc;

use longshore_core::limit::Scope;
use longshore_core::pause::Pauses;
use longshore_core::{
    Clock, ErrorKind, Job, JobId, JobState, QueueName, Random, SpanContext, SpanId, Store,
    StoreError, Timestamp, TraceId, round_trip,
};
use longshore_instrument::build::admin_span;
use longshore_instrument::facts::{AdminFacts, AdminSubject};
use longshore_instrument::{Recorder, RootDecision, RootRequest, relation};

use crate::batches::marks::Marks;
use crate::limits::LimitControl;
use crate::pauses::{self, PauseNote};
use crate::producer::Producer;
use crate::schedules::Schedules;
use crate::storage::with_storage;

pub use self::change::{Change, Changed, Found};
pub use self::prune::{PrunePolicy, PruneRule};

/// Most jobs whose enqueue spans one span links to.
const MAX_LINKS: usize = 128;

/// Changes jobs and queues on behalf of a person or program; [`Admin::schedules`] and
/// [`Admin::limits`] change those. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    producer: Producer,
    caller: Option<SpanContext>,
}

impl Admin {
    /// Calls on a store, without telemetry.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::of(Producer::new(store))
    }

    /// Calls on the producer's store, with its telemetry.
    #[must_use]
    pub(crate) const fn of(producer: Producer) -> Self {
        Self {
            producer,
            caller: None,
        }
    }

    /// With telemetry.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.producer = self.producer.with_recorder(recorder);
        self
    }

    /// With another clock and randomness, for tests and simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        self.producer = self.producer.with_clock(clock, random);
        self
    }

    /// On behalf of this span, which becomes the parent of those of the calls.
    #[must_use]
    pub fn called_by(mut self, caller: SpanContext) -> Self {
        self.caller = Some(caller);
        self
    }

    /// The schedules of the store, for the same caller and with the same telemetry.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        Schedules::of(self.clone())
    }

    /// The limits of the store, likewise.
    #[must_use]
    pub fn limits(&self) -> LimitControl {
        LimitControl::of(self.clone())
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        self.producer.store()
    }

    pub(crate) const fn producer(&self) -> &Producer {
        &self.producer
    }

    pub(crate) const fn caller(&self) -> Option<&SpanContext> {
        self.caller.as_ref()
    }

    /// Makes a call, of whose requests its span tells.
    pub(crate) async fn watched<F: Future>(&self, call: F) -> F::Output {
        round_trip::watch(self.producer.watching(), Box::pin(call)).await
    }

    /// When a call begins.
    pub(crate) fn now(&self) -> Timestamp {
        self.producer.clock.now()
    }

    /// Changes the fate of one job; gives back the state it is in after.
    ///
    /// # Errors
    /// `Invalid` if there is no such job; `Conflict` if it is to be retried, and runs or another
    /// job has its unique key.
    pub async fn change(&self, change: Change, id: &JobId) -> Result<JobState, StoreError> {
        self.watched(self.change_one(change, id)).await
    }

    async fn change_one(&self, change: Change, id: &JobId) -> Result<JobState, StoreError> {
        let started_at = self.now();
        let ids = std::slice::from_ref(id);
        let mut answers = change.apply(&**self.store(), ids).await?;
        let answer = answers.pop().unwrap_or_else(|| Err(no_answer()))?;
        // That the job cannot be read for its span and its batch is no reason to fail the call.
        if let Ok(Some(job)) = self.store().get(id).await {
            let about = About::Job(&job);
            self.record(change.as_str(), about, AdminSubject::Job(&job), started_at);
            let ended = Marks::default();
            ended.hear(&job, answer);
            ended.flush(&self.producer).await;
        }
        Ok(answer)
    }

    /// Stops claims from a queue; what runs goes on.
    ///
    /// # Errors
    /// As the store says.
    pub async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.pause_noted(queue, &PauseNote::default()).await
    }

    /// The same, and notes beside it who did that and why.
    ///
    /// # Errors
    /// `Invalid`: the note is longer than a line, and nothing was done. Else as the store says; the
    /// queue may then be paused with nothing noted.
    pub async fn pause_noted(&self, queue: &QueueName, note: &PauseNote) -> Result<(), StoreError> {
        self.watched(self.pause_queue(queue, note)).await
    }

    async fn pause_queue(&self, queue: &QueueName, note: &PauseNote) -> Result<(), StoreError> {
        let started_at = self.now();
        let pause = note.pause(&**self.store()).await?;
        self.store().pause(queue).await?;
        self.record(
            "pause",
            About::Queue(queue),
            AdminSubject::Queue(queue),
            started_at,
        );
        pauses::note(&**self.store(), &Scope::Queue(queue.clone()), &pause).await
    }

    /// Who paused which queues and kinds, when and why. That something is noted does not mean that
    /// it still rests.
    ///
    /// # Errors
    /// The document could not be read.
    pub async fn pauses(&self) -> Result<Pauses, StoreError> {
        pauses::read(&**self.store()).await
    }

    /// Allows claims from a queue again.
    ///
    /// # Errors
    /// As the store says.
    pub async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.watched(self.resume_queue(queue)).await
    }

    async fn resume_queue(&self, queue: &QueueName) -> Result<(), StoreError> {
        let started_at = self.now();
        self.store().resume(queue).await?;
        self.record(
            "resume",
            About::Queue(queue),
            AdminSubject::Queue(queue),
            started_at,
        );
        pauses::forget(&**self.store(), &Scope::Queue(queue.clone())).await
    }

    /// Records the span of a call that did something.
    pub(crate) fn record(
        &self,
        verb: &'static str,
        about: About<'_>,
        subject: AdminSubject<'_>,
        started_at: Timestamp,
    ) {
        let Some(recorder) = self.producer.recorder.as_deref() else {
            return;
        };
        let random = &*self.producer.random;
        let span_id = SpanId::generate(random);
        let context = match &self.caller {
            Some(caller) => SpanContext {
                span_id,
                ..caller.clone()
            },
            None => {
                let trace_id = TraceId::generate(random);
                relation::root(trace_id, span_id, &about.decide(recorder, trace_id))
            }
        };
        if !context.flags.is_sampled() {
            return;
        }
        let mut span = admin_span(&AdminFacts {
            context: &context,
            parent: self.caller.as_ref().map(|caller| caller.span_id),
            verb,
            subject,
            started_at,
            ended_at: self.now(),
        });
        span.parent_is_remote = self.caller.is_some();
        recorder.record(with_storage(span));
    }
}

/// What the head of a new trace is decided by.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    Job(&'a Job),
    Queue(&'a QueueName),
    /// The whole store. Such calls are few, and always sampled.
    Store,
}

impl About<'_> {
    fn decide(self, recorder: &dyn Recorder, trace_id: TraceId) -> RootDecision {
        match self {
            Self::Job(job) => recorder.decide_root(&RootRequest::of(trace_id, job)),
            Self::Queue(queue) => recorder.decide_root(&RootRequest {
                trace_id,
                queue,
                kind: None,
                priority: longshore_core::Priority::default(),
                tenant_id: None,
                namespace: None,
                route: None,
                jobs: 1,
            }),
            Self::Store => RootDecision {
                sampled: true,
                threshold: Some(0),
            },
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        "the store gave no answer for the job: this is an error of the store",
    )
}
