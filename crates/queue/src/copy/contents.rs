//! What a store has, in a few numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore_core::digest::Digest;
use longshore_core::{JobState, QueueName, Store, StoreError};

use super::documents::Names;
use super::pages::{self, AT_ONCE};

/// What a store has. Two stores that have the same are equal in this, and others are not, but by a
/// chance of nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Jobs that wait, be they due or not.
    pub waiting: u64,
    /// Jobs that are completed.
    pub completed: u64,
    /// Jobs that are cancelled.
    pub cancelled: u64,
    /// Jobs that are discarded.
    pub discarded: u64,
    /// Documents: schedules, limits, batches, and what programs keep of their own; without the
    /// register of workers and their turns.
    pub documents: u64,
    /// Queues that are paused.
    pub paused: BTreeSet<QueueName>,
    /// Of every job, document and pause.
    pub digest: Digest,
}

impl Contents {
    /// How many jobs there are.
    #[must_use]
    pub const fn jobs(&self) -> u64 {
        // Each was counted one by one.
        self.waiting
            .saturating_add(self.completed)
            .saturating_add(self.cancelled)
            .saturating_add(self.discarded)
    }

    /// Reads a store, of which no job may run; `tell` hears of more jobs that were read.
    pub(super) async fn read(
        store: &Arc<dyn Store>,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Self, StoreError> {
        let mut contents = Self::default();
        let mut cursor: Option<String> = None;
        loop {
            let (ids, next) = pages::ids_after(&**store, cursor.as_deref()).await?;
            for ids in ids.chunks(AT_ONCE) {
                for job in pages::load(store, ids).await? {
                    let count = match job.state {
                        JobState::Completed => &mut contents.completed,
                        JobState::Cancelled => &mut contents.cancelled,
                        JobState::Discarded => &mut contents.discarded,
                        _ => &mut contents.waiting,
                    };
                    *count += 1;
                    contents.digest.add_job(&job);
                }
                tell(ids.len() as u64);
            }
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let mut names = Names::of(&**store);
        while let Some(entry) = names.next().await? {
            if let Some(document) = store.read_document(&entry.name).await? {
                contents.documents += 1;
                contents.digest.add_document(&entry.name, &document.body);
            }
        }
        contents.paused = paused(&**store).await?;
        for queue in &contents.paused {
            contents.digest.add_pause(queue);
        }
        Ok(contents)
    }
}

async fn paused(store: &dyn Store) -> Result<BTreeSet<QueueName>, StoreError> {
    let stats = store.queue_stats().await?.into_iter();
    let paused = stats.filter(|stats| stats.paused);
    Ok(paused.map(|stats| stats.queue).collect())
}

/// Pauses at the target what is paused at the source, and nothing else.
pub(super) async fn copy_pauses(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let (wanted, there) = (paused(from).await?, paused(to).await?);
    for queue in wanted.difference(&there) {
        to.pause(queue).await?;
    }
    for queue in there.difference(&wanted) {
        to.resume(queue).await?;
    }
    Ok(())
}
