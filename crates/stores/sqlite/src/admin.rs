//! What people and maintenance do to jobs and queues.

use longshore_core::{
    ErrorKind, JobId, JobState, PruneRequest, QueueName, StopRequest, StoreError, Timestamp,
};
use rusqlite::{Connection, params};

use crate::blob::{self, Part};
use crate::counts::Counts;
use crate::error::{corrupt, from_sqlite};
use crate::row::{Stored, load_by_id, state_code, state_of, stop_code};
use crate::unique;

/// The answer for each of several jobs.
type Answers = Vec<Result<JobState, StoreError>>;

/// Ends waiting jobs, and asks the holders of running ones to stop.
pub(crate) fn stop(
    conn: &Connection,
    ids: &[JobId],
    stop: StopRequest,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Answers, StoreError> {
    ids.iter()
        .map(|id| match load_by_id(conn, id.as_str())? {
            Some(stored) => stop_one(conn, stored, stop, now, counts).map(Ok),
            None => Ok(Err(StoreError::not_found(id))),
        })
        .collect()
}

fn stop_one(
    conn: &Connection,
    stored: Stored,
    stop: StopRequest,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<JobState, StoreError> {
    let Stored {
        seq,
        outside,
        mut job,
    } = stored;
    let before = job.state;
    let after = job.apply_stop(stop, now);
    if after == JobState::Running {
        conn.prepare_cached(include_str!("sql/stop_running.sql"))
            .and_then(|mut statement| statement.execute([seq, stop_code(Some(stop))]))
            .map_err(from_sqlite)?;
    } else if before != after {
        let outside = blob::delete(conn, seq, Part::Checkpoint, outside).map_err(from_sqlite)?;
        let values = [seq, state_code(after), now.unix_nanos(), outside];
        conn.prepare_cached(include_str!("sql/stop_waiting.sql"))
            .and_then(|mut statement| statement.execute(values))
            .map_err(from_sqlite)?;
        counts.moved(job.queue.as_str(), Some(before), Some(after));
    }
    Ok(after)
}

/// Makes waiting or final jobs available now.
pub(crate) fn retry_now(
    conn: &Connection,
    ids: &[JobId],
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Answers, StoreError> {
    ids.iter()
        .map(|id| match load_by_id(conn, id.as_str())? {
            Some(stored) => retry_one(conn, stored, now, counts),
            None => Ok(Err(StoreError::not_found(id))),
        })
        .collect()
}

fn retry_one(
    conn: &Connection,
    stored: Stored,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Result<JobState, StoreError>, StoreError> {
    let Stored {
        seq,
        outside,
        mut job,
    } = stored;
    let before = job.state;
    let had_key = job.holds_unique_key(now);
    let after = match job.apply_retry_now(now) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some(unique) = job.unique_key.as_ref().filter(|_| !had_key) {
        if !job.holds_unique_key(now) {
            unique::end_window(conn, seq)?;
        } else if let Some(holder) = unique::holder_id(conn, &job.queue, unique, now)? {
            return Ok(Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "job {} cannot run again: job {holder} now has its unique key `{}`; \
                     wait until that one lets go of it",
                    job.id, unique.key
                ),
            )));
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
    Ok(Ok(after))
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

/// Deletes jobs that are over for too long, or of which there are too many; gives back how many.
pub(crate) fn prune(
    conn: &Connection,
    request: &PruneRequest,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<usize, StoreError> {
    let states = request.final_states()?;
    unique::forget_reservations(conn, request.limit, now)?;
    let mut pruned = 0;
    for state in states {
        let left = request.limit.saturating_sub(pruned);
        let too_many = too_many(conn, state, request.keep_newest)?;
        let over = finished(conn, state, left).map_err(from_sqlite)?;
        for (place, (seq, queue, finished_at, outside)) in (0..).zip(over) {
            let is_old = request
                .before
                .is_some_and(|before| finished_at < Some(before.unix_nanos()));
            if place >= too_many && !is_old {
                break;
            }
            unique::reserve(conn, seq, now).map_err(from_sqlite)?;
            delete(conn, seq, outside).map_err(from_sqlite)?;
            counts.moved(&queue, Some(state), None);
            pruned += 1;
        }
    }
    Ok(pruned)
}

/// How many jobs there are in a state beyond those to keep, told from the counts.
fn too_many(conn: &Connection, state: JobState, keep: Option<u64>) -> Result<u64, StoreError> {
    let Some(keep) = keep else {
        return Ok(0);
    };
    let mut all = 0u64;
    for mut stats in crate::query::counted(conn, Timestamp::UNIX_EPOCH)? {
        all = all.saturating_add(*stats.count_mut(state));
    }
    Ok(all.saturating_sub(keep))
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

/// Seq, queue, `finished_at` and what lies outside.
type Over = (i64, String, Option<i64>, i64);

/// Jobs in a final state, the longest over first.
fn finished(conn: &Connection, state: JobState, limit: usize) -> rusqlite::Result<Vec<Over>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(include_str!("sql/finished.sql"))?
        .query_map([state_code(state), limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

/// A number from the file that counts something, so is never below zero.
pub(crate) fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_ignored| corrupt("count", number))
}
