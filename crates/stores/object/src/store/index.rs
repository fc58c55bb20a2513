//! The index: which entries there are, and what is done about each.

use std::time::Duration;

use longshore_core::{QueueName, StoreError, Timestamp};

use super::ObjectStore;
use super::load::{At, Seen, State};
use crate::batch_key::BatchKey;
use crate::draft::Draft;
use crate::key::Key;
use crate::meeting::{Look, Step, meet};
use crate::objects::Range;
use crate::queues::Queue;

/// An entry as it was listed.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) modified: Timestamp,
}

impl Entry {
    pub(super) const fn at(&self) -> Option<At> {
        match &self.key {
            Key::Batch(key) => Some(At::batch(*key)),
            Key::Pointer(pointer) => Some(At::pointer(pointer)),
            _ => None,
        }
    }
}

impl ObjectStore {
    /// Most entries of a line that a claim looks at.
    const MAX_ENTRIES: usize = 1000;
    /// How long what was seen of a ledger is believed, as to which of its jobs wait: others may have
    /// made more of them wait.
    const TRUSTED_FOR: Duration = Duration::from_secs(5);

    /// The entries of these queues that are due: in their lines, the longest due first.
    pub(super) async fn due_entries(
        &self,
        queues: Option<&[QueueName]>,
    ) -> Result<Vec<Entry>, StoreError> {
        let known = self.queues().await?;
        let now = self.bounds().middle();
        let asked = |queue: &&Queue| match queues {
            Some(queues) => !queue.paused && queues.contains(&queue.name),
            None => true,
        };
        let mut entries = Vec::new();
        for line in known.all().iter().filter(asked).flat_map(Queue::lines) {
            let prefix = Key::index(line);
            let end = Key::index_end(line, BatchKey::due_millis(now));
            let range = Range {
                prefix: &prefix,
                after: None,
                end: Some(&end),
                limit: Self::MAX_ENTRIES,
            };
            for listed in self.objects.list(range).await? {
                // What else lies there is not ours, and left alone.
                if let Ok(key) = listed.key.parse() {
                    let modified = listed.modified;
                    entries.push(Entry { key, modified });
                }
            }
        }
        Ok(entries)
    }

    /// Does what follows from an entry; where it lies, if there are jobs in it to claim or to take
    /// back, which this process has then seen. `fresh` says not to trust what it saw long ago.
    pub(super) async fn meet_entry(
        &self,
        entry: &Entry,
        fresh: bool,
    ) -> Result<Option<At>, StoreError> {
        let Some(at) = entry.at() else {
            return Ok(None);
        };
        let cell = self.cell(at.name);
        let state = {
            let mut known = cell.lock().await;
            let now = self.bounds().least;
            let is_old = match &*known {
                Some(State::Ledger(seen)) => now > seen.at.after(Self::TRUSTED_FOR),
                _ => false,
            };
            if fresh || is_old {
                *known = None;
            }
            if known.is_none() {
                *known = self.load(at).await?;
            }
            known.clone()
        };
        let step = match &state {
            // The look at a ledger of generation 0 was one at its batch too.
            None => Step::Skip,
            Some(State::Waiting(_)) => meet(&entry.key, entry.modified, None, &Look::Unseen),
            Some(State::Ledger(seen)) => meet_seen(entry, seen),
        };
        match step {
            Step::Create | Step::Act(_) => return Ok(Some(at)),
            Step::Skip | Step::ReadBatch | Step::DeleteLedgerIfUnchanged => {
                if state.is_none() {
                    self.drop_leftover(entry, at).await?;
                }
            }
            Step::DeleteEntry => self.objects.delete(&entry.key.to_string()).await?,
            Step::CopyIn => {
                let mut touch = |draft: &mut Draft, _| draft.touch();
                self.change(at, &mut touch).await?;
            }
            Step::MakeFollowUps | Step::Close => self.follow(at).await?,
        }
        Ok(None)
    }

    /// An entry to which nothing belongs: the batch of a ledger that is being pruned landed late.
    async fn drop_leftover(&self, entry: &Entry, at: At) -> Result<(), StoreError> {
        let found = self.get_ledger(at).await?;
        if found.is_some_and(|(ledger, ..)| ledger.pruned) {
            self.objects.delete(&entry.key.to_string()).await?;
        }
        Ok(())
    }

    pub(super) async fn wait_until_due(&self, queues: &[QueueName]) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that no change slips between look and wait.
            changed.as_mut().enable();
            // An error is met again by the claim, which reports it.
            let due = self.due_entries(Some(queues)).await.unwrap_or_default();
            for entry in due {
                if matches!(self.waits(&entry).await, Ok(true)) {
                    return;
                }
            }
            let _ = tokio::time::timeout(Self::POLL, changed).await;
        }
    }

    /// Whether an entry has a job that waits and is due.
    async fn waits(&self, entry: &Entry) -> Result<bool, StoreError> {
        let Some(at) = self.meet_entry(entry, false).await? else {
            return Ok(false);
        };
        let cell = self.cell(at.name);
        let known = cell.lock().await;
        let now = self.bounds().middle();
        Ok(known.as_ref().is_some_and(|state| {
            let mut due = super::claim::waiting(state);
            due.any(|(_, row)| row.due <= now)
        }))
    }
}

fn meet_seen(entry: &Entry, seen: &Seen) -> Step {
    let batch = std::sync::Arc::clone(&seen.batch);
    let look = Look::There(batch, seen.ledger.key.name.stamp());
    meet(&entry.key, entry.modified, Some(&seen.ledger), &look)
}
