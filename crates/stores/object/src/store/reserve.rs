//! Unique keys and chosen ids: reserved before the batch of their job is put.

use std::sync::Arc;

use longshore_core::unique::Met;
use longshore_core::{Enqueued, ErrorKind, Job, JobId, NewJob, StoreError};

use super::change::{Haste, Try};
use super::enqueue::{Placed, hit, job_of, span_of};
use super::load::At;
use super::{ObjectStore, restless};
use crate::batch::Batch;
use crate::batch_key::BatchKey;
use crate::draft::Draft;
use crate::key::Key;
use crate::meeting::{Presence, presence};
use crate::minted_id::MintedId;
use crate::mutation::{Judged, Made, Mutation};
use crate::objects::{Landing, Version};
use crate::reservation::{Found, Reservation, Verdict};

/// What became of a reservation that was asked for.
enum Reserved {
    /// It is this job's.
    Mine,
    /// The job that has it decides.
    Met(Met, Box<Job>),
    /// A job that was pruned has it.
    Pruned(Met, Box<Reservation>),
    /// It waits for a job that cannot be completed from here.
    Blocked,
}

impl ObjectStore {
    /// Whether a job needs a reservation before its batch.
    pub(super) fn needs_reservation(&self, key: &BatchKey, job: &Job) -> bool {
        job.unique_key.is_some() || !self.is_named_by(key, &job.id)
    }

    /// Whether an id alone leads to this batch of one job.
    fn is_named_by(&self, key: &BatchKey, id: &JobId) -> bool {
        MintedId::read(id, self.mark).is_some_and(|minted| minted.batch == *key)
    }

    /// The batch and the index that a reservation of this id names.
    pub(super) async fn reserved_place(
        &self,
        id: &JobId,
    ) -> Result<Option<(BatchKey, u16)>, StoreError> {
        let found = self.get_reservation(&Key::Chosen(id.clone())).await?;
        Ok(found.map(|(reservation, _)| (reservation.key, reservation.index())))
    }

    pub(super) async fn get_reservation(
        &self,
        key: &Key,
    ) -> Result<Option<(Reservation, Version)>, StoreError> {
        let Some(object) = self.objects.get(&key.to_string()).await? else {
            return Ok(None);
        };
        let reservation = Reservation::decode(&object.bytes).map_err(|error| error.of(key))?;
        Ok(Some((reservation, object.version)))
    }

    /// Stores the one job of a batch, which needs a reservation.
    pub(super) async fn place_reserved(
        &self,
        batch: &Arc<Batch>,
        new: &NewJob,
    ) -> Result<Enqueued, StoreError> {
        let mut blocked = false;
        if Mutation::BatchFirst.is_on() {
            self.place_batch(batch, true).await?;
        }
        if !self.is_named_by(&batch.key, &new.id) {
            match self
                .reserve(&Key::Chosen(new.id.clone()), batch, new)
                .await?
            {
                Reserved::Mine => {}
                Reserved::Met(_, job) => return Ok(hit(&job)),
                Reserved::Pruned(..) | Reserved::Blocked => blocked = true,
            }
        }
        let answer = match self.reserve_key(batch, new, blocked).await {
            Ok(None) => None,
            Ok(Some(met)) => Some(Ok(met)),
            Err(error) if error.kind() == ErrorKind::Conflict => Some(Err(error)),
            Err(error) => return Err(error),
        };
        if let Some(answer) = answer {
            self.release(batch, new).await?;
            return answer;
        }
        if blocked {
            return Err(in_doubt(&new.id));
        }
        match self.place_batch(batch, true).await? {
            Placed::Created => Ok(Enqueued::Created {
                id: new.id.clone(),
                at: batch.enqueued_at,
            }),
            Placed::There(state) => match job_of(&state, 0) {
                Some(job) => Ok(hit(&job)),
                None => Err(in_doubt(&new.id)),
            },
            Placed::Never => Err(in_doubt(&new.id)),
        }
    }

