//! Deletes jobs that are over, as the worker's policy says.
//!
//! One worker at a time does, of all on a store, by turns. To delete what is gone is no harm.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{PruneRequest, StoreError, Timestamp, round_trip};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::turn;
use crate::admin::Admin;
use crate::worker::Shared;

/// How often, and how long a turn lasts.
const EVERY: Duration = Duration::from_secs(60);
/// How much of its turn a worker deletes for. What is left then is left for the next turn.
const SPAN: Duration = Duration::from_secs(30);
/// Prunes until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    if shared
        .options
        .prune
        .requests(Timestamp::UNIX_EPOCH)
        .is_empty()
    {
        return;
    }
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let swept = round_trip::watch(shared.watching(), Box::pin(run_once(&shared)));
        if let Err(error) = swept.await {
            let kind = error.kind().as_str();
            tracing::warn!(error.kind = kind, %error, "jobs that are over could not be pruned");
        }
    }
}

async fn run_once(shared: &Shared) -> Result<(), StoreError> {
    let now = shared.store.now().await?;
    if !turn::take(&*shared.store, "prune", shared.id.as_str(), EVERY).await? {
        return Ok(());
    }
    // Whose turn it is, is no part of the sweep.
    let _of_the_turn = round_trip::take();
    let started_at = shared.clock.now();
    let began = shared.clock.monotonic();
    let mut pruned = 0;
    let mut ended = Ok(());
    for request in shared.options.prune.requests(now) {
        ended = prune(shared, &request, began, &mut pruned).await;
        if ended.is_err() {
            break;
        }
    }
    if pruned > 0 {
        tracing::info!(
            count = pruned,
            "deleted jobs that were over for long enough"
        );
    }
    Admin::of(shared.producer.clone()).record_pruned(pruned, started_at);
    ended
}

/// Deletes what the request lets go, for as long as the turn allows.
async fn prune(
    shared: &Shared,
    request: &PruneRequest,
    began: Duration,
    pruned: &mut u64,
) -> Result<(), StoreError> {
    let elapsed = || shared.clock.monotonic().saturating_sub(began);
    while elapsed() < SPAN {
        let before = elapsed();
        let count = shared.store.prune(request).await?;
        *pruned += count as u64;
        if count < request.limit {
            return Ok(());
        }
        // Half of the time is for whoever has jobs to run.
        sleep(elapsed().saturating_sub(before)).await;
    }
    Ok(())
}
