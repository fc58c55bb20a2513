//! Changing the fate of jobs that match a filter, page by page.

use longshore_core::{ErrorKind, Job, JobFilter, JobId, JobState, SpanContext, Store, StoreError};
use longshore_instrument::facts::AdminSubject;

use super::{About, Admin, MAX_LINKS};
use crate::batches::marks::Marks;

/// Jobs of one call to the store: enough that a million take thousands of calls, few enough that
/// workers hardly wait for one.
const PAGE: usize = 500;

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A waiting one is cancelled at once; the holder of a running one is asked to stop.
    Cancel,
    /// It becomes available now, with at least one attempt left.
    Retry,
    /// As [`Change::Cancel`], but it ends as discarded.
    Discard,
}

impl Change {
    /// The change as a verb, as in spans and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// The filter with the states in which jobs can be changed so: what has not ended is cancelled
    /// or discarded, what has failed is retried. States that it names already stay.
    ///
    /// # Errors
    /// `Invalid` if it names one in which the change can do nothing.
    pub fn narrow(self, filter: &JobFilter) -> Result<JobFilter, StoreError> {
        use JobState as S;
        let (usual, possible): (&[S], &[S]) = match self {
            Self::Cancel | Self::Discard => {
                let unfinished = &[S::Scheduled, S::Available, S::Running, S::Retryable];
                (unfinished, unfinished)
            }
            Self::Retry => (
                &[S::Retryable, S::Discarded],
                &[
                    S::Scheduled,
                    S::Retryable,
                    S::Completed,
                    S::Cancelled,
                    S::Discarded,
                ],
            ),
        };
        if let Some(state) = filter.states.iter().find(|state| !possible.contains(state)) {
            let names: Vec<&str> = possible.iter().map(|state| state.as_str()).collect();
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "there is nothing to {} in jobs that are {state}: use {}",
                    self.as_str(),
                    names.join(", ")
                ),
            ));
        }
        let mut filter = filter.clone();
        if filter.states.is_empty() {
            filter.states = usual.to_vec();
        }
        Ok(filter)
    }

    pub(super) async fn apply(
        self,
        store: &dyn Store,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        match self {
            Self::Cancel => store.cancel(ids).await,
            Self::Retry => store.retry_now(ids).await,
            Self::Discard => store.discard(ids).await,
        }
    }
}

/// What a filter finds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many jobs.
    pub jobs: u64,
    /// The newest of them.
    pub some: Vec<Job>,
}

/// What a change by filter has done.
#[derive(Debug, Default)]
pub struct Changed {
    /// Jobs that were changed, those that were asked to stop among them.
    pub done: u64,
    /// Jobs that run and were asked to stop.
    pub asked: u64,
    /// Jobs that had changed by themselves in between, or may not be changed.
    pub refused: u64,
    /// Why the first of those was refused.
    pub first_refusal: Option<StoreError>,
}

impl Admin {
    /// Counts the jobs that a change by this filter would change, and gives back the newest
    /// `some` of them. `tell` hears how many were found so far.
    ///
    /// # Errors
    /// As [`Change::narrow`], and as the store says.
    pub async fn find(
        &self,
        change: Change,
        filter: &JobFilter,
        some: usize,
        mut tell: impl FnMut(u64),
    ) -> Result<Found, StoreError> {
        let filter = change.narrow(filter)?;
        let mut found = Found::default();
        let mut cursor: Option<String> = None;
        loop {
            let page = self
                .store()
                .list(
                    &filter,
                    cursor.as_deref(),
                    longshore_core::JobPage::MAX_JOBS,
                )
                .await?;
            found.jobs += page.jobs.len() as u64;
            let missing = some.saturating_sub(found.some.len());
            found.some.extend(page.jobs.into_iter().take(missing));
            tell(found.jobs);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    /// Changes every job that matches, the newest first, a page at a time. `tell` hears what was
    /// done after each page. Jobs that are enqueued meanwhile are left alone; what was done stays
    /// done if the call is interrupted, and calling again does the rest.
    ///
    /// # Errors
    /// As [`Change::narrow`], and as the store says; `tell` has heard what was done before.
    pub async fn change_all(
        &self,
        change: Change,
        filter: &JobFilter,
        tell: impl FnMut(&Changed),
    ) -> Result<Changed, StoreError> {
        self.watched(self.change_every(change, filter, tell)).await
    }

    async fn change_every(
        &self,
        change: Change,
        filter: &JobFilter,
        mut tell: impl FnMut(&Changed),
    ) -> Result<Changed, StoreError> {
        let filter = change.narrow(filter)?;
        let started_at = self.now();
        let mut sweep = Sweep::default();
        let mut cursor: Option<String> = None;
        let ended = loop {
            let page = self
                .page(change, &filter, cursor.as_deref(), &mut sweep)
                .await;
            tell(&sweep.changed);
            match page {
                Ok(None) => break Ok(()),
                Ok(next) => cursor = next,
                Err(error) => break Err(error),
            }
        };
        if let Some(first) = &sweep.first {
            let subject = AdminSubject::Jobs {
                count: sweep.changed.done,
                queue: filter.queue.as_ref(),
                enqueued: &sweep.enqueued,
                unlinked: sweep.unlinked,
            };
            self.record(change.as_str(), About::Job(first), subject, started_at);
        }
        ended.map(|()| sweep.changed)
    }

    /// Changes the jobs of one page; gives back the cursor of the next.
    async fn page(
        &self,
        change: Change,
        filter: &JobFilter,
        cursor: Option<&str>,
        sweep: &mut Sweep,
    ) -> Result<Option<String>, StoreError> {
        let page = self.store().list(filter, cursor, PAGE).await?;
        let ids: Vec<JobId> = page.jobs.iter().map(|job| job.id.clone()).collect();
        if !ids.is_empty() {
            let answers = change.apply(&**self.store(), &ids).await?;
            let ended = Marks::default();
            for (job, answer) in page.jobs.into_iter().zip(answers) {
                if let Ok(state) = &answer {
                    ended.hear(&job, *state);
                }
                sweep.note(job, answer);
            }
            ended.flush(self.producer()).await;
        }
        Ok(page.next_cursor)
    }
}

/// A change on its way.
#[derive(Default)]
struct Sweep {
    changed: Changed,
    first: Option<Job>,
    enqueued: Vec<SpanContext>,
    unlinked: u64,
}

impl Sweep {
    fn note(&mut self, job: Job, answer: Result<JobState, StoreError>) {
        match answer {
            Ok(state) => {
                self.changed.done += 1;
                self.changed.asked += u64::from(state == JobState::Running);
                self.link(&job);
                self.first.get_or_insert(job);
            }
            Err(error) => {
                self.changed.refused += 1;
                self.changed.first_refusal.get_or_insert(error);
            }
        }
    }

    /// Jobs that were enqueued together share a span, which is linked to once.
    fn link(&mut self, job: &Job) {
        match job.trace.context().and_then(Result::ok) {
            Some(context) if self.enqueued.contains(&context) => {}
            Some(context) if self.enqueued.len() < MAX_LINKS => self.enqueued.push(context),
            Some(_) => self.unlinked += 1,
            None => {}
        }
    }
}
