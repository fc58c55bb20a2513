//! Unique keys: who has one, and what becomes of a job that comes with it meanwhile.

use std::collections::{HashMap, HashSet};

use longshore_core::unique::Met;
use longshore_core::{
    Enqueued, ErrorKind, Job, JobId, NewJob, OnConflict, QueueName, StoreError, Timestamp,
    UniqueKey,
};
use sqlx::postgres::{PgConnection, PgRow};

use crate::enqueue::{job_id, span_if_there, spans};
use crate::row::{Columns, Stored, state_code, stored_of};
use crate::session::Context;
use crate::statement::{all, one, run};

/// How often it is looked again at who has a key that changes hands.
const LOOKS: u32 = 16;

/// Queues and keys.
pub(crate) type Taken = HashSet<(String, String)>;

/// Whether the key of this job is among those that were taken.
pub(crate) fn has(taken: &Taken, new: &NewJob) -> bool {
    new.unique_key
        .as_ref()
        .is_some_and(|unique| taken.contains(&(new.queue.as_str().to_owned(), unique.key.clone())))
}

/// Takes the keys of new jobs that are free; gives back which.
pub(crate) async fn take(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[&NewJob],
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let wanted = jobs.iter().filter_map(|new| {
        let unique = new.unique_key.as_ref()?;
        Some((&new.queue, unique, &new.id, unique.scope.ends_at(now)))
    });
    take_all(conn, context, &wanted.collect::<Vec<_>>(), now).await
}

type Wanted<'a> = (&'a QueueName, &'a UniqueKey, &'a JobId, Option<Timestamp>);

