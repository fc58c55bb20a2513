//! Rows to jobs and back.

pub(crate) mod envelope;
pub(crate) mod history;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Job, JobState, Keep, Priority, StopRequest, StoreError, Timestamp, TraceEnvelope, UniqueKey,
    UniqueScope, WorkerId,
};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};

use crate::error::{corrupt, from_postgres};

/// The columns of a job in the order in which they are read.
pub(crate) const COLUMNS: [&str; 28] = [
    "seq",
    "id",
    "queue",
    "kind",
    "priority",
    "state",
    "attempt",
    "claim",
    "max_attempts",
    "enqueued_at",
    "available_at",
    "first_available_at",
    "finished_at",
    "lease_expires_at",
    "claimed_at",
    "worker",
    "progress",
    "stop",
    "timeout",
    "unique_key",
    "unique_hash",
    "unique_for",
    "envelope",
    "keep",
    "history",
    "checkpoint",
    "result",
    "args",
];

/// The number a state is stored as; see the first migration.
pub(crate) const fn state_code(state: JobState) -> i16 {
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

/// The state a number stands for.
pub(crate) fn state_of(code: i16) -> Result<JobState, StoreError> {
    JobState::ALL
        .into_iter()
        .find(|state| state_code(*state) == code)
        .ok_or_else(|| corrupt("job state", code))
}

/// What `stop` says, as a number.
pub(crate) const fn stop_code(stop: Option<StopRequest>) -> i16 {
    match stop {
        None => 0,
        Some(StopRequest::Cancel) => 1,
        Some(StopRequest::Discard) => 2,
    }
}

/// What `stop` says.
pub(crate) const fn stop_of(number: i16) -> Option<StopRequest> {
    match number {
        0 => None,
        2 => Some(StopRequest::Discard),
        _ => Some(StopRequest::Cancel),
    }
}

/// The number a scope is stored as; see the first migration.
pub(crate) fn scope_code(scope: UniqueScope) -> Option<i64> {
    match scope {
        UniqueScope::Unfinished => None,
        UniqueScope::Waiting => Some(0),
        UniqueScope::Window(window) => Some(nanos(window).max(1)),
    }
}

fn scope_of(code: Option<i64>) -> UniqueScope {
    match code {
        None => UniqueScope::Unfinished,
        Some(0) => UniqueScope::Waiting,
        Some(code) => UniqueScope::Window(Duration::from_nanos(code.unsigned_abs())),
    }
}

/// Longest time that is added to another one: 100 years, so that no sum is too large.
const LONGEST: i64 = 100 * 366 * 24 * 3600 * 1_000_000_000;

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

/// A value as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        StoreError::new(
            longshore_core::ErrorKind::Internal,
            format!("a job could not be written as JSON: {error}"),
        )
    })
}

/// A job and where it lies.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) job: Job,
}

/// Reads columns by position, in order.
#[derive(Debug)]
pub(crate) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    /// The columns from `first` on.
    pub(crate) const fn from(row: &'r PgRow, first: usize) -> Self {
        Self { row, next: first }
    }

    /// The next column as it is.
    pub(crate) fn value<T>(&mut self) -> Result<T, StoreError>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = self.row.try_get(self.next).map_err(from_postgres)?;
        self.next += 1;
        Ok(value)
    }

    /// The next column as text that is parsed.
    pub(crate) fn name<T: FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, StoreError> {
        let text: &str = self.value()?;
        text.parse().map_err(|error| corrupt("name", error))
    }

    fn small<T: TryFrom<i32>>(&mut self) -> Result<T, StoreError> {
        let number: i32 = self.value()?;
        T::try_from(number).map_err(|_ignored| corrupt("number", number))
    }

    /// The next column as a time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.value().map(Timestamp::from_unix_nanos)
    }

    /// The next column as a time, if there is one.
    pub(crate) fn opt_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.value::<Option<i64>>()?.map(Timestamp::from_unix_nanos))
    }

    fn opt_bytes(&mut self) -> Result<Option<Bytes>, StoreError> {
        let bytes: Option<&[u8]> = self.value()?;
        Ok(bytes.map(Bytes::copy_from_slice))
    }
}

/// The job of a row whose columns from `first` on are [`COLUMNS`].
pub(crate) fn stored_of(row: &PgRow, first: usize) -> Result<Stored, StoreError> {
    let from = &mut Columns::from(row, first);
    let seq = from.value()?;
    let mut job = Job {
        id: from.name()?,
        queue: from.name()?,
        kind: from.name()?,
        priority: priority_of(from.value()?)?,
        state: state_of(from.value()?)?,
        attempt: from.small()?,
        claim: from.small()?,
        max_attempts: from.small()?,
        enqueued_at: from.time()?,
        available_at: from.time()?,
        first_available_at: Timestamp::UNIX_EPOCH,
        finished_at: None,
        lease_expires_at: None,
        claimed_at: None,
        worker: None,
        progress: None,
        stop_requested: None,
        timeout: None,
        unique_key: None,
        args: Bytes::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        correlation_id: String::new(),
        parent_correlation_id: None,
        tenant_id: None,
        namespace: None,
        trace: TraceEnvelope {
            batch_size: 1,
            ..TraceEnvelope::default()
        },
        checkpoint: None,
        result: None,
        history: Vec::new(),
    };
    job.first_available_at = from.opt_time()?.unwrap_or(job.enqueued_at);
    job.finished_at = from.opt_time()?;
    job.lease_expires_at = from.opt_time()?;
    job.claimed_at = from.opt_time()?;
    job.worker = from.value::<Option<&str>>()?.map(WorkerId::new);
    let progress: Option<i16> = from.value()?;
    job.progress = progress.map(|percent| u8::try_from(percent).unwrap_or(u8::MAX));
    job.stop_requested = stop_of(from.value()?);
    let timeout: Option<i64> = from.value()?;
    job.timeout = timeout.map(|timeout| Duration::from_nanos(timeout.unsigned_abs()));
    let (key, hash): (Option<String>, Option<i64>) = (from.value()?, from.value()?);
    let scope = scope_of(from.value()?);
    let unique = |(key, hash): (String, i64)| UniqueKey {
        key,
        hash: hash.cast_unsigned(),
        scope,
    };
    job.unique_key = key.zip(hash).map(unique);
    envelope::read(&mut job, from.value()?)?;
    if let Some(keep) = from.value::<Option<&str>>()? {
        let keep: Keep = serde_json::from_str(keep).map_err(|error| corrupt("keep", error))?;
        job.trace.keep = Some(keep);
    }
    if let Some(text) = from.value()? {
        job.history = history::read(text)?;
    }
    job.checkpoint = from.opt_bytes()?;
    job.result = from.opt_bytes()?;
    job.args = from.opt_bytes()?.unwrap_or_default();
    Ok(Stored { seq, job })
}

fn priority_of(number: i16) -> Result<Priority, StoreError> {
    let small = u8::try_from(number).map_err(|error| corrupt("priority", error))?;
    Priority::try_from(small).map_err(|error| corrupt("priority", error))
}

/// What stands before the first zero byte. A name without one comes after the whole text exactly
/// if it comes after that.
pub(crate) fn before_zero(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}
