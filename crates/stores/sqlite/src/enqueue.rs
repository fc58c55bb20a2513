//! Storing new jobs.

use std::sync::Arc;

use longshore_core::{Enqueued, JobId, JobState, NewJob, StoreError, Timestamp};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::error::{copy, corrupt, from_sqlite};
use crate::row::envelope::{self, Envelopes};
use crate::row::{state_code, to_json};
use crate::unique;

/// New jobs, checked and with their texts written. That needs no file, so callers do it before
/// the thread that writes gets to see the jobs.
#[derive(Debug)]
pub(crate) struct Checked {
    jobs: Vec<Result<Written, StoreError>>,
}

#[derive(Debug)]
struct Written {
    new: NewJob,
    envelope: Option<Arc<str>>,
    keep: Option<String>,
}

impl Checked {
    pub(crate) fn new(jobs: Vec<NewJob>) -> Self {
        let mut envelopes = Envelopes::default();
        let texts: Vec<_> = jobs.iter().map(|new| texts(new, &mut envelopes)).collect();
        let written = jobs.into_iter().zip(texts).map(|(new, texts)| {
            let (envelope, keep) = texts?;
            Ok(Written {
                new,
                envelope,
                keep,
            })
        });
        Self {
            jobs: written.collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

type Texts = (Option<Arc<str>>, Option<String>);

fn texts<'a>(new: &'a NewJob, envelopes: &mut Envelopes<'a>) -> Result<Texts, StoreError> {
    new.validate()?;
    let keep = new.trace.keep.as_ref().map(to_json).transpose()?;
    Ok((envelopes.of(new)?, keep))
}

/// Stores jobs within the transaction that is open on `conn`.
pub(crate) fn enqueue(
    conn: &Connection,
    jobs: &Checked,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut insert = conn
        .prepare_cached(include_str!("sql/insert_job.sql"))
        .map_err(from_sqlite)?;
    jobs.jobs
        .iter()
        .map(|job| match job {
            // The call may be repeated.
            Err(refused) => Ok(Err(copy(refused))),
            Ok(job) => enqueue_one((conn, &mut insert), job, now, counts),
        })
        .collect()
}

fn enqueue_one(
    (conn, insert): (&Connection, &mut Statement<'_>),
    written: &Written,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Result<Enqueued, StoreError>, StoreError> {
    let new = &written.new;
    // The key of a pruned job stands in no row, so the row could be written all the same.
    let is_reserved = match &new.unique_key {
        Some(unique) => unique::reservation(conn, &new.queue, unique, now)?.is_some(),
        None => false,
    };
    if !is_reserved && let Some(state) = write((conn, insert), written, now)? {
        return Ok(Ok(created(new, state, now, counts)));
    }
    if let Some(hit) = hit_on_id(conn, &new.id)? {
        return Ok(Ok(hit));
    }
    if let Some(answer) = unique::meet(conn, new, now, counts)? {
        return Ok(answer);
    }
    // Whoever had the key has lost it with the end of its window.
    let state = write((conn, insert), written, now)?;
    let state = state.ok_or_else(|| corrupt("unique key", "it is taken by no job"))?;
    Ok(Ok(created(new, state, now, counts)))
}

fn created(new: &NewJob, state: JobState, now: Timestamp, counts: &mut Counts) -> Enqueued {
    counts.moved(new.queue.as_str(), None, Some(state));
    Enqueued::Created {
        id: new.id.clone(),
        at: now,
    }
}

/// An id that is there is a hit whatever became of its key since.
fn hit_on_id(conn: &Connection, id: &JobId) -> Result<Option<Enqueued>, StoreError> {
    let found: Option<Option<String>> = conn
        .prepare_cached(include_str!("sql/envelope_of_id.sql"))
        .and_then(|mut statement| {
            statement
                .query_row([id.as_str()], |row| row.get(0))
                .optional()
        })
        .map_err(from_sqlite)?;
    let Some(envelope) = found else {
        return Ok(None);
    };
    Ok(Some(Enqueued::Hit {
        id: id.clone(),
        span: envelope::span_of(envelope.as_deref())?,
    }))
}

/// Writes the row; `None` if the id is there already, or a row has the unique key.
fn write(
    (conn, insert): (&Connection, &mut Statement<'_>),
    written: &Written,
    now: Timestamp,
) -> Result<Option<JobState>, StoreError> {
    let new = &written.new;
    let available_at = new.scheduled_at.unwrap_or(now).max(now);
    let (state, first_available_at) = if available_at > now {
        (JobState::Scheduled, Some(available_at.unix_nanos()))
    } else {
        (JobState::Available, None)
    };
    let inline = new.args.len() <= MAX_INLINE;
    let outside = if inline { 0 } else { Part::Args.bit() };
    let unique = new.unique_key.as_ref();
    let nanos =
        |timeout: std::time::Duration| i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    let changed = insert.execute(params![
        new.id.as_str(),
        new.queue.as_str(),
        new.kind.as_str(),
        new.priority.get(),
        state_code(state),
        new.max_attempts,
        now.unix_nanos(),
        available_at.unix_nanos(),
        first_available_at,
        new.timeout.map(nanos),
        unique.map(|unique| unique.key.as_str()),
        unique.map(|unique| unique.hash.cast_signed()),
        outside,
        written.envelope.as_deref(),
        written.keep.as_deref(),
        inline.then_some(&*new.args),
        unique.and_then(|unique| unique::scope_code(unique.scope)),
        new.tenant_id.as_deref(),
    ]);
    if changed.map_err(from_sqlite)? == 0 {
        return Ok(None);
    }
    if !inline {
        let seq = conn.last_insert_rowid();
        blob::put(conn, seq, Part::Args, &new.args, 0).map_err(from_sqlite)?;
    }
    Ok(Some(state))
}
