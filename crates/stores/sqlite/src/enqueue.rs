//! Storing new jobs.

use std::sync::Arc;

use longshore_core::{
    Enqueued, ErrorKind, JobId, JobState, NewJob, StoreError, Timestamp, UniqueKey,
};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::error::{copy, corrupt, from_sqlite};
use crate::row::envelope::Envelopes;
use crate::row::{seq_of, state_code, to_json};

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
    if let Some(unique) = &new.unique_key {
        // An id that is there is a hit whatever became of its key since.
        if seq_of(conn, new.id.as_str())?.is_some() {
            return Ok(Ok(Enqueued::Hit { id: new.id.clone() }));
        }
        if let Some((id, hash)) = unique_holder(conn, new.queue.as_str(), &unique.key)? {
            return Ok(hit_or_conflict(new, unique, id, hash));
        }
    }
    let state = write((conn, insert), written, now).map_err(from_sqlite)?;
    Ok(Ok(match state {
        None => Enqueued::Hit { id: new.id.clone() },
        Some(state) => {
            counts.moved(new.queue.as_str(), None, Some(state));
            Enqueued::Created {
                id: new.id.clone(),
                at: now,
            }
        }
    }))
}

fn hit_or_conflict(
    new: &NewJob,
    unique: &UniqueKey,
    id: JobId,
    hash: u64,
) -> Result<Enqueued, StoreError> {
    if hash == unique.hash {
        return Ok(Enqueued::Hit { id });
    }
    Err(StoreError::new(
        ErrorKind::Conflict,
        format!(
            "the unique key `{}` in queue {} is held by job {id} with another kind or other args: \
             use another key, or wait until that job is over",
            unique.key, new.queue
        ),
    ))
}

/// Who holds a unique key, and the hash it is bound to.
pub(crate) fn unique_holder(
    conn: &Connection,
    queue: &str,
    key: &str,
) -> Result<Option<(JobId, u64)>, StoreError> {
    let holder: Option<(String, i64)> = conn
        .prepare_cached(include_str!("sql/unique_holder.sql"))
        .and_then(|mut statement| {
            statement
                .query_row([queue, key], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(from_sqlite)?;
    let Some((id, hash)) = holder else {
        return Ok(None);
    };
    let id = id.parse().map_err(|error| corrupt("job id", error))?;
    Ok(Some((id, hash.cast_unsigned())))
}

/// Writes the row; `None` if the id is there already.
fn write(
    (conn, insert): (&Connection, &mut Statement<'_>),
    written: &Written,
    now: Timestamp,
) -> rusqlite::Result<Option<JobState>> {
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
    ])?;
    if changed == 0 {
        return Ok(None);
    }
    if !inline {
        blob::put(conn, conn.last_insert_rowid(), Part::Args, &new.args, 0)?;
    }
    Ok(Some(state))
}
