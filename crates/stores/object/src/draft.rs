//! The next version of a ledger: what several calls make of one, for one write.
//!
//! Claims, beats, settles and all else that changes jobs are applied to a draft one by one, each
//! with its own answer. [`Draft::plan`] then says which request makes them true. If that is refused,
//! a new draft is made of the version that is there now, and the same calls are applied to it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{
    Beat, BeatAnswer, Job, JobState, Keep, LeaseToken, NewJob, Rescued, Settled, Settlement,
    StopRequest, StoreError, Timestamp,
};

use crate::batch::{Batch, StoredJob};
use crate::batch_key::{BatchKey, Line};
use crate::job_row::{Hold, JobRow};
use crate::key::{Key, PointerKey};
use crate::ledger::{Ledger, Outgoing, Standing};
use crate::mutation::Mutation;

/// Jobs that all wait for longer than this are parked under a pointer, so that nobody reads their
/// ledger meanwhile; for less than this, that would cost more than it saves.
pub const PARK_BEYOND: Duration = Duration::from_secs(60);

/// What makes a draft true.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Nothing: no job changed.
    Nothing,
    /// Create this ledger; nobody has made one. Then the batch must be read again: only if it is
    /// there, and counts, is the ledger true.
    Create(Ledger),
    /// Replace the version that was read by this one.
    Replace(Ledger),
    /// Create the pointer, then replace the version that was read by this one, which names it; then
    /// delete the old entry. A new try makes a new pointer.
    Park {
        /// The pointer.
        pointer: PointerKey,
        /// The ledger that names it.
        ledger: Ledger,
        /// The entry that it replaces.
        old: Key,
    },
}

impl Plan {
    /// The ledger as it will be.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Ledger> {
        match self {
            Self::Nothing => None,
            Self::Create(ledger) | Self::Replace(ledger) | Self::Park { ledger, .. } => {
                Some(ledger)
            }
        }
    }
}

/// A ledger in change, with the jobs of its batch.
#[derive(Clone, Debug)]
pub struct Draft {
    ledger: Ledger,
    batch: Arc<Batch>,
    /// Nobody has written it yet.
    is_new: bool,
    /// Every job was over before: nothing leads to the ledger any more, or soon will not.
    was_over: bool,
    changed: bool,
}

impl Draft {
    /// A draft of a ledger that nobody has made. The batch was seen, and counts.
    #[must_use]
    pub fn first(batch: Arc<Batch>) -> Self {
        let ledger = Ledger::blank(batch.key, 0);
        let mut draft = Self::of(ledger, batch);
        draft.is_new = true;
        draft
    }

    /// A draft of the version that was read. `batch` is that which the ledger carries, or, with one
    /// that carries none, the object.
    #[must_use]
    pub fn of(mut ledger: Ledger, batch: Arc<Batch>) -> Self {
        let was_over = ledger.is_over(Some(&batch));
        for (standing, job) in ledger.standings.iter_mut().zip(&batch.jobs) {
            if job.is_none() {
                *standing = Standing::Absent;
            }
        }
        Self {
            ledger,
            batch,
            is_new: false,
            was_over,
            changed: false,
        }
    }

    /// The ledger as it is so far.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A job as it is so far; without its args, if they lie in an object of their own.
    #[must_use]
    pub fn job(&self, index: u16) -> Option<Job> {
        let was = self.was(index)?;
        match self.ledger.row(index) {
            Some(row) => Some(row.on(was)),
            None => Some(was.job.clone()),
        }
    }

    /// Every job that is not over, with its index.
    pub fn unfinished(&self) -> impl Iterator<Item = (u16, Job)> {
        let indices = 0..self.batch.key.name.jobs();
        let jobs = indices.filter_map(|index| Some((index, self.job(index)?)));
        jobs.filter(|(_, job)| !job.state.is_final())
    }

    /// Leases a job; `None` if it does not wait, or not until now. (C-1, C-5)
    pub fn claim(&mut self, index: u16, hold: &Hold) -> Option<Job> {
        let mut job = self.job(index)?;
        if !job.state.is_waiting() || job.available_at > hold.claimed_at {
            return None;
        }
        job.apply_claim(&hold.worker, hold.expires_at, hold.claimed_at);
        self.write(index, &job, Some(hold.token));
        Some(job)
    }

