//! Leasing due jobs to a worker.

mod choice;
mod line;
mod merge;
mod turns;
mod walk;

use longshore_core::{
    ClaimRequest, Claimed, JobState, Lease, LeaseToken, QueueName, Random, StoreError, Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use crate::claim::choice::{Ask, choose};
pub(crate) use crate::claim::walk::next_due;
use crate::counts::Counts;
use crate::error::from_sqlite;
use crate::row::{Loader, Stored};

/// Leases the jobs that `request` asks for.
pub(crate) fn claim(
    conn: &Connection,
    request: &ClaimRequest,
    random: &dyn Random,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<Vec<Claimed>, StoreError> {
    let expires_at = now.after(request.lease);
    let chosen = choose(&Ask::new(conn, request, now)?)?;
    lease(conn, &chosen, request, random, (now, expires_at), counts)
}

/// Whether a queue is paused.
pub(crate) fn is_paused(conn: &Connection, queue: &QueueName) -> Result<bool, StoreError> {
    conn.prepare_cached(include_str!("sql/is_paused.sql"))
        .and_then(|mut statement| {
            statement
                .query_row([queue.as_str()], |row| row.get(0))
                .optional()
        })
        .map(|paused| paused.unwrap_or(false))
        .map_err(from_sqlite)
}

/// Most jobs that one statement leases.
const TOGETHER: usize = 16;

fn lease(
    conn: &Connection,
    chosen: &[i64],
    request: &ClaimRequest,
    random: &dyn Random,
    (now, expires_at): (Timestamp, Timestamp),
    counts: &mut Counts,
) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = Vec::with_capacity(chosen.len());
    if chosen.is_empty() {
        return Ok(claimed);
    }
    // Both terms have 62 bits, so that the sum is a positive number of 63.
    let base = (random.next_u64() >> 2).cast_signed();
    let token = |seq: i64| (base + (seq & (i64::MAX >> 1))).cast_unsigned() << 1;
    let mut jobs = Loader::new(conn)?;
    let mut leased = Vec::with_capacity(chosen.len());
    for seq in chosen {
        let Some(Stored { mut job, .. }) = jobs.load(*seq)? else {
            continue;
        };
        leased.push(*seq);
        counts.moved(job.queue.as_str(), Some(job.state), Some(JobState::Running));
        job.apply_claim(&request.worker, expires_at, now);
        let lease = Lease {
            job_id: job.id.clone(),
            token: LeaseToken::from_bits(token(*seq)),
            expires_at,
        };
        claimed.push(Claimed { job, lease });
    }
    mark(conn, &leased, base, request, (now, expires_at)).map_err(from_sqlite)?;
    Ok(claimed)
}

/// Writes the leases of these jobs; their tokens are `base` and their seqs.
fn mark(
    conn: &Connection,
    leased: &[i64],
    base: i64,
    request: &ClaimRequest,
    (now, expires_at): (Timestamp, Timestamp),
) -> rusqlite::Result<()> {
    for seqs in leased.chunks(TOGETHER) {
        // Where few are left, room for the others costs more than it saves.
        let one_by_one = seqs.len() < 4;
        let mut statement = conn.prepare_cached(if one_by_one {
            include_str!("sql/mark_claimed.sql")
        } else {
            include_str!("sql/mark_claimed_16.sql")
        })?;
        statement.raw_bind_parameter(1, base)?;
        statement.raw_bind_parameter(2, request.worker.as_str())?;
        statement.raw_bind_parameter(3, now.unix_nanos())?;
        statement.raw_bind_parameter(4, expires_at.unix_nanos())?;
        if one_by_one {
            for seq in seqs {
                statement.raw_bind_parameter(5, seq)?;
                statement.raw_execute()?;
            }
            continue;
        }
        for at in 0..TOGETHER {
            statement.raw_bind_parameter(5 + at, seqs.get(at))?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}
