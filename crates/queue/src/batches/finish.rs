//! What follows a batch that is over.

use longshore_core::batch::Batch as Record;
use longshore_core::{BatchId, ErrorKind, StoreError};

use super::papers::Papers;
use crate::producer::Producer;

/// Enqueues the callbacks of a batch that is over, and notes that they are. Any number of workers
/// may do this for one batch: the ids of the callbacks belong to it, so that a second one is a hit.
///
/// # Errors
/// The store could not take a callback now; nothing is noted then, and it is done again.
pub(crate) async fn finish(
    producer: &Producer,
    id: &BatchId,
    batch: &Record,
) -> Result<(), StoreError> {
    let due = batch.due(id);
    if !due.is_empty() {
        for answer in producer.follow(due, batch.trace.as_ref()).await? {
            match answer {
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    tracing::warn!(batch = %id, %error, "the callback of a batch was refused");
                }
                answer => drop(answer?),
            }
        }
    }
    let papers = Papers::new(&**producer.store(), id);
    papers.change(|batch, _| Ok((batch.finish(), ()))).await?;
    papers.delete(&id.open_document()).await
}
