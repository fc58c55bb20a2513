//! The rows, and the indexes that find those which are due, leased or unique.

mod import;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::ParseIntError;

use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::unique::Met;
use longshore_core::waiting::{Line, Waiting};
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Enqueued, ErrorKind, Job, JobFilter, JobId, JobPage,
    JobState, Keep, Lease, LeaseToken, NewJob, PruneRequest, QueueName, QueueStats, Random,
    Rescued, Settled, Settlement, SpanContext, StopRequest, StoreError, Timestamp, UniqueKey,
};

use crate::keys::{Holder, Keys, key_taken};

/// The number of a row in the order of insertion, which is also the order of a listing.
pub(crate) type RowNumber = u64;

#[derive(Debug)]
struct Row {
    job: Job,
    /// Set while the job runs.
    token: Option<LeaseToken>,
}

/// Every row with its indexes. Only [`Rows::change`], [`Rows::insert`] and [`Rows::remove`] touch
/// either, so that they always agree.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: BTreeMap<RowNumber, Row>,
    next_number: RowNumber,
    by_id: HashMap<JobId, RowNumber>,
    keys: Keys,
    waiting: Waiting<RowNumber>,
    leased: BTreeSet<(Timestamp, RowNumber)>,
    finished: BTreeMap<JobState, BTreeSet<(Timestamp, RowNumber)>>,
    paused: BTreeSet<QueueName>,
}

impl Rows {
    pub(crate) fn enqueue(&mut self, new: NewJob, now: Timestamp) -> Result<Enqueued, StoreError> {
        new.validate()?;
        if let Some(job) = self.get(&new.id) {
            return Ok(hit(&job));
        }
        match self.holder_of(&new.queue, new.unique_key.as_ref(), now) {
            None => {}
            Some(Holder::Row(number)) => return self.meet(number, &new, now),
            Some(Holder::Pruned(reserved)) => return reserved.met_by(&new),
        }
        let id = new.id.clone();
        self.insert(Job::from_new(new, now));
        Ok(Enqueued::Created { id, at: now })
    }

