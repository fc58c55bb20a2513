//! Leasing due jobs to a worker.

use std::collections::VecDeque;

use longshore_core::{
    ClaimRequest, Claimed, JobState, Lease, LeaseToken, Priority, QueueName, Random, StoreError,
    Timestamp,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

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
    let limit = request.limit.min(ClaimRequest::MAX_LIMIT);
    let mut queues: Vec<&QueueName> = Vec::with_capacity(request.queues.len());
    for queue in &request.queues {
        if !queues.contains(&queue) && !is_paused(conn, queue)? {
            queues.push(queue);
        }
    }
    let lines = due_by_priority(conn, &queues, limit, now)?;
    let expires_at = now.after(request.lease);
    let chosen = choose(lines, limit, request.turn);
    let mut claimed = Vec::with_capacity(chosen.len());
    if chosen.is_empty() {
        return Ok(claimed);
    }
    let mut leasing = Leasing::new(conn)?;
    for seq in chosen {
        let token = LeaseToken::from_bits(random.next_u64());
        let leased = leasing.lease(seq, request, token, (now, expires_at), counts)?;
        claimed.extend(leased);
    }
    Ok(claimed)
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

/// Due time and seq of due jobs, the first in line in front.
type Line = VecDeque<(i64, i64)>;

/// The due jobs of each priority, as many of each as a claim may take.
fn due_by_priority(
    conn: &Connection,
    queues: &[&QueueName],
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Line>, StoreError> {
    let share = usize::try_from(ClaimRequest::FAIR_SHARE).unwrap_or(8);
    let mut found = 0;
    let mut lines = Vec::with_capacity(Priority::ALL.len());
    for priority in Priority::ALL {
        // Once the better ones fill the request, only the fair share is left for this one.
        let most = limit
            .saturating_sub(found)
            .max(limit / share + 1)
            .min(limit);
        let mut line: Vec<(i64, i64)> = Vec::new();
        for queue in queues {
            due(conn, queue, priority, now, most, &mut line).map_err(from_sqlite)?;
        }
        if queues.len() > 1 {
            line.sort_unstable();
            line.truncate(most);
        }
        found += line.len();
        lines.push(line.into());
    }
    Ok(lines)
}

fn due(
    conn: &Connection,
    queue: &QueueName,
    priority: Priority,
    now: Timestamp,
    most: usize,
    line: &mut Vec<(i64, i64)>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(include_str!("sql/due.sql"))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![
        queue.as_str(),
        priority.get(),
        now.unix_nanos(),
        most
    ])?;
    while let Some(row) = rows.next()? {
        line.push((row.get(0)?, row.get(1)?));
    }
    Ok(())
}

/// Which jobs fill the slots: by priority, then due time, then age; but the slot in eight that
/// `turn` marks goes to the longest due job of the priorities below the best one.
fn choose(mut lines: Vec<Line>, limit: usize, turn: u64) -> Vec<i64> {
    let mut chosen = Vec::with_capacity(limit.min(64));
    let mut slot = turn;
    while chosen.len() < limit {
        let Some(best) = lines.iter().position(|line| !line.is_empty()) else {
            break;
        };
        let fair = slot % ClaimRequest::FAIR_SHARE == ClaimRequest::FAIR_SHARE - 1;
        let lower = if fair {
            oldest_below(&lines, best)
        } else {
            None
        };
        let next = lines
            .get_mut(lower.unwrap_or(best))
            .and_then(VecDeque::pop_front);
        chosen.extend(next.map(|(_, seq)| seq));
        slot = slot.wrapping_add(1);
    }
    chosen
}

/// The line below `best` whose first job has been due the longest.
fn oldest_below(lines: &[Line], best: usize) -> Option<usize> {
    lines
        .iter()
        .enumerate()
        .skip(best + 1)
        .filter_map(|(at, line)| line.front().map(|first| (first, at)))
        .min()
        .map(|(_, at)| at)
}

/// The statements of a claim, looked up once.
struct Leasing<'c> {
    jobs: Loader<'c>,
    mark: CachedStatement<'c>,
}

impl<'c> Leasing<'c> {
    fn new(conn: &'c Connection) -> Result<Self, StoreError> {
        let mark = conn.prepare_cached(include_str!("sql/mark_claimed.sql"));
        Ok(Self {
            jobs: Loader::new(conn)?,
            mark: mark.map_err(from_sqlite)?,
        })
    }

    fn lease(
        &mut self,
        seq: i64,
        request: &ClaimRequest,
        token: LeaseToken,
        (now, expires_at): (Timestamp, Timestamp),
        counts: &mut Counts,
    ) -> Result<Option<Claimed>, StoreError> {
        let Some(Stored { mut job, .. }) = self.jobs.load(seq)? else {
            return Ok(None);
        };
        counts.moved(job.queue.as_str(), Some(job.state), Some(JobState::Running));
        job.apply_claim(&request.worker, expires_at, now);
        let marked = self.mark.execute(params![
            seq,
            job.attempt,
            job.claim,
            token.get(),
            request.worker.as_str(),
            now.unix_nanos(),
            expires_at.unix_nanos(),
        ]);
        marked.map_err(from_sqlite)?;
        let lease = Lease {
            job_id: job.id.clone(),
            token,
            expires_at,
        };
        Ok(Some(Claimed { job, lease }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        vec![
            (0..20).map(|n| (n, n)).collect(),
            VecDeque::from([(7, 100), (9, 101)]),
            VecDeque::from([(5, 200)]),
            Line::new(),
        ]
    }

    #[test]
    fn the_marked_slot_goes_to_the_oldest_of_the_lower_priorities() {
        let chosen = choose(lines(), 16, 0);
        assert_eq!(chosen.get(7), Some(&200));
        assert_eq!(chosen.get(15), Some(&100));
        assert_eq!(choose(lines(), 1, 7), [200]);
        assert_eq!(choose(lines(), 1, 6), [0]);
    }

    #[test]
    fn without_lower_priorities_every_slot_is_the_best() {
        let chosen = choose(lines().into_iter().take(1).collect(), 16, 0);
        assert_eq!(chosen, (0..16).collect::<Vec<i64>>());
    }
}
