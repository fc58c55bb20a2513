//! Notes which members are over, and what follows from it.

use longshore_core::batch::{Counts, End};
use longshore_core::{BatchId, ErrorKind, StoreError};

use super::finish::finish;
use super::papers::{Papers, TRIES, contended};
use crate::producer::Producer;

/// Notes how members of a page are over. If all of the page are, the batch hears of it; if all of
/// the batch are, what follows is enqueued. Repeating is safe, and a batch that is not there any
/// more is no error.
pub(crate) async fn mark(
    producer: &Producer,
    id: &BatchId,
    page: u16,
    marks: &[(u16, End)],
) -> Result<(), StoreError> {
    let store = &**producer.store();
    let papers = Papers::new(store, id);
    let mut lost = None;
    for _ in 0..TRIES {
        let Some((mut ends, version)) = papers.ends(page).await? else {
            return Ok(());
        };
        let mut changes = false;
        for (slot, end) in marks {
            changes |= ends.mark(*slot, *end);
        }
        if changes {
            let name = id.ends_document(page);
            match store.write_document(&name, version, ends.encode()).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    lost = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        return match ends.is_complete() {
            true => fold(producer, id, page, ends.counts()).await,
            false => Ok(()),
        };
    }
    Err(lost.unwrap_or_else(contended))
}

/// Notes in the batch that all members of a page are over.
async fn fold(
    producer: &Producer,
    id: &BatchId,
    page: u16,
    counts: Counts,
) -> Result<(), StoreError> {
    let papers = Papers::new(&**producer.store(), id);
    let folded = papers.change(|batch, now| Ok((batch.fold(page, counts, now), ())));
    match folded.await? {
        Some((batch, ())) if batch.over_at().is_some() && !batch.is_finished() => {
            finish(producer, id, &batch).await
        }
        Some(_) | None => Ok(()),
    }
}
