//! The index: what is done about each of its entries, and waiting for a job to be due.

use std::time::Duration;

use longshore_core::{QueueName, StoreError, Timestamp};

use super::ObjectStore;
use super::change::Haste;
use super::load::{At, Seen, State};
use crate::draft::Draft;
use crate::key::Key;
use crate::meeting::{Look, Step, meet};

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

    /// When it is due, in milliseconds since the Unix epoch.
    pub(super) const fn due(&self) -> Option<u64> {
        match &self.key {
            Key::Batch(key) => Some(key.due),
            Key::Pointer(pointer) => Some(pointer.due),
            _ => None,
        }
    }
}

impl ObjectStore {
    /// For how long what was seen of a ledger is believed, if none of its jobs could be claimed:
    /// others may have made some of them wait.
    pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(30);

    /// What is known of a batch, and need not be read again before jobs are claimed from it.
    pub(super) fn trusted(&self, at: At, now: Timestamp) -> Option<State> {
        let state = self.cells.known(at.name)?;
        let is_old = match &state {
            State::Ledger(seen) => {
                now > seen.at.after(Self::TRUSTED_FOR)
                    && super::claim::waiting(&state).all(|(_, row)| row.due > now)
            }
            State::Waiting(_) => false,
        };
        (!is_old).then_some(state)
    }

    /// Does what follows from an entry; what there is of it, if there are jobs in it to claim or to
    /// take back. `fresh` says not to trust what was seen before.
    pub(super) async fn meet_entry(
        &self,
        entry: &Entry,
        fresh: bool,
    ) -> Result<Option<(At, State)>, StoreError> {
        let Some(at) = entry.at() else {
            return Ok(None);
        };
        let cell = self.cells.of(at.name);
        let now = self.bounds().least;
        let trusted = self.trusted(at, now).filter(|_| !fresh);
        let state = match trusted {
            Some(state) => Some(state),
            None => {
                let _turn = cell.turn.lock().await;
                let state = self.load(at).await?;
                match &state {
                    Some(state) => cell.learn(Some(state.clone())),
                    None => cell.miss(now),
                }
                state
            }
        };
        let step = match &state {
            // The look at a ledger of generation 0 was one at its batch too.
            None => Step::Skip,
            Some(State::Waiting(_)) => meet(&entry.key, entry.modified, None, &Look::Unseen),
            Some(State::Ledger(seen)) => meet_seen(entry, seen),
        };
        match step {
            Step::Create | Step::Act(_) => return Ok(state.map(|state| (at, state))),
            Step::Skip | Step::ReadBatch | Step::DeleteLedgerIfUnchanged => {
                if state.is_none() {
                    self.drop_leftover(entry, at).await?;
                }
            }
            Step::DeleteEntry => self.delete_entry(entry).await?,
            Step::CopyIn => {
                let touch = |draft: &mut Draft, _| draft.touch();
                self.change(at, Haste::Now, touch).await?;
            }
            Step::MakeFollowUps | Step::Close => self.follow(at).await?,
        }
        Ok(None)
    }

    async fn delete_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        let path = entry.key.to_string();
        self.objects.delete(&path).await?;
        self.lines.remove(&path);
        Ok(())
    }

    /// An entry to which nothing belongs: the batch of a ledger that is being pruned landed late.
    async fn drop_leftover(&self, entry: &Entry, at: At) -> Result<(), StoreError> {
        let found = self.get_ledger(at).await?;
        if found.is_some_and(|(ledger, ..)| ledger.pruned) {
            self.delete_entry(entry).await?;
        }
        Ok(())
    }

    pub(super) async fn wait_until_due(&self, queues: &[QueueName]) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that no change slips between look and wait.
            changed.as_mut().enable();
            // An error is met again by the claim, which reports it.
            if matches!(self.is_any_due(queues).await, Ok(true)) {
                return;
            }
            let rest = self.rest_of(queues).await;
            let _ = tokio::time::timeout(rest, changed).await;
        }
    }

    /// How long until a line of these queues is to be listed, or a job that is known is due.
    async fn rest_of(&self, queues: &[QueueName]) -> Duration {
        let (least, most) = (self.tuning.poll_least, self.tuning.poll_most);
        let least = least.max(Duration::from_millis(10));
        let now = self.bounds().middle();
        let lines = self.lines_of(Some(queues)).await.unwrap_or_default();
        let until = lines.into_iter().flat_map(|line| {
            let (listed, due) = self.lines.next(line, now);
            // Without a listing, one is due at once.
            [Some(listed.unwrap_or(now)), due]
        });
        let until = until.flatten().min();
        let rest = until.map_or(most, |until| until.since(now));
        rest.clamp(least, most.max(least))
    }
}

fn meet_seen(entry: &Entry, seen: &Seen) -> Step {
    let batch = std::sync::Arc::clone(&seen.batch);
    let look = Look::There(batch, seen.ledger.key.name.stamp());
    meet(&entry.key, entry.modified, Some(&seen.ledger), &look)
}
