//! Unique keys: who has one, and what becomes of a job that comes with it meanwhile.

use std::collections::{HashMap, HashSet};

use longshore_core::unique::Met;
use longshore_core::{
    Enqueued, ErrorKind, Job, JobId, NewJob, OnConflict, QueueName, SpanContext, StoreError,
    Timestamp, UniqueKey,
};
use sqlx::postgres::{PgConnection, PgRow};

use crate::enqueue::{job_id, span_if_there, spans};
use crate::replacement;
use crate::row::{Columns, Stored, stored_of};
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
        false => read_keys(&all(conn, query).await?)?,
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
    read_keys(&all(conn, query).await?)
}

fn read_keys(rows: &[PgRow]) -> Result<Taken, StoreError> {
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

/// Decides on those jobs, by their places, whose keys others have: one look tells of all of them. Those
/// that want their args to be the other one's are decided on with all these held.
pub(crate) async fn meet_together(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[(usize, &NewJob)],
    now: Timestamp,
) -> Result<HashMap<usize, Result<Enqueued, StoreError>>, StoreError> {
    let asked: Vec<Asked<'_>> = jobs
        .iter()
        .filter_map(|(place, new)| Some((*place, *new, new.unique_key.as_ref()?)))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let holders = holders(conn, context, &asked, now).await?;
    let ids: Vec<&JobId> = holders.values().map(|(id, _)| id).collect();
    let spans = spans(conn, context, &ids).await?;
    let mut told = HashMap::new();
    let (replacing, content): (Vec<Asked<'_>>, Vec<Asked<'_>>) = asked
        .into_iter()
        .filter(|asked| holders.contains_key(&key_of(asked)))
        .partition(|(_, new, _)| matches!(new.on_conflict, OnConflict::Replace { .. }));
    for asked in content {
        let Some((id, hash)) = holders.get(&key_of(&asked)) else {
            continue;
        };
        let (place, new, unique) = asked;
        let answer = match new.on_conflict.meets(*hash == unique.hash, false) {
            Met::Refused => Err(unique.taken(&new.queue, id)),
            Met::Hit | Met::Replace => Ok(Enqueued::Hit {
                id: id.clone(),
                span: spans.get(id.as_str()).cloned().flatten(),
            }),
        };
        told.insert(place, answer);
    }
    told.extend(replace_together(conn, context, &replacing, (&holders, &spans), now).await?);
    Ok(told)
}

/// The same of those that replace, whose keys these jobs had. One whose key changed hands meanwhile
/// is left out.
async fn replace_together(
    conn: &mut PgConnection,
    context: &Context,
    asked: &[Asked<'_>],
    (had, spans): (&Holders, &HashMap<String, Option<SpanContext>>),
    now: Timestamp,
) -> Result<HashMap<usize, Result<Enqueued, StoreError>>, StoreError> {
    let ids = asked.iter().filter_map(|asked| had.get(&key_of(asked)));
    let ids: Vec<&str> = ids.map(|(id, _)| id.as_str()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // Jobs are locked before their keys, everywhere. Keys may change hands until then.
    let sql = &context.sql;
    let query = sql.query(&sql.lock_jobs).of(ids.len()).bind(ids);
    let mut waiting = HashMap::new();
    for row in all(conn, query).await? {
        let stored = stored_of(&row, 0)?;
        waiting.insert(stored.job.id.clone(), stored);
    }
    let have = holders(conn, context, asked, now).await?;
    let (mut told, mut replaced) = (HashMap::new(), Vec::new());
    for asked in asked {
        let key = key_of(asked);
        let (Some((id, _)), Some((still, hash))) = (had.get(&key), have.get(&key)) else {
            continue;
        };
        if id != still {
            continue;
        }
        let (place, new, unique) = *asked;
        let (id, span) = (id.clone(), spans.get(id.as_str()).cloned().flatten());
        let stored = waiting.remove(&id);
        let answer = match meeting(new, stored.as_ref(), *hash == unique.hash) {
            Met::Refused => Err(unique.taken(&new.queue, &id)),
            Met::Hit => Ok(Enqueued::Hit { id, span }),
            Met::Replace => {
                replaced.extend(stored.map(|stored| (stored, new)));
                Ok(Enqueued::Replaced { id, span })
            }
        };
        told.insert(place, answer);
    }
    replacement::store(conn, context, replaced, now).await?;
    Ok(told)
}

/// What becomes of a new job that meets this one, if it waits or runs.
fn meeting(new: &NewJob, stored: Option<&Stored>, same: bool) -> Met {
    let waits_alike =
        |stored: &Stored| stored.job.state.is_waiting() && stored.job.kind == new.kind;
    new.on_conflict.meets(same, stored.is_some_and(waits_alike))
}

/// A job, by its place, that comes with a unique key.
type Asked<'a> = (usize, &'a NewJob, &'a UniqueKey);

/// Who has which key, and the hash of its kind and args.
type Holders = HashMap<(String, String), (JobId, u64)>;

fn key_of((_, new, unique): &Asked<'_>) -> (String, String) {
    (new.queue.as_str().to_owned(), unique.key.clone())
}

async fn holders(
    conn: &mut PgConnection,
    context: &Context,
    asked: &[Asked<'_>],
    now: Timestamp,
) -> Result<Holders, StoreError> {
    let queues = asked.iter().map(|(_, new, _)| new.queue.as_str());
    let keys = asked.iter().map(|(.., unique)| unique.key.as_str());
    let sql = &context.sql;
    let query = sql
        .query(&sql.held_keys)
        .bind(now.unix_nanos())
        .bind(queues.collect::<Vec<_>>())
        .bind(keys.collect::<Vec<_>>());
    let mut held = HashMap::new();
    for row in all(conn, query).await? {
        let from = &mut Columns::from(&row, 0);
        let key = (from.value()?, from.value()?);
        let (id, hash): (&str, i64) = (from.value()?, from.value()?);
        held.insert(key, (job_id(id)?, hash.cast_unsigned()));
    }
    Ok(held)
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
        let met = meeting(new, stored.as_ref(), hash == unique.hash);
        if met == Met::Refused {
            return Ok(Some(Err(unique.taken(&new.queue, &id))));
        }
        let span = span_if_there(conn, context, &id).await?.flatten();
        return match stored.filter(|_| met == Met::Replace) {
            None => Ok(Some(Ok(Enqueued::Hit { id, span }))),
            Some(stored) => {
                replacement::store(conn, context, vec![(stored, new)], now).await?;
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
