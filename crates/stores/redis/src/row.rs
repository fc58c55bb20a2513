//! Jobs, as a function gives them back.

use std::collections::BTreeMap;

use bytes::Bytes;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Job, JobState, LeaseToken, Priority, SpanId,
    StopRequest, StoreError, Timestamp, TraceEnvelope, TraceId, UniqueKey, UniqueScope, WorkerId,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, number, optional_bytes, parsed, text, tuple};
use crate::packed::{self, Packed};
use crate::{envelope, micros};

/// A job, with what only the store knows of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) job: Job,
    /// The number of the job in the order of enqueueing.
    pub(crate) number: u64,
    pub(crate) token: Option<LeaseToken>,
}

pub(crate) const fn state_code(state: JobState) -> u8 {
    match state {
        JobState::Scheduled => 0,
        JobState::Retryable => 1,
        JobState::Available => 2,
        JobState::Running => 3,
        JobState::Completed => 4,
        JobState::Cancelled => 5,
        JobState::Discarded => 6,
    }
}

pub(crate) fn state_of(code: u8) -> Result<JobState, StoreError> {
    let same = |state: &JobState| state_code(*state) == code;
    let found = JobState::ALL.into_iter().find(same);
    found.ok_or_else(|| corrupt("job state", code))
}

pub(crate) const fn stop_code(stop: StopRequest) -> i64 {
    match stop {
        StopRequest::Cancel => 1,
        StopRequest::Discard => 2,
    }
}

/// Reads a row; without its args if it is `lean`. The answer is nothing where there is no job.
pub(crate) fn read(value: Value, lean: bool) -> Result<Option<Row>, StoreError> {
    if value == Value::Nil {
        return Ok(None);
    }
    let [id, record, body, history, checkpoint, result] = tuple(value)?;
    let id = text(id)?;
    let mut row = Record::of(&id, &bytes(record)?)?.row()?;
    let job = &mut row.job;
    let earlier = array(history)?.into_iter().map(text);
    job.history = earlier
        .chain(row.last.take().map(Ok))
        .map(|record| attempt(&record?))
        .collect::<Result<_, StoreError>>()?;
    job.checkpoint = optional_bytes(checkpoint)?;
    job.result = optional_bytes(result)?;
    let body = optional_bytes(body)?.ok_or_else(|| corrupt("body", format_args!("job {id}")))?;
    let length = row.envelope_length;
    if length > body.len() {
        return Err(corrupt("body", format_args!("that of job {id} is cut")));
    }
    envelope::read(job, body.get(..length).unwrap_or_default())?;
    if let Some(keep) = &row.keep {
        job.trace.keep = Some(envelope::read_keep(keep)?);
    }
    if !lean {
        job.args = body.slice(length..);
    }
    Ok(Some(Row {
        job: row.job,
        number: row.number,
        token: row.token,
    }))
}

/// A row whose body was not read yet.
struct Unread {
    job: Job,
    number: u64,
    token: Option<LeaseToken>,
    envelope_length: usize,
    keep: Option<String>,
    /// The record of the attempt that ended last.
    last: Option<String>,
}

/// What a record holds, in the order of `job.lua`.
struct Record<'i> {
    id: &'i str,
    values: std::vec::IntoIter<Packed>,
}

impl<'i> Record<'i> {
    fn of(id: &'i str, record: &[u8]) -> Result<Self, StoreError> {
        let problem = || corrupt("record", format_args!("that of job {id}"));
        let values = packed::read(record).ok_or_else(problem)?.into_iter();
        Ok(Self { id, values })
    }

    fn broken(&self) -> StoreError {
        corrupt(
            "record",
            format_args!("a part of job {} is missing", self.id),
        )
    }

