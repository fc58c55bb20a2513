//! What people and maintenance do to jobs and queues.

use longshore_core::{ErrorKind, JobId, JobState, QueueName, StoreError, Timestamp};
use rusqlite::{Connection, params};

use crate::blob::{self, Part};
use crate::counts::Counts;
use crate::error::{corrupt, from_sqlite};
use crate::row::{Stored, load_by_id, state_of};
use crate::unique;

/// Cancels a waiting job, or asks the holder of a running one to stop.
pub(crate) fn cancel(
    conn: &Connection,
    id: &JobId,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<JobState, StoreError> {
    let Stored {
        seq,
        outside,
        mut job,
    } = found(conn, id)?;
    let before = job.state;
    let after = job.apply_cancel(now);
    if after == JobState::Running {
        conn.prepare_cached(include_str!("sql/cancel_running.sql"))
            .and_then(|mut statement| statement.execute([seq]))
            .map_err(from_sqlite)?;
    } else if before != after {
        let outside = blob::delete(conn, seq, Part::Checkpoint, outside).map_err(from_sqlite)?;
        conn.prepare_cached(include_str!("sql/cancel_waiting.sql"))
            .and_then(|mut statement| statement.execute([seq, now.unix_nanos(), outside]))
            .map_err(from_sqlite)?;
        counts.moved(job.queue.as_str(), Some(before), Some(after));
    }
    Ok(after)
}

/// Makes a waiting or final job available now.
pub(crate) fn retry_now(
    conn: &Connection,
    id: &JobId,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<JobState, StoreError> {
    let Stored {
        seq,
        outside,
        mut job,
    } = found(conn, id)?;
    let before = job.state;
    let had_key = job.holds_unique_key(now);
    let after = job.apply_retry_now(now)?;
    if let Some(unique) = job.unique_key.as_ref().filter(|_| !had_key) {
        if !job.holds_unique_key(now) {
            unique::end_window(conn, seq)?;
        } else if let Some(holder) = unique::holder_id(conn, &job.queue, unique, now)? {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "job {id} cannot run again: job {holder} now has its unique key `{}`; \
                     wait until that one lets go of it",
                    unique.key
                ),
            ));
        }
    }
    let outside = blob::delete(conn, seq, Part::Result, outside).map_err(from_sqlite)?;
    conn.prepare_cached(include_str!("sql/retry_now.sql"))
        .and_then(|mut statement| {
            statement.execute(params![
                seq,
                job.available_at.unix_nanos(),
                job.max_attempts,
                outside
            ])
        })
        .map_err(from_sqlite)?;
    counts.moved(job.queue.as_str(), Some(before), Some(after));
    Ok(after)
}

fn found(conn: &Connection, id: &JobId) -> Result<Stored, StoreError> {
    load_by_id(conn, id.as_str())?.ok_or_else(|| StoreError::not_found(id))
}

/// Stops or allows claims from a queue.
pub(crate) fn set_paused(
    conn: &Connection,
    queue: &QueueName,
    paused: bool,
) -> Result<(), StoreError> {
    conn.prepare_cached(include_str!("sql/set_paused.sql"))
        .and_then(|mut statement| statement.execute(params![queue.as_str(), paused]))
        .map(drop)
        .map_err(from_sqlite)
}

/// Writes down that delayed jobs have become available; gives back how many.
pub(crate) fn promote(
    conn: &Connection,
    limit: usize,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<usize, StoreError> {
    let mut promoted = 0;
    for queue in crate::query::queue_names(conn)? {
        let left = limit - promoted;
        let due = delayed_due(conn, &queue, left, now).map_err(from_sqlite)?;
        for (seq, state) in due {
            conn.prepare_cached(include_str!("sql/set_available.sql"))
                .and_then(|mut statement| statement.execute([seq]))
                .map_err(from_sqlite)?;
            counts.moved(&queue, Some(state_of(state)?), Some(JobState::Available));
            promoted += 1;
        }
    }
    Ok(promoted)
}

fn delayed_due(
    conn: &Connection,
    queue: &str,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(include_str!("sql/delayed_due.sql"))?
        .query_map(params![queue, now.unix_nanos(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

/// Deletes jobs that were over before `before`; gives back how many.
pub(crate) fn prune(
    conn: &Connection,
    before: Timestamp,
    limit: usize,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<usize, StoreError> {
    unique::forget_reservations(conn, limit, now)?;
    let over = finished(conn, before, limit).map_err(from_sqlite)?;
    for (seq, queue, state, outside) in &over {
        unique::reserve(conn, *seq, now).map_err(from_sqlite)?;
        delete(conn, *seq, *outside).map_err(from_sqlite)?;
        counts.moved(queue, Some(state_of(*state)?), None);
    }
    Ok(over.len())
}

fn delete(conn: &Connection, seq: i64, outside: i64) -> rusqlite::Result<()> {
    for part in [Part::Args, Part::Checkpoint, Part::Result] {
        blob::delete(conn, seq, part, outside)?;
    }
    let deleted = conn
        .prepare_cached(include_str!("sql/delete_job.sql"))?
        .execute([seq])?;
    debug_assert_eq!(deleted, 1);
    Ok(())
}

type Over = (i64, String, i64, i64);

fn finished(conn: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<Vec<Over>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(include_str!("sql/finished.sql"))?
        .query_map([before.unix_nanos(), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

/// A number from the file that counts something, so is never below zero.
pub(crate) fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_ignored| corrupt("count", number))
}
