//! Unique keys: who has one, and what becomes of a job that comes with it meanwhile.

use longshore_core::unique::Met;
use longshore_core::{
    Enqueued, JobId, JobState, NewJob, QueueName, StoreError, Timestamp, UniqueKey, UniqueScope,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::blob::{self, MAX_INLINE, Part};
use crate::counts::Counts;
use crate::error::{corrupt, from_sqlite};
use crate::row::{Loader, Stored, envelope, state_code, state_of};

/// The number a scope is stored as; see the migration that added the column.
pub(crate) fn scope_code(scope: UniqueScope) -> Option<i64> {
    match scope {
        UniqueScope::Unfinished => None,
        UniqueScope::Waiting => Some(0),
        UniqueScope::Window(window) => {
            Some(i64::try_from(window.as_nanos()).unwrap_or(i64::MAX).max(1))
        }
    }
}

/// The scope a number stands for.
pub(crate) fn scope_of(code: Option<i64>) -> UniqueScope {
    match code {
        None => UniqueScope::Unfinished,
        Some(0) => UniqueScope::Waiting,
        Some(code) => UniqueScope::Window(std::time::Duration::from_nanos(code.unsigned_abs())),
    }
}

/// The job that has a key.
enum Holder {
    Stored(Box<Holding>),
    /// It was pruned before its window was over.
    Pruned {
        id: JobId,
        hash: u64,
    },
}

struct Holding {
    seq: i64,
    id: JobId,
    hash: u64,
    kind: String,
    state: JobState,
    envelope: Option<String>,
}

/// Decides on a job whose id is not there and whose key may be taken. `None` if the key is free.
pub(crate) fn meet(
    conn: &Connection,
    new: &NewJob,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Option<Result<Enqueued, StoreError>>, StoreError> {
    let Some(unique) = &new.unique_key else {
        return Ok(None);
    };
    let met = |hash, replaceable| new.on_conflict.meets(hash == unique.hash, replaceable);
    let holder = match holder(conn, &new.queue, unique, now)? {
        None => return Ok(None),
        Some(Holder::Pruned { id, hash }) => {
            return Ok(Some(match met(hash, false) {
                Met::Refused => Err(unique.taken(&new.queue, &id)),
                Met::Hit | Met::Replace => Ok(Enqueued::Hit { id, span: None }),
            }));
        }
        Some(Holder::Stored(holder)) => *holder,
    };
    let replaceable = holder.state.is_waiting() && holder.kind == new.kind.as_str();
    let met = met(holder.hash, replaceable);
    if met == Met::Refused {
        return Ok(Some(Err(unique.taken(&new.queue, &holder.id))));
    }
    let span = envelope::span_of(holder.envelope.as_deref())?;
    let id = holder.id;
    if met == Met::Hit {
        return Ok(Some(Ok(Enqueued::Hit { id, span })));
    }
    replace(conn, holder.seq, new, now, counts)?;
    Ok(Some(Ok(Enqueued::Replaced { id, span })))
}

/// Who has a key that a job is about to take.
pub(crate) fn holder_id(
    conn: &Connection,
    queue: &QueueName,
    unique: &UniqueKey,
    now: Timestamp,
) -> Result<Option<JobId>, StoreError> {
    Ok(
        holder(conn, queue, unique, now)?.map(|holder| match holder {
            Holder::Stored(holder) => holder.id,
            Holder::Pruned { id, .. } => id,
        }),
    )
}

/// The job that a key belongs to by the rows; one whose window is over loses it here.
fn holder(
    conn: &Connection,
    queue: &QueueName,
    unique: &UniqueKey,
    now: Timestamp,
) -> Result<Option<Holder>, StoreError> {
    if let Some((id, hash)) = reservation(conn, queue, unique, now)? {
        return Ok(Some(Holder::Pruned { id, hash }));
    }
    let read = |row: &Row<'_>| -> rusqlite::Result<_> {
        let (seq, id, hash): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (kind, state, code): (String, i64, _) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let enqueued_at = Timestamp::from_unix_nanos(row.get(6)?);
        let ends_at = scope_of(code).ends_at(enqueued_at);
        Ok(((seq, id, hash, kind, state), ends_at, row.get(7)?))
    };
    let found = conn
        .prepare_cached(include_str!("sql/unique_holder.sql"))
        .and_then(|mut statement| {
            let key = params![queue.as_str(), unique.key];
            statement.query_row(key, read).optional()
        })
        .map_err(from_sqlite)?;
    let Some(((seq, id, hash, kind, state), ends_at, envelope)) = found else {
        return Ok(None);
    };
    if ends_at.is_some_and(|end| end <= now) {
        end_window(conn, seq)?;
        return Ok(None);
    }
    Ok(Some(Holder::Stored(Box::new(Holding {
        seq,
        id: job_id(&id)?,
        hash: hash.cast_unsigned(),
        kind,
        state: state_of(state)?,
        envelope,
    }))))
}

fn job_id(text: &str) -> Result<JobId, StoreError> {
    text.parse().map_err(|error| corrupt("job id", error))
}

/// The pruned job whose window a key is still in, and its hash.
pub(crate) fn reservation(
    conn: &Connection,
    queue: &QueueName,
    unique: &UniqueKey,
    now: Timestamp,
) -> Result<Option<(JobId, u64)>, StoreError> {
    let found: Option<(String, i64)> = conn
        .prepare_cached(include_str!("sql/reservation.sql"))
        .and_then(|mut statement| {
            let key = params![queue.as_str(), unique.key, now.unix_nanos()];
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            statement.query_row(key, read).optional()
        })
        .map_err(from_sqlite)?;
    let held = |(id, hash): (String, i64)| Ok((job_id(&id)?, hash.cast_unsigned()));
    found.map(held).transpose()
}

/// Writes down that the window of a job is over.
pub(crate) fn end_window(conn: &Connection, seq: i64) -> Result<(), StoreError> {
    conn.prepare_cached(include_str!("sql/end_window.sql"))
        .and_then(|mut statement| statement.execute([seq]))
        .map(drop)
        .map_err(from_sqlite)
}

/// Keeps the key of a job that is about to be deleted, for as long as its window lasts.
pub(crate) fn reserve(conn: &Connection, seq: i64, now: Timestamp) -> rusqlite::Result<()> {
    conn.prepare_cached(include_str!("sql/reserve.sql"))?
        .execute([seq, now.unix_nanos()])
        .map(drop)
}

/// Forgets at most `limit` keys of pruned jobs whose windows are over.
pub(crate) fn forget_reservations(
    conn: &Connection,
    limit: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(include_str!("sql/forget_reservations.sql"))
        .and_then(|mut statement| statement.execute([now.unix_nanos(), limit]))
        .map(drop)
        .map_err(from_sqlite)
}

/// Gives a job that waits the args of another.
fn replace(
    conn: &Connection,
    seq: i64,
    new: &NewJob,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let stored = Loader::new(conn)?.load_lean(seq)?;
    let Stored {
        mut outside,
        mut job,
        ..
    } = stored.ok_or_else(|| corrupt("unique key", "its job is missing"))?;
    let before = job.state;
    job.apply_replacement(new, now);
    let moves = new.scheduled_at.is_some() && job.claim == 0;
    let first_available_at = moves.then(|| job.first_available_at.unix_nanos());
    let hash = new.unique_key.as_ref().map(|unique| unique.hash);
    let inline = new.args.len() <= MAX_INLINE;
    let mut write = || -> rusqlite::Result<()> {
        outside = blob::delete(conn, seq, Part::Checkpoint, outside)?;
        outside = if inline {
            blob::delete(conn, seq, Part::Args, outside)?
        } else {
            blob::put(conn, seq, Part::Args, &new.args, outside)?
        };
        conn.prepare_cached(include_str!("sql/replace_args.sql"))?
            .execute(params![
                seq,
                hash.map(u64::cast_signed),
                state_code(job.state),
                job.priority.get(),
                job.available_at.unix_nanos(),
                first_available_at,
                outside,
                inline.then_some(&*new.args),
            ])
            .map(drop)
    };
    write().map_err(from_sqlite)?;
    if before != job.state {
        counts.moved(new.queue.as_str(), Some(before), Some(job.state));
    }
    Ok(())
}