    /// Extends a lease. (L-1 to L-4)
    pub fn beat(&mut self, index: u16, beat: &Beat, now: Timestamp) -> BeatAnswer {
        let Some(mut job) = self.held(index, beat.token) else {
            return BeatAnswer::Lost;
        };
        let expires_at = now.after(beat.extend_by);
        job.lease_expires_at = Some(expires_at);
        if beat.progress.is_some() {
            job.progress = beat.progress;
        }
        if beat.checkpoint.is_some() {
            job.checkpoint.clone_from(&beat.checkpoint);
        }
        let asked = job.stop_requested.is_some();
        self.write(index, &job, Some(beat.token));
        match asked {
            true => BeatAnswer::CancelRequested(expires_at),
            false => BeatAnswer::Held(expires_at),
        }
    }

    /// Ends an attempt, and names the jobs that follow. Bounds were checked before. (S-1 to S-8)
    ///
    /// # Errors
    /// `LeaseLost`; nothing has changed then.
    pub fn settle(
        &mut self,
        index: u16,
        settlement: &Settlement,
        follow_ups: Vec<Arc<Batch>>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let held = self.held(index, settlement.token);
        let mut job = held.ok_or_else(|| StoreError::lease_lost(&settlement.job_id))?;
        job.apply_settlement(settlement, now);
        self.write(index, &job, None);
        let outgoing = follow_ups.into_iter().map(|batch| Outgoing {
            key: batch.key,
            batch: Some(batch),
        });
        self.ledger.outbox.extend(outgoing);
        let state = job.state;
        Ok(Settled { state, at: now })
    }

    /// Says that the result of a job lies in the object with this token instead of here.
    pub fn move_result(&mut self, index: u16, token: u64) {
        if let Some(Standing::Changed(row)) = self.ledger.standings.get_mut(usize::from(index))
            && row.result.take().is_some()
        {
            row.result_token = Some(token);
        }
    }

    /// Takes a job back whose lease has surely ended: `least` is the least that the server's time
    /// can be, `now` what it most likely is.
    pub fn rescue(&mut self, index: u16, least: Timestamp, now: Timestamp) -> Option<Rescued> {
        let row = self.ledger.row(index)?;
        if !row.is_lost(least) {
            return None;
        }
        let mut job = self.job(index)?;
        job.trace.keep.get_or_insert_with(|| Keep {
            reason: LEASE_EXPIRED.to_owned(),
            at: now,
        });
        let lost = job.apply_rescue(now)?;
        self.write(index, &job, None);
        Some(Rescued { job, lost })
    }

    /// Cancels or discards a job that waits, and asks the holder of one that runs. Gives back the
    /// state after; `None` if there is no such job.
    pub fn stop(&mut self, index: u16, stop: StopRequest, now: Timestamp) -> Option<JobState> {
        let mut job = self.job(index)?;
        if job.state.is_final() {
            return Some(job.state);
        }
        let state = job.apply_stop(stop, now);
        let token = self.token(index);
        self.write(index, &job, token);
        Some(state)
    }

    /// Makes a job run again now. Unique keys were asked for before.
    ///
    /// # Errors
    /// `Conflict` if it runs; nothing has changed then.
    pub fn retry_now(
        &mut self,
        index: u16,
        now: Timestamp,
    ) -> Option<Result<JobState, StoreError>> {
        let mut job = self.job(index)?;
        let answer = job.apply_retry_now(now);
        if answer.is_ok() {
            self.write(index, &job, None);
        }
        Some(answer)
    }

    /// Gives a job that waits the args of another with its unique key, which lie in the object with
    /// this token if there is one. `false` if it does not wait any more. (E-4c)
    pub fn replace(
        &mut self,
        index: u16,
        new: &NewJob,
        args_token: Option<u64>,
        now: Timestamp,
    ) -> bool {
        let Some(mut job) = self.job(index).filter(|job| job.state.is_waiting()) else {
            return false;
        };
        job.apply_replacement(new, now);
        if args_token.is_some() {
            job.args = bytes::Bytes::new();
        }
        self.write(index, &job, None);
        if let Some(Standing::Changed(row)) = self.ledger.standings.get_mut(usize::from(index))
            && let Some(replaced) = &mut row.replaced
        {
            replaced.args_token = args_token;
        }
        true
    }

    /// Notes that follow-ups are there. That alone is no reason to write.
    pub fn note_made(&mut self, key: &BatchKey) {
        self.ledger.note_made(key);
    }

