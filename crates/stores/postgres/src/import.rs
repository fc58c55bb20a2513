//! Jobs that come from another store, with their whole history.

use std::collections::HashSet;

use async_trait::async_trait;
use longshore_core::{Import, Imported, Job, StoreError, Timestamp};
use sqlx::postgres::{PgConnection, PgRow};

use crate::enqueue::envelope_of;
use crate::row::{Columns, history, nanos, scope_code, state_code, to_json};
use crate::session::{Context, call};
use crate::statement::{all, begin, commit, run};
use crate::store::PostgresStore;
use crate::unique;

/// A job that may be stored, with its texts written.
#[derive(Debug)]
struct Written {
    job: Job,
    envelope: Option<String>,
    keep: Option<String>,
    history: Option<String>,
}

type Answers = Vec<Result<Imported, StoreError>>;

#[async_trait]
impl Import for PostgresStore {
    async fn import(&self, jobs: Vec<Job>) -> Result<Answers, StoreError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.session();
        let context = &session.context;
        let checked: Vec<_> = jobs.into_iter().map(written).collect();
        let answers = call!(session, conn => import(conn, context, &checked))?;
        self.tell();
        Ok(answers)
    }
}

fn written(job: Job) -> Result<Written, StoreError> {
    let new = job.check_import()?;
    Ok(Written {
        envelope: envelope_of(&new)?,
        keep: job.trace.keep.as_ref().map(to_json).transpose()?,
        history: history::write(&job.history)?,
        job,
    })
}

async fn import(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[Result<Written, StoreError>],
) -> Result<Answers, StoreError> {
    let mut transaction = begin(conn, &context.sql).await?;
    let now = context.now(&mut transaction).await?;
    let free = hold_ids(&mut transaction, context, jobs).await?;
    let takers: Vec<&Job> = jobs
        .iter()
        .flatten()
        .map(|written| &written.job)
        .filter(|job| free.contains(job.id.as_str()) && job.holds_unique_key(now))
        .collect();
    let taken = unique::take_along(&mut transaction, context, &takers, now).await?;
    let (mut answers, mut new) = (Vec::new(), Vec::new());
    let mut ids = HashSet::new();
    for written in jobs {
        let written = match written {
            Ok(written) => written,
            Err(refused) => {
                // The call may be repeated.
                answers.push(Err(StoreError::new(refused.kind(), refused.to_string())));
                continue;
            }
        };
        let job = &written.job;
        if !free.contains(job.id.as_str()) || ids.contains(job.id.as_str()) {
            answers.push(Ok(Imported::Present));
            continue;
        }
        let unique = job.unique_key.as_ref();
        if let Some(unique) =
            unique.filter(|_| job.holds_unique_key(now) && !taken.contains(&job.id))
            && let Some(holder) = unique::take_again(&mut transaction, context, job, now).await?
        {
            answers.push(Err(unique.taken(&job.queue, &holder)));
            continue;
        }
        ids.insert(job.id.as_str());
        new.push(written);
        answers.push(Ok(Imported::Stored));
    }
    store(&mut transaction, context, &new, now).await?;
    commit(transaction, &context.sql).await?;
    Ok(answers)
}

/// Those of the ids that no job has, over or not; nobody else gets one before the transaction ends.
async fn hold_ids(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[Result<Written, StoreError>],
) -> Result<HashSet<String>, StoreError> {
    let ids = jobs.iter().flatten();
    let ids: HashSet<&str> = ids.map(|written| written.job.id.as_str()).collect();
    let sql = &context.sql;
    let hold = sql.query(&sql.hold_ids);
    let hold = hold.bind(ids.into_iter().collect::<Vec<_>>());
    let held = texts_of(&all(conn, hold).await?)?;
    let held: Vec<String> = held.into_iter().collect();
    run(conn, sql.query(&sql.let_ids_go).bind(&held)).await?;
    // Who had an id may have ended while it was waited for. A statement of its own sees that.
    let over = sql.query(&sql.over_of_ids).bind(&held);
    let over = texts_of(&all(conn, over).await?)?;
    Ok(held.into_iter().filter(|id| !over.contains(id)).collect())
}

fn texts_of(rows: &[PgRow]) -> Result<HashSet<String>, StoreError> {
    rows.iter()
        .map(|row| Columns::from(row, 0).value())
        .collect()
}

/// Stores jobs whose ids and keys are theirs.
async fn store(
    conn: &mut PgConnection,
    context: &Context,
    jobs: &[&Written],
    now: Timestamp,
) -> Result<(), StoreError> {
    fn each<T>(jobs: &[&Written], of: impl Fn(&Job) -> T) -> Vec<T> {
        jobs.iter().map(|written| of(&written.job)).collect()
    }
    let text = |of: fn(&Job) -> &str| -> Vec<&str> {
        jobs.iter().map(|written| of(&written.job)).collect()
    };
    let maybe = |of: fn(&Written) -> Option<&str>| -> Vec<Option<&str>> {
        jobs.iter().map(|written| of(written)).collect()
    };
    let bytes = |of: fn(&Job) -> Option<&[u8]>| -> Vec<Option<&[u8]>> {
        jobs.iter().map(|written| of(&written.job)).collect()
    };
    let small = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let sql = &context.sql;
    let query = sql
        .query(&sql.import)
        .of(jobs.len())
        .bind(text(|job| job.id.as_str()))
        .bind(text(|job| job.queue.as_str()))
        .bind(text(|job| job.kind.as_str()))
        .bind(maybe(|written| written.job.tenant_id.as_deref()))
        .bind(each(jobs, |job| i16::from(job.priority.get())))
        .bind(each(jobs, |job| state_code(job.state_when_imported(now))))
        .bind(each(jobs, |job| small(job.attempt)))
        .bind(each(jobs, |job| small(job.claim)))
        .bind(each(jobs, |job| small(job.max_attempts)))
        .bind(each(jobs, |job| job.enqueued_at.unix_nanos()))
        .bind(each(jobs, |job| job.available_at.unix_nanos()))
        .bind(each(jobs, |job| job.first_available_at.unix_nanos()))
        .bind(each(jobs, |job| job.finished_at.map(Timestamp::unix_nanos)))
        .bind(each(jobs, |job| job.timeout.map(nanos)))
        .bind(maybe(|written| {
            let unique = written.job.unique_key.as_ref();
            unique.map(|unique| unique.key.as_str())
        }))
        .bind(each(jobs, |job| {
            let unique = job.unique_key.as_ref();
            unique.map(|unique| unique.hash.cast_signed())
        }))
        .bind(each(jobs, |job| scope_code(job.unique_key.as_ref()?.scope)))
        .bind(maybe(|written| written.envelope.as_deref()))
        .bind(maybe(|written| written.keep.as_deref()))
        .bind(maybe(|written| written.history.as_deref()))
        .bind(bytes(|job| job.checkpoint.as_deref()))
        .bind(bytes(|job| job.result.as_deref()))
        .bind(bytes(|job| Some(&job.args)));
    run(conn, query).await.map(drop)
}
