//! Jobs that are to appear with the settle of an attempt.

use std::slice;

use longshore_core::{NewJob, StoreError, Timestamp};
use longshore_instrument::Span;
use longshore_instrument::build::enqueue_span;
use longshore_instrument::facts::EnqueueFacts;

use super::Producer;
use super::stamp::{Origin, Writer};
use crate::request::JobRequest;

/// A job that a handler wants enqueued, and the span it stood in.
#[derive(Debug)]
pub(crate) struct FollowUp {
    job: NewJob,
    origin: Origin,
}

impl From<FollowUp> for NewJob {
    fn from(follow_up: FollowUp) -> Self {
        follow_up.job
    }
}

impl Producer {
    /// Checks a request and remembers who made it.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub(crate) fn follow_up(&self, request: JobRequest) -> Result<FollowUp, StoreError> {
        let spot = self.own_spot(&request, self.clock.now())?;
        let origin = self.origin(&request.source(spot.chosen_id));
        let job = request.into_new_job(spot)?;
        Ok(FollowUp { job, origin })
    }

    /// Makes the follow-ups of one attempt ready for its settle: mints their ids and stamps them.
    /// Gives back the `queue.enqueue` spans that begin with it.
    pub(crate) async fn begin(
        &self,
        follow_ups: &mut [FollowUp],
        started_at: Timestamp,
    ) -> Vec<Span> {
        self.mint_for(follow_ups).await;
        let stamped = follow_ups.iter_mut().filter_map(|follow_up| {
            let jobs = slice::from_mut(&mut follow_up.job);
            let stamp = self.stamp(jobs, &follow_up.origin, started_at, Writer::Stamper)?;
            if !stamp.context.flags.is_sampled() {
                return None;
            }
            enqueue_span(&EnqueueFacts {
                context: &stamp.context,
                parent: stamp.parent,
                parent_is_remote: stamp.parent_is_remote,
                jobs,
                started_at,
            })
        });
        stamped.collect()
    }

    /// Where a store cannot mint now, a job keeps the id it has: to the store it is a chosen one.
    async fn mint_for(&self, follow_ups: &mut [FollowUp]) {
        let unplaced = |follow_up: &&mut FollowUp| !follow_up.origin.chosen_id();
        let unplaced: Vec<_> = follow_ups.iter_mut().filter(unplaced).collect();
        let places: Vec<_> = unplaced.iter().map(|one| one.job.place()).collect();
        match self.mint(&places).await {
            Ok(ids) => {
                for (follow_up, id) in unplaced.into_iter().zip(ids) {
                    follow_up.job.id = id;
                }
            }
            Err(error) => {
                let kind = error.kind().as_str();
                tracing::debug!(error.kind = kind, "no ids could be minted for child jobs");
            }
        }
    }
}