    /// Gives follow-ups that can never appear under their old name a new one. `false` if they are
    /// not named here, or are there.
    pub fn rename(&mut self, old: &BatchKey, new: Arc<Batch>) -> bool {
        let mut outbox = self.ledger.outbox.iter_mut();
        let open = outbox.find(|outgoing| outgoing.key == *old && outgoing.batch.is_some());
        let Some(outgoing) = open else {
            return false;
        };
        outgoing.key = new.key;
        outgoing.batch = Some(new);
        self.changed = true;
        true
    }

    /// Asks for a write though no job changes: to copy the jobs in, to park what waits for long, or
    /// to raise the generation above that of a pointer that is ahead.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// Whether the index entry does not lead to every job in time, so that a [`Draft::touch`] is
    /// needed that moves it.
    #[must_use]
    pub fn is_misplaced(&self, now: Timestamp) -> bool {
        let place = self.next_place(now);
        place.is_some_and(|(line, due)| {
            let (entry_line, entry_due) = self.ledger.entry_place();
            line != entry_line || due < entry_due
        })
    }

    /// The request that makes this draft true. `token` is random; `now` is the server's time.
    #[must_use]
    pub fn plan(mut self, token: u64, now: Timestamp) -> Plan {
        if !self.changed {
            return Plan::Nothing;
        }
        self.ledger.writer = token;
        if self.is_new {
            // Created at generation 0, it proves nothing, so the batch has to stay for now.
            return Plan::Create(self.ledger);
        }
        self.ledger.generation = self.ledger.generation.saturating_add(1);
        if self.ledger.is_over(Some(&self.batch)) {
            self.ledger.carried = Some(self.batch);
            return Plan::Replace(self.ledger);
        }
        let Some((line, due)) = self.next_place(now) else {
            return Plan::Replace(self.ledger);
        };
        let old = self.ledger.entry_key();
        let pointer = PointerKey {
            batch: self.ledger.key.name,
            line,
            due,
            generation: self.ledger.generation,
            token,
        };
        let mut ledger = self.ledger;
        ledger.entry = Some(pointer);
        ledger.carried = Some(self.batch).filter(|_| !Mutation::NotCarried.is_on());
        Plan::Park {
            pointer,
            ledger,
            old,
        }
    }

    /// Where the index entry has to lie, if not where it does.
    fn next_place(&self, now: Timestamp) -> Option<(Line, u64)> {
        // Jobs that run count too: should their leases end, they are found by the same entry.
        let priority = self.unfinished().map(|(_, job)| job.priority).min()?;
        let earliest = self.unfinished().map(|(_, job)| job.available_at).min()?;
        let line = Line {
            priority,
            ..self.ledger.key.line
        };
        let due = BatchKey::due_millis(earliest);
        let (entry_line, entry_due) = self.ledger.entry_place();
        // A revived ledger may have lost its entry, and others are not found in time.
        let must = self.was_over && !Mutation::ReviveInPlace.is_on()
            || line != entry_line
            || due < entry_due;
        let all_wait = self.unfinished().all(|(_, job)| job.state.is_waiting());
        let long = earliest > now.after(PARK_BEYOND);
        let stands_in_the_way = entry_due <= BatchKey::due_millis(now);
        let may = all_wait && long && stands_in_the_way && !self.ledger.has_open_outbox();
        (must || may).then_some((line, due))
    }

    fn was(&self, index: u16) -> Option<&StoredJob> {
        self.batch.job(index)
    }

    fn token(&self, index: u16) -> Option<LeaseToken> {
        let hold = self.ledger.row(index)?.hold.as_ref()?;
        Some(hold.token)
    }

    /// The job that is leased under this token.
    fn held(&self, index: u16, token: LeaseToken) -> Option<Job> {
        (self.token(index)? == token).then(|| self.job(index))?
    }

    fn write(&mut self, index: u16, job: &Job, token: Option<LeaseToken>) {
        let Some(was) = self.batch.job(index) else {
            return;
        };
        let mut row = JobRow::of(job, was, token);
        if let Some(old) = self.ledger.row(index) {
            // The objects that hold what is too long here are named for as long as nothing takes
            // the place of what they hold.
            let revived = old.state.is_final() && !row.state.is_final();
            row.result_token = old
                .result_token
                .filter(|_| row.result.is_none() && !revived);
            if let (Some(new), Some(old)) = (&mut row.replaced, &old.replaced) {
                new.args_token = old.args_token.filter(|_| new.args.is_empty());
            }
        }
        if let Some(standing) = self.ledger.standings.get_mut(usize::from(index)) {
            *standing = Standing::Changed(Box::new(row));
            self.changed = true;
        }
    }
}

#[cfg(test)]
mod size;
#[cfg(test)]
mod tests;
