//! What a job of another store needs before it can be brought: its id, and the unique key that it has.

use std::sync::Arc;

use longshore_core::{Imported, Job, StoreError, Timestamp};

use super::super::load::At;
use super::super::reserve::in_doubt;
use super::super::{ObjectStore, restless};
use super::{Answer, Incoming};
use crate::batch::Batch;
use crate::batch_key::BatchKey;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::minted_id::MintedId;
use crate::mutation::{Made, Mutation};
use crate::objects::Landing;
use crate::reservation::{Found, Reservation, Verdict};

/// What became of a reservation.
enum Taken {
    Mine,
    /// A job that is there has it.
    There(Box<Job>),
    /// A job that was pruned has it.
    Pruned(Box<Reservation>),
}

impl ObjectStore {
    /// Reserves the id of a job, and the unique key that it has: `Stored` if it is to be written.
    pub(super) async fn take_names(
        &self,
        key: BatchKey,
        index: u16,
        incoming: &Incoming,
    ) -> Answer {
        let Incoming { job, new, .. } = incoming;
        let is_own = MintedId::read(&job.id, self.mark).is_some();
        if is_own && self.get_job(&job.id).await?.is_some() {
            return Ok(Imported::Present);
        }
        let own = |batch| Reservation {
            generation: 0,
            writer: 0,
            key,
            batch,
            kept_until: None,
            released: false,
            brought: Some(index),
        };
        let chosen = Key::Chosen(job.id.clone());
        let judge = |met: &Reservation, found: &Found, now| met.meet_chosen(&key, found, now);
        if !matches!(self.take(&chosen, &own(None), judge).await?, Taken::Mine) {
            return Ok(Imported::Present);
        }
        let wanted = new.unique_key.as_ref();
        let Some(unique) = wanted.filter(|_| job.holds_unique_key(self.bounds().middle())) else {
            return Ok(Imported::Stored);
        };
        let mut batch = Batch::new(key, self.mark, job.queue.clone(), job.enqueued_at);
        batch.put_brought(index, new.clone(), job.enqueued_at, None);
        let batch = Arc::new(batch);
        let at = Key::Unique {
            queue: key.line.queue,
            key: unique.key.clone(),
        };
        let judge = |met: &Reservation, found: &Found, now| met.meet(&key, new, found, now);
        let holder = match self
            .take(&at, &own(Some(Arc::clone(&batch))), judge)
            .await?
        {
            Taken::Mine => return Ok(Imported::Stored),
            Taken::There(holder) => holder.id,
            Taken::Pruned(met) => {
                let stored = met.batch.as_ref().and_then(|batch| batch.job(0));
                stored.map_or_else(|| job.id.clone(), |stored| stored.job.id.clone())
            }
        };
        self.release(&batch, new).await?;
        Err(unique.taken(&job.queue, &holder))
    }

    /// Takes a reservation, if no job has it. Ids are nearly always new, so it is not looked for first.
    async fn take(
        &self,
        at: &Key,
        own: &Reservation,
        judge: impl Fn(&Reservation, &Found, Timestamp) -> Verdict,
    ) -> Result<Taken, StoreError> {
        let path = at.to_string();
        let sealed = |generation| {
            let writer = self.token();
            let own = Reservation {
                generation,
                writer,
                ..own.clone()
            };
            let bytes = own.encode().map_err(|error| error.of(at))?;
            Ok::<_, StoreError>((writer, bytes))
        };
        let mut tried = Vec::new();
        let mut is_new = true;
        for _ in 0..Self::TRIES {
            if is_new {
                let (writer, bytes) = sealed(0)?;
                tried.push(writer);
                let landing = self.objects.create(&path, bytes).await?;
                if landing.is_ours(Made::Name) {
                    return Ok(Taken::Mine);
                }
            }
            let now = self.bounds().middle();
            let found = self.get_reservation(at).await?;
            is_new = found.is_none();
            let Some((met, version)) = found else {
                continue;
            };
            if tried.contains(&met.writer) {
                return Ok(Taken::Mine);
            }
            let found = self.find(&met).await?;
            let may_take = match (judge(&met, &found, now), found) {
                (Verdict::Own | Verdict::Met(_), Found::Job(job)) => return Ok(Taken::There(job)),
                (Verdict::MetPruned(_), _) => return Ok(Taken::Pruned(Box::new(met))),
                (Verdict::TakeOver, _) => true,
                (Verdict::Help, _) if self.help(&met).await? => false,
                // Who began to bring it has vanished, or is to begin anew.
                (_, Found::Nothing(_)) if met.brought.is_some() => self.bar(met.key).await?,
                _ => return Err(in_doubt_of(at)),
            };
            if may_take {
                let (writer, bytes) = sealed(met.generation.saturating_add(1))?;
                tried.push(writer);
                let landing = self.objects.replace(&path, bytes, &version).await?;
                if let Landing::Landed(_) = landing {
                    return Ok(Taken::Mine);
                }
            }
        }
        Err(restless(at))
    }

    /// Sees to it that the jobs of this name can never come; `false` if they are there.
    async fn bar(&self, key: BatchKey) -> Result<bool, StoreError> {
        let at = At::batch(key);
        let path = at.ledger().to_string();
        if Mutation::NotBarred.is_on() {
            return Ok(true);
        }
        for _ in 0..Self::TRIES {
            let queues = self.queues().await?;
            let mut queues = queues.all().iter();
            let queue = queues.find(|queue| queue.code == key.line.queue);
            let queue = queue.ok_or_else(|| restless(&Key::Queues))?;
            let batch = Batch::new(key, self.mark, queue.name.clone(), key.name.stamp());
            let ledger = Ledger::barred(batch, self.token());
            let bytes = ledger.encode().map_err(|error| error.of(&at.ledger()))?;
            let landing = self.objects.create(&path, bytes).await?;
            if landing.is_ours(Made::Bar) {
                return Ok(true);
            }
            if let Some((ledger, ..)) = self.get_ledger(at).await? {
                return Ok(ledger.pruned);
            }
        }
        Err(restless(&at.ledger()))
    }
}

fn in_doubt_of(at: &Key) -> StoreError {
    match at {
        Key::Chosen(id) => in_doubt(id),
        other => restless(other),
    }
}
