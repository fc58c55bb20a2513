//! Rows to jobs and back.

pub(crate) mod envelope;
pub(crate) mod history;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Job, JobState, Keep, Priority, StopRequest, StoreError, Timestamp, TraceEnvelope, UniqueKey,
    WorkerId,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use serde::Serialize;

use crate::blob::{self, Part};
use crate::error::{corrupt, from_sqlite};
use crate::unique;

/// The number a state is stored as; see the first migration.
pub(crate) const fn state_code(state: JobState) -> i64 {
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
pub(crate) fn state_of(code: i64) -> Result<JobState, StoreError> {
    JobState::ALL
        .into_iter()
        .find(|state| state_code(*state) == code)
        .ok_or_else(|| corrupt("job state", code))
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
    pub(crate) outside: i64,
    pub(crate) job: Job,
}

/// The seq of the job with this id.
pub(crate) fn seq_of(conn: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    conn.prepare_cached(include_str!("sql/seq_of_id.sql"))
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
        .map_err(from_sqlite)
}

/// The job with this id, large values and all.
pub(crate) fn load_by_id(conn: &Connection, id: &str) -> Result<Option<Stored>, StoreError> {
    match seq_of(conn, id)? {
        Some(seq) => load(conn, seq),
        None => Ok(None),
    }
}

/// The job at `seq`, large values and all.
pub(crate) fn load(conn: &Connection, seq: i64) -> Result<Option<Stored>, StoreError> {
    Loader::new(conn)?.load(seq)
}

/// Reads jobs, one after the other. Looking a statement up costs about as much as reading a
/// column, so who reads many jobs keeps this.
pub(crate) struct Loader<'c> {
    conn: &'c Connection,
    statement: CachedStatement<'c>,
    envelopes: envelope::Reader,
}

impl<'c> Loader<'c> {
    pub(crate) fn new(conn: &'c Connection) -> Result<Self, StoreError> {
        let statement = conn
            .prepare_cached(include_str!("sql/load_job.sql"))
            .map_err(from_sqlite)?;
        Ok(Self {
            conn,
            statement,
            envelopes: envelope::Reader::default(),
        })
    }

    /// The job at `seq`, large values and all.
    pub(crate) fn load(&mut self, seq: i64) -> Result<Option<Stored>, StoreError> {
        let Some(mut stored) = self.load_lean(seq)? else {
            return Ok(None);
        };
        if stored.outside != 0 {
            let part = |part: Part| {
                let body = blob::get(self.conn, seq, part, stored.outside).map_err(from_sqlite)?;
                if body.is_none() && stored.outside & part.bit() != 0 {
                    return Err(corrupt("value", format_args!("{part:?} is missing")));
                }
                Ok(body)
            };
            if let Some(args) = part(Part::Args)? {
                stored.job.args = args;
            }
            stored.job.checkpoint = part(Part::Checkpoint)?;
            if let Some(result) = part(Part::Result)? {
                stored.job.result = Some(result);
            }
        }
        Ok(Some(stored))
    }

    /// The job at `seq` without its large values.
    pub(crate) fn load_lean(&mut self, seq: i64) -> Result<Option<Stored>, StoreError> {
        let mut rows = self.statement.query([seq]).map_err(from_sqlite)?;
        match rows.next().map_err(from_sqlite)? {
            Some(row) => stored_of(seq, row, &mut self.envelopes).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads columns by position, in order.
struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r> Columns<'r, '_> {
    fn raw(&mut self) -> Result<rusqlite::types::ValueRef<'r>, StoreError> {
        let value = self.row.get_ref(self.next).map_err(from_sqlite)?;
        self.next += 1;
        Ok(value)
    }

    fn text(&mut self) -> Result<&'r str, StoreError> {
        self.raw()?.as_str().map_err(|error| corrupt("text", error))
    }

    fn opt_text(&mut self) -> Result<Option<&'r str>, StoreError> {
        self.raw()?
            .as_str_or_null()
            .map_err(|error| corrupt("text", error))
    }

    fn int(&mut self) -> Result<i64, StoreError> {
        self.raw()?
            .as_i64()
            .map_err(|error| corrupt("number", error))
    }

    fn small<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        let number = self.int()?;
        N::try_from(number).map_err(|_ignored| corrupt("number", number))
    }

    fn opt_small<N: TryFrom<i64>>(&mut self) -> Result<Option<N>, StoreError> {
        let number = self.opt_int()?;
        let small = |number| N::try_from(number).map_err(|_ignored| corrupt("number", number));
        number.map(small).transpose()
    }

    fn opt_int(&mut self) -> Result<Option<i64>, StoreError> {
        self.raw()?
            .as_i64_or_null()
            .map_err(|error| corrupt("number", error))
    }

    fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp::from_unix_nanos)
    }

    fn opt_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int()?.map(Timestamp::from_unix_nanos))
    }

    fn opt_bytes(&mut self) -> Result<Option<Bytes>, StoreError> {
        let blob = self.raw()?.as_blob_or_null();
        let blob = blob.map_err(|error| corrupt("bytes", error))?;
        Ok(blob.map(Bytes::copy_from_slice))
    }

    fn name<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, StoreError> {
        self.text()?.parse().map_err(|error| corrupt("name", error))
    }
}

fn stored_of(
    seq: i64,
    row: &Row<'_>,
    envelopes: &mut envelope::Reader,
) -> Result<Stored, StoreError> {
    let mut columns = Columns { row, next: 0 };
    let from = &mut columns;
    let mut job = Job {
        id: from.name()?,
        queue: from.name()?,
        kind: from.name()?,
        priority: priority_of(from.small()?)?,
        state: state_of(from.int()?)?,
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
    job.worker = from.opt_text()?.map(WorkerId::new);
    job.progress = from.opt_small()?;
    job.stop_requested = stop_of(from.int()?);
    job.timeout = from.opt_small()?.map(Duration::from_nanos);
    let key = from.opt_text()?.map(str::to_owned);
    let hash = from.opt_int()?.map(i64::cast_unsigned);
    let scope = unique::scope_of(from.opt_int()?);
    job.unique_key = key
        .zip(hash)
        .map(|(key, hash)| UniqueKey { key, hash, scope });
    let outside = from.int()?;
    envelopes.read(&mut job, from.opt_text()?)?;
    if let Some(keep) = from.opt_text()? {
        let keep: Keep = serde_json::from_str(keep).map_err(|error| corrupt("keep", error))?;
        job.trace.keep = Some(keep);
    }
    job.result = from.opt_bytes()?;
    job.args = match from.opt_bytes()? {
        Some(args) => args,
        None if outside & Part::Args.bit() != 0 => Bytes::new(),
        None => return Err(corrupt("args", "they are missing")),
    };
    if let Some(history) = from.opt_text()? {
        job.history = history::read(&job, history)?;
    }
    Ok(Stored { seq, outside, job })
}

/// What `cancel_requested` says: 0 nothing, 2 to discard, else to cancel.
pub(crate) const fn stop_of(number: i64) -> Option<StopRequest> {
    match number {
        0 => None,
        2 => Some(StopRequest::Discard),
        _ => Some(StopRequest::Cancel),
    }
}

/// What `cancel_requested` says, as a number.
pub(crate) const fn stop_code(stop: Option<StopRequest>) -> i64 {
    match stop {
        None => 0,
        Some(StopRequest::Cancel) => 1,
        Some(StopRequest::Discard) => 2,
    }
}

fn priority_of(number: u8) -> Result<Priority, StoreError> {
    Priority::try_from(number).map_err(|error| corrupt("priority", error))
}
