//! Looking at jobs and queues.

use std::collections::BTreeMap;

use longshore_core::{Job, JobId, QueueName, QueueStats, StoreError, Timestamp};
use sqlx::postgres::PgConnection;

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

/// How every queue stands: what is over is told from the counts, the others are counted.
pub(crate) async fn queue_stats(
    conn: &mut PgConnection,
    context: &Context,
) -> Result<Vec<QueueStats>, StoreError> {
    let now = context.now(conn).await?;
    let sql = &context.sql;
    let mut queues: BTreeMap<QueueName, QueueStats> = BTreeMap::new();
    let empty = |queue: &QueueName| QueueStats::empty(queue.clone(), now);
    for row in all(conn, sql.query(&sql.paused)).await? {
        let queue = Columns::from(&row, 0).name()?;
        let stats = queues.entry(queue);
        stats.or_insert_with_key(empty).paused = true;
    }
    for row in all(conn, sql.query(&sql.tally)).await? {
        let from = &mut Columns::from(&row, 0);
        let (queue, state, jobs) = (from.name()?, state_of(from.value()?)?, from.value::<i64>()?);
        if jobs > 0 {
            let stats = queues.entry(queue).or_insert_with_key(empty);
            *stats.count_mut(state) = jobs.unsigned_abs();
        }
    }
    let query = sql.query(&sql.queue_stats).bind(now.unix_nanos());
    for row in all(conn, query).await? {
        let from = &mut Columns::from(&row, 0);
        let stats = queues.entry(from.name()?).or_insert_with_key(empty);
        let (state, jobs) = (state_of(from.value()?)?, from.value::<i64>()?);
        *stats.count_mut(state) = jobs.unsigned_abs();
        let oldest = [stats.oldest_available_at, from.opt_time()?];
        stats.oldest_available_at = oldest.into_iter().flatten().min();
    }
    Ok(queues.into_values().collect())
}

/// The time, and when the first job that may be claimed from these queues is due.
pub(crate) async fn next_claimable(
    conn: &mut PgConnection,
    context: &Context,
    queues: &[QueueName],
) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
    let names: Vec<&str> = queues.iter().map(|queue| queue.as_str()).collect();
    let sql = &context.sql;
    let query = sql.query(&sql.next_due).bind(context.given()).bind(names);
    let row = one(conn, query).await?;
    let row = row.ok_or_else(|| corrupt("time", "the server said nothing"))?;
    let from = &mut Columns::from(&row, 0);
    Ok((from.time()?, from.opt_time()?))
}
