//! Takes back the jobs of workers that vanished, and writes the spans those could not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{Job, Rescued};
use longshore_instrument::build::attempt_spans;
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::{Recorder, Span};
use tokio::time::{MissedTickBehavior, interval};

use crate::worker::Shared;
use crate::worker::poll::context_of;

/// How often at most.
const SHORTEST: Duration = Duration::from_millis(500);
/// How often at least.
const LONGEST: Duration = Duration::from_secs(5);
/// Most leases of one call.
const BATCH: usize = 100;

/// Rescues until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let every = (shared.options.lease / 4).clamp(SHORTEST, LONGEST);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while run_once(&shared).await >= BATCH {}
    }
}

async fn run_once(shared: &Shared) -> usize {
    let rescued = match shared.store.rescue(BATCH).await {
        Ok(rescued) => rescued,
        Err(error) => {
            let kind = error.kind().as_str();
            tracing::warn!(error.kind = kind, "expired leases could not be taken back");
            return 0;
        }
    };
    let count = rescued.len();
    shared
        .counters
        .rescued
        .fetch_add(count as u64, Ordering::Relaxed);
    for rescued in &rescued {
        tracing::warn!(
            job.id = %rescued.job.id,
            worker = %rescued.lost.worker,
            state = %rescued.job.state,
            "took back the job of a worker that vanished"
        );
    }
    if let Some(recorder) = &shared.recorder {
        let spans = rescued.iter().flat_map(|one| lost_spans(&**recorder, one));
        let spans: Vec<Span> = spans.collect();
        if !spans.is_empty() {
            recorder.record(spans);
        }
    }
    count
}

/// The spans of an attempt whose worker vanished, with the very ids that worker had derived, so
/// that what its children had exported has its parent.
#[must_use]
pub fn lost_spans(recorder: &dyn Recorder, rescued: &Rescued) -> Vec<Span> {
    let lost = &rescued.lost;
    let job = as_it_ran(rescued);
    let context = context_of(recorder, &job, lost.claimed_at);
    if !context.is_sampled() {
        return Vec::new();
    }
    attempt_spans(&AttemptFacts {
        job: &job,
        context: &context,
        worker: &lost.worker,
        claimed_at: lost.claimed_at,
        handler: Some((lost.claimed_at, lost.ended_at)),
        handler_is_live: false,
        settle: None,
        ended_at: lost.ended_at,
        outcome: lost.outcome,
        to_state: rescued.job.state,
        error_class: Some(LEASE_EXPIRED),
        retry_delay: None,
        settle_error: None,
        previous: job.last_attempt(),
        rebuilt: true,
    })
}

/// The job as the lost worker had it.
fn as_it_ran(rescued: &Rescued) -> Job {
    let mut job = rescued.job.clone();
    let lost = &rescued.lost;
    job.history.retain(|record| record.claim != lost.claim);
    job.claim = lost.claim;
    job.attempt = lost.attempt;
    job.available_at = lost.due_at;
    job.claimed_at = Some(lost.claimed_at);
    job
}
