//! Looking at jobs and queues.

use longshore_core::{
    ErrorKind, Job, JobFilter, JobId, JobPage, JobState, Priority, QueueName, QueueStats,
    StoreError, Timestamp,
};
use rusqlite::{Connection, params};

use crate::claim::is_paused;
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

/// Most waiting or running jobs that a listing sorts to find the newest; if there are more, the
/// newest are soon found among all jobs.
const MAX_SORTED: u64 = 10_000;

/// A page of jobs, newest first, without args that lie apart.
pub(crate) fn list(
    conn: &Connection,
    filter: &JobFilter,
    cursor: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<JobPage, StoreError> {
    let below = match cursor {
        None => i64::MAX,
        Some(text) => text.parse().map_err(|_ignored| {
            StoreError::new(
                ErrorKind::Invalid,
                "this cursor was not given out by this store: start again without one",
            )
        })?,
    };
    let limit = limit.clamp(1, JobPage::MAX_JOBS);
    let mut jobs: Vec<Job> = Vec::new();
    let mut last = below;
    let mut left = matching(conn, filter, now)?;
    let mut statement = conn
        .prepare_cached(source(mask(&filter.states), left))
        .map_err(from_sqlite)?;
    let mut rows = statement
        .query(params![
            below,
            filter.queue.as_ref().map(QueueName::as_str),
            filter.kind.as_ref().map(longshore_core::Kind::as_str),
            mask(&filter.states),
            now.unix_nanos(),
            needs_envelope(filter),
        ])
        .map_err(from_sqlite)?;
    let mut found = row::Loader::new(conn)?;
    // Once all that can match were seen, what is older need not be looked at.
    while left > 0
        && let Some(row) = rows.next().map_err(from_sqlite)?
    {
        left -= 1;
        let seq = row.get(0).map_err(from_sqlite)?;
        let Some(stored) = found.load_lean(seq)? else {
            continue;
        };
        let job = stored.job.shown_at(now);
        if !filter.matches(&job) {
            continue;
        }
        if jobs.len() == limit {
            let next_cursor = Some(last.to_string());
            return Ok(JobPage {
                jobs,
                next_cursor,
                as_of: now,
            });
        }
        jobs.push(job);
        last = seq;
    }
    Ok(JobPage {
        jobs,
        next_cursor: None,
        as_of: now,
    })
}

/// How many jobs have a queue and a state that match, told from the counts: no job is read.
fn matching(conn: &Connection, filter: &JobFilter, now: Timestamp) -> Result<u64, StoreError> {
    if filter.states.is_empty() && filter.queue.is_none() {
        return Ok(u64::MAX);
    }
    let states = if filter.states.is_empty() {
        &JobState::ALL[..]
    } else {
        &filter.states
    };
    let mut all = 0u64;
    for mut stats in stats_of(conn, filter.queue.as_ref(), now)? {
        for state in states {
            all = all.saturating_add(*stats.count_mut(*state));
        }
    }
    Ok(all)
}

/// The statement that finds jobs in the states of `mask` with the fewest looks, if there are
/// `matching` of them.
fn source(mask: i64, matching: u64) -> &'static str {
    let is_within = |states: i64| mask & !states == 0;
    if is_within(FAILED) {
        include_str!("sql/list_failed.sql")
    } else if matching > MAX_SORTED {
        include_str!("sql/list.sql")
    } else if is_within(WAITING) {
        include_str!("sql/list_waiting.sql")
    } else if is_within(RUNNING) {
        include_str!("sql/list_running.sql")
    } else {
        include_str!("sql/list.sql")
    }
}

const WAITING: i64 = 0b111;
const RUNNING: i64 = 0b1000;
/// Cancelled and discarded.
const FAILED: i64 = 0b110_0000;

fn mask(states: &[JobState]) -> i64 {
    if states.is_empty() {
        return 0x7f;
    }
    states
        .iter()
        .fold(0, |mask, state| mask | 1 << state_code(*state))
}

/// Whether only jobs with rare fields can match. A correlation id may be the job's own.
fn needs_envelope(filter: &JobFilter) -> bool {
    filter.tag.is_some()
        || filter.metadata.is_some()
        || filter.tenant_id.is_some()
        || filter.namespace.is_some()
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
    stats_of(conn, None, now)
}

/// How `only` this queue stands, or every queue.
fn stats_of(
    conn: &Connection,
    only: Option<&QueueName>,
    now: Timestamp,
) -> Result<Vec<QueueStats>, StoreError> {
    let mut statement = conn
        .prepare_cached(include_str!("sql/queues.sql"))
        .map_err(from_sqlite)?;
    let mut rows = statement.query([]).map_err(from_sqlite)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let name: String = row.get(0).map_err(from_sqlite)?;
        if only.is_some_and(|only| only.as_str() != name) {
            continue;
        }
        let queue = name.parse().map_err(|error| corrupt("queue name", error))?;
        let mut stats = QueueStats::empty(queue, now);
        stats.paused = row.get(1).map_err(from_sqlite)?;
        for state in JobState::ALL {
            let column = usize::try_from(state_code(state) + 2).unwrap_or(usize::MAX);
            let jobs = row.get(column).map_err(from_sqlite)?;
            *stats.count_mut(state) = crate::admin::count(jobs)?;
        }
        show_due(conn, &mut stats, now)?;
        // What was pruned or resumed to nothing is no queue any more.
        if stats != QueueStats::empty(stats.queue.clone(), now) {
            all.push(stats);
        }
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

/// When the first waiting job of a queue is due.
fn next_due(conn: &Connection, queue: &QueueName) -> Result<Option<Timestamp>, StoreError> {
    let mut first: Option<i64> = None;
    for priority in Priority::ALL {
        let due: Option<i64> = conn
            .prepare_cached(include_str!("sql/next_due.sql"))
            .and_then(|mut statement| {
                statement.query_row(params![queue.as_str(), priority.get()], |row| row.get(0))
            })
            .map_err(from_sqlite)?;
        first = first.into_iter().chain(due).min();
    }
    Ok(first.map(Timestamp::from_unix_nanos))
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