    fn some_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.values.next() {
            Some(Packed::Nothing) => Ok(None),
            Some(Packed::Text(text)) => String::from_utf8(text)
                .map(Some)
                .map_err(|error| corrupt("text", error)),
            _ => Err(self.broken()),
        }
    }

    fn text(&mut self) -> Result<String, StoreError> {
        self.some_text()?.ok_or_else(|| self.broken())
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        what: &str,
    ) -> Result<T, StoreError> {
        parsed(what, &self.text()?)
    }

    fn some_number<N: TryFrom<i64>>(&mut self) -> Result<Option<N>, StoreError> {
        match self.values.next() {
            Some(Packed::Nothing) => Ok(None),
            Some(Packed::Number(number)) => N::try_from(number)
                .map(Some)
                .map_err(|_too_large| self.broken()),
            _ => Err(self.broken()),
        }
    }

    fn number<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        self.some_number()?.ok_or_else(|| self.broken())
    }

    fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(micros::time)
    }

    fn some_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.some_number()?.map(micros::time))
    }

    /// Reads the values in their order, on which the fields of these literals therefore depend.
    fn row(mut self) -> Result<Unread, StoreError> {
        let mut row = Unread {
            job: self.waiting()?,
            number: self.number()?,
            envelope_length: self.number()?,
            token: None,
            keep: None,
            last: None,
        };
        row.job.unique_key = self.unique_key()?;
        row.keep = self.some_text()?;
        row.job.finished_at = self.some_time()?;
        row.job.worker = self.some_text()?.map(|text| worker(&text)).transpose()?;
        row.job.claimed_at = self.some_time()?;
        row.job.lease_expires_at = self.some_time()?;
        let token: Option<u64> = self.some_number()?;
        row.token = token.map(|token| LeaseToken::from_bits(token << 1));
        row.job.stop_requested = match self.some_number::<u8>()? {
            None => None,
            Some(2) => Some(StopRequest::Discard),
            Some(_) => Some(StopRequest::Cancel),
        };
        row.job.progress = self.some_number()?;
        row.last = self.some_text()?;
        Ok(row)
    }

    /// The first part of the record: what every job has.
    fn waiting(&mut self) -> Result<Job, StoreError> {
        let id = parsed("id", self.id)?;
        let (queue, kind) = (self.parsed("queue")?, self.parsed("kind")?);
        let tenant = self.text()?;
        let priority: u8 = self.number()?;
        Ok(Job {
            id,
            queue,
            kind,
            args: Bytes::new(),
            priority: Priority::try_from(priority).map_err(|error| corrupt("priority", error))?,
            state: state_of(self.number()?)?,
            attempt: self.number()?,
            claim: self.number()?,
            max_attempts: self.number()?,
            enqueued_at: self.time()?,
            first_available_at: self.time()?,
            available_at: self.time()?,
            finished_at: None,
            timeout: None,
            unique_key: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            correlation_id: String::new(),
            parent_correlation_id: None,
            // A tenant of the empty name is told from none by the envelope.
            tenant_id: Some(tenant).filter(|tenant| !tenant.is_empty()),
            namespace: None,
            trace: TraceEnvelope::default(),
            stop_requested: None,
            worker: None,
            claimed_at: None,
            lease_expires_at: None,
            progress: None,
            checkpoint: None,
            result: None,
            history: Vec::new(),
        })
    }

    fn unique_key(&mut self) -> Result<Option<UniqueKey>, StoreError> {
        let (key, hash) = (self.some_text()?, self.some_text()?);
        // The envelope has the scope to the nanosecond.
        let _micros: Option<i64> = self.some_number()?;
        let Some(key) = key else {
            return Ok(None);
        };
        Ok(Some(UniqueKey {
            key,
            hash: parsed("hash", &hash.unwrap_or_default())?,
            scope: UniqueScope::default(),
        }))
    }
}

/// A worker's id, which may be any text, as JSON.
pub(crate) fn write_worker(worker: &WorkerId) -> String {
    serde_json::Value::from(worker.as_str()).to_string()
}

fn worker(text: &str) -> Result<WorkerId, StoreError> {
    let id: String = serde_json::from_str(text).map_err(|error| corrupt("worker", error))?;
    Ok(WorkerId::new(&id))
}

/// An ended attempt: numbers, then its span, on a line; who ran it; and why it failed, if it did.
fn attempt(record: &str) -> Result<AttemptRecord, StoreError> {
    let broken = || corrupt("record of an attempt", "a part of it is missing");
    let mut lines = record.splitn(3, '\n');
    let mut parts = lines.next().unwrap_or_default().split(',');
    let mut part = || parts.next().ok_or_else(broken);
    let attempt = parsed("attempt", part()?)?;
    let claim = parsed("claim", part()?)?;
    let due_at = micros::time(parsed("time", part()?)?);
    let claimed_at = micros::time(parsed("time", part()?)?);
    let ended_at = micros::time(parsed("time", part()?)?);
    let outcome = outcome(part()?)?;
    let span = match part()?.split_once('-') {
        None => None,
        Some((trace, span)) => Some(
            TraceId::from_hex(trace)
                .zip(SpanId::from_hex(span))
                .ok_or_else(broken)?,
        ),
    };
    let worker = worker(lines.next().ok_or_else(broken)?)?;
    let error: Option<AttemptError> = match lines.next() {
        None | Some("") => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|error| corrupt("error", error))?),
    };
    Ok(AttemptRecord {
        attempt,
        claim,
        worker,
        due_at,
        claimed_at,
        ended_at,
        outcome,
        error,
        trace_id: span.map(|(trace, _)| trace),
        span_id: span.map(|(_, span)| span),
    })
}

/// The span of an attempt in its record.
pub(crate) fn write_span(span: Option<(TraceId, SpanId)>) -> String {
    span.map(|(trace, span)| format!("{trace}-{span}"))
        .unwrap_or_default()
}

fn outcome(text: &str) -> Result<AttemptOutcome, StoreError> {
    use AttemptOutcome as O;
    [
        O::Completed,
        O::Retried,
        O::NotYet,
        O::Snoozed,
        O::Cancelled,
        O::Discarded,
        O::HandedBack,
        O::Lost,
    ]
    .into_iter()
    .find(|outcome| outcome.as_str() == text)
    .ok_or_else(|| corrupt("outcome of an attempt", text))
}

/// A state as a number.
pub(crate) fn state(value: Value) -> Result<JobState, StoreError> {
    state_of(number(value)?)
}
