//! Leasing due jobs to a worker.

mod choice;
mod line;
pub(crate) mod mark;
mod turns;

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::{ClaimRequest, Claimed, Lease, LeaseToken, StoreError};
use sqlx::postgres::{PgConnection, PgRow};
use tokio::time::Instant;

use crate::claim::choice::{Ask, choose};
use crate::claim::mark::{Begin, Position, Seen};
use crate::error::{corrupt, refuse_zero};
use crate::row::{Columns, nanos, stored_of};
use crate::session::Context;
use crate::statement::{all, begin, commit};

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
        let mut queues: Vec<&str> = request.queues.iter().map(|queue| queue.as_str()).collect();
        queues.sort_unstable();
        queues.dedup();
        let begin = context.marks.begin(&queues, Instant::now());
        let of_queues = Choice::Of(&queues, begin);
        return lease(conn, context, request, context.given(), of_queues).await;
    }
    let mut transaction = begin(conn, &context.sql).await?;
    let ask = Ask::new(&mut transaction, context, request).await?;
    let chosen = choose(&mut transaction, &ask).await?;
    let claimed = match chosen.is_empty() {
        true => Vec::new(),
        false => {
            let now = Some(ask.now);
            lease(
                &mut transaction,
                context,
                request,
                now,
                Choice::Made(chosen),
            )
            .await?
        }
    };
    // Also where nothing was chosen: what was looked at is locked until then.
    commit(transaction, &context.sql).await?;
    Ok(claimed)
}

/// The first of the columns that are a job's.
const JOB: usize = 5;

/// Which jobs are leased.
enum Choice<'a> {
    /// Those of these distinct queues that the server chooses, beginning there.
    Of(&'a [&'a str], Begin),
    /// Those with these seqs.
    Made(Vec<i64>),
}

async fn lease(
    conn: &mut PgConnection,
    context: &Context,
    request: &ClaimRequest,
    now: Option<i64>,
    choice: Choice<'_>,
) -> Result<Vec<Claimed>, StoreError> {
    let limit = request.limit.min(ClaimRequest::MAX_LIMIT);
    let bits = context.random.next_u64();
    let (queues, begin, chosen) = match &choice {
        Choice::Of(queues, begin) => (*queues, begin.at.as_deref(), None),
        Choice::Made(chosen) => (&[][..], None, Some(chosen)),
    };
    let numbers = |of: fn(&Position) -> i64| Some(begin?.iter().map(of).collect::<Vec<_>>());
    let sql = &context.sql;
    let query = sql
        .query(&sql.claim)
        .bind(now)
        .bind(queues)
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
        .bind(i32::try_from(request.turn % ClaimRequest::FAIR_SHARE).unwrap_or(0))
        .bind(numbers(|position| position.due))
        .bind(numbers(|position| position.seq))
        .bind(chosen)
        .bind(nanos(request.lease))
        .bind(request.worker.as_str())
        .bind((bits >> 2).cast_signed());
    let rows = all(conn, query).await?;
    let mut slots = Vec::with_capacity(rows.len());
    let mut told = None;
    for row in &rows {
        let Some(slot) = Columns::from(row, 0).value::<Option<i64>>()? else {
            told = Some(row);
            continue;
        };
        let stored = stored_of(row, JOB)?;
        let job = stored.job;
        let lease = Lease {
            job_id: job.id.clone(),
            token: LeaseToken::of_claim(bits, stored.seq.cast_unsigned()),
            expires_at: job
                .lease_expires_at
                .ok_or_else(|| corrupt("lease", "a claimed job without an end of its lease"))?,
        };
        slots.push((slot, stored.seq, Claimed { job, lease }));
    }
    if let (Choice::Of(queues, begin), Some(told)) = (&choice, told)
        // Where the clock is given, claims are to choose the same jobs each time.
        && context.given().is_none()
    {
        let seen = seen(told, &slots)?;
        context.marks.end(queues, begin, seen, Instant::now());
    }
    slots.sort_by_key(|(slot, ..)| *slot);
    Ok(slots.into_iter().map(|(.., claimed)| claimed).collect())
}

/// What a claim saw: the row that tells of it, and the jobs with their slots and seqs.
fn seen(told: &PgRow, claimed: &[(i64, i64, Claimed)]) -> Result<Seen, StoreError> {
    let from = &mut Columns::from(told, 1);
    let (at, took): (i64, i64) = (from.value()?, from.value()?);
    let (opened, drained): (Vec<String>, Vec<bool>) = (from.value()?, from.value()?);
    // Where no due job is left, all was looked at that is due now.
    let end = Position {
        due: at,
        seq: i64::MIN,
    };
    let mut lines = [None; 4];
    for (line, drained) in lines.iter_mut().zip(drained) {
        *line = drained.then_some(end);
    }
    let mut reached: HashMap<String, [Option<Position>; 4]> =
        opened.into_iter().map(|queue| (queue, lines)).collect();
    for (_, seq, Claimed { job, .. }) in claimed {
        let lines = reached.get_mut(job.queue.as_str());
        let line = usize::from(job.priority.get()) - 1;
        if let Some(line) = lines.and_then(|lines| lines.get_mut(line)) {
            let last = Position {
                due: job.available_at.unix_nanos(),
                seq: *seq,
            };
            *line = (*line).max(Some(last));
        }
    }
    Ok(Seen {
        took: Duration::from_micros(took.unsigned_abs()),
        jobs: claimed.len(),
        reached,
    })
}
