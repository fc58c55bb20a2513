//! Renews leases while handlers run, and hears that a job was cancelled or a lease lost.

use std::sync::Arc;

use longshore_core::{Beat, BeatAnswer};
use longshore_instrument::StoreCall;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use crate::attempt::StopReason;
use crate::meter::timed;

/// Beats in one lease, so that two may fail before the lease is lost.
const BEATS_PER_LEASE: u32 = 3;
/// The longest time between beats: how long a cancellation may go unheard.
const LONGEST_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
/// Most leases of one call.
const BATCH: usize = 1000;

/// Beats until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let every = (shared.options.lease / BEATS_PER_LEASE).min(LONGEST_INTERVAL);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let _beating = shared.beating.lock().await;
        let until = shared.desk.covered_until();
        let beats = shared.running.beats(shared.options.lease, until);
        for batch in beats.chunks(BATCH) {
            beat(&shared, batch).await;
        }
    }
}

async fn beat(shared: &Shared, beats: &[Beat]) {
    let asked = shared.store.heartbeat(beats);
    let answers = match timed(shared.meter(), StoreCall::Heartbeat, asked).await {
        Ok(answers) => answers,
        Err(error) => {
            if shared.complaints.is_due("heartbeat", error.kind()) {
                tracing::warn!(
                    %error,
                    error.kind = error.kind().as_str(),
                    count = beats.len(),
                    "leases could not be renewed; trying again"
                );
            }
            for beat in beats {
                if let Some(attempt) = shared.running.get(&beat.job_id, beat.token) {
                    attempt.take_back(beat);
                }
            }
            return;
        }
    };
    for (beat, answer) in beats.iter().zip(answers) {
        let reason = match answer {
            BeatAnswer::Held(_) => continue,
            BeatAnswer::CancelRequested(_) => StopReason::Cancel,
            BeatAnswer::Lost => StopReason::LeaseLost,
        };
        // An attempt that was settled while the beat was under way has lost nothing.
        if let Some(attempt) = shared.running.get(&beat.job_id, beat.token) {
            attempt.stop(reason);
        }
    }
}
