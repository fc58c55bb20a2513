//! What is measured of jobs on their way into a store.

use std::time::Duration;

use longshore_core::{Kind, NewJob, QueueName, SpanContext, StoreError};
use longshore_instrument::{Example, Measured, Operation};

use crate::meter::{Meter, Runs, class_of};

/// The queues and kinds of jobs, which the store takes with the jobs.
#[derive(Debug)]
pub(crate) struct Consignment(Runs<(QueueName, Kind)>);

impl Consignment {
    pub(crate) fn of<'a>(jobs: impl IntoIterator<Item = &'a NewJob>) -> Self {
        let labels = |job: &NewJob| (job.queue.clone(), job.kind.clone());
        Self(jobs.into_iter().map(labels).collect())
    }

    /// All of them are in the store.
    pub(crate) fn arrived(&self, meter: Meter<'_>) {
        for ((queue, kind), jobs) in self.0.iter() {
            meter.measure(&Measured::Sent {
                queue,
                kind,
                jobs: *jobs,
                error_class: None,
                example: None,
            });
        }
    }

    /// The store has answered to the call that began at the reading `began`; `context` is that of
    /// its span.
    pub(crate) fn answered<T>(
        &self,
        meter: Meter<'_>,
        answer: &Result<Vec<Result<T, StoreError>>, StoreError>,
        began: Duration,
        context: Option<&SpanContext>,
    ) {
        let at = meter.now();
        let example = context.map(|context| Example { context, at });
        let mut first_failure = class_of(answer);
        let mut answers = answer.as_ref().ok().into_iter().flatten();
        for ((queue, kind), jobs) in self.0.iter() {
            let sent = |jobs: u64, error_class| {
                meter.measure(&Measured::Sent {
                    queue,
                    kind,
                    jobs,
                    error_class,
                    example,
                });
            };
            if answer.is_err() {
                sent(*jobs, first_failure);
                continue;
            }
            let mut taken = 0;
            for _ in 0..*jobs {
                match answers.next().map(class_of) {
                    Some(None) => taken += 1,
                    failed => {
                        let class = failed.flatten();
                        first_failure = first_failure.or(class);
                        sent(1, class.or(Some("internal")));
                    }
                }
            }
            if taken > 0 {
                sent(taken, None);
            }
        }
        meter.measure(&Measured::Operation {
            operation: Operation::Enqueue,
            queue: self.0.only().map(|(queue, _)| queue),
            took: meter.since(began),
            error_class: first_failure,
            example,
        });
    }
}
