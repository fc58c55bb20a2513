//! Turns: what one worker at a time does, of all on a store.
//!
//! Who finds that the last turn at something is over takes the next by writing it into one
//! document. A worker that dies in its turn holds nobody up for longer than that.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{ErrorKind, Store, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

/// The document of the turns.
pub(crate) const DOCUMENT: &str = "maintenance";

/// Who does something alone, until when.
#[derive(Debug, Deserialize, Serialize)]
struct Turn {
    worker: String,
    until: Timestamp,
}

/// How often the document is tried while others write what they have to say into it. Each of the few
/// works writes once a turn, so that this many are never lost in a row unless the store is at fault.
const TRIES: usize = 16;

/// Takes the turn at `work` for this span if nobody has it; of several that try, one gets it.
///
/// # Errors
/// `Conflict` if others wrote the document every time, and what the store says.
pub(super) async fn take(
    store: &dyn Store,
    work: &str,
    worker: &str,
    span: Duration,
) -> Result<bool, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match take_once(store, work, worker, span).await {
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {}
            answer => return answer,
        }
    }
}

/// Tries to. `Conflict` if someone wrote the document meanwhile, for this work or another.
async fn take_once(
    store: &dyn Store,
    work: &str,
    worker: &str,
    span: Duration,
) -> Result<bool, StoreError> {
    let now = store.now().await?;
    let document = store.read_document(DOCUMENT).await?;
    let version = document.as_ref().map_or(0, |document| document.version);
    // What cannot be read is written anew: nothing in it outlives a minute.
    let mut turns: BTreeMap<String, serde_json::Value> = document
        .and_then(|document| serde_json::from_slice(&document.body).ok())
        .unwrap_or_default();
    let last = turns
        .get(work)
        .and_then(|turn| Turn::deserialize(turn).ok());
    let is_taken = |turn: Turn| now < turn.until && turn.until <= now.after(span);
    if last.is_some_and(is_taken) {
        return Ok(false);
    }
    let turn = Turn {
        worker: worker.to_owned(),
        until: now.after(span),
    };
    let unwritten = |error| {
        StoreError::new(ErrorKind::Corrupt, "the turns could not be written").with_source(error)
    };
    let turn = serde_json::to_value(turn).map_err(unwritten)?;
    turns.insert(work.to_owned(), turn);
    let body = Bytes::from(serde_json::to_vec(&turns).map_err(unwritten)?);
    store.write_document(DOCUMENT, version, body).await?;
    Ok(true)
}
