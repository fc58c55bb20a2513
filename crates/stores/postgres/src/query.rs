//! Looking at jobs and queues.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{Job, JobId, QueueName, QueueStats, StoreError, Timestamp};
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use crate::error::corrupt;
use crate::row::{Columns, state_of, stored_of};
use crate::session::Context;
use crate::statement::{all, one};

/// The job with this id.
pub(crate) async fn get(
    conn: &mut PgConnection,
    context: &Context,
    id: &JobId,
) -> Result<Option<Job>, StoreError> {
    let sql = &context.sql;
    let query = sql.query(&sql.get).bind(context.given()).bind(id.as_str());
    let Some(row) = one(conn, query).await? else {
        return Ok(None);
    };
    let now = Columns::from(&row, 0).time()?;
    Ok(Some(stored_of(&row, 1)?.job.shown_at(now)))
}

/// So many jobs that wait or run are counted each time; where there are more, the answer is given
/// again for a while.
const COUNTED_EACH_TIME: u64 = 100_000;
/// For how long, for every so many jobs, and at most. Counting takes a twentieth of that time.
const REMEMBERED_FOR_EACH: Duration = Duration::from_millis(500);
const REMEMBERED: Duration = Duration::from_secs(30);

type Stats = BTreeMap<QueueName, QueueStats>;

/// The last count of many jobs, and until when it will do.
#[derive(Debug, Default)]
pub(crate) struct LastCount(Mutex<Option<(Stats, Instant)>>);

impl LastCount {
    fn get(&self, now: Instant) -> Option<Stats> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (stats, until) = last.as_ref()?;
        (now < *until).then(|| stats.clone())
    }

    /// Remembers a count that took its time.
    fn set(&self, stats: &Stats, counted: u64, now: Instant) {
        let parts = u32::try_from(counted / COUNTED_EACH_TIME).unwrap_or(u32::MAX);
        let until = now + REMEMBERED_FOR_EACH.saturating_mul(parts).min(REMEMBERED);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (parts > 0).then(|| (stats.clone(), until));
    }
}

/// How every queue stands.
pub(crate) async fn queue_stats(
    conn: &mut PgConnection,
    context: &Context,
) -> Result<Vec<QueueStats>, StoreError> {
    let mut queues = match context.last_count.get(Instant::now()) {
        Some(queues) => queues,
        None => count(conn, context).await?,
    };
    let now = context.now(conn).await?;
    let sql = &context.sql;
    for row in all(conn, sql.query(&sql.paused)).await? {
        let queue = Columns::from(&row, 0).name()?;
        let stats = queues.entry(queue);
        let stats = stats.or_insert_with_key(|queue| QueueStats::empty(queue.clone(), now));
        stats.paused = true;
    }
    Ok(queues.into_values().collect())
}

/// What is over is told from the tally, the others are counted.
async fn count(conn: &mut PgConnection, context: &Context) -> Result<Stats, StoreError> {
    let now = context.now(conn).await?;
    let sql = &context.sql;
    let mut queues = Stats::new();
    let empty = |queue: &QueueName| QueueStats::empty(queue.clone(), now);
    for row in all(conn, sql.query(&sql.tally)).await? {
        let from = &mut Columns::from(&row, 0);
        let (queue, state, jobs) = (from.name()?, state_of(from.value()?)?, from.value::<i64>()?);
        if jobs > 0 {
            let stats = queues.entry(queue).or_insert_with_key(empty);
            *stats.count_mut(state) = jobs.unsigned_abs();
        }
    }
    let mut counted = 0;
    let query = sql.query(&sql.queue_stats).bind(now.unix_nanos());
    for row in all(conn, query).await? {
        let from = &mut Columns::from(&row, 0);
        let stats = queues.entry(from.name()?).or_insert_with_key(empty);
        let (state, jobs) = (state_of(from.value()?)?, from.value::<i64>()?);
        *stats.count_mut(state) = jobs.unsigned_abs();
        counted += jobs.unsigned_abs();
        let oldest = [stats.oldest_available_at, from.opt_time()?];
        stats.oldest_available_at = oldest.into_iter().flatten().min();
    }
    context.last_count.set(&queues, counted, Instant::now());
    Ok(queues)
}

/// The time, and when the first job that may be claimed from these queues is due.
pub(crate) async fn next_claimable(
    conn: &mut PgConnection,
    context: &Context,
    queues: &[QueueName],
) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
    let names: Vec<&str> = queues.iter().map(|queue| queue.as_str()).collect();
    let sql = &context.sql;
    let marks = context.marks.peek(&names);
    let query = sql
        .query(&sql.next_due)
        .bind(context.given())
        .bind(names)
        .bind(marks.iter().map(|mark| mark.due).collect::<Vec<_>>())
        .bind(marks.iter().map(|mark| mark.seq).collect::<Vec<_>>());
    let row = one(conn, query).await?;
    let row = row.ok_or_else(|| corrupt("time", "the server said nothing"))?;
    let from = &mut Columns::from(&row, 0);
    Ok((from.time()?, from.opt_time()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_many_jobs_is_given_again_for_a_while() {
        let (last, now) = (LastCount::default(), Instant::now());
        let stats = Stats::new();
        last.set(&stats, COUNTED_EACH_TIME - 1, now);
        assert_eq!(last.get(now), None);
        last.set(&stats, 3 * COUNTED_EACH_TIME, now);
        assert_eq!(last.get(now + REMEMBERED_FOR_EACH * 2), Some(Stats::new()));
        assert_eq!(last.get(now + REMEMBERED_FOR_EACH * 3), None);
        last.set(&stats, u64::MAX, now);
        assert_eq!(last.get(now + REMEMBERED), None);
    }
}
