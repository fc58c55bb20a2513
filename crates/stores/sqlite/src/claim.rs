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
    let bits = random.next_u64();
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
            token: LeaseToken::of_claim(bits, seq.cast_unsigned()),
            expires_at,
        };
        claimed.push(Claimed { job, lease });
    }
    let base = (bits >> 2).cast_signed();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_core::{Group, Quota, Spread, WorkerId};
    use rusqlite::StatementStatus;

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;
    /// Steps of SQLite's machine for a claim of 10: 10 lines, a few jobs of each, and what is
    /// passed over before a claim looks at each tenant apart. Reading 100,000 jobs takes half a
    /// million.
    const BOUND: i32 = 20_000;

    /// 100,000 jobs of queue `q`, kind `front`, and tenant `big` if there is one, that have been due
    /// for long; then, in queue `q` and in queue `r`, 20 of another kind, of nobody and of each of
    /// `tenants` tenants.
    fn store(big: Option<&str>, tenants: usize) -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        crate::migrations::run(&mut conn).unwrap();
        let insert = "INSERT INTO longshore_job (id, queue, kind, priority, state, max_attempts, \
             enqueued_at, available_at, args, tenant) ";
        let front = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) \
             SELECT 'front-' || n, 'q', 'front', 1, 2, 1, 0, ?1, x'', ?2 FROM n";
        let due = NOW - 1_000_000;
        conn.execute(&format!("{insert}{front}"), (due, big))
            .unwrap();
        for at in 0..20 {
            for queue in ["q", "r"] {
                for tenant in 0..=tenants {
                    let id = format!("{queue}-{at}-{tenant}");
                    let whose = (tenant > 0).then(|| format!("small-{tenant:05}"));
                    let row = format!("{insert}VALUES (?1, ?2, 'behind', 2, 2, 1, 0, ?3, x'', ?4)");
                    let mut statement = conn.prepare_cached(&row).unwrap();
                    statement
                        .execute((id, queue, NOW - 1000 + at, whose))
                        .unwrap();
                }
            }
        }
        conn
    }

    fn request(queues: &[&str], quota: Option<Group>) -> ClaimRequest {
        let queues = queues.iter().map(|queue| queue.parse().unwrap()).collect();
        let worker = WorkerId::new("w");
        let mut request = ClaimRequest::new(worker, queues, 10, Duration::from_secs(30));
        request.quotas = quota
            .into_iter()
            .map(|group| Quota { group, at_most: 0 })
            .collect();
        request
    }

    /// Chooses, and says how many of which id's beginning, in how many steps.
    fn look(conn: &Connection, request: &ClaimRequest) -> (Vec<String>, i32) {
        let now = Timestamp::from_unix_nanos(NOW);
        let steps = || -> i32 {
            let statements = [
                include_str!("sql/due.sql"),
                include_str!("sql/due_of_tenant.sql"),
                include_str!("sql/next_line.sql"),
                include_str!("sql/next_line_of_tenant.sql"),
            ];
            let of = |sql| {
                let statement = conn.prepare_cached(sql).unwrap();
                statement.get_status(StatementStatus::VmStep)
            };
            statements.into_iter().map(of).sum()
        };
        let before = steps();
        let chosen = choose(&Ask::new(conn, request, now).unwrap()).unwrap();
        let taken = steps() - before;
        let id = |seq: i64| -> String {
            let sql = "SELECT id FROM longshore_job WHERE seq = ?1";
            conn.query_row(sql, [seq], |row| row.get(0)).unwrap()
        };
        (chosen.into_iter().map(id).collect(), taken)
    }

    fn is_behind(id: &str) -> bool {
        !id.starts_with("front")
    }

    #[test]
    fn a_hundred_thousand_jobs_that_are_held_back_are_not_read() {
        let conn = store(Some("big"), 3);
        let groups = [
            (["q", "q"], Group::Kind("front".parse().unwrap())),
            (["q", "r"], Group::Queue("q".parse().unwrap())),
            (["q", "q"], Group::Tenant("big".to_owned())),
        ];
        for (queues, group) in groups {
            let mut request = request(&queues, Some(group.clone()));
            for spread in [
                None,
                Some(None),
                Some(Some("big")),
                Some(Some("small-00002")),
            ] {
                request.spread = spread.map(|after| Spread {
                    after: after.map(str::to_owned),
                    each: 1,
                });
                let (ids, steps) = look(&conn, &request);
                assert_eq!(ids.iter().filter(|id| is_behind(id)).count(), 10);
                assert!(steps < BOUND, "{steps} steps: {group:?} {spread:?}");
            }
        }
        let sql = "INSERT INTO longshore_queue (name, paused) VALUES ('q', 1)";
        conn.execute(sql, []).unwrap();
        let (ids, steps) = look(&conn, &request(&["q", "r"], None));
        assert!(ids.iter().all(|id| id.starts_with('r')) && steps < BOUND);
    }

    #[test]
    fn a_hundred_thousand_jobs_of_nobody_or_of_one_tenant_do_not_hide_the_others() {
        for (big, group) in [(None, ""), (Some("big"), "big")] {
            let conn = store(big, 3);
            let held = request(&["q"], Some(Group::Tenant(group.to_owned())));
            let (ids, steps) = look(&conn, &held);
            assert!(ids.iter().all(|id| is_behind(id)), "{ids:?}");
            assert!(ids.len() == 10 && steps < BOUND, "{steps} steps");
            let mut turns = request(&["q"], None);
            turns.spread = Some(Spread {
                after: None,
                each: 1,
            });
            let (ids, steps) = look(&conn, &turns);
            let front = ids.len() - ids.iter().filter(|id| is_behind(id)).count();
            assert!((2..=3).contains(&front) && ids.len() == 10, "{ids:?}");
            assert!(steps < BOUND, "{steps} steps");
        }
    }

    #[test]
    fn a_claim_reads_as_much_among_many_tenants_as_among_few() {
        let conn = store(None, 1000);
        let mut request = request(&["r"], None);
        request.spread = Some(Spread {
            after: Some("small-00500".to_owned()),
            each: 2,
        });
        let (ids, steps) = look(&conn, &request);
        let expected = ["501", "502", "503", "504", "505"].map(|tenant| {
            let mine = ids.iter().filter(|id| id.ends_with(tenant)).count();
            assert_eq!(mine, 2, "{tenant}: {ids:?}");
            mine
        });
        assert_eq!(expected.iter().sum::<usize>(), ids.len());
        assert!(steps < BOUND, "{steps} steps");
    }
}
