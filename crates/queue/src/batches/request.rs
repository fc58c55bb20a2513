//! A batch of jobs to enqueue.

use longshore_core::batch::{Batch as Record, Callback, METADATA_BATCH, METADATA_MEMBER};
use longshore_core::{BatchId, NewJob, StoreError};

use crate::producer::Producer;
use crate::request::{JobRequest, Source, invalid};

/// Jobs that belong together, and the jobs that follow: one once all are over, however, and one
/// once all have succeeded. At most 1,000,000; jobs with a unique key cannot be among them.
///
/// ```
/// use longshore_queue::{Batch, JobRequest};
/// let pages = (1..=40).map(|page| JobRequest::new("import", "import_page").args(&page));
/// let batch = Batch::new(pages)
///     .id("import-2026-05")
///     .on_success(JobRequest::new("import", "publish"))
///     .on_end(JobRequest::new("mail", "tell_the_operator"));
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) members: Vec<JobRequest>,
    id: Option<String>,
    on_end: Option<JobRequest>,
    on_success: Option<JobRequest>,
}

impl Batch {
    /// A batch of these jobs, which nothing follows. The span that they come from is that of the
    /// first.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = JobRequest>) -> Self {
        Self {
            members: members.into_iter().collect(),
            id: None,
            on_end: None,
            on_success: None,
        }
    }

    /// Its id, 1 to 100 letters, digits or any of `. _ : / -`: repeating a call with the same id
    /// goes on where the first one stopped, and adds nothing once that is done.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The job that is enqueued once all members are over: completed, cancelled or discarded.
    #[must_use]
    pub fn on_end(mut self, callback: JobRequest) -> Self {
        self.on_end = Some(callback);
        self
    }

    /// The job that is enqueued once all members have completed; if one is cancelled or discarded,
    /// it never is.
    #[must_use]
    pub fn on_success(mut self, callback: JobRequest) -> Self {
        self.on_success = Some(callback);
        self
    }

    /// The id that the caller chose.
    pub(super) fn chosen_id(&self) -> Result<Option<BatchId>, StoreError> {
        let id = self.id.as_deref().map(str::parse).transpose();
        id.map_err(invalid)
    }

    /// The callbacks, checked.
    pub(super) fn callbacks(
        &mut self,
        producer: &Producer,
    ) -> Result<(Option<Callback>, Option<Callback>), StoreError> {
        let one = |request: JobRequest| {
            if request.chosen_id().is_some() {
                let problem = "the callback of a batch gets its id from the batch: choose none";
                return Err(invalid(problem));
            }
            let (job, _) = producer.draft(request)?;
            Callback::of(job)
        };
        Ok((
            self.on_end.take().map(one).transpose()?,
            self.on_success.take().map(one).transpose()?,
        ))
    }
}

/// Members on their way into a store.
#[derive(Debug)]
pub(super) struct Drafts {
    /// The jobs, in order; the ids of those that have not chosen one are not yet theirs.
    pub(super) jobs: Vec<NewJob>,
    /// Which of them have chosen their ids.
    pub(super) chosen: Vec<bool>,
    /// Where the first one comes from.
    pub(super) source: Option<Source>,
}

impl Drafts {
    /// Makes jobs of the requests.
    pub(super) fn of(
        producer: &Producer,
        id: &BatchId,
        requests: Vec<JobRequest>,
    ) -> Result<Self, StoreError> {
        let most = Record::MAX_MEMBERS;
        if requests.len() > most {
            let has = requests.len();
            return Err(invalid(format!(
                "a batch of {has} jobs is larger than the {most} allowed: make several batches"
            )));
        }
        let mut drafts = Self {
            jobs: Vec::with_capacity(requests.len()),
            chosen: Vec::with_capacity(requests.len()),
            source: None,
        };
        for request in requests {
            // As many digits as there may ever be, so that what is checked stays so.
            let request = request
                .note(METADATA_BATCH, id.as_str())
                .note(METADATA_MEMBER, u32::MAX.to_string());
            let (job, source) = producer.draft(request)?;
            if job.unique_key.is_some() {
                return Err(invalid(
                    "a member of a batch cannot have a unique key: the batch would wait for a job \
                     that is not in it",
                ));
            }
            drafts.jobs.push(job);
            drafts.chosen.push(source.chosen_id);
            drafts.source.get_or_insert(source);
        }
        let size = u32::try_from(drafts.jobs.len()).unwrap_or(u32::MAX);
        for job in &mut drafts.jobs {
            job.trace.batch_size = size;
        }
        Ok(drafts)
    }
}
