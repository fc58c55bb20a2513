//! Removes what workers that vanished have left in the register, once what they may not have written
//! of lost attempts is written. One worker at a time does, of all on a store, by turns.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{losses, turn};
use crate::register::{self, Workers};
use crate::worker::Shared;

/// How often, and how long a turn lasts.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps until the task is dropped; not at once, since a worker that has just started has better
/// things to do.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = run_once(&shared).await {
            let kind = error.kind().as_str();
            tracing::warn!(error.kind = kind, %error, "the register of workers could not be swept");
        }
    }
}

async fn run_once(shared: &Shared) -> Result<(), StoreError> {
    let store = &*shared.store;
    if !turn::take(store, "register", shared.id.as_str(), EVERY).await? {
        return Ok(());
    }
    let gone = Workers::gone(store).await?;
    if gone.is_empty() {
        return Ok(());
    }
    losses::write(shared, &gone).await?;
    let mut count = 0;
    for entry in &gone {
        // One that is written meanwhile stays.
        count += usize::from(register::remove(store, entry).await?);
    }
    if count > 0 {
        tracing::info!(count, "removed workers that were not seen for ten minutes");
    }
    Ok(())
}
