//! What people and maintenance do to jobs and queues.

use std::collections::{BTreeSet, HashMap};

use longshore_core::{
    ErrorKind, Job, JobId, JobState, PruneRequest, QueueName, StopRequest, StoreError, Timestamp,
};
use sqlx::postgres::PgConnection;

use crate::error::corrupt;
use crate::row::{Columns, Stored, state_code, stop_code, stored_of};
use crate::session::Context;
use crate::statement::{all, begin, commit, one, run};
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
    let mut states = HashMap::new();
    let (mut asked, mut ended) = (Vec::new(), Vec::new());
    for (id, stored) in lock(&mut transaction, context, ids).await? {
        let Stored { seq, mut job, .. } = stored;
        let before = job.state;
        let after = job.apply_stop(stop, now);
        if after == JobState::Running {
            asked.push(seq);
        } else if before != after {
            ended.push(seq);
        }
        states.insert(id, after);
    }
    let sql = &context.sql;
    if !asked.is_empty() {
        let query = sql.query(&sql.set_stop).of(asked.len()).bind(asked);
        run(&mut transaction, query.bind(stop_code(Some(stop)))).await?;
    }
    if !ended.is_empty() {
        let query = sql.query(&sql.finish).of(ended.len()).bind(ended);
        let query = query.bind(state_code(stop.leads_to()));
        run(&mut transaction, query.bind(now.unix_nanos())).await?;
    }
    commit(transaction, sql).await?;
    let answer = |id| {
        let state = states.get(id).copied();
        state.ok_or_else(|| StoreError::not_found(id))
    };
    Ok(ids.iter().map(answer).collect())
}

/// Those of the jobs that are there, without large args. Nobody else changes them before the
/// transaction ends.
async fn lock(
    conn: &mut PgConnection,
    context: &Context,
    ids: &[JobId],
) -> Result<HashMap<JobId, Stored>, StoreError> {
    let sql = &context.sql;
    let mut missing: BTreeSet<&str> = ids.iter().map(JobId::as_str).collect();
    let mut found = HashMap::new();
    // A job that ends meanwhile is waited for, and then is over; one that is made to run again
    // meanwhile is found at the second look.
    for statement in [
        &sql.lock_jobs,
        &sql.lock_over,
        &sql.lock_jobs,
        &sql.lock_over,
    ] {
        if missing.is_empty() {
            break;
        }
        let query = sql.query(statement).of(missing.len());
        let query = query.bind(missing.iter().copied().collect::<Vec<_>>());
        for row in all(conn, query).await? {
            let stored = stored_of(&row, 0)?;
            missing.remove(stored.job.id.as_str());
            found.insert(stored.job.id.clone(), stored);
        }
    }
    Ok(found)
}

/// Makes waiting or final jobs available now.
pub(crate) async fn retry_now(
    conn: &mut PgConnection,
    context: &Context,
    ids: &[JobId],
) -> Result<Answers, StoreError> {
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    let mut found = lock(&mut transaction, context, ids).await?;
    let mut again = Vec::new();
    let mut told: HashMap<&JobId, Result<JobState, StoreError>> = HashMap::new();
    // In the order of the call, since one of them may have the key that another one wants.
    for id in ids {
        let Some(mut stored) = found.remove(id) else {
            continue;
        };
        let decided = retry_one(&mut transaction, context, &mut stored.job, now).await?;
        if decided.is_ok() {
            again.push(stored);
        }
        told.insert(id, decided);
    }
    if !again.is_empty() {
        let sql = &context.sql;
        let dues = again
            .iter()
            .map(|stored| stored.job.available_at.unix_nanos());
        let mosts = again
            .iter()
            .map(|stored| i32::try_from(stored.job.max_attempts).unwrap_or(i32::MAX));
        let query = sql
            .query(&sql.revive)
            .of(again.len())
            .bind(again.iter().map(|stored| stored.seq).collect::<Vec<_>>())
            .bind(dues.collect::<Vec<_>>())
            .bind(mosts.collect::<Vec<_>>());
        run(&mut transaction, query).await?;
    }
    commit(transaction, &context.sql).await?;
    let answer = |id| match told.get(id) {
        Some(Ok(state)) => Ok(*state),
        Some(Err(refused)) => Err(StoreError::new(refused.kind(), refused.to_string())),
        None => Err(StoreError::not_found(id)),
    };
    Ok(ids.iter().map(answer).collect())
}

/// Decides on a job, and takes its unique key again if it needs it.
async fn retry_one(
    conn: &mut PgConnection,
    context: &Context,
    job: &mut Job,
    now: Timestamp,
) -> Result<Result<JobState, StoreError>, StoreError> {
    let had_key = job.holds_unique_key(now);
    let after = match job.apply_retry_now(now) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    if !had_key
        && job.holds_unique_key(now)
        && let Some(holder) = unique::take_again(conn, context, job, now).await?
    {
        let (id, unique) = (&job.id, &job.unique_key);
        let key = unique.as_ref().map_or("", |unique| unique.key.as_str());
        return Ok(Err(StoreError::new(
            ErrorKind::Conflict,
            format!(
                "job {id} cannot run again: job {holder} now has its unique key `{key}`; \
                 wait until that one lets go of it"
            ),
        )));
    }
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
