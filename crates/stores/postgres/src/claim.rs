//! Leasing due jobs to a worker.

mod choice;
mod line;
mod turns;

use longshore_core::{ClaimRequest, Claimed, Lease, LeaseToken, StoreError};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::claim::choice::{Ask, choose};
use crate::error::{corrupt, from_postgres, refuse_zero};
use crate::row::{Columns, nanos, stored_of};
use crate::session::Context;
use crate::statement::all;

/// Leases the jobs that `request` asks for: in one statement, unless it has quotas or turns. Then
/// the jobs are chosen first, in the same transaction.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    context: &Context,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>, StoreError> {
    if request.limit == 0 || request.queues.is_empty() {
        return Ok(Vec::new());
    }
    refuse_zero([("worker id", request.worker.as_str())])?;
    if request.quotas.is_empty() && request.spread.is_none() {
        return lease(conn, context, request, context.given(), None).await;
    }
    let mut transaction = conn.begin().await.map_err(from_postgres)?;
    let ask = Ask::new(&mut transaction, context, request).await?;
    let chosen = choose(&mut transaction, &ask).await?;
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let now = Some(ask.now);
    let claimed = lease(&mut transaction, context, request, now, Some(chosen)).await?;
    transaction.commit().await.map_err(from_postgres)?;
    Ok(claimed)
}

async fn lease(
    conn: &mut PgConnection,
    context: &Context,
    request: &ClaimRequest,
    now: Option<i64>,
    chosen: Option<Vec<i64>>,
) -> Result<Vec<Claimed>, StoreError> {
    let queues: Vec<&str> = request.queues.iter().map(|queue| queue.as_str()).collect();
    let limit = request.limit.min(ClaimRequest::MAX_LIMIT);
    let bits = context.random.next_u64();
    let sql = &context.sql;
    let query = sql
        .query(&sql.claim)
        .bind(now)
        .bind(queues)
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
        .bind(i32::try_from(request.turn % ClaimRequest::FAIR_SHARE).unwrap_or(0))
        .bind(chosen)
        .bind(nanos(request.lease))
        .bind(request.worker.as_str())
        .bind((bits >> 2).cast_signed());
    let rows = all(conn, query).await?;
    let mut slots = Vec::with_capacity(rows.len());
    for row in &rows {
        let slot: i64 = Columns::from(row, 0).value()?;
        let stored = stored_of(row, 1)?;
        let job = stored.job;
        let lease = Lease {
            job_id: job.id.clone(),
            token: LeaseToken::of_claim(bits, stored.seq.cast_unsigned()),
            expires_at: job
                .lease_expires_at
                .ok_or_else(|| corrupt("lease", "a claimed job without an end of its lease"))?,
        };
        slots.push((slot, Claimed { job, lease }));
    }
    slots.sort_by_key(|(slot, _)| *slot);
    Ok(slots.into_iter().map(|(_, claimed)| claimed).collect())
}
