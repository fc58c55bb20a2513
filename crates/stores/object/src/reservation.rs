//! Reservations: who has a unique key, or an id that a caller chose.
//!
//! A job that needs one is a batch of its own. Its reservation is created, or taken over by a
//! replace, *before* its batch, and carries the job whole, so that whoever meets a reservation
//! without a job can complete it. The object alone never answers anything: what counts is the job it
//! names, and it is never deleted, since a late producer could not tell that from never having been.

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::unique::Met;
use longshore_core::{Job, NewJob, Timestamp, UniqueScope};

use crate::batch::{Batch, key_from, key_message};
use crate::batch_key::{BatchKey, VOID_AFTER};
use crate::format::{Format, FormatError};
use crate::meeting::Presence;
use crate::message::ReservationMessage;

/// Who has a unique key or a chosen id.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// Counts up with every write, from 0.
    pub generation: u64,
    /// Random at every write, so that no two versions are equal.
    pub writer: u64,
    /// The batch of the job that has it.
    pub key: BatchKey,
    /// That batch; `None` once nobody needs to complete it any more.
    pub batch: Option<Arc<Batch>>,
    /// Until when a job that was pruned still has its key, since its window lasts. (E-4d)
    pub kept_until: Option<Timestamp>,
    /// Its producer will not write the job: another has the unique key that it wanted beside.
    pub released: bool,
    /// The job came from another store, and lies at this index of its batch; whoever meets the
    /// reservation cannot complete it.
    pub brought: Option<u16>,
}

/// What a producer finds of the job that a reservation names.
#[derive(Clone, Debug)]
pub enum Found {
    /// The job as it is.
    Job(Box<Job>),
    /// It was looked for at its ledger, its batch and its ledger again, and is not there.
    Nothing(Presence),
}

/// What a producer does about a reservation that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the producer's own job: enqueued before.
    Own,
    /// The job that is there is met: a hit, a replacement or a refusal.
    Met(Met),
    /// A job that was pruned has the key until its window is over, and meets this one as a hit or
    /// refuses it.
    MetPruned(Met),
    /// The reservation is free: take it over by a replace of the version that was read.
    TakeOver,
    /// Its producer has not written the job yet, or crashed: write it, then look again.
    Help,
    /// Nobody can tell yet whether its job appears: answer that the store is unavailable.
    Undecided,
}

impl Reservation {
    /// A first reservation for the one job of this batch.
    #[must_use]
    pub const fn new(batch: Arc<Batch>, key: BatchKey, writer: u64) -> Self {
        Self {
            generation: 0,
            writer,
            key,
            batch: Some(batch),
            kept_until: None,
            released: false,
            brought: None,
        }
    }

    /// The version with which another job takes this reservation over.
    #[must_use]
    pub const fn taken_over(&self, batch: Arc<Batch>, key: BatchKey, writer: u64) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            writer,
            key,
            batch: Some(batch),
            kept_until: None,
            released: false,
            brought: None,
        }
    }

    /// The version that is left of a job that its producer will not write. Only the producer may say
    /// so, of a job that needs another reservation which never was its own: then nobody else can
    /// have written it.
    #[must_use]
    pub fn release(&self, writer: u64) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            writer,
            released: true,
            ..self.clone()
        }
    }

    /// The version that is left of a job that is pruned. It keeps its key if its window lasts.
    #[must_use]
    pub fn stub(&self, job: &Job, writer: u64, now: Timestamp) -> Self {
        let scope = job.unique_key.as_ref().map(|unique| unique.scope);
        let end = scope.and_then(|scope| scope.ends_at(job.enqueued_at));
        Self {
            generation: self.generation.saturating_add(1),
            writer,
            key: self.key,
            batch: self.batch.clone(),
            kept_until: end.filter(|_| job.holds_unique_key(now)),
            released: false,
            brought: self.brought,
        }
    }

    /// What the job `new`, whose batch is `own`, does about this reservation of a unique key.
    #[must_use]
    pub fn meet(&self, own: &BatchKey, new: &NewJob, found: &Found, now: Timestamp) -> Verdict {
        match found {
            Found::Job(_) if self.key == *own => Verdict::Own,
            Found::Job(job) if job.holds_unique_key(now) => Verdict::Met(job.met_by(new)),
            Found::Job(_) => Verdict::TakeOver,
            Found::Nothing(_) if self.kept_until.is_some_and(|until| now < until) => {
                Verdict::MetPruned(self.met_pruned(new))
            }
            Found::Nothing(presence) => self.judge_absent(*presence, now),
        }
    }

    /// What a job does about this reservation of the id that it has.
    #[must_use]
    pub fn meet_chosen(&self, own: &BatchKey, found: &Found, now: Timestamp) -> Verdict {
        match found {
            Found::Job(_) if self.key == *own => Verdict::Own,
            Found::Job(_) => Verdict::Met(Met::Hit),
            Found::Nothing(presence) => self.judge_absent(*presence, now),
        }
    }

    fn judge_absent(&self, presence: Presence, now: Timestamp) -> Verdict {
        let stamp = self.key.name.stamp();
        match presence {
            Presence::Never => Verdict::TakeOver,
            Presence::NotYet if self.released => Verdict::TakeOver,
            // It is there after all: the look was too early or too late.
            Presence::There => Verdict::Undecided,
            Presence::NotYet if self.can_help() && now < stamp.after(VOID_AFTER) => Verdict::Help,
            Presence::NotYet => Verdict::Undecided,
        }
    }

    /// At which index of its batch the job lies.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.brought.unwrap_or_default()
    }

    /// Whether whoever meets this can put the job there.
    const fn can_help(&self) -> bool {
        self.batch.is_some() && self.brought.is_none()
    }

    fn met_pruned(&self, new: &NewJob) -> Met {
        let stored = self.batch.as_ref().and_then(|batch| batch.job(0));
        let unique = stored.and_then(|stored| stored.job.unique_key.as_ref());
        let hash = unique.map(|unique| unique.hash);
        let same = hash == new.unique_key.as_ref().map(|unique| unique.hash);
        new.on_conflict.meets(same, false)
    }

    /// Whether the reservation outlives its job, which has a window.
    #[must_use]
    pub fn has_window(&self) -> bool {
        let stored = self.batch.as_ref().and_then(|batch| batch.job(0));
        let unique = stored.and_then(|stored| stored.job.unique_key.as_ref());
        unique.is_some_and(|unique| matches!(unique.scope, UniqueScope::Window(_)))
    }

    /// The object.
    ///
    /// # Errors
    /// The job is too long.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        let batch = self.batch.as_deref().map(Batch::to_message);
        Format::RESERVATION.seal(&ReservationMessage {
            generation: self.generation,
            writer: self.writer,
            key: key_message(&self.key),
            batch: batch.map(Box::new),
            kept_until: self.kept_until.map(Timestamp::unix_nanos),
            released: self.released,
            brought: self.brought.map(u32::from),
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is none, a newer one, or damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
        let message: ReservationMessage = Format::RESERVATION.open(bytes)?;
        let batch = message.batch.map(|batch| Batch::from_message(*batch));
        let damaged = |_ignored| FormatError::damaged("the index of its job is out of bounds");
        let brought = message.brought;
        let brought = brought.map(|index| u16::try_from(index).map_err(damaged));
        Ok(Self {
            generation: message.generation,
            writer: message.writer,
            key: key_from(&message.key)?,
            batch: batch.transpose()?.map(Arc::new),
            kept_until: message.kept_until.map(Timestamp::from_unix_nanos),
            released: message.released,
            brought: brought.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests;
