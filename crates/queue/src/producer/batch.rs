//! Members of batches, and the jobs that follow them.

use std::time::Duration;

use longshore_core::limit::LimitRefused;
use longshore_core::{BatchId, Enqueued, ErrorKind, JobId, NewJob, StoreError, Timestamp};
use longshore_instrument::build::{end_enqueue, enqueue_span, limit_refused, met_jobs};
use longshore_instrument::facts::EnqueueFacts;

use super::Producer;
use super::consignment::Consignment;
use super::stamp::{Origin, Stamp, Writer};
use crate::limits::gate::Refusals;
use crate::request::{JobRequest, Source, invalid};
use crate::storage::with_storage;

impl Producer {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The reading of a clock that only goes on.
    pub(crate) fn reading(&self) -> Duration {
        self.clock.monotonic()
    }

    /// An id that no other batch has.
    pub(crate) fn make_batch_id(&self) -> Result<BatchId, StoreError> {
        let id = JobId::generate(self.clock.now(), &*self.random);
        id.as_str().parse().map_err(invalid)
    }

    /// The job of a request, under the id that it has chosen or some other, and where it comes
    /// from.
    pub(crate) fn draft(&self, request: JobRequest) -> Result<(NewJob, Source), StoreError> {
        let spot = self.own_spot(&request, self.clock.now())?;
        let source = request.source(spot.chosen_id);
        Ok((request.into_new_job(spot)?, source))
    }

    /// Stamps members, which have one enqueue span, with the trace of the first one's origin.
    pub(crate) fn stamp_members(
        &self,
        jobs: &mut [NewJob],
        source: Option<&Source>,
        started_at: Timestamp,
    ) -> Option<Stamp> {
        let origin = self.origin(source?);
        self.stamp(jobs, &origin, started_at, Writer::Stamper)
    }

    /// Enqueues the members of a page; the span is recorded with [`Producer::record_members`].
    pub(crate) async fn put_members(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let began = self.meter().map(|meter| meter.reading());
        self.send(jobs, None, (self.clock.now(), began)).await
    }

    /// Records the enqueue span of members.
    pub(crate) fn record_members(
        &self,
        jobs: &[NewJob],
        stamp: &Stamp,
        started_at: Timestamp,
        answers: &Result<Vec<Result<Enqueued, StoreError>>, StoreError>,
    ) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        if jobs.is_empty() || !stamp.context.flags.is_sampled() {
            return;
        }
        let span = enqueue_span(&EnqueueFacts {
            context: &stamp.context,
            parent: stamp.parent,
            parent_is_remote: stamp.parent_is_remote,
            jobs,
            started_at,
        });
        if let Some(mut span) = span {
            met_jobs(&mut span, answers.as_deref().unwrap_or_default());
            if let Some(refused) = answers.as_ref().err().and_then(LimitRefused::of) {
                limit_refused(&mut span, refused, 1, self.clock.now());
            }
            let failed = answers.as_ref().err().map(StoreError::kind);
            end_enqueue(&mut span, self.clock.now(), failed.map(ErrorKind::as_str));
            recorder.record(with_storage(span));
        }
    }

    /// Enqueues the jobs that follow a batch, each the root of a trace that links to `members`, the
    /// `traceparent` of the members' enqueue span. Several workers may do this for one batch, so the
    /// worker that runs such a job writes its `queue.enqueue` span. No limit keeps them out: what ends
    /// must be heard of.
    pub(crate) async fn follow(
        &self,
        mut jobs: Vec<NewJob>,
        members: Option<&String>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let now = self.clock.now();
        let origin = Origin::event(members.cloned());
        for job in &mut jobs {
            let one = std::slice::from_mut(job);
            self.stamp(one, &origin, now, Writer::FirstWorker);
        }
        let measuring = self
            .meter()
            .map(|meter| (meter, meter.reading(), Consignment::of(&jobs)));
        let answer = self.put(jobs, Refusals::new()).await;
        if let Some((meter, began, consignment)) = measuring {
            consignment.answered(meter, &answer, began, None);
        }
        answer
    }
}
