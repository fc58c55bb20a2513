//! Makes due jobs available, on stores where that is a write.

use std::sync::Arc;
use std::time::Duration;

use longshore_instrument::StoreCall;
use tokio::time::{MissedTickBehavior, interval};

use crate::meter::timed;
use crate::worker::Shared;

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// Most jobs of one call.
const BATCH: usize = 1000;

/// Promotes until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while run_once(&shared).await >= BATCH {}
    }
}

async fn run_once(shared: &Shared) -> usize {
    let asked = shared.store.promote(BATCH);
    match timed(shared.meter(), StoreCall::Promote, asked).await {
        Ok(count) => count,
        Err(error) => {
            if shared.complaints.is_due("promote", error.kind()) {
                let kind = error.kind().as_str();
                tracing::warn!(%error, error.kind = kind, "due jobs could not be promoted");
            }
            0
        }
    }
}