    /// Takes the job's unique key, if it has one; the answer, if another job has it.
    async fn reserve_key(
        &self,
        batch: &Arc<Batch>,
        new: &NewJob,
        only_look: bool,
    ) -> Result<Option<Enqueued>, StoreError> {
        let Some(unique) = &new.unique_key else {
            return Ok(None);
        };
        let key = Key::Unique {
            queue: batch.key.line.queue,
            key: unique.key.clone(),
        };
        for _ in 0..Self::TRIES {
            if only_look && self.get_reservation(&key).await?.is_none() {
                return Ok(None);
            }
            match self.reserve(&key, batch, new).await? {
                Reserved::Mine => return Ok(None),
                Reserved::Met(Met::Hit, job) => return Ok(Some(hit(&job))),
                Reserved::Met(Met::Refused, job) => {
                    return Err(unique.taken(&new.queue, &job.id));
                }
                Reserved::Met(Met::Replace, job) => {
                    if self.replace_args(&job, new).await? {
                        let (id, span) = (job.id.clone(), span_of(&job));
                        return Ok(Some(Enqueued::Replaced { id, span }));
                    }
                }
                Reserved::Pruned(met, reservation) => {
                    let stored = reservation.batch.as_ref().and_then(|batch| batch.job(0));
                    let id = stored.map_or_else(|| new.id.clone(), |stored| stored.job.id.clone());
                    return match met {
                        Met::Refused => Err(unique.taken(&new.queue, &id)),
                        Met::Hit | Met::Replace => Ok(Some(Enqueued::Hit { id, span: None })),
                    };
                }
                Reserved::Blocked => return Err(in_doubt(&new.id)),
            }
        }
        Err(restless(&key))
    }

    /// Takes a unique key for a job that is over and is to run again.
    pub(super) async fn retake_key(&self, job: &Job, key: BatchKey) -> Result<(), StoreError> {
        let Some(unique) = &job.unique_key else {
            return Ok(());
        };
        let (id, kind, args) = (job.id.clone(), job.kind.clone(), job.args.clone());
        let mut new = NewJob::new(id, job.queue.clone(), kind, args);
        new.unique_key = Some(unique.clone());
        let at = Key::Unique {
            queue: key.line.queue,
            key: unique.key.clone(),
        };
        for _ in 0..Self::TRIES {
            let Some((reservation, version)) = self.get_reservation(&at).await? else {
                // It came from another store, after it had let go of the key.
                let Some(state) = self.load(At::batch(key)).await? else {
                    return Ok(());
                };
                let first = Reservation::new(Arc::clone(state.batch()), key, self.token());
                let bytes = first.encode().map_err(|error| error.of(&at))?;
                self.objects.create(&at.to_string(), bytes).await?;
                continue;
            };
            if reservation.key == key {
                return Ok(());
            }
            let found = self.find(&reservation).await?;
            match reservation.meet(&key, &new, &found, self.bounds().middle()) {
                Verdict::TakeOver => {}
                Verdict::Own => return Ok(()),
                Verdict::Met(_) | Verdict::MetPruned(_) => {
                    let holder = reservation.batch.as_ref().and_then(|batch| batch.job(0));
                    let holder = holder.map_or(&job.id, |stored| &stored.job.id);
                    return Err(unique.taken(&job.queue, holder));
                }
                Verdict::Help | Verdict::Undecided => return Err(in_doubt(&job.id)),
            }
            let Some(state) = self.load(At::batch(key)).await? else {
                return Ok(());
            };
            let next = reservation.taken_over(Arc::clone(state.batch()), key, self.token());
            let bytes = next.encode().map_err(|error| error.of(&at))?;
            // A look says whether it landed.
            self.objects
                .replace(&at.to_string(), bytes, &version)
                .await?;
        }
        Err(restless(&at))
    }

