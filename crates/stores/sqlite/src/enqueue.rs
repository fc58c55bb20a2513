//! Storing new jobs.

use longshore_core::{
    Enqueued, ErrorKind, JobId, JobState, NewJob, StoreError, Timestamp, UniqueKey,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::error::{corrupt, from_sqlite};
use crate::row::{envelope, seq_of, state_code, to_json};

/// Stores jobs within the transaction that is open on `conn`.
pub(crate) fn enqueue(
    conn: &Connection,
    jobs: &[NewJob],
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
    jobs.iter()
        .map(|job| match job.validate() {
            Err(invalid) => Ok(Err(invalid.into())),
            Ok(()) => enqueue_one(conn, job, now, counts),
        })
        .collect()
}

fn enqueue_one(
    conn: &Connection,
    new: &NewJob,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Result<Enqueued, StoreError>, StoreError> {
    if let Some(unique) = &new.unique_key {
        // An id that is there is a hit whatever became of its key since.
        if seq_of(conn, new.id.as_str())?.is_some() {
            return Ok(Ok(Enqueued::Hit { id: new.id.clone() }));
        }
        if let Some((id, hash)) = unique_holder(conn, new.queue.as_str(), &unique.key)? {
            return Ok(hit_or_conflict(new, unique, id, hash));
        }
    }
    let state = insert(conn, new, now).map_err(|error| match error {
        InsertError::Sqlite(error) => from_sqlite(error),
        InsertError::Store(error) => error,
    })?;
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

enum InsertError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for InsertError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Writes the row; `None` if the id is there already.
fn insert(
    conn: &Connection,
    new: &NewJob,
    now: Timestamp,
) -> Result<Option<JobState>, InsertError> {
    let available_at = new.scheduled_at.unwrap_or(now).max(now);
    let (state, first_available_at) = if available_at > now {
        (JobState::Scheduled, Some(available_at.unix_nanos()))
    } else {
        (JobState::Available, None)
    };
    let inline = new.args.len() <= MAX_INLINE;
    let outside = if inline { 0 } else { Part::Args.bit() };
    let unique = new.unique_key.as_ref();
    let keep = new.trace.keep.as_ref().map(to_json).transpose();
    let nanos =
        |timeout: std::time::Duration| i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    let changed = conn
        .prepare_cached(include_str!("sql/insert_job.sql"))?
        .execute(params![
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
            envelope(new).map_err(InsertError::Store)?,
            keep.map_err(InsertError::Store)?,
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
