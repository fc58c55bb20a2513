//! Heartbeats, settles and rescues: all that come together for a batch go into one write.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{
    AttemptOutcome, Beat, BeatAnswer, Job, JobId, Outcome, Settled, Settlement, StoreError,
};

use super::change::{Haste, Try};
use super::enqueue::Slotted;

use super::parallel::all;
use super::{ObjectStore, restless};
use crate::batch::Batch;
use crate::batch_key::BatchKey;
use crate::draft::Draft;
use crate::key::Key;
use crate::minted_id::MintedId;
use crate::objects::Landing;

/// The longest result, in bytes, that lies in a ledger, which is rewritten with every write.
pub(super) const MAX_RESULT_WITHIN: usize = 1 << 10;

/// What was stored before a settle, for it to name.
struct Prepared {
    follow_ups: Vec<Arc<Batch>>,
    result_token: Option<u64>,
}

impl ObjectStore {
    pub(super) async fn beat_leases(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let ids: Vec<JobId> = beats.iter().map(|beat| beat.job_id.clone()).collect();
        let beats = beats.to_vec();
        let apply = move |draft: &mut Draft, item: usize, index: u16, tried: Try| {
            let beat = beats.get(item)?;
            draft.job(index).filter(|job| job.id == beat.job_id)?;
            Some(draft.beat(index, beat, tried.now.middle()))
        };
        let answers = self.change_jobs(&ids, Haste::MayGather, apply).await;
        answers
            .into_iter()
            .map(|answer| Ok(answer?.unwrap_or(BeatAnswer::Lost)))
            .collect()
    }

    pub(super) async fn settle_attempts(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let settlements = Arc::new(settlements);
        let prepare = settlements.iter().map(|settled| self.prepare(settled));
        let mut prepared: Vec<Option<Prepared>> = Vec::new();
        let mut refused: Vec<Option<StoreError>> = Vec::new();
        for answer in all(self.tuning.parallel, prepare.collect()).await {
            let (sound, error) = match answer {
                Ok(sound) => (Some(sound), None),
                Err(error) => (None, Some(error)),
            };
            prepared.push(sound);
            refused.push(error);
        }
        let ids = settlements.iter().map(|settlement| &settlement.job_id);
        let ids: Vec<JobId> = ids.cloned().collect();
        // The claims whose settles were sent: only their holder can have ended them.
        let mut claims: HashMap<usize, u32> = HashMap::new();
        let of = Arc::clone(&settlements);
        let apply = move |draft: &mut Draft, item: usize, index: u16, tried: Try| {
            let prepared = prepared.get(item)?.as_ref()?;
            let settlement = of.get(item)?;
            let job = draft.job(index).filter(|job| job.id == settlement.job_id)?;
            if tried.again
                && let Some(claim) = claims.get(&item)
                && let Some(settled) = settled_before(&job, *claim)
            {
                return Some(Ok(settled));
            }
            let follow_ups = prepared.follow_ups.clone();
            let settled = draft.settle(index, settlement, follow_ups, tried.now.middle());
            if settled.is_ok() {
                claims.insert(item, job.claim);
                if let Some(token) = prepared.result_token {
                    draft.move_result(index, token);
                }
            }
            Some(settled)
        };
        let told = self.change_jobs(&ids, Haste::MayGather, apply).await;
        let answers = told.into_iter().zip(refused).zip(ids);
        let answers = answers.map(|((told, refused), id)| match refused {
            Some(error) => Err(error),
            None => told?.unwrap_or_else(|| Err(StoreError::lease_lost(&id))),
        });
        Ok(answers.collect())
    }

    /// Checks a settle, and stores what it is to name.
    async fn prepare(&self, settlement: &Settlement) -> Result<Prepared, StoreError> {
        settlement.validate()?;
        Ok(Prepared {
            follow_ups: self.pack_follow_ups(settlement).await?,
            result_token: self.put_result(settlement).await?,
        })
    }

    /// Stores a long result in an object of its own.
    async fn put_result(&self, settlement: &Settlement) -> Result<Option<u64>, StoreError> {
        let Outcome::Complete {
            result: Some(result),
        } = &settlement.outcome
        else {
            return Ok(None);
        };
        let place = self.named_place(&settlement.job_id);
        let Some((at, index)) = place.filter(|_| result.len() > MAX_RESULT_WITHIN) else {
            return Ok(None);
        };
        let key = |token| Key::Outcome {
            batch: at.name,
            index,
            token,
        };
        self.put_part(result, key).await.map(Some)
    }

    /// Stores what is too long for another object, under a token that nothing else has.
    pub(super) async fn put_part(
        &self,
        bytes: &Bytes,
        key: impl Fn(u64) -> Key + Send + Sync,
    ) -> Result<u64, StoreError> {
        for _ in 0..Self::TRIES {
            let token = self.token();
            let path = key(token).to_string();
            if let Landing::Landed(_) = self.objects.create(&path, bytes.clone()).await? {
                return Ok(token);
            }
        }
        Err(restless(&key(0)))
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
