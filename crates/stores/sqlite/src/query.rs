//! Looking at jobs and queues.

use longshore_core::{Job, JobId, JobState, QueueName, QueueStats, StoreError, Timestamp};
use rusqlite::{Connection, params};

use crate::claim::{is_paused, next_due};
use crate::error::{corrupt, from_sqlite};
use crate::row::{self, state_code, state_of};

/// The job with this id.
pub(crate) fn get(
    conn: &Connection,
    id: &JobId,
    now: Timestamp,
) -> Result<Option<Job>, StoreError> {
    let stored = row::load_by_id(conn, id.as_str())?;
    Ok(stored.map(|stored| stored.job.shown_at(now)))
}

/// The names of all queues.
pub(crate) fn queue_names(conn: &Connection) -> Result<Vec<String>, StoreError> {
    conn.prepare_cached(include_str!("sql/queues.sql"))
        .and_then(|mut statement| {
            statement
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()
        })
        .map_err(from_sqlite)
}

/// How every queue stands, told from its counts: no job is read.
pub(crate) fn queue_stats(
    conn: &Connection,
    now: Timestamp,
) -> Result<Vec<QueueStats>, StoreError> {
    let mut all = Vec::new();
    for mut stats in counted(conn, now)? {
        show_due(conn, &mut stats, now)?;
        // What was pruned or resumed to nothing is no queue any more.
        if stats != QueueStats::empty(stats.queue.clone(), now) {
            all.push(stats);
        }
    }
    Ok(all)
}

/// How many jobs every queue has in each state as it is written: a delayed job whose time has come
/// still counts as delayed.
pub(crate) fn counted(conn: &Connection, now: Timestamp) -> Result<Vec<QueueStats>, StoreError> {
    let mut statement = conn
        .prepare_cached(include_str!("sql/queues.sql"))
        .map_err(from_sqlite)?;
    let mut rows = statement.query([]).map_err(from_sqlite)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let name: String = row.get(0).map_err(from_sqlite)?;
        let queue = name.parse().map_err(|error| corrupt("queue name", error))?;
        let mut stats = QueueStats::empty(queue, now);
        stats.paused = row.get(1).map_err(from_sqlite)?;
        for state in JobState::ALL {
            let column = usize::try_from(state_code(state) + 2).unwrap_or(usize::MAX);
            let jobs = row.get(column).map_err(from_sqlite)?;
            *stats.count_mut(state) = crate::admin::count(jobs)?;
        }
        all.push(stats);
    }
    Ok(all)
}

/// Counts delayed jobs whose time has come as available, and finds the one due longest.
fn show_due(conn: &Connection, stats: &mut QueueStats, now: Timestamp) -> Result<(), StoreError> {
    let queue = stats.queue.clone();
    let due: Vec<(i64, i64)> = conn
        .prepare_cached(include_str!("sql/count_delayed_due.sql"))
        .and_then(|mut statement| {
            statement
                .query_map(params![queue.as_str(), now.unix_nanos()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        })
        .map_err(from_sqlite)?;
    for (state, jobs) in due {
        let jobs = crate::admin::count(jobs)?;
        let delayed = stats.count_mut(state_of(state)?);
        *delayed = delayed.saturating_sub(jobs);
        stats.available = stats.available.saturating_add(jobs);
    }
    stats.oldest_available_at = next_due(conn, &queue)?.filter(|at| *at <= now);
    Ok(())
}

/// When the first job that may be claimed from these queues is due.
pub(crate) fn next_claimable(
    conn: &Connection,
    queues: &[QueueName],
) -> Result<Option<Timestamp>, StoreError> {
    let mut first = None;
    for queue in queues {
        if !is_paused(conn, queue)? {
            first = first.into_iter().chain(next_due(conn, queue)?).min();
        }
    }
    Ok(first)
}
