//! Looking at jobs: by id, in pages, and counted.

use std::collections::BTreeMap;

use longshore_core::{
    ErrorKind, Job, JobFilter, JobId, JobPage, JobState, QueueName, QueueStats, StoreError,
    Timestamp,
};

use super::ObjectStore;
use super::enqueue::job_of;
use super::load::{At, State};
use crate::batch_key::BatchName;
use crate::key::Key;
use crate::objects::Range;

impl ObjectStore {
    /// Most objects of a listing.
    const PAGE: usize = 1000;

    pub(super) async fn get_job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let named = self.named_place(id);
        if let Some((at, index)) = named
            && let Some(job) = self.job_at(at, index, id).await?
        {
            return Ok(Some(job));
        }
        match self.reserved_place(id).await? {
            Some(key) => self.job_at(At::batch(key), 0, id).await,
            None => Ok(None),
        }
    }

    async fn job_at(&self, at: At, index: u16, id: &JobId) -> Result<Option<Job>, StoreError> {
        let Some(state) = self.load(at).await? else {
            return Ok(None);
        };
        let Some(mut job) = job_of(&state, index).filter(|job| job.id == *id) else {
            return Ok(None);
        };
        self.fill_args_of(&state, &mut job).await?;
        Ok(Some(job.shown_at(self.bounds().middle())))
    }

    /// Reads args that lie in an object of their own.
    pub(super) async fn fill_args_of(
        &self,
        state: &State,
        job: &mut Job,
    ) -> Result<(), StoreError> {
        let batch = state.batch();
        let mut slots = (0u16..).zip(&batch.jobs);
        let found = slots.find_map(|(index, slot)| {
            let stored = slot.as_ref().filter(|stored| stored.job.id == job.id)?;
            Some((index, stored.args_token))
        });
        let Some((index, token)) = found else {
            return Ok(());
        };
        let row = state.ledger().and_then(|ledger| ledger.row(index));
        let token = match row.and_then(|row| row.replaced.as_ref()) {
            Some(replaced) => replaced.args_token,
            None => token,
        };
        let Some(token) = token else {
            return Ok(());
        };
        let key = Key::Args {
            batch: batch.key.name,
            index,
            token,
        };
        let object = self.objects.get(&key.to_string()).await?;
        let gone = || {
            StoreError::new(
                ErrorKind::Corrupt,
                format!(
                    "the object `{key}`, which has the args of job {}, is gone: restore it from a backup",
                    job.id
                ),
            )
        };
        job.args = object.ok_or_else(gone)?.bytes;
        Ok(())
    }

    /// Every batch of which there is anything, the latest first.
    async fn all_batches(&self) -> Result<BTreeMap<BatchName, At>, StoreError> {
        let mut all = BTreeMap::new();
        for prefix in ["i/", "l/"] {
            let mut after: Option<String> = None;
            loop {
                let range = Range {
                    prefix,
                    after: after.as_deref(),
                    end: None,
                    limit: Self::PAGE,
                };
                let listed = self.objects.list(range).await?;
                let at = |key: &str| match key.parse().ok()? {
                    Key::Batch(key) => Some(At::batch(key)),
                    Key::Pointer(key) => Some(At::pointer(&key)),
                    Key::Ledger { shard, batch } => Some(At {
                        shard,
                        name: batch,
                        batch: None,
                    }),
                    _ => None,
                };
                for at in listed.iter().filter_map(|listed| at(&listed.key)) {
                    // The entry knows where the batch lies, its ledger's key does not.
                    all.entry(at.name).or_insert(at);
                }
                match listed.last() {
                    Some(last) if listed.len() == Self::PAGE => after = Some(last.key.clone()),
                    _ => break,
                }
            }
        }
        Ok(all)
    }

    /// The jobs of a batch as they are shown, the last one first; without args that lie elsewhere.
    async fn jobs_of(&self, at: At, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        let Some(state) = self.load(at).await? else {
            return Ok(Vec::new());
        };
        let indices = (0..at.name.jobs()).rev();
        let jobs = indices.filter_map(|index| job_of(&state, index));
        Ok(jobs.map(|job| job.shown_at(now)).collect())
    }

    pub(super) async fn list_jobs(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let as_of = self.bounds().middle();
        let from = cursor.map(read_cursor).transpose()?;
        let limit = limit.clamp(1, JobPage::MAX_JOBS);
        let mut jobs = Vec::new();
        for (name, at) in self.all_batches().await?.into_iter().rev() {
            if from.is_some_and(|(last, _)| name > last) {
                continue;
            }
            let mut left = usize::from(name.jobs());
            for job in self.jobs_of(at, as_of).await? {
                left = left.saturating_sub(1);
                let passed = from.is_some_and(|(last, rest)| name == last && left >= rest);
                if passed || !filter.matches(&job) {
                    continue;
                }
                jobs.push((name, left, job));
                if jobs.len() > limit {
                    // The one too many shows that there is another page.
                    jobs.pop();
                    let last = jobs.last().map(|(name, left, _)| format!("{name}/{left}"));
                    return Ok(page(jobs, last, as_of));
                }
            }
        }
        Ok(page(jobs, None, as_of))
    }

    pub(super) async fn count_jobs(&self) -> Result<Vec<QueueStats>, StoreError> {
        let as_of = self.bounds().middle();
        let mut counts: BTreeMap<QueueName, QueueStats> = BTreeMap::new();
        for queue in self
            .queues()
            .await?
            .all()
            .iter()
            .filter(|queue| queue.paused)
        {
            let mut stats = QueueStats::empty(queue.name.clone(), as_of);
            stats.paused = true;
            counts.insert(queue.name.clone(), stats);
        }
        for at in self.all_batches().await?.into_values() {
            for job in self.jobs_of(at, as_of).await? {
                let empty = || QueueStats::empty(job.queue.clone(), as_of);
                let stats = counts.entry(job.queue.clone()).or_insert_with(empty);
                *stats.count_mut(job.state) += 1;
                if job.state == JobState::Available {
                    let oldest = stats.oldest_available_at.get_or_insert(job.available_at);
                    *oldest = job.available_at.min(*oldest);
                }
            }
        }
        Ok(counts.into_values().collect())
    }
}

fn page(
    jobs: Vec<(BatchName, usize, Job)>,
    next_cursor: Option<String>,
    as_of: Timestamp,
) -> JobPage {
    let jobs = jobs.into_iter().map(|(.., job)| job).collect();
    JobPage {
        jobs,
        next_cursor,
        as_of,
    }
}

/// The batch and index of the last job of the page before.
fn read_cursor(text: &str) -> Result<(BatchName, usize), StoreError> {
    let read = || {
        let (name, left) = text.split_once('/')?;
        Some((name.parse().ok()?, left.parse().ok()?))
    };
    read().ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let message = format!("`{shown}` is not a cursor of this store: start without one");
        StoreError::new(ErrorKind::Invalid, message)
    })
}
