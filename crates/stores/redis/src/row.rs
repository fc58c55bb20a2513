//! Jobs, as a function gives them back.

use std::collections::BTreeMap;

use bytes::Bytes;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Job, JobState, LeaseToken, Priority, SpanId,
    StopRequest, StoreError, Timestamp, TraceEnvelope, TraceId, UniqueKey, UniqueScope, WorkerId,
};
use redis::Value;

use crate::answer::{array, bytes, corrupt, number, optional_bytes, parsed, text, tuple};
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
    let [id, fields, body, history, checkpoint, result] = tuple(value)?;
    let id = text(id)?;
    let mut row = Fields::of(&id, fields)?.row()?;
    let job = &mut row.job;
    job.history = array(history)?
        .into_iter()
        .map(|record| attempt(&text(record)?))
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
}

/// The fields of a job's hash, by name.
struct Fields<'i> {
    id: &'i str,
    values: BTreeMap<String, Bytes>,
}

impl<'i> Fields<'i> {
    fn of(id: &'i str, value: Value) -> Result<Self, StoreError> {
        let mut values = BTreeMap::new();
        let mut fields = array(value)?.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            values.insert(text(name)?, bytes(value)?);
        }
        Ok(Self { id, values })
    }

    fn some_text(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.values.remove(name) else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes.into()).map_err(|error| corrupt("text", error))?;
        Ok(Some(text))
    }

    fn text(&mut self, name: &str) -> Result<String, StoreError> {
        let text = self.some_text(name)?;
        text.ok_or_else(|| corrupt("job", format_args!("job {} has no field `{name}`", self.id)))
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<T, StoreError> {
        parsed(name, &self.text(name)?)
    }

    fn some_parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.some_text(name)?;
        text.map(|text| parsed(name, &text)).transpose()
    }

    fn time(&mut self, name: &str) -> Result<Timestamp, StoreError> {
        self.parsed(name).map(micros::time)
    }

    fn some_time(&mut self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.some_parsed(name)?.map(micros::time))
    }

    fn row(mut self) -> Result<Unread, StoreError> {
        let stop_requested = match self.some_parsed::<u8>("v")? {
            None | Some(0) => None,
            Some(2) => Some(StopRequest::Discard),
            Some(_) => Some(StopRequest::Cancel),
        };
        let worker = self.some_text("w")?.map(|text| worker(&text)).transpose()?;
        let token: Option<u64> = self.some_parsed("x")?;
        let job = Job {
            id: parsed("id", self.id)?,
            queue: self.parsed("q")?,
            kind: self.parsed("k")?,
            args: Bytes::new(),
            priority: self.parsed::<Priority>("p")?,
            state: state_of(self.parsed("s")?)?,
            attempt: self.parsed("n")?,
            claim: self.parsed("c")?,
            max_attempts: self.parsed("m")?,
            enqueued_at: self.time("e")?,
            first_available_at: self.time("f")?,
            available_at: self.time("a")?,
            finished_at: self.some_time("z")?,
            timeout: None,
            unique_key: self.unique_key()?,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            correlation_id: String::new(),
            parent_correlation_id: None,
            tenant_id: self.some_text("t")?,
            namespace: None,
            trace: TraceEnvelope::default(),
            stop_requested,
            worker,
            claimed_at: self.some_time("y")?,
            lease_expires_at: self.some_time("l")?,
            progress: self.some_parsed("g")?,
            checkpoint: None,
            result: None,
            history: Vec::new(),
        };
        Ok(Unread {
            job,
            number: self.parsed("i")?,
            token: token.map(|token| LeaseToken::from_bits(token << 1)),
            envelope_length: self.parsed("el")?,
            keep: self.some_text("kp")?,
        })
    }

    fn unique_key(&mut self) -> Result<Option<UniqueKey>, StoreError> {
        let Some(key) = self.some_text("u")? else {
            return Ok(None);
        };
        Ok(Some(UniqueKey {
            key,
            hash: self.parsed("uh")?,
            // The envelope has it to the nanosecond.
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
