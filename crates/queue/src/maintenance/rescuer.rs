//! Takes back the jobs of workers that vanished, and writes the spans those could not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{Keep, Rescued};
use longshore_instrument::build::{as_it_ran, attempt_spans, first_enqueue_span, past_spans};
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::{Example, Measured, Recorder, Span, StoreCall};
use tokio::time::{MissedTickBehavior, interval};

use crate::meter::{Meter, timed};
use crate::worker::poll::past_context;
use crate::worker::{Shared, losses};

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
    let asked = shared.store.rescue(BATCH);
    let rescued = match timed(shared.meter(), StoreCall::Rescue, asked).await {
        Ok(rescued) => rescued,
        Err(error) => {
            if shared.complaints.is_due("rescue", error.kind()) {
                let kind = error.kind().as_str();
                tracing::warn!(%error, error.kind = kind, "expired leases could not be taken back");
            }
            return 0;
        }
    };
    let count = rescued.len();
    shared
        .counters
        .rescued
        .fetch_add(count as u64, Ordering::Relaxed);
    for rescued in &rescued {
        shared.marks.hear(&rescued.job, rescued.job.state);
        tracing::warn!(
            job.id = %rescued.job.id,
            worker = %rescued.lost.worker,
            state = %rescued.job.state,
            "took back the job of a worker that vanished"
        );
        shared.tell_rescued(rescued);
    }
    if let Some(meter) = shared.meter() {
        let recorder = shared.recorder.as_deref();
        rescued.iter().for_each(|one| measure(meter, recorder, one));
    }
    if let Some(recorder) = &shared.recorder {
        write_down(shared, &**recorder, &rescued).await;
    }
    count
}

/// Writes the spans of lost attempts down. Nobody else knows of these, so they go where the spans of
/// kept attempts go. If this process is killed before they are there, whoever has the job next
/// writes them, or whoever finds its worker gone ([`super::losses`]).
pub(super) async fn write_down(shared: &Shared, recorder: &dyn Recorder, rescued: &[Rescued]) {
    let mut spans = Vec::new();
    for one in rescued {
        let then = as_it_ran(&one.job, &one.lost);
        spans.extend(losses::before(shared, recorder, &then));
        spans.extend(lost_spans(recorder, one));
    }
    shared.batch_spans.leave_once(&mut spans);
    hold(recorder, spans).await;
    // Only now: until they are safe, another attempt of the job writes them too.
    shared.losses.wrote(rescued);
}

async fn hold(recorder: &dyn Recorder, spans: Vec<Span>) {
    if spans.is_empty() {
        return;
    }
    match recorder.keeper() {
        Some(keeper) => {
            let token = keeper.hold(spans.clone()).await;
            keeper.release(token, spans);
        }
        None => recorder.record(spans),
    }
}

/// The spans of an attempt whose worker vanished, with the very ids that worker had derived, so
/// that what its children had exported has its parent; and, if the job is kept since then, those of
/// its past.
#[must_use]
pub fn lost_spans(recorder: &dyn Recorder, rescued: &Rescued) -> Vec<Span> {
    let lost = &rescued.lost;
    let job = as_it_ran(&rescued.job, lost);
    let context = past_context(recorder, &job, lost.claimed_at);
    if !context.is_sampled() {
        return Vec::new();
    }
    let mut spans = attempt_spans(&AttemptFacts {
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
        error_message: lost.error.as_ref().map(|error| error.message.as_str()),
        retry_delay: None,
        previous: job.last_attempt(),
        rebuilt: true,
    });
    if begins_here(rescued) {
        spans.extend(past_spans(&job, |job, at| past_context(recorder, job, at)));
    } else {
        spans.extend(first_enqueue_span(&job, &context));
    }
    spans
}

fn measure(meter: Meter<'_>, recorder: Option<&dyn Recorder>, rescued: &Rescued) {
    let lost = &rescued.lost;
    let job = as_it_ran(&rescued.job, lost);
    let context = recorder.map(|recorder| past_context(recorder, &job, lost.claimed_at).process);
    meter.measure(&Measured::Rescued {
        queue: &job.queue,
        kind: &job.kind,
        error_class: LEASE_EXPIRED,
        example: context.as_ref().map(|context| Example {
            context,
            at: lost.ended_at,
        }),
    });
}

/// Whether the job is kept since this rescue and was not before.
fn begins_here(rescued: &Rescued) -> bool {
    let kept_now = |keep: &Keep| keep.reason == LEASE_EXPIRED && keep.at == rescued.lost.ended_at;
    rescued.job.trace.keep.as_ref().is_some_and(kept_now)
}
