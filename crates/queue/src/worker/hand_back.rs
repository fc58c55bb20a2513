//! Claimed jobs for which a limit has no room: they go back at once, and leave no span.

use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::{Claimed, ErrorKind, Outcome, QueueName, Settlement};
use longshore_instrument::{Measured, StoreCall};
use tokio::time::sleep;

use super::Shared;
use crate::meter::{Runs, timed};

/// How often it is tried, before the leases are left to end by themselves.
const TRIES: u32 = 5;
/// The pause after the first try; twice as long after each.
const PAUSE: Duration = Duration::from_millis(50);

/// Hands back what was claimed and may not start.
pub(super) async fn refused(shared: &Shared, refused: Vec<Claimed>) {
    if refused.is_empty() {
        return;
    }
    let count = refused.len() as u64;
    shared
        .counters
        .over_limit
        .fetch_add(count, Ordering::Relaxed);
    if let Some(meter) = shared.meter() {
        let queues: Runs<&QueueName> = refused.iter().map(|claimed| &claimed.job.queue).collect();
        for (queue, jobs) in queues.iter() {
            let jobs = *jobs;
            meter.measure(&Measured::OverLimit { queue, jobs });
        }
    }
    let settlement = |claimed: Claimed| Settlement {
        job_id: claimed.job.id,
        token: claimed.lease.token,
        outcome: Outcome::HandBack,
        follow_ups: Vec::new(),
        keep: None,
        span: None,
    };
    let settlements: Vec<_> = refused.into_iter().map(settlement).collect();
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        let asked = shared.store.settle(settlements.clone());
        match timed(shared.meter(), StoreCall::Settle, asked).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                sleep(pause).await;
                pause *= 2;
            }
            Ok(_) | Err(_) => return,
        }
    }
    tracing::warn!(
        count,
        "jobs over a limit could not be handed back; they wait until their leases end"
    );
}