    pub(crate) fn claim(
        &mut self,
        request: &ClaimRequest,
        random: &dyn Random,
        now: Timestamp,
    ) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        let chosen = self.waiting.choose(request, &self.paused, now);
        let bits = if chosen.is_empty() {
            0
        } else {
            random.next_u64()
        };
        for number in chosen {
            let token = LeaseToken::of_claim(bits, number);
            let expires_at = now.after(request.lease);
            let job = self.change(number, |row| {
                row.token = Some(token);
                row.job.apply_claim(&request.worker, expires_at, now);
                row.job.clone()
            });
            claimed.extend(job.map(|job| Claimed {
                lease: Lease {
                    job_id: job.id.clone(),
                    token,
                    expires_at,
                },
                job,
            }));
        }
        claimed
    }

    pub(crate) fn beat(&mut self, beat: &Beat, now: Timestamp) -> BeatAnswer {
        let Some(number) = self.held(&beat.job_id, beat.token) else {
            return BeatAnswer::Lost;
        };
        let expires_at = now.after(beat.extend_by);
        let stop_requested = self.change(number, |row| {
            row.job.lease_expires_at = Some(expires_at);
            if beat.progress.is_some() {
                row.job.progress = beat.progress;
            }
            if beat.checkpoint.is_some() {
                row.job.checkpoint.clone_from(&beat.checkpoint);
            }
            row.job.stop_requested.is_some()
        });
        match stop_requested {
            Some(true) => BeatAnswer::CancelRequested(expires_at),
            Some(false) => BeatAnswer::Held(expires_at),
            None => BeatAnswer::Lost,
        }
    }

    pub(crate) fn settle(
        &mut self,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        settlement.validate()?;
        let lost = || StoreError::lease_lost(&settlement.job_id);
        let number = self
            .held(&settlement.job_id, settlement.token)
            .ok_or_else(lost)?;
        let state = self
            .change(number, |row| {
                row.token = None;
                row.job.apply_settlement(&settlement, now);
                row.job.state
            })
            .ok_or_else(lost)?;
        for follow_up in settlement.follow_ups {
            // One that is there already, or whose unique key is taken, is no reason to refuse.
            let _answer = self.enqueue(follow_up, now);
        }
        Ok(Settled { state, at: now })
    }

    pub(crate) fn rescue(&mut self, limit: usize, now: Timestamp) -> Vec<Rescued> {
        let expired: Vec<RowNumber> = self
            .leased
            .iter()
            .take_while(|(expires_at, _)| *expires_at < now)
            .take(limit)
            .map(|(_, number)| *number)
            .collect();
        let rescue = |row: &mut Row| {
            row.token = None;
            row.job.trace.keep.get_or_insert_with(|| Keep {
                reason: LEASE_EXPIRED.to_owned(),
                at: now,
            });
            let lost = row.job.apply_rescue(now)?;
            let job = row.job.clone();
            Some(Rescued { job, lost })
        };
        expired
            .into_iter()
            .filter_map(|number| self.change(number, rescue).flatten())
            .collect()
    }

    pub(crate) fn get(&self, id: &JobId) -> Option<Job> {
        let row = self.rows.get(self.by_id.get(id)?)?;
        Some(row.job.clone())
    }

    pub(crate) fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<JobPage, StoreError> {
        let end = match cursor {
            None => RowNumber::MAX,
            Some(text) => text.parse().map_err(|error: ParseIntError| {
                let message = format!("`{text}` is not a cursor of this store: start without one");
                StoreError::new(ErrorKind::Invalid, message).with_source(error)
            })?,
        };
        let limit = limit.clamp(1, JobPage::MAX_JOBS);
        let mut matching = self
            .rows
            .range(..end)
            .rev()
            .map(|(number, row)| (*number, row.job.clone().shown_at(now)))
            .filter(|(_, job)| filter.matches(job))
            .peekable();
        let page: Vec<_> = matching.by_ref().take(limit).collect();
        let next_cursor = match (matching.peek(), page.last()) {
            (Some(_), Some((number, _))) => Some(number.to_string()),
            _ => None,
        };
        Ok(JobPage {
            jobs: page.into_iter().map(|(_, job)| job).collect(),
            next_cursor,
            as_of: now,
        })
    }

    pub(crate) fn queue_stats(&self, now: Timestamp) -> Vec<QueueStats> {
        let mut queues: BTreeMap<&QueueName, QueueStats> = BTreeMap::new();
        let empty = |queue: &QueueName| QueueStats::empty(queue.clone(), now);
        for queue in &self.paused {
            queues.entry(queue).or_insert_with(|| empty(queue)).paused = true;
        }
        for Row { job, .. } in self.rows.values() {
            let stats = queues
                .entry(&job.queue)
                .or_insert_with(|| empty(&job.queue));
            let due = job.state.is_waiting() && job.available_at <= now;
            let state = if due { JobState::Available } else { job.state };
            *stats.count_mut(state) += 1;
            if due {
                let oldest = stats.oldest_available_at.get_or_insert(job.available_at);
                *oldest = job.available_at.min(*oldest);
            }
        }
        queues.into_values().collect()
    }

    pub(crate) fn stop(
        &mut self,
        id: &JobId,
        stop: StopRequest,
        now: Timestamp,
    ) -> Result<JobState, StoreError> {
        let number = self.number_of(id)?;
        self.change(number, |row| row.job.apply_stop(stop, now))
            .ok_or_else(|| StoreError::not_found(id))
    }

    pub(crate) fn retry_now(&mut self, id: &JobId, now: Timestamp) -> Result<JobState, StoreError> {
        let number = self.number_of(id)?;
        let before = self.get(id).ok_or_else(|| StoreError::not_found(id))?;
        let mut after = before.clone();
        after.apply_retry_now(now)?;
        let wants = after.holds_unique_key(now) && !before.holds_unique_key(now);
        let unique = before.unique_key.as_ref().filter(|_| wants);
        if let Some(holder) = self.holder_of(&before.queue, unique, now) {
            let unnamed = id.clone();
            let holder = match holder {
                Holder::Row(number) => self.rows.get(&number).map(|row| row.job.id.clone()),
                Holder::Pruned(reserved) => Some(reserved.id),
            };
            return Err(key_taken(&holder.unwrap_or(unnamed)));
        }
        self.change(number, |row| row.job.apply_retry_now(now))
            .unwrap_or_else(|| Err(StoreError::not_found(id)))
    }

    pub(crate) fn pause(&mut self, queue: &QueueName) {
        self.paused.insert(queue.clone());
    }

    pub(crate) fn resume(&mut self, queue: &QueueName) {
        self.paused.remove(queue);
    }

    pub(crate) fn prune(
        &mut self,
        request: &PruneRequest,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let states = request.final_states()?;
        self.keys.forget_lapsed(now);
        let mut pruned = 0;
        for state in states {
            let Some(over) = self.finished.get(&state) else {
                continue;
            };
            let kept = request.keep_newest.unwrap_or(u64::MAX);
            let kept = usize::try_from(kept).unwrap_or(usize::MAX);
            let too_many = over.len().saturating_sub(kept);
            let numbers: Vec<RowNumber> = over
                .iter()
                .enumerate()
                .take_while(|(place, (finished_at, _))| {
                    *place < too_many || request.before.is_some_and(|before| *finished_at < before)
                })
                .take(request.limit.saturating_sub(pruned))
                .map(|(_, (_, number))| *number)
                .collect();
            pruned += numbers.len();
            for number in numbers {
                if let Some(job) = self.rows.get(&number).map(|row| &row.job) {
                    self.keys.reserve(job, now);
                }
                self.remove(number);
            }
        }
        Ok(pruned)
    }

    /// When the next job of these queues that anyone may claim is due.
    pub(crate) fn next_due(&self, queues: &BTreeSet<&QueueName>) -> Option<Timestamp> {
        let open = |queue: &QueueName| queues.contains(queue) && !self.paused.contains(queue);
        self.waiting.next_due(open)
    }

    fn number_of(&self, id: &JobId) -> Result<RowNumber, StoreError> {
        let number = self.by_id.get(id).copied();
        number.ok_or_else(|| StoreError::not_found(id))
    }

    /// The row of a job that is leased under this token.
    fn held(&self, id: &JobId, token: LeaseToken) -> Option<RowNumber> {
        let number = *self.by_id.get(id)?;
        let row = self.rows.get(&number)?;
        (row.token == Some(token)).then_some(number)
    }

    /// Who has this key.
    fn holder_of(
        &mut self,
        queue: &QueueName,
        unique: Option<&UniqueKey>,
        now: Timestamp,
    ) -> Option<Holder> {
        let key = (queue.clone(), unique?.key.clone());
        if let Some(reserved) = self.keys.reserved(&key, now) {
            return Some(Holder::Pruned(reserved.clone()));
        }
        let number = self.keys.row(&key)?;
        let holds = |row: &Row| row.job.holds_unique_key(now);
        if self.rows.get(&number).is_some_and(holds) {
            return Some(Holder::Row(number));
        }
        self.keys.forget(&key);
        None
    }

    /// What becomes of a new job whose key the job at `number` has.
    fn meet(
        &mut self,
        number: RowNumber,
        new: &NewJob,
        now: Timestamp,
    ) -> Result<Enqueued, StoreError> {
        let met = self.change(number, |row| {
            let job = &mut row.job;
            match job.met_by(new) {
                Met::Refused => Err(key_taken(&job.id)),
                Met::Hit => Ok(hit(job)),
                Met::Replace => {
                    job.apply_replacement(new, now);
                    Ok(Enqueued::Replaced {
                        id: job.id.clone(),
                        span: enqueue_span_of(job),
                    })
                }
            }
        });
        met.unwrap_or_else(|| Err(StoreError::not_found(&new.id)))
    }

    fn insert(&mut self, job: Job) {
        let number = self.next_number;
        self.next_number += 1;
        self.by_id.insert(job.id.clone(), number);
        self.index(number, &job);
        self.rows.insert(number, Row { job, token: None });
    }

    fn change<T>(&mut self, number: RowNumber, apply: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let mut row = self.rows.remove(&number)?;
        self.unindex(number, &row.job);
        let outcome = apply(&mut row);
        self.index(number, &row.job);
        self.rows.insert(number, row);
        Some(outcome)
    }

    fn remove(&mut self, number: RowNumber) {
        if let Some(row) = self.rows.remove(&number) {
            self.unindex(number, &row.job);
            self.by_id.remove(&row.job.id);
        }
    }

    fn index(&mut self, number: RowNumber, job: &Job) {
        if job.state.is_waiting() {
            self.waiting.insert(line_of(job), job.available_at, number);
        }
        if let Some(expires_at) = job.lease_expires_at {
            self.leased.insert((expires_at, number));
        }
        if let Some(finished_at) = job.finished_at {
            let entry = (finished_at, number);
            self.finished.entry(job.state).or_default().insert(entry);
        }
        self.keys.index(number, job);
    }

    fn unindex(&mut self, number: RowNumber, job: &Job) {
        if job.state.is_waiting() {
            self.waiting.remove(&line_of(job), job.available_at, number);
        }
        if let Some(expires_at) = job.lease_expires_at {
            self.leased.remove(&(expires_at, number));
        }
        if let Some(finished_at) = job.finished_at
            && let Some(over) = self.finished.get_mut(&job.state)
        {
            over.remove(&(finished_at, number));
        }
        self.keys.unindex(number, job);
    }
}

fn line_of(job: &Job) -> Line {
    Line {
        queue: job.queue.clone(),
        tenant: job.tenant_id.clone().unwrap_or_default(),
        kind: job.kind.clone(),
        priority: job.priority,
    }
}

fn hit(job: &Job) -> Enqueued {
    Enqueued::Hit {
        id: job.id.clone(),
        span: enqueue_span_of(job),
    }
}

fn enqueue_span_of(job: &Job) -> Option<SpanContext> {
    job.trace.context().and_then(Result::ok)
}
