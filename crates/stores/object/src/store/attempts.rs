//! Heartbeats, settles and rescues: all that come together for a batch go into one write.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_core::{
    AttemptOutcome, Beat, BeatAnswer, ErrorKind, Job, JobId, Outcome, Rescued, Settled, Settlement,
    StoreError,
};

use super::ObjectStore;
use super::change::Try;
use super::enqueue::Slotted;
use super::load::{At, State};
use crate::batch::Batch;
use crate::batch_key::BatchKey;
use crate::draft::Draft;
use crate::minted_id::MintedId;

impl ObjectStore {
    pub(super) async fn beat_leases(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let ids: Vec<&JobId> = beats.iter().map(|beat| &beat.job_id).collect();
        let apply = |draft: &mut Draft, item: usize, index: u16, tried: Try| {
            let beat = beats.get(item)?;
            draft.job(index).filter(|job| job.id == beat.job_id)?;
            Some(draft.beat(index, beat, tried.now.middle()))
        };
        let answers = self.change_jobs(&ids, apply).await.into_iter();
        answers
            .map(|answer| Ok(answer?.unwrap_or(BeatAnswer::Lost)))
            .collect()
    }

    pub(super) async fn settle_attempts(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let mut checked = Vec::new();
        for settlement in &settlements {
            checked.push(match check_bounds(settlement) {
                Ok(()) => self.pack_follow_ups(settlement).await,
                Err(error) => Err(error),
            });
        }
        let sound = checked.iter().enumerate();
        let sound: Vec<usize> = sound
            .filter(|(_, checked)| checked.is_ok())
            .map(|(item, _)| item)
            .collect();
        let ids = sound.iter().filter_map(|item| settlements.get(*item));
        let ids: Vec<&JobId> = ids.map(|settlement| &settlement.job_id).collect();
        // The claims whose settles were sent: only their holder can have ended them.
        let mut claims: HashMap<usize, u32> = HashMap::new();
        let apply = |draft: &mut Draft, nth: usize, index: u16, tried: Try| {
            let item = *sound.get(nth)?;
            let settlement = settlements.get(item)?;
            let job = draft.job(index).filter(|job| job.id == settlement.job_id)?;
            if tried.again
                && let Some(claim) = claims.get(&item)
                && let Some(settled) = settled_before(&job, *claim)
            {
                return Some(Ok(settled));
            }
            let follow_ups = checked.get(item)?.as_ref().ok()?.clone();
            let settled = draft.settle(index, settlement, follow_ups, tried.now.middle());
            if settled.is_ok() {
                claims.insert(item, job.claim);
            }
            Some(settled)
        };
        let mut told = self.change_jobs(&ids, apply).await.into_iter();
        let answers = checked.into_iter().zip(&settlements);
        let answers = answers.map(|(checked, settlement)| {
            checked?;
            match told.next() {
                Some(answer) => {
                    answer?.unwrap_or_else(|| Err(StoreError::lease_lost(&settlement.job_id)))
                }
                None => Err(StoreError::lease_lost(&settlement.job_id)),
            }
        });
        Ok(answers.collect())
    }

    /// The batches in which the jobs that follow will lie.
    async fn pack_follow_ups(
        &self,
        settlement: &Settlement,
    ) -> Result<Vec<Arc<Batch>>, StoreError> {
        if settlement.follow_ups.is_empty() {
            return Ok(Vec::new());
        }
        let Some((at, _)) = self.named_place(&settlement.job_id) else {
            return Err(StoreError::lease_lost(&settlement.job_id));
        };
        let mut groups: Vec<(BatchKey, Vec<Slotted>)> = Vec::new();
        let mut batches = Vec::new();
        for job in &settlement.follow_ups {
            let minted = MintedId::read(&job.id, self.mark);
            let minted = minted.filter(|minted| {
                job.unique_key.is_none() && minted.batch.line.priority == job.priority
            });
            let Some(minted) = minted else {
                batches.push(self.single_batch(job.clone()).await?);
                continue;
            };
            let entry = (0, minted.index, job.clone());
            match groups.iter_mut().find(|(key, _)| *key == minted.batch) {
                Some((_, jobs)) => jobs.push(entry),
                None => groups.push((minted.batch, vec![entry])),
            }
        }
        for (key, jobs) in groups {
            let Some(queue) = jobs.first().map(|(.., job)| job.queue.clone()) else {
                continue;
            };
            batches.push(self.pack(key, queue, jobs).await?);
        }
        let with_origin = |batch: Arc<Batch>| {
            let mut batch = Batch::clone(&batch);
            batch.origin = at.batch;
            Arc::new(batch)
        };
        Ok(batches.into_iter().map(with_origin).collect())
    }

    pub(super) async fn rescue_jobs(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let mut rescued = Vec::new();
        for entry in self.due_entries(None).await? {
            if rescued.len() >= limit {
                break;
            }
            let now = self.bounds();
            let Some(at) = self.meet_entry(&entry, true).await? else {
                continue;
            };
            let cell = self.cell(at.name);
            let lost = match &*cell.lock().await {
                Some(State::Ledger(seen)) => {
                    let mut indices = 0..seen.batch.key.name.jobs();
                    indices.any(|index| {
                        let row = seen.ledger.row(index);
                        row.is_some_and(|row| row.is_lost(now.least))
                    })
                }
                _ => false,
            };
            if !lost {
                continue;
            }
            let room = limit - rescued.len();
            let mut apply = |draft: &mut Draft, tried: Try| {
                let (least, now) = (tried.now.least, tried.now.middle());
                let mut back = Vec::new();
                let mut indices = 0..at.name.jobs();
                while let Some(index) = indices.next().filter(|_| back.len() < room) {
                    back.extend(draft.rescue(index, least, now));
                }
                back
            };
            let back = self.change(at, &mut apply).await?;
            for mut lost in back.unwrap_or_default() {
                self.fill_args(at, &mut lost.job).await?;
                rescued.push(lost);
            }
        }
        Ok(rescued)
    }

    /// The row of a claim, whole. Args of their own object are read.
    pub(super) async fn fill_args(&self, at: At, job: &mut Job) -> Result<(), StoreError> {
        let cell = self.cell(at.name);
        let known = cell.lock().await.clone();
        if let Some(state) = known {
            self.fill_args_of(&state, job).await?;
        }
        Ok(())
    }
}

/// What became of a claim whose settle was sent: its holder alone can have ended it, unless it was
/// taken back.
fn settled_before(job: &Job, claim: u32) -> Option<Settled> {
    let mut records = job.history.iter();
    let record = records.find(|record| record.claim == claim)?;
    let is_last = job.history.last().is_some_and(|last| last.claim == claim);
    let state = match record.outcome {
        AttemptOutcome::Lost => return None,
        _ if is_last && !job.state.is_waiting() => job.state,
        outcome => outcome.leads_to().unwrap_or(job.state),
    };
    let at = record.ended_at;
    Some(Settled { state, at })
}

fn check_bounds(settlement: &Settlement) -> Result<(), StoreError> {
    for follow_up in &settlement.follow_ups {
        follow_up.validate()?;
    }
    let result = match &settlement.outcome {
        Outcome::Complete { result } => result.as_ref(),
        _ => None,
    };
    let (has, most) = (result.map_or(0, |bytes| bytes.len()), Job::MAX_RESULT_BYTES);
    if has > most {
        let id = &settlement.job_id;
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the result of job {id} takes {has} bytes, more than the {most} allowed: store it elsewhere and return a reference"
            ),
        ));
    }
    Ok(())
}