    /// Gives an id up whose job is not written, since another has its unique key.
    pub(super) async fn release(&self, batch: &Batch, new: &NewJob) -> Result<(), StoreError> {
        if self.is_named_by(&batch.key, &new.id) {
            return Ok(());
        }
        let at = Key::Chosen(new.id.clone());
        for _ in 0..Self::TRIES {
            let Some((reservation, version)) = self.get_reservation(&at).await? else {
                return Ok(());
            };
            if reservation.key != batch.key || reservation.released {
                return Ok(());
            }
            let next = reservation.release(self.token());
            let bytes = next.encode().map_err(|error| error.of(&at))?;
            // A look says whether it landed.
            self.objects
                .replace(&at.to_string(), bytes, &version)
                .await?;
        }
        Err(restless(&at))
    }

    /// Says in the reservation of a job's unique key, if it still is the job's, until when a job that
    /// is pruned has it.
    pub(super) async fn stub_reservation(
        &self,
        key: BatchKey,
        job: &Job,
        now: longshore_core::Timestamp,
    ) -> Result<(), StoreError> {
        let Some(unique) = job.unique_key.as_ref() else {
            return Ok(());
        };
        let (queue, name) = (key.line.queue, unique.key.clone());
        let at = Key::Unique { queue, key: name };
        for _ in 0..Self::TRIES {
            let Some((reservation, version)) = self.get_reservation(&at).await? else {
                return Ok(());
            };
            let is_said = reservation.kept_until.is_some() || !reservation.has_window();
            if reservation.key != key || is_said || !job.holds_unique_key(now) {
                return Ok(());
            }
            let stub = reservation.stub(job, self.token(), now);
            let bytes = stub.encode().map_err(|error| error.of(&at))?;
            // A look says whether it landed.
            self.objects
                .replace(&at.to_string(), bytes, &version)
                .await?;
        }
        Err(restless(&at))
    }

    async fn reserve(
        &self,
        key: &Key,
        batch: &Arc<Batch>,
        new: &NewJob,
    ) -> Result<Reserved, StoreError> {
        let path = key.to_string();
        let mut tried = Vec::new();
        let mut helped = false;
        let unreadable = |error: crate::FormatError| error.of(key);
        for _ in 0..Self::TRIES {
            let now = self.bounds().middle();
            let Some((reservation, version)) = self.get_reservation(key).await? else {
                tried.push(self.token());
                let writer = tried.last().copied().unwrap_or_default();
                let first = Reservation::new(Arc::clone(batch), batch.key, writer);
                let bytes = first.encode().map_err(unreadable)?;
                let landing = self.objects.create(&path, bytes).await?;
                if landing.is_ours(Made::Reservation) {
                    return Ok(Reserved::Mine);
                }
                continue;
            };
            if tried.contains(&reservation.writer) {
                return Ok(Reserved::Mine);
            }
            let found = self.find(&reservation).await?;
            let verdict = match key {
                Key::Chosen(_) => reservation.meet_chosen(&batch.key, &found, now),
                _ => reservation.meet(&batch.key, new, &found, now),
            };
            match (verdict, found) {
                (Verdict::Own, Found::Job(job)) => return Ok(Reserved::Met(Met::Hit, job)),
                (Verdict::Met(met), Found::Job(job)) => return Ok(Reserved::Met(met, job)),
                (Verdict::MetPruned(met), _) => {
                    return Ok(Reserved::Pruned(met, Box::new(reservation)));
                }
                (Verdict::TakeOver, _) => {
                    tried.push(self.token());
                    let writer = tried.last().copied().unwrap_or_default();
                    let next = reservation.taken_over(Arc::clone(batch), batch.key, writer);
                    let bytes = next.encode().map_err(unreadable)?;
                    let landing = self.objects.replace(&path, bytes, &version).await?;
                    if let Landing::Landed(_) = landing {
                        return Ok(Reserved::Mine);
                    }
                }
                (Verdict::Help, _) if !helped => {
                    helped = true;
                    if !self.help(&reservation).await? {
                        return Ok(Reserved::Blocked);
                    }
                }
                _ => return Ok(Reserved::Blocked),
            }
        }
        Err(restless(key))
    }

