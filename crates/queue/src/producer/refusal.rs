//! Jobs that a limit keeps out of a queue: they get their answer without the store.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::limit::LimitRefused;
use longshore_core::{Enqueued, NewJob, StoreError, Timestamp};
use longshore_instrument::build::limit_refused;
use longshore_instrument::{Measured, Span, StoreCall};

use super::{Producer, no_answer};
use crate::limits::exchange::Exchange;
use crate::limits::gate::Refusals;
use crate::meter::timed;

type Answers = Result<Vec<Result<Enqueued, StoreError>>, StoreError>;

impl Producer {
    /// Which of these jobs a limit refuses.
    pub(super) async fn refusals(&self, jobs: &[NewJob]) -> Refusals {
        if self.gate.is_open(self.clock.monotonic()) {
            return Refusals::new();
        }
        let exchange = Exchange {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            holder: String::new(),
            term: Duration::ZERO,
        };
        let refusals = self.gate.refusals(&exchange, jobs).await;
        if let Some(meter) = self.meter() {
            for (refused, jobs) in distinct(&refusals) {
                meter.measure(&Measured::Refused {
                    queue: refused.queue(),
                    reason: refused.reason(),
                    jobs: jobs as u64,
                });
            }
        }
        refusals
    }

    /// Hands jobs to the store, but for those that were refused.
    pub(super) async fn put(&self, jobs: Vec<NewJob>, refusals: Refusals) -> Answers {
        let put = async |jobs| {
            let asked = self.store.enqueue(jobs);
            timed(self.meter(), StoreCall::Enqueue, asked).await
        };
        if refusals.is_empty() {
            return put(jobs).await;
        }
        let jobs = jobs.into_iter().zip(&refusals);
        let taken: Vec<NewJob> = jobs
            .filter_map(|(job, refused)| refused.is_none().then_some(job))
            .collect();
        let answers = match taken.is_empty() {
            true => Vec::new(),
            false => put(taken).await?,
        };
        let mut answers = answers.into_iter();
        let one = |refused: Option<LimitRefused>| match refused {
            Some(refused) => Err(refused.into()),
            None => answers.next().unwrap_or_else(|| Err(no_answer())),
        };
        Ok(refusals.into_iter().map(one).collect())
    }
}

/// Notes refusals on the span of their call.
pub(super) fn note(span: &mut Span, refusals: &Refusals, at: Timestamp) {
    for (refused, jobs) in distinct(refusals) {
        limit_refused(span, refused, jobs, at);
    }
}

/// What refused jobs, and how many each.
fn distinct(refusals: &Refusals) -> Vec<(&LimitRefused, usize)> {
    let mut all: Vec<(&LimitRefused, usize)> = Vec::new();
    for refused in refusals.iter().flatten() {
        match all.iter_mut().find(|(known, _)| *known == refused) {
            Some((_, jobs)) => *jobs += 1,
            None => all.push((refused, 1)),
        }
    }
    all
}
