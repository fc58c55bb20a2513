//! What people and maintenance do to jobs and queues.

use std::collections::{BTreeSet, HashMap};

use longshore_core::{
    ErrorKind, JobId, JobState, PruneRequest, QueueName, StopRequest, StoreError, Timestamp,
};
use sqlx::postgres::PgConnection;

use crate::error::corrupt;
use crate::row::{Columns, Stored, state_code, stop_code, stored_of};
use crate::session::Context;
use crate::statement::{begin, commit, one, run};
use crate::unique;

/// The answer for each of several jobs.
type Answers = Vec<Result<JobState, StoreError>>;

/// Ends waiting jobs, and asks the holders of running ones to stop.
pub(crate) async fn stop(
    conn: &mut PgConnection,
    context: &Context,
    ids: &[JobId],
    stop: StopRequest,
) -> Result<Answers, StoreError> {
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    // Everybody locks jobs in the order of their ids, so that nobody waits in a circle.
    let sorted: BTreeSet<&JobId> = ids.iter().collect();
    let mut states = HashMap::new();
    for id in sorted {
        if let Some(stored) = lock(&mut transaction, context, id).await? {
            let after = stop_one(&mut transaction, context, stored, stop, now).await?;
            states.insert(id, after);
        }
    }
    commit(transaction, &context.sql).await?;
    let answer = |id| {
        let state = states.get(id).copied();
        state.ok_or_else(|| StoreError::not_found(id))
    };
    Ok(ids.iter().map(answer).collect())
}

/// The job with this id, which nobody else changes before the transaction ends.
async fn lock(
    conn: &mut PgConnection,
    context: &Context,
    id: &JobId,
) -> Result<Option<Stored>, StoreError> {
    let sql = &context.sql;
    // A job that ends meanwhile is waited for, and then is over; one that is made to run again
    // meanwhile is found at the second look.
    for statement in [&sql.lock, &sql.over_of_id, &sql.lock, &sql.over_of_id] {
        if let Some(row) = one(conn, sql.query(statement).bind(id.as_str())).await? {
            return stored_of(&row, 0).map(Some);
        }
    }
    Ok(None)
}

async fn stop_one(
    conn: &mut PgConnection,
    context: &Context,
    stored: Stored,
    stop: StopRequest,
    now: Timestamp,
) -> Result<JobState, StoreError> {
    let Stored { seq, mut job, .. } = stored;
    let before = job.state;
    let after = job.apply_stop(stop, now);
    let sql = &context.sql;
    if after == JobState::Running {
        let query = sql
            .query(&sql.set_stop)
            .bind(seq)
            .bind(stop_code(Some(stop)));
        run(conn, query).await?;
    } else if before != after {
        let query = sql.query(&sql.finish).bind(seq).bind(state_code(after));
        run(conn, query.bind(now.unix_nanos())).await?;
    }
    Ok(after)
}

/// Makes waiting or final jobs available now.
pub(crate) async fn retry_now(
    conn: &mut PgConnection,
    context: &Context,
    ids: &[JobId],
) -> Result<Answers, StoreError> {
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        answers.push(match lock(&mut transaction, context, id).await? {
            Some(stored) => retry_one(&mut transaction, context, stored, now).await?,
            None => Err(StoreError::not_found(id)),
        });
    }
    commit(transaction, &context.sql).await?;
    Ok(answers)
}

async fn retry_one(
    conn: &mut PgConnection,
    context: &Context,
    mut stored: Stored,
    now: Timestamp,
) -> Result<Result<JobState, StoreError>, StoreError> {
    let had_key = stored.job.holds_unique_key(now);
    let after = match stored.job.apply_retry_now(now) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    if !had_key
        && stored.job.holds_unique_key(now)
        && let Some(holder) = unique::take_again(conn, context, &stored.job, now).await?
    {
        let (id, unique) = (&stored.job.id, &stored.job.unique_key);
        let key = unique.as_ref().map_or("", |unique| unique.key.as_str());
        return Ok(Err(StoreError::new(
            ErrorKind::Conflict,
            format!(
                "job {id} cannot run again: job {holder} now has its unique key `{key}`; \
                 wait until that one lets go of it"
            ),
        )));
    }
    let sql = &context.sql;
    let query = sql
        .query(&sql.revive)
        .bind(stored.seq)
        .bind(stored.job.available_at.unix_nanos())
        .bind(i32::try_from(stored.job.max_attempts).unwrap_or(i32::MAX));
    run(conn, query).await?;
    Ok(Ok(after))
}

/// Stops or allows claims from a queue.
pub(crate) async fn set_paused(
    conn: &mut PgConnection,
    context: &Context,
    queue: &QueueName,
    paused: bool,
) -> Result<(), StoreError> {
    let sql = &context.sql;
    let statement = if paused { &sql.pause } else { &sql.resume };
    run(conn, sql.query(statement).bind(queue.as_str()))
        .await
        .map(drop)
}

/// Adds up the counts of what is over. Due times tell which delayed jobs have become available, so
/// nothing is written down of that.
pub(crate) async fn promote(
    conn: &mut PgConnection,
    context: &Context,
) -> Result<usize, StoreError> {
    let sql = &context.sql;
    run(conn, sql.query(&sql.fold_tally)).await?;
    Ok(0)
}

/// Deletes jobs that are over for too long, or of which there are too many; gives back how many.
pub(crate) async fn prune(
    conn: &mut PgConnection,
    context: &Context,
    request: &PruneRequest,
) -> Result<usize, StoreError> {
    let states = request.final_states()?;
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    let sql = &context.sql;
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let query = sql.query(&sql.forget_keys).bind(now.unix_nanos());
    run(&mut transaction, query.bind(number(request.limit))).await?;
    let keep_newest = request.keep_newest;
    let keep_newest = keep_newest.map(|keep| i64::try_from(keep).unwrap_or(i64::MAX));
    let mut pruned = 0;
    for state in states {
        let left = request.limit.saturating_sub(pruned);
        if left == 0 {
            break;
        }
        let query = sql
            .query(&sql.prune)
            .bind(state_code(state))
            .bind(request.before.map(Timestamp::unix_nanos))
            .bind(keep_newest)
            .bind(number(left));
        pruned += usize::try_from(counted(&mut transaction, query).await?).unwrap_or_default();
    }
    commit(transaction, &context.sql).await?;
    Ok(pruned)
}

async fn counted(
    conn: &mut PgConnection,
    query: crate::statement::Bound<'_>,
) -> Result<i64, StoreError> {
    let row = one(conn, query).await?;
    let row = row.ok_or_else(|| corrupt("count", "the server said nothing"))?;
    Columns::from(&row, 0).value()
}
