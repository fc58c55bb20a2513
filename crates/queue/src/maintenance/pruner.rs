//! Deletes jobs that are over, as the worker's policy says.
//!
//! One worker at a time does, of all on a store: who finds that the turn of the last one is over
//! takes the next by writing it into the document `maintenance`. A worker that dies in its turn
//! holds nobody up for longer than that; and to delete what is gone is no harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{ErrorKind, PruneRequest, Store, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::admin::Admin;
use crate::worker::Shared;

/// How often, and how long a turn lasts.
const EVERY: Duration = Duration::from_secs(60);
/// How much of its turn a worker deletes for. What is left then is left for the next turn.
const SPAN: Duration = Duration::from_secs(30);
/// The document of the turns.
const DOCUMENT: &str = "maintenance";

/// The document: who does what alone, until when.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Turns {
    prune: Option<Turn>,
    /// What other versions do alone.
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Turn {
    worker: String,
    until: Timestamp,
}

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
        if let Err(error) = run_once(&shared).await {
            let kind = error.kind().as_str();
            tracing::warn!(error.kind = kind, %error, "jobs that are over could not be pruned");
        }
    }
}

async fn run_once(shared: &Shared) -> Result<(), StoreError> {
    let now = shared.store.now().await?;
    if !take_turn(&*shared.store, shared.id.as_str(), now).await? {
        return Ok(());
    }
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
    let admin = Admin::new(Arc::clone(&shared.store))
        .with_clock(Arc::clone(&shared.clock), Arc::clone(&shared.random))
        .with_optional_recorder(shared.recorder.clone());
    admin.record_pruned(pruned, started_at);
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

/// Takes the turn if nobody has it; of several that try, one gets it.
async fn take_turn(store: &dyn Store, worker: &str, now: Timestamp) -> Result<bool, StoreError> {
    let document = store.read_document(DOCUMENT).await?;
    let version = document.as_ref().map_or(0, |document| document.version);
    // What cannot be read is written anew: nothing in it outlives a minute.
    let mut turns: Turns = document
        .and_then(|document| serde_json::from_slice(&document.body).ok())
        .unwrap_or_default();
    let is_taken = |turn: &Turn| now < turn.until && turn.until <= now.after(EVERY);
    if turns.prune.as_ref().is_some_and(is_taken) {
        return Ok(false);
    }
    turns.prune = Some(Turn {
        worker: worker.to_owned(),
        until: now.after(EVERY),
    });
    let body = serde_json::to_vec(&turns).map_err(|error| {
        StoreError::new(ErrorKind::Corrupt, "the turns could not be written").with_source(error)
    })?;
    match store
        .write_document(DOCUMENT, version, Bytes::from(body))
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}
