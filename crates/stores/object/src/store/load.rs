//! Reading a batch and its ledger, so that what was read is true.

use std::sync::Arc;

use longshore_core::{StoreError, Timestamp};

use super::{ObjectStore, restless};
use crate::batch::Batch;
use crate::batch_key::{BatchKey, BatchName};
use crate::format::FormatError;
use crate::key::{Key, PointerKey};
use crate::ledger::Ledger;
use crate::mutation::Mutation;
use crate::objects::Version;

/// Where a ledger lies, and its batch, if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) shard: u16,
    pub(super) name: BatchName,
    pub(super) batch: Option<BatchKey>,
}

impl At {
    pub(super) const fn batch(key: BatchKey) -> Self {
        Self {
            shard: key.line.shard,
            name: key.name,
            batch: Some(key),
        }
    }

    pub(super) const fn pointer(key: &PointerKey) -> Self {
        Self {
            shard: key.line.shard,
            name: key.batch,
            batch: None,
        }
    }

    pub(super) const fn ledger(self) -> Key {
        Key::Ledger {
            shard: self.shard,
            batch: self.name,
        }
    }
}

/// A ledger as it was read, with the jobs of its batch. It is true: of generation 0 only together
/// with the batch.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) ledger: Ledger,
    pub(super) version: Version,
    pub(super) batch: Arc<Batch>,
    /// The least that the server's time can have been when it was read.
    pub(super) at: Timestamp,
}

/// What there is of a batch.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The batch, and no ledger.
    Waiting(Arc<Batch>),
    /// Its ledger.
    Ledger(Arc<Seen>),
}

impl State {
    pub(super) fn batch(&self) -> &Arc<Batch> {
        match self {
            Self::Waiting(batch) => batch,
            Self::Ledger(seen) => &seen.batch,
        }
    }

    pub(super) fn ledger(&self) -> Option<&Ledger> {
        match self {
            Self::Waiting(_) => None,
            Self::Ledger(seen) => Some(&seen.ledger),
        }
    }
}

impl ObjectStore {
    pub(super) async fn get_ledger(
        &self,
        at: At,
    ) -> Result<Option<(Ledger, Version, Timestamp)>, StoreError> {
        let key = at.ledger();
        let Some(object) = self.objects.get(&key.to_string()).await? else {
            return Ok(None);
        };
        let ledger = Ledger::decode(&object.bytes).map_err(|error| error.of(&key))?;
        Ok(Some((ledger, object.version, object.modified)))
    }

    /// A batch, and when the server says it was written.
    pub(super) async fn get_batch(
        &self,
        key: &BatchKey,
    ) -> Result<Option<(Arc<Batch>, Timestamp)>, StoreError> {
        let object_key = Key::Batch(*key);
        let Some(object) = self.objects.get(&object_key.to_string()).await? else {
            return Ok(None);
        };
        let batch = Batch::decode(&object.bytes).map_err(|error| error.of(&object_key))?;
        Ok(Some((Arc::new(batch), object.modified)))
    }

    /// What there is, in two requests at most, unless the batch goes meanwhile.
    pub(super) async fn load(&self, at: At) -> Result<Option<State>, StoreError> {
        for _ in 0..Self::TRIES {
            let now = self.bounds().least;
            let Some((ledger, version, modified)) = self.get_ledger(at).await? else {
                let Some(key) = at.batch else {
                    return Ok(None);
                };
                match self.get_batch(&key).await? {
                    Some((_, modified))
                        if key.name.is_void(modified) && !Mutation::NoVoid.is_on() =>
                    {
                        return Ok(None);
                    }
                    Some((batch, _)) => return Ok(Some(State::Waiting(batch))),
                    None if self.get_ledger(at).await?.is_none() => return Ok(None),
                    None => continue,
                }
            };
            if ledger.pruned {
                return Ok(None);
            }
            if ledger.is_void(modified) && !Mutation::NoVoid.is_on() {
                // It counts for nobody, so nobody writes it.
                self.objects.delete(&at.ledger().to_string()).await?;
                return Ok(None);
            }
            let carried = ledger.carried.clone();
            let carried = carried.filter(|_| ledger.generation > 0);
            // A batch never changes, so one that was proven need not be read again.
            let read = self.cells.known(at.name).filter(|_| ledger.generation > 0);
            let read = read.map(|state| Arc::clone(state.batch()));
            let batch = match carried.or(read) {
                Some(batch) => Some(batch),
                None => self.proof_of(&ledger).await?,
            };
            if let Some(batch) = batch {
                return Ok(Some(State::Ledger(Arc::new(Seen {
                    ledger,
                    version,
                    batch,
                    at: now,
                }))));
            }
            if self.drop_unproven(at, &ledger).await? {
                return Ok(None);
            }
        }
        Err(restless(&at.ledger()))
    }

    /// The batch, if it is there and makes the ledger true.
    pub(super) async fn proof_of(&self, ledger: &Ledger) -> Result<Option<Arc<Batch>>, StoreError> {
        let found = self.get_batch(&ledger.key).await?;
        let trusts = ledger.generation > 0 || Mutation::NoVoid.is_on();
        let counts = |modified| trusts || !ledger.key.name.is_void(modified);
        let found = found.filter(|(_, modified)| counts(*modified));
        Ok(found.map(|(batch, _)| batch))
    }

    /// Deletes a ledger that was made after its batch had gone, unless it has changed; `false` if it
    /// has. What has changed was proven by whoever did.
    pub(super) async fn drop_unproven(&self, at: At, ledger: &Ledger) -> Result<bool, StoreError> {
        let again = match Mutation::NoSecondLook.is_on() {
            true => ledger.clone(),
            false => match self.get_ledger(at).await? {
                Some((again, ..)) => again,
                None => return Ok(true),
            },
        };
        if !again.is_same_version(ledger) {
            return Ok(false);
        }
        if ledger.generation > 0 {
            let damage = FormatError::damaged("the batch that it needs is gone");
            return Err(damage.of(&at.ledger()));
        }
        self.objects.delete(&at.ledger().to_string()).await?;
        Ok(true)
    }
}
