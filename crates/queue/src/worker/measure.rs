//! What a worker measures besides the calls to the store.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Claimed, ErrorKind, QueueName, Settled, Settlement, StoreError, Timestamp};
use longshore_instrument::{Example, Measured, Operation, StoreCall};
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::attempt::failure_class;
use super::settle::{Finished, outcome_of};
use crate::meter::{Meter, Runs, class_of, timed};
use crate::producer::consignment::Consignment;

/// How often the store is asked how the queues stand.
const LOOK: Duration = Duration::from_secs(5);

/// Measures how the queues stand until the task is dropped.
pub(crate) async fn look(shared: Arc<Shared>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(meter) = shared.meter() else {
            continue;
        };
        meter.note_requests(&*shared.store);
        let stats = shared.store.queue_stats();
        if let Ok(stats) = timed(Some(meter), StoreCall::QueueStats, stats).await {
            meter.measure(&Measured::Queues(&stats));
        }
    }
}

/// The store has answered to a claim that was sent at the reading `began`.
pub(crate) fn claim(
    shared: &Shared,
    meter: Meter<'_>,
    answer: &Result<Vec<Claimed>, StoreError>,
    began: Duration,
) {
    meter.measure(&Measured::Operation {
        operation: Operation::Claim,
        queue: only(shared),
        took: meter.since(began),
        error_class: class_of(answer),
        example: None,
    });
    let claimed = answer.as_ref().ok().into_iter().flatten();
    let queues: Runs<&QueueName> = claimed.map(|claimed| &claimed.job.queue).collect();
    for (queue, jobs) in queues.iter() {
        let jobs = *jobs;
        meter.measure(&Measured::Received { queue, jobs });
    }
}

/// Settlements on their way.
#[derive(Debug)]
pub(crate) struct Settling<'a> {
    meter: Meter<'a>,
    began: Duration,
    /// The jobs that appear with each.
    follow_ups: Vec<Consignment>,
}

impl<'a> Settling<'a> {
    /// `None` if nobody looks at what is measured.
    pub(crate) fn begin(shared: &'a Shared, settlements: &[Settlement]) -> Option<Self> {
        let meter = shared.meter()?;
        let follow_ups = settlements.iter();
        Some(Self {
            meter,
            began: meter.reading(),
            follow_ups: follow_ups
                .map(|settlement| Consignment::of(&settlement.follow_ups))
                .collect(),
        })
    }

    /// The store has answered.
    pub(crate) fn end(
        &self,
        shared: &Shared,
        batch: &[Finished],
        answers: &[Result<Settled, StoreError>],
    ) {
        let (mut failure, mut latest) = (None, None);
        let settled = batch.iter().zip(answers).zip(&self.follow_ups);
        for ((finished, answer), follow_ups) in settled {
            match answer {
                Ok(settled) => {
                    let example = example(finished, settled.at);
                    self.attempt(finished, settled, example);
                    follow_ups.arrived(self.meter);
                    latest = example.or(latest);
                }
                // Whoever asks for the lease of another gets the right answer.
                Err(error) if error.kind() == ErrorKind::LeaseLost => {}
                Err(error) => failure = Some(error.kind().as_str()),
            }
        }
        self.meter.measure(&Measured::Operation {
            operation: Operation::Settle,
            queue: only(shared),
            took: self.meter.since(self.began),
            error_class: failure,
            example: latest,
        });
    }

    fn attempt(&self, finished: &Finished, settled: &Settled, example: Option<Example<'_>>) {
        let job = &finished.claim.job;
        self.meter.measure(&Measured::Attempt {
            queue: &job.queue,
            kind: &job.kind,
            outcome: outcome_of(finished, settled.state),
            error_class: failure_class(&finished.decision),
            wait: finished.claimed_at().since(job.available_at),
            run: finished.run(),
            example,
        });
    }
}

/// The span of an attempt, if it leaves.
fn example(finished: &Finished, at: Timestamp) -> Option<Example<'_>> {
    let context = finished.claim.context.as_ref();
    let context = context.filter(|context| context.is_sampled())?;
    let context = &context.process;
    Some(Example { context, at })
}

/// The queue of a worker that has one.
fn only(shared: &Shared) -> Option<&QueueName> {
    match shared.options.queues.as_slice() {
        [queue] => Some(queue),
        _ => None,
    }
}
