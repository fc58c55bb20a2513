//! Jobs that come from another store, with their whole history.

use async_trait::async_trait;
use longshore_core::{AttemptRecord, Import, Imported, Job, JobId, NewJob, StoreError};
use redis::Value;

use crate::answer::{array, bytes, corrupt, parsed, text};
use crate::call::Call;
use crate::enqueue::{MOST_BYTES, MOST_JOBS, scope_number};
use crate::store::RedisStore;
use crate::{contract, envelope, micros, row, settle};

type Answers = Vec<Result<Imported, StoreError>>;

#[async_trait]
impl Import for RedisStore {
    async fn import(&self, jobs: Vec<Job>) -> Result<Answers, StoreError> {
        let checked = jobs.into_iter();
        let checked = checked.map(|job| job.check_import().map(|new| (job, new)));
        let mut answers = Vec::new();
        let (mut batch, mut size) = (Vec::new(), 0);
        let mut refused = Vec::new();
        for (place, job) in checked.enumerate() {
            let arriving = match job {
                Ok(arriving) => arriving,
                Err(problem) => {
                    refused.push((place, problem));
                    continue;
                }
            };
            size += arriving.0.args.len();
            batch.push(arriving);
            if batch.len() == MOST_JOBS || size > MOST_BYTES {
                answers.extend(self.bring(&std::mem::take(&mut batch)).await?);
                size = 0;
            }
        }
        answers.extend(self.bring(&batch).await?);
        for (place, problem) in refused {
            // In the order of their places, so that those before are all there.
            answers.insert(place.min(answers.len()), Err(problem));
        }
        Ok(answers)
    }
}

impl RedisStore {
    async fn bring(&self, batch: &[(Job, NewJob)]) -> Result<Answers, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = Call::new(&contract::IMPORT);
        call.of(batch.len());
        for (job, new) in batch {
            add(&mut call, job, new)?;
        }
        let (_, answer) = self.call(&call).await?;
        let answers = array(answer)?;
        if answers.len() != batch.len() {
            return Err(corrupt("answer", "not every job is in it"));
        }
        let each = answers.into_iter().zip(batch);
        each.map(|(answer, (job, _))| read(answer, job)).collect()
    }
}

fn add(call: &mut Call, job: &Job, new: &NewJob) -> Result<(), StoreError> {
    let time = micros::of;
    let unique = job.unique_key.as_ref();
    let hash = unique.map(|unique| unique.hash.to_string());
    let finished_at = job.finished_at.map(|at| time(at).to_string());
    let (last, earlier) = match job.history.split_last() {
        Some((last, earlier)) => (Some(attempt(last)?), earlier),
        None => (None, [].as_slice()),
    };
    call.text(job.id.as_str())
        .text(job.queue.as_str())
        .text(job.kind.as_str())
        .some(job.tenant_id.as_deref())
        .number(i64::from(job.priority.get()))
        .number(i64::from(row::state_code(job.state)))
        .number(i64::from(job.attempt))
        .number(i64::from(job.claim))
        .number(i64::from(job.max_attempts))
        .number(time(job.enqueued_at))
        .number(time(job.first_available_at))
        .number(time(job.available_at))
        .some(finished_at.as_deref())
        .some(job.trace.keep.as_ref().map(envelope::write_keep).as_deref())
        .some(unique.map(|unique| unique.key.as_str()))
        .some(hash.as_deref())
        .number(scope_number(unique))
        .some(last.as_deref())
        .count(earlier.len());
    for record in earlier {
        call.text(&attempt(record)?);
    }
    call.optional(job.checkpoint.as_ref())
        .optional(job.result.as_ref())
        .bytes(envelope::write(new)?)
        .bytes(job.args.clone());
    Ok(())
}

/// An ended attempt as the functions write it; see `row.rs`.
fn attempt(record: &AttemptRecord) -> Result<String, StoreError> {
    let error = record.error.as_ref().map(settle::write_error).transpose()?;
    Ok(format!(
        "{},{},{},{},{},{},{}\n{}\n{}",
        record.attempt,
        record.claim,
        micros::of(record.due_at),
        micros::of(record.claimed_at),
        micros::of(record.ended_at),
        record.outcome.as_str(),
        row::write_span(record.trace_id.zip(record.span_id)),
        row::write_worker(&record.worker),
        error.unwrap_or_default(),
    ))
}

fn read(answer: Value, job: &Job) -> Result<Result<Imported, StoreError>, StoreError> {
    let mut parts = array(answer)?.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    match &bytes(part())?[..] {
        b"stored" => Ok(Ok(Imported::Stored)),
        b"present" => Ok(Ok(Imported::Present)),
        b"taken" => {
            let holder: JobId = parsed("id", &text(part())?)?;
            let unique = job.unique_key.as_ref();
            let unique = unique.ok_or_else(|| corrupt("answer", "a key is taken that is none"))?;
            Ok(Err(unique.taken(&job.queue, &holder)))
        }
        other => Err(corrupt("answer", String::from_utf8_lossy(other))),
    }
}
