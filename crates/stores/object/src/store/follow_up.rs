//! What follows a write of a ledger: follow-ups are made, and the entry of a batch that is over
//! goes. Whoever finds either undone does it.

use std::sync::Arc;

use longshore_core::StoreError;

use super::ObjectStore;
use super::change::Haste;
use super::enqueue::Placed;
use super::load::{At, Seen, State};
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName};
use crate::draft::Draft;
use crate::key::Key;
use crate::mutation::Mutation;

impl ObjectStore {
    /// Does what is left to do about a batch, as this process last saw it.
    pub(super) async fn follow(&self, at: At) -> Result<(), StoreError> {
        let Some(seen) = self.last_seen(at.name) else {
            return Ok(());
        };
        let draft = Draft::of(seen.ledger.clone(), Arc::clone(&seen.batch));
        let is_bare = seen.ledger.carried.is_none() && seen.ledger.is_over(Some(&seen.batch));
        if is_bare || draft.is_misplaced(self.bounds().middle()) {
            let touch = |draft: &mut Draft, _| draft.touch();
            Box::pin(self.change(at, Haste::Now, touch)).await?;
            return Ok(());
        }
        if Mutation::CloseFirst.is_on() && seen.ledger.is_over(None) {
            let entry = seen.ledger.entry_key().to_string();
            self.objects.delete(&entry).await?;
        }
        for outgoing in &seen.ledger.outbox {
            if let Some(batch) = &outgoing.batch {
                Box::pin(self.make_follow_up(at, batch)).await?;
            }
        }
        self.close(at.name).await
    }

    fn last_seen(&self, name: BatchName) -> Option<Arc<Seen>> {
        match self.cells.known(name)? {
            State::Ledger(seen) => Some(seen),
            State::Waiting(_) => None,
        }
    }

    /// Deletes the entry of a batch that is over, copied in and followed by what had to follow.
    pub(super) async fn close(&self, name: BatchName) -> Result<(), StoreError> {
        let Some(seen) = self.last_seen(name) else {
            return Ok(());
        };
        let ledger = &seen.ledger;
        let done = ledger.generation > 0 && ledger.carried.is_some() && ledger.is_over(None);
        let done = done || Mutation::EarlyClose.is_on() && ledger.generation > 0;
        if done && !ledger.has_open_outbox() {
            let entry = ledger.entry_key().to_string();
            self.objects.delete(&entry).await?;
            self.lines.remove(&entry);
            // Nobody asks for it any more, but by its id, and then it is read.
            self.cells.forget(name);
        }
        Ok(())
    }

    async fn make_follow_up(&self, at: At, batch: &Arc<Batch>) -> Result<(), StoreError> {
        let is_single = batch.jobs.len() == 1;
        let stored = batch.job(0).filter(|_| is_single);
        let needs = stored.is_some_and(|stored| self.needs_reservation(&batch.key, &stored.job));
        let made = match batch.new_job(0) {
            Some(new) if needs => match self.place_reserved(batch, &new).await {
                // Another job has its key: it does not appear.
                Ok(_) => true,
                Err(error) if error.kind() == longshore_core::ErrorKind::Conflict => true,
                Err(error) => return Err(error),
            },
            _ => match self.place_batch(batch, true).await? {
                Placed::Created | Placed::There(_) => true,
                Placed::Never => false,
            },
        };
        if made {
            self.note_made(at.name, &batch.key);
            return Ok(());
        }
        // Under its old name it cannot appear any more.
        let mut renamed = Batch::clone(batch);
        let jobs = batch.key.name.jobs();
        renamed.key.name = self.new_name(self.bounds().middle(), jobs);
        renamed.writer = self.token();
        renamed.rename_minted(batch);
        self.move_args(&batch.key.name, &mut renamed).await?;
        let renamed = Arc::new(renamed);
        let old = batch.key;
        let rename = move |draft: &mut Draft, _| {
            draft.rename(&old, Arc::clone(&renamed));
        };
        // The write is followed by another try to make what it names.
        Box::pin(self.change(at, Haste::Now, rename)).await?;
        Ok(())
    }

    /// Stores long args again under the name that their batch has now.
    async fn move_args(&self, old: &BatchName, renamed: &mut Batch) -> Result<(), StoreError> {
        let name = renamed.key.name;
        for (index, slot) in (0..).zip(&mut renamed.jobs) {
            let Some(stored) = slot else {
                continue;
            };
            let Some(token) = stored.args_token else {
                continue;
            };
            let batch = *old;
            let key = Key::Args {
                batch,
                index,
                token,
            };
            let args = self.part_of(&stored.job, "args", &key).await?;
            stored.args_token = Some(self.put_args(name, index, args).await?);
        }
        Ok(())
    }

    /// Remembers that follow-ups are there. The next write of the ledger, if there is one, says so.
    fn note_made(&self, name: BatchName, key: &BatchKey) {
        self.cells.of(name).amend(|state| {
            if let State::Ledger(seen) = state {
                Arc::make_mut(seen).ledger.note_made(key);
            }
        });
    }
}
