//! Jobs: listed, looked up, changed.

use longshore_api::ApiError;
use longshore_api::job::{Change, ChangeJobs, ChangedJob, JobsPage, JobsQuery};
use longshore_core::{ErrorKind, Job, JobFilter, JobId, JobPage, JobState};
use longshore_queue::Change as AdminChange;

use super::{LocalBackend, wrong};

/// Jobs of a page if nobody says how many.
const USUAL: usize = 100;

/// Most pages of the store that are looked through for a text at once.
const MOST_LOOKS: usize = 50;

/// Most jobs of one change.
const MOST_CHANGED: usize = 1000;

impl LocalBackend {
    pub(super) async fn list_jobs(&self, query: &JobsQuery) -> Result<JobsPage, ApiError> {
        let filter = filter(query)?;
        let limit = limit(query.limit, USUAL, JobPage::MAX_JOBS)?;
        let cursor = query.cursor.as_deref();
        let page = match query.text.as_deref().map(str::trim) {
            None | Some("") => self.store.list(&filter, cursor, limit).await?,
            Some(text) => {
                let mut page = self.that_say(text, &filter, cursor, limit).await?;
                let is_known = page.jobs.iter().any(|job| job.id.as_str() == text);
                if query.is_text_alone() && !is_known && page.jobs.len() < limit {
                    page.jobs.extend(self.with_id(text).await?);
                }
                page
            }
        };
        Ok(JobsPage {
            jobs: page.jobs.iter().map(|job| self.shown(job)).collect(),
            next_cursor: page.next_cursor,
            as_of: Some(page.as_of),
        })
    }

    /// The job whose id a text is, however old.
    async fn with_id(&self, text: &str) -> Result<Option<Job>, ApiError> {
        match text.parse::<JobId>() {
            Ok(id) => Ok(self.store.get(&id).await?),
            Err(_) => Ok(None),
        }
    }

    /// A page of jobs that say a text.
    async fn that_say(
        &self,
        text: &str,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, ApiError> {
        let needle = text.to_lowercase();
        let mut page = self.store.list(filter, cursor, limit).await?;
        let mut looked_through = limit;
        page.jobs.retain(|job| says(job, &needle));
        for _ in 1..MOST_LOOKS {
            let room = limit.saturating_sub(page.jobs.len());
            let is_enough = looked_through >= JobsQuery::LOOKED_THROUGH || room * 2 <= limit;
            let Some(from) = page.next_cursor.as_deref().filter(|_| !is_enough) else {
                break;
            };
            let more = self.store.list(filter, Some(from), room).await?;
            looked_through += room;
            page.jobs
                .extend(more.jobs.into_iter().filter(|job| says(job, &needle)));
            page.next_cursor = more.next_cursor;
        }
        Ok(page)
    }

    pub(super) async fn find_job(&self, id: &str) -> Result<Job, ApiError> {
        let id: JobId = id.parse().map_err(wrong)?;
        let missing = || ApiError::NotFound(format!("there is no job {id} in this store"));
        self.store.get(&id).await?.ok_or_else(missing)
    }

    /// Changes one job.
    pub(crate) async fn change_one(
        &self,
        change: Change,
        id: &str,
    ) -> Result<ChangedJob, ApiError> {
        self.check_may_change()?;
        let job = self.find_job(id).await?;
        let state = self.admin().change(verb(change), &job.id).await?;
        Ok(ChangedJob {
            id: job.id.to_string(),
            state: Some(state.as_str().to_owned()),
            error: None,
        })
    }

    pub(super) async fn change_all(
        &self,
        change: &ChangeJobs,
    ) -> Result<Vec<ChangedJob>, ApiError> {
        if change.ids.len() > MOST_CHANGED {
            return Err(ApiError::Invalid(format!(
                "{} jobs are to be changed at once: name at most {MOST_CHANGED}",
                change.ids.len()
            )));
        }
        let admin = self.admin();
        let verb = verb(change.change);
        let mut changed = Vec::with_capacity(change.ids.len());
        for text in &change.ids {
            let answer: Result<JobState, String> = match text.parse::<JobId>() {
                Err(error) => Err(error.to_string()),
                Ok(id) => match admin.change(verb, &id).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => {
                        return Err(error.into());
                    }
                    answer => answer.map_err(|error| error.to_string()),
                },
            };
            changed.push(ChangedJob {
                id: text.clone(),
                state: answer.as_ref().ok().map(|state| state.as_str().to_owned()),
                error: answer.err(),
            });
        }
        Ok(changed)
    }
}

const fn verb(change: Change) -> AdminChange {
    match change {
        Change::Cancel => AdminChange::Cancel,
        Change::Retry => AdminChange::Retry,
        Change::Discard => AdminChange::Discard,
    }
}

/// How many entries a page may have.
pub(super) fn limit(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, ApiError> {
    match asked {
        None => Ok(usual),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(ApiError::Invalid(format!(
            "a page has 1 to {most} entries, not {limit}"
        ))),
    }
}

fn filter(query: &JobsQuery) -> Result<JobFilter, ApiError> {
    let metadata = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(ApiError::Invalid(format!(
            "`metadata` is to be a pair such as order=17, not `{text}`"
        ))),
    };
    let states = query.states.iter().map(|state| state.parse());
    Ok(JobFilter {
        states: states.collect::<Result<_, _>>().map_err(wrong)?,
        queue: parsed(query.queue.as_deref())?,
        kind: parsed(query.kind.as_deref())?,
        tag: query.tag.clone(),
        metadata: query.metadata.as_ref().map(metadata).transpose()?,
        tenant_id: query.tenant_id.clone(),
        namespace: query.namespace.clone(),
        correlation_id: query.correlation_id.clone(),
        enqueued_after: query.enqueued_after,
        enqueued_before: query.enqueued_before,
        error_class: query.error_class.clone(),
        error_text: query.error_text.clone(),
    })
}

/// Whether a job says a text, which is in lower case.
fn says(job: &Job, needle: &str) -> bool {
    let names = [job.id.as_str(), job.queue.as_str(), job.kind.as_str()];
    let some = [&job.tenant_id, &job.namespace];
    let error = (job.history.last()).and_then(|record| record.error.as_ref());
    let error = error.map(|error| [&*error.class, &*error.message]);
    let all = names.into_iter().chain([job.correlation_id.as_str()]);
    let all = all.chain(some.into_iter().flatten().map(String::as_str));
    let all = all.chain(
        job.tags
            .iter()
            .chain(job.metadata.values())
            .map(String::as_str),
    );
    let mut all = all.chain(error.into_iter().flatten());
    all.any(|said| said.to_lowercase().contains(needle))
}

/// A name, if one is given.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
) -> Result<Option<T>, ApiError> {
    text.map(|text| text.parse().map_err(wrong)).transpose()
}
