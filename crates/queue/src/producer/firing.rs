//! Jobs that schedules make.

use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK, Schedule};
use longshore_core::{Enqueued, NewJob, StoreError, Timestamp};

use super::Producer;
use super::stamp::{Origin, Writer};
use crate::request::{JobRequest, Spot};
use crate::unique::Unique;

impl JobRequest {
    /// The job of a schedule: for a tick, under the id that belongs to it, or for now.
    pub(crate) fn of_schedule(schedule: &Schedule, tick: Option<Timestamp>) -> Self {
        let mut request = Self::new(schedule.queue.as_str(), schedule.kind.as_str())
            .raw_args(schedule.args.clone())
            .priority(schedule.priority.get())
            .note(METADATA_SCHEDULE, schedule.name.as_str());
        if let Some(tick) = tick {
            request = request
                .id(schedule.job_id(tick).as_str())
                .note(METADATA_TICK, tick.to_string());
        }
        if schedule.alone {
            let key = format!("schedule.{}", schedule.name);
            request = request.unique(Unique::by_key(key).keep());
        }
        if let Some(most) = schedule.max_attempts {
            request = request.max_attempts(most);
        }
        if let Some(timeout) = schedule.timeout {
            request = request.timeout(timeout);
        }
        if let Some(tenant) = &schedule.tenant_id {
            request = request.tenant_id(tenant);
        }
        if let Some(namespace) = &schedule.namespace {
            request = request.namespace(namespace);
        }
        schedule.tags.iter().fold(request, Self::tag)
    }
}

impl Producer {
    /// The job of a tick, stamped with a trace of its own; `follows` is the `traceparent` of the
    /// firing before. Several workers may enqueue it, and none knows whether another's call came
    /// first: the worker that runs it writes its `queue.enqueue` span.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub(crate) fn firing(
        &self,
        schedule: &Schedule,
        tick: Timestamp,
        follows: Option<String>,
    ) -> Result<NewJob, StoreError> {
        let now = self.clock.now();
        let request = JobRequest::of_schedule(schedule, Some(tick));
        let place = request.place(now)?;
        let id = schedule.job_id(tick);
        let mut job = request.into_new_job(Spot::chosen(id, place))?;
        let one = std::slice::from_mut(&mut job);
        self.stamp(one, &Origin::event(follows), now, Writer::FirstWorker);
        Ok(job)
    }

    /// Enqueues jobs of ticks.
    ///
    /// # Errors
    /// Of the whole call, if the store could not be asked.
    pub(crate) async fn fire(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let began = self.meter().map(|meter| meter.reading());
        self.send(jobs, None, (self.clock.now(), began)).await
    }
}
