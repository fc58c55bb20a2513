//! Looking at jobs: by id, and in pages.

use bytes::Bytes;
use longshore_core::{ErrorKind, Job, JobFilter, JobId, JobPage, StoreError, Timestamp};

use super::ObjectStore;
use super::enqueue::job_of;
use super::load::{At, State};
use super::parallel::all;
use crate::batch_key::BatchName;
use crate::key::Key;

impl ObjectStore {
    /// Most batches that a page of a listing of jobs looks at.
    const MAX_LOOKED: usize = 500;

    pub(super) async fn get_job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let named = self.named_place(id);
        if let Some((at, index)) = named
            && let Some(job) = self.job_at(at, index, id).await?
        {
            return Ok(Some(job));
        }
        match self.reserved_place(id).await? {
            Some((key, index)) => self.job_at(At::batch(key), index, id).await,
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
        self.fill_parts_of(&state, &mut job).await?;
        Ok(Some(job.shown_at(self.bounds().middle())))
    }

    /// As [`ObjectStore::fill_parts_of`], of a batch of which something is known.
    pub(super) async fn fill_parts(&self, at: At, job: &mut Job) -> Result<(), StoreError> {
        let state = match self.cells.known(at.name) {
            None => self.load(at).await?,
            known => known,
        };
        match state {
            Some(state) => self.fill_parts_of(&state, job).await,
            None => Ok(()),
        }
    }

    /// Reads args and result that lie in objects of their own.
    pub(super) async fn fill_parts_of(
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
        let Some((index, args_token)) = found else {
            return Ok(());
        };
        let batch = batch.key.name;
        let row = state.ledger().and_then(|ledger| ledger.row(index));
        let args_token = match row.and_then(|row| row.replaced.as_ref()) {
            Some(replaced) => replaced.args_token,
            None => args_token,
        };
        if let Some(token) = args_token {
            let key = Key::Args {
                batch,
                index,
                token,
            };
            job.args = self.part_of(job, "args", &key).await?;
        }
        if let Some(token) = row.and_then(|row| row.result_token) {
            let key = Key::Outcome {
                batch,
                index,
                token,
            };
            job.result = Some(self.part_of(job, "result", &key).await?);
        }
        Ok(())
    }

    pub(super) async fn part_of(
        &self,
        job: &Job,
        what: &str,
        key: &Key,
    ) -> Result<Bytes, StoreError> {
        let object = self.objects.get(&key.to_string()).await?;
        let gone = || {
            StoreError::new(
                ErrorKind::Corrupt,
                format!(
                    "the object `{key}`, which has the {what} of job {}, is gone: restore it from a backup",
                    job.id
                ),
            )
        };
        Ok(object.ok_or_else(gone)?.bytes)
    }

    /// The jobs of a batch as they are shown, the last one first; without args and results that lie
    /// elsewhere.
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
        let mut names = self
            .newest_first(filter, from.map(|(name, _)| name))
            .await?;
        let (mut jobs, mut looked) = (Vec::new(), 0);
        loop {
            let some = self
                .next_names(&mut names, Self::MAX_LOOKED - looked)
                .await?;
            let Some(last_looked) = some.last().map(|at| at.name) else {
                return Ok(page(jobs, None, as_of));
            };
            looked += some.len();
            let reads = some.iter().map(|at| self.jobs_of(*at, as_of));
            let read = all(self.tuning.parallel, reads.collect()).await;
            for (name, found) in some.iter().map(|at| at.name).zip(read) {
                let first = from.filter(|(last, _)| name == *last);
                let passed = first.map_or(usize::MAX, |(_, rest)| rest);
                // Numbered from the last one down to 0.
                let numbers = (0..usize::from(name.jobs())).rev();
                let shown = numbers.zip(found?);
                let shown = shown.filter(|(left, job)| *left < passed && filter.matches(job));
                jobs.extend(shown.map(|(left, job)| (name, left, job)));
            }
            if jobs.len() > limit {
                // Those too many show that there is another page.
                jobs.truncate(limit);
                let last = jobs.last().map(|(name, left, _)| format!("{name}/{left}"));
                return Ok(page(jobs, last, as_of));
            }
            if looked >= Self::MAX_LOOKED {
                return Ok(page(jobs, Some(format!("{last_looked}/0")), as_of));
            }
        }
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
