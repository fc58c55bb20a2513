//! New jobs.

use bytes::Bytes;
use longshore_core::{
    Enqueued, ErrorKind, JobId, NewJob, OnConflict, StoreError, Timestamp, UniqueKey, UniqueScope,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, optional_bytes, parsed, text};
use crate::call::Call;
use crate::{contract, envelope, micros};

/// Most jobs, and most bytes of their args, that go into one call: nobody else is served meanwhile.
pub(crate) const MOST_JOBS: usize = 1000;
pub(crate) const MOST_BYTES: usize = 32 << 20;

/// Jobs that keep to every bound, in as few calls as may be.
#[derive(Debug, Default)]
pub(crate) struct Consignment {
    pub(crate) calls: Vec<(Call, Vec<NewJob>)>,
    /// Of each job what is wrong with it, if anything is.
    pub(crate) problems: Vec<Option<StoreError>>,
}

impl Consignment {
    pub(crate) fn new(jobs: Vec<NewJob>) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let mut batch = Vec::new();
        let mut size = 0;
        for job in jobs {
            if let Err(problem) = job.validate() {
                all.problems.push(Some(problem.into()));
                continue;
            }
            all.problems.push(None);
            if batch.len() == MOST_JOBS || (size + job.args.len() > MOST_BYTES && size > 0) {
                all.send(std::mem::take(&mut batch))?;
                size = 0;
            }
            size += job.args.len();
            batch.push(job);
        }
        if !batch.is_empty() {
            all.send(batch)?;
        }
        Ok(all)
    }

    fn send(&mut self, batch: Vec<NewJob>) -> Result<(), StoreError> {
        let mut call = Call::new(&contract::ENQUEUE);
        call.of(batch.len());
        for job in &batch {
            add(&mut call, job)?;
        }
        self.calls.push((call, batch));
        Ok(())
    }
}

/// The scope of a key as the functions take it; 0 if there is no key.
pub(crate) fn scope_number(unique: Option<&UniqueKey>) -> i64 {
    unique.map_or(0, |unique| match unique.scope {
        UniqueScope::Unfinished => 0,
        UniqueScope::Waiting => 1,
        UniqueScope::Window(window) => micros::lasting(window),
    })
}

/// Writes a job as the functions take it.
pub(crate) fn add(call: &mut Call, job: &NewJob) -> Result<(), StoreError> {
    let unique = job.unique_key.as_ref();
    let hash = unique.map(|unique| unique.hash.to_string());
    let due = job
        .scheduled_at
        .map(|at| micros::not_before(at).to_string());
    call.text(job.id.as_str())
        .text(job.queue.as_str())
        .text(job.kind.as_str())
        .some(job.tenant_id.as_deref())
        .number(i64::from(job.priority.get()))
        .some(due.as_deref())
        .number(i64::from(job.max_attempts))
        .some(job.trace.keep.as_ref().map(envelope::write_keep).as_deref())
        .some(unique.map(|unique| unique.key.as_str()))
        .some(hash.as_deref())
        .number(scope_number(unique))
        .number(match job.on_conflict {
            OnConflict::Reject => 0,
            OnConflict::Keep => 1,
            OnConflict::Replace { priority: false } => 2,
            OnConflict::Replace { priority: true } => 3,
        })
        .bytes(envelope::write(job)?)
        .bytes(job.args.clone());
    Ok(())
}

/// What became of each job of a call.
pub(crate) fn read(
    answer: Value,
    jobs: &[NewJob],
    now: Timestamp,
) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
    let answers = array(answer)?;
    if answers.len() != jobs.len() {
        return Err(corrupt("answer", "not every job is in it"));
    }
    let each = answers.into_iter().zip(jobs);
    each.map(|(answer, job)| one(answer, job, now)).collect()
}

fn one(
    answer: Value,
    job: &NewJob,
    now: Timestamp,
) -> Result<Result<Enqueued, StoreError>, StoreError> {
    let mut parts = array(answer)?.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    let word = bytes(part())?;
    let id: JobId = parsed("id", &text(part())?)?;
    let span = |envelope: Option<Bytes>| envelope.and_then(|text| envelope::enqueue_span(&text));
    match &word[..] {
        b"created" => Ok(Ok(Enqueued::Created { id, at: now })),
        b"hit" => {
            let span = span(optional_bytes(part())?);
            Ok(Ok(Enqueued::Hit { id, span }))
        }
        b"replaced" => {
            let span = span(optional_bytes(part())?);
            Ok(Ok(Enqueued::Replaced { id, span }))
        }
        b"taken" => Ok(Err(taken(job, &id))),
        other => Err(corrupt("answer", String::from_utf8_lossy(other))),
    }
}

fn taken(job: &NewJob, holder: &JobId) -> StoreError {
    match &job.unique_key {
        Some(unique) => unique.taken(&job.queue, holder),
        None => StoreError::new(
            ErrorKind::Conflict,
            format!("the unique key is held by job {holder}"),
        ),
    }
}