async fn take_all(
    conn: &mut PgConnection,
    context: &Context,
    wanted: &[Wanted<'_>],
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let sql = &context.sql;
    let texts = |wanted: &[Wanted<'_>], of: fn(&Wanted<'_>) -> String| {
        wanted.iter().map(of).collect::<Vec<_>>()
    };
    let queue_of = |wanted: &Wanted<'_>| wanted.0.as_str().to_owned();
    let key_of = |wanted: &Wanted<'_>| wanted.1.key.clone();
    // To try to take a key locks it. Where others have it, their jobs are to be locked before.
    let query = sql
        .query(&sql.held_keys)
        .bind(now.unix_nanos())
        .bind(texts(wanted, queue_of))
        .bind(texts(wanted, key_of));
    let held = match wanted.is_empty() {
        true => return Ok(Taken::new()),
        false => keys_of(&all(conn, query).await?)?,
    };
    let is_free = |wanted: &&Wanted<'_>| !held.contains(&(queue_of(wanted), key_of(wanted)));
    let wanted: Vec<Wanted<'_>> = wanted.iter().filter(is_free).copied().collect();
    if wanted.is_empty() {
        return Ok(Taken::new());
    }
    let query = sql
        .query(&sql.take_keys)
        .bind(now.unix_nanos())
        .bind(texts(&wanted, queue_of))
        .bind(texts(&wanted, key_of))
        .bind(
            wanted
                .iter()
                .map(|(_, unique, ..)| unique.hash.cast_signed())
                .collect::<Vec<_>>(),
        )
        .bind(texts(&wanted, |(_, _, id, _)| id.as_str().to_owned()))
        .bind(
            wanted
                .iter()
                .map(|(.., end)| end.map(Timestamp::unix_nanos))
                .collect::<Vec<_>>(),
        );
    keys_of(&all(conn, query).await?)
}

fn keys_of(rows: &[PgRow]) -> Result<Taken, StoreError> {
    let key = |row| {
        let from = &mut Columns::from(row, 0);
        Ok((from.value()?, from.value()?))
    };
    rows.iter().map(key).collect()
}

/// Takes the keys that jobs from another store bring along; gives back which of the jobs have
/// theirs. Of several with one key only the first is tried.
pub(crate) async fn take_along(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[&Job],
    now: Timestamp,
) -> Result<HashSet<JobId>, StoreError> {
    let mut wanted: HashMap<_, Wanted<'_>> = HashMap::new();
    for job in jobs {
        if let Some(unique) = &job.unique_key {
            let end = unique.scope.ends_at(job.enqueued_at);
            let key = (job.queue.as_str().to_owned(), unique.key.clone());
            wanted
                .entry(key)
                .or_insert((&job.queue, unique, &job.id, end));
        }
    }
    let all: Vec<Wanted<'_>> = wanted.values().copied().collect();
    let taken = take_all(conn, context, &all, now).await?;
    let ids = taken.iter().filter_map(|key| wanted.get(key));
    Ok(ids.map(|(_, _, id, _)| (*id).clone()).collect())
}

/// Takes the key of a job that runs again, or comes from another store; gives back who has it if it
/// is not free.
pub(crate) async fn take_again(
    conn: &mut PgConnection,
    context: &Context,
    job: &Job,
    now: Timestamp,
) -> Result<Option<JobId>, StoreError> {
    let Some(unique) = &job.unique_key else {
        return Ok(None);
    };
    for _ in 0..LOOKS {
        let end = unique.scope.ends_at(job.enqueued_at);
        let wanted = (&job.queue, unique, &job.id, end);
        if !take_all(conn, context, &[wanted], now).await?.is_empty() {
            return Ok(None);
        }
        match holder(conn, context, (&job.queue, unique), now).await? {
            Some((id, _)) if id == job.id => return Ok(None),
            Some((id, _)) => return Ok(Some(id)),
            None => {}
        }
    }
    Err(restless(unique))
}

/// Lets go of the key that a new job took and does not need.
pub(crate) async fn free(
    conn: &mut PgConnection,
    context: &Context,
    new: &NewJob,
) -> Result<(), StoreError> {
    let Some(unique) = &new.unique_key else {
        return Ok(());
    };
    let sql = &context.sql;
    let query = sql
        .query(&sql.free_key)
        .bind(new.queue.as_str())
        .bind(&unique.key);
    run(conn, query.bind(new.id.as_str())).await.map(drop)
}

/// Who has a key, and the hash of its kind and args.
async fn holder(
    conn: &mut PgConnection,
    context: &Context,
    (queue, unique): (&QueueName, &UniqueKey),
    now: Timestamp,
) -> Result<Option<(JobId, u64)>, StoreError> {
    let sql = &context.sql;
    let query = sql.query(&sql.key_holder).bind(now.unix_nanos());
    let row = one(conn, query.bind(queue.as_str()).bind(&unique.key)).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let from = &mut Columns::from(&row, 0);
    let (id, hash): (&str, i64) = (from.value()?, from.value()?);
    Ok(Some((job_id(id)?, hash.cast_unsigned())))
}

/// Decides on those jobs, by their places, whose keys others have and which replace nothing: one look
/// tells of all of them, since no job need be held for that.
pub(crate) async fn meet_together(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[(usize, &NewJob)],
    now: Timestamp,
) -> Result<HashMap<usize, Result<Enqueued, StoreError>>, StoreError> {
    let replaces = |new: &NewJob| matches!(new.on_conflict, OnConflict::Replace { .. });
    let asked = jobs.iter().filter(|(_, new)| !replaces(new));
    let asked: Vec<(usize, &NewJob, &UniqueKey)> = asked
        .filter_map(|(place, new)| Some((*place, *new, new.unique_key.as_ref()?)))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let queues = asked.iter().map(|(_, new, _)| new.queue.as_str());
    let keys = asked.iter().map(|(.., unique)| unique.key.as_str());
    let sql = &context.sql;
    let query = sql
        .query(&sql.held_keys)
        .bind(now.unix_nanos())
        .bind(queues.collect::<Vec<_>>())
        .bind(keys.collect::<Vec<_>>());
    let mut held: HashMap<(String, String), (JobId, u64)> = HashMap::new();
    for row in all(conn, query).await? {
        let from = &mut Columns::from(&row, 0);
        let key = (from.value()?, from.value()?);
        let (id, hash): (&str, i64) = (from.value()?, from.value()?);
        held.insert(key, (job_id(id)?, hash.cast_unsigned()));
    }
    let ids: Vec<&JobId> = held.values().map(|(id, _)| id).collect();
    let spans = spans(conn, context, &ids).await?;
    let mut told = HashMap::new();
    for (place, new, unique) in asked {
        let key = (new.queue.as_str().to_owned(), unique.key.clone());
        let Some((id, hash)) = held.get(&key) else {
            continue;
        };
        let answer = match new.on_conflict.meets(*hash == unique.hash, false) {
            Met::Refused => Err(unique.taken(&new.queue, id)),
            Met::Hit | Met::Replace => Ok(Enqueued::Hit {
                id: id.clone(),
                span: spans.get(id.as_str()).cloned().flatten(),
            }),
        };
        told.insert(place, answer);
    }
    Ok(told)
}

/// Decides on a job whose id is not there and whose key another one had. `None` if it has the key
/// now after all.
pub(crate) async fn meet(
    conn: &mut PgConnection,
    context: &Context,
    new: &NewJob,
    now: Timestamp,
) -> Result<Option<Result<Enqueued, StoreError>>, StoreError> {
    let Some(unique) = &new.unique_key else {
        return Ok(None);
    };
    for _ in 0..LOOKS {
        let Some((id, _)) = holder(conn, context, (&new.queue, unique), now).await? else {
            if has(&take(conn, context, &[new], now).await?, new) {
                return Ok(None);
            }
            continue;
        };
        // Jobs are locked before their keys, everywhere. The key may change hands meanwhile.
        let sql = &context.sql;
        let row = one(conn, sql.query(&sql.lock).bind(id.as_str())).await?;
        let stored = row.map(|row| stored_of(&row, 0)).transpose()?;
        let hash = match holder(conn, context, (&new.queue, unique), now).await? {
            Some((still, hash)) if still == id => hash,
            _ => continue,
        };
        let waits_alike =
            |stored: &Stored| stored.job.state.is_waiting() && stored.job.kind == new.kind;
        let replaceable = stored.as_ref().is_some_and(waits_alike);
        let met = new.on_conflict.meets(hash == unique.hash, replaceable);
        if met == Met::Refused {
            return Ok(Some(Err(unique.taken(&new.queue, &id))));
        }
        let span = span_if_there(conn, context, &id).await?.flatten();
        return match stored.filter(|_| met == Met::Replace) {
            None => Ok(Some(Ok(Enqueued::Hit { id, span }))),
            Some(stored) => {
                replace(conn, context, stored, new, now).await?;
                Ok(Some(Ok(Enqueued::Replaced { id, span })))
            }
        };
    }
    Err(restless(unique))
}

fn restless(unique: &UniqueKey) -> StoreError {
    let shown: String = unique.key.chars().take(60).collect();
    StoreError::new(
        ErrorKind::Unavailable,
        format!("the unique key `{shown}` changed hands again and again: try again"),
    )
}

/// Gives a job that waits the args of another.
async fn replace(
    conn: &mut PgConnection,
    context: &Context,
    stored: Stored,
    new: &NewJob,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Stored { seq, mut job, .. } = stored;
    job.apply_replacement(new, now);
    let moves = new.scheduled_at.is_some() && job.claim == 0;
    let first_available_at = moves.then(|| job.first_available_at.unix_nanos());
    let hash = new.unique_key.as_ref().map(|unique| unique.hash);
    let sql = &context.sql;
    let query = sql
        .query(&sql.replace_args)
        .bind(seq)
        .bind(hash.map(u64::cast_signed))
        .bind(state_code(job.state))
        .bind(i16::from(job.priority.get()))
        .bind(job.available_at.unix_nanos())
        .bind(first_available_at)
        .bind(&*new.args);
    run(conn, query).await.map(drop)
}
