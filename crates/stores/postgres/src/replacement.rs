//! Args that are given to jobs that wait, by new ones with their unique keys.

use longshore_core::{NewJob, StoreError, Timestamp};
use sqlx::postgres::PgConnection;

use crate::enqueue::{MAX_BYTES, MAX_JOBS};
use crate::row::{Stored, state_code};
use crate::session::Context;
use crate::statement::run;

/// Gives each of these jobs, which the transaction has locked, what the new one beside it says.
pub(crate) async fn store(
    conn: &mut PgConnection,
    context: &Context,
    jobs: Vec<(Stored, &NewJob)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    let mut jobs = jobs.into_iter().peekable();
    while let Some((mut stored, new)) = jobs.next() {
        stored.job.apply_replacement(new, now);
        bytes += new.args.len();
        part.push((stored, new));
        if bytes >= MAX_BYTES || part.len() >= MAX_JOBS || jobs.peek().is_none() {
            store_part(conn, context, &part).await?;
            (part, bytes) = (Vec::new(), 0);
        }
    }
    Ok(())
}

async fn store_part(
    conn: &mut PgConnection,
    context: &Context,
    part: &[(Stored, &NewJob)],
) -> Result<(), StoreError> {
    fn each<'p, T>(
        part: &'p [(Stored, &'p NewJob)],
        of: impl Fn(&'p Stored, &'p NewJob) -> T,
    ) -> Vec<T> {
        part.iter().map(|(stored, new)| of(stored, new)).collect()
    }
    let sql = &context.sql;
    let query = sql
        .query(&sql.replace_args)
        .of(part.len())
        .bind(each(part, |stored, _| stored.seq))
        .bind(each(part, |_, new| {
            let unique = new.unique_key.as_ref();
            unique.map(|unique| unique.hash.cast_signed())
        }))
        .bind(each(part, |stored, _| state_code(stored.job.state)))
        .bind(each(part, |stored, _| i16::from(stored.job.priority.get())))
        .bind(each(part, |stored, _| stored.job.available_at.unix_nanos()))
        .bind(each(part, |stored, new| {
            let moves = new.scheduled_at.is_some() && stored.job.claim == 0;
            moves.then(|| stored.job.first_available_at.unix_nanos())
        }))
        .bind(each(part, |_, new| &*new.args));
    run(conn, query).await.map(drop)
}