    /// Looks for the job that a reservation names: at its ledger, its batch, its ledger again.
    pub(super) async fn find(&self, reservation: &Reservation) -> Result<Found, StoreError> {
        let least = self.bounds().least;
        if Mutation::TakeOver.is_on() {
            return Ok(Found::Nothing(Presence::Never));
        }
        let state = self.load(At::batch(reservation.key)).await?;
        let least = match Mutation::LateLook(Judged::Reserved).is_on() {
            true => self.bounds().least,
            false => least,
        };
        let is_there = state.is_some();
        Ok(
            match state.and_then(|state| job_of(&state, reservation.index())) {
                Some(job) => Found::Job(Box::new(job)),
                // Others came from another store, and it was left out.
                None if is_there && reservation.brought.is_some() => {
                    Found::Nothing(Presence::Never)
                }
                None => Found::Nothing(match presence(reservation.key.name, None, None, least) {
                    Presence::There => Presence::NotYet,
                    other => other,
                }),
            },
        )
    }

    /// Puts the batch that a reservation names. Only if every reservation that its job needs names
    /// it; `false` if one does not.
    pub(super) async fn help(&self, reservation: &Reservation) -> Result<bool, StoreError> {
        let Some(batch) = &reservation.batch else {
            return Ok(false);
        };
        let Some(stored) = batch.job(0) else {
            return Ok(false);
        };
        let mut needed = Vec::new();
        if !self.is_named_by(&batch.key, &stored.job.id) {
            needed.push(Key::Chosen(stored.job.id.clone()));
        }
        if let Some(unique) = &stored.job.unique_key {
            let (queue, key) = (batch.key.line.queue, unique.key.clone());
            needed.push(Key::Unique { queue, key });
        }
        for key in needed {
            let named = self.get_reservation(&key).await?;
            if named.is_none_or(|(other, _)| other.key != batch.key) {
                return Ok(false);
            }
        }
        self.place_batch(batch, false).await?;
        Ok(true)
    }

    /// Gives a waiting job other args; `false` if it does not wait any more. (E-4c)
    async fn replace_args(&self, there: &Job, new: &NewJob) -> Result<bool, StoreError> {
        let Some((at, index)) = self.place_of(&there.id).await? else {
            return Ok(false);
        };
        let is_long = new.args.len() > Batch::MAX_ARGS_WITHIN;
        let token = match is_long {
            true => Some(self.put_args(at.name, index, new.args.clone()).await?),
            false => None,
        };
        let new = new.clone();
        let apply = move |draft: &mut Draft, tried: Try| {
            let waits = draft
                .job(index)
                .filter(|job| job.met_by(&new) == Met::Replace);
            waits.is_some() && draft.replace(index, &new, token, tried.now.middle())
        };
        let replaced = Box::pin(self.change(at, Haste::Now, apply)).await?;
        Ok(replaced == Some(true))
    }

    /// Where a job lies, be it by its reservation.
    pub(super) async fn place_of(&self, id: &JobId) -> Result<Option<(At, u16)>, StoreError> {
        if let Some((at, index)) = self.named_place(id)
            && let Some(state) = self.load(at).await?
            && job_of(&state, index).is_some_and(|job| job.id == *id)
        {
            return Ok(Some((at, index)));
        }
        let reserved = self.reserved_place(id).await?;
        Ok(reserved.map(|(key, index)| (At::batch(key), index)))
    }
}

pub(super) fn in_doubt(id: &JobId) -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        format!(
            "another call began to enqueue a job with the id or the unique key of {id}, and it cannot be told yet whether that one appears: enqueue it again later"
        ),
    )
}
