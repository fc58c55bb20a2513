//! Which jobs fill the slots of a claim.

use longshore_core::{Allowance, ClaimRequest, QueueName, StoreError, Timestamp};
use rusqlite::Connection;

use crate::claim::is_paused;
use crate::claim::line::{Line, Whose};
use crate::claim::merge::Merge;
use crate::claim::turns;
use crate::claim::walk::{Walk, lines};

/// What a claim looks for.
pub(super) struct Ask<'a> {
    pub(super) conn: &'a Connection,
    pub(super) request: &'a ClaimRequest,
    /// Those that may be claimed from, each once.
    pub(super) queues: Vec<&'a QueueName>,
    pub(super) limit: usize,
    pub(super) now: i64,
    /// Whether it matters whose a job is.
    pub(super) by_tenant: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        conn: &'a Connection,
        request: &'a ClaimRequest,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let allowance = Allowance::new(&request.quotas);
        let mut queues: Vec<&QueueName> = Vec::with_capacity(request.queues.len());
        for queue in &request.queues {
            let may = allowance.allows_queue(queue) && !queues.contains(&queue);
            if may && !is_paused(conn, queue)? {
                queues.push(queue);
            }
        }
        Ok(Self {
            conn,
            request,
            queues,
            limit: request.limit.min(ClaimRequest::MAX_LIMIT),
            now: now.unix_nanos(),
            by_tenant: request.spread.is_some() || allowance.limits_tenants(),
        })
    }
}

/// The seqs of the jobs that fill the slots, in the order of the slots.
pub(super) fn choose(ask: &Ask<'_>) -> Result<Vec<i64>, StoreError> {
    if ask.limit == 0 {
        return Ok(Vec::new());
    }
    if let Some(spread) = &ask.request.spread {
        return turns::choose(ask, spread);
    }
    let allowance = Allowance::new(&ask.request.quotas);
    if let Some(chosen) = in_line(ask, lines(ask, &allowance)?, allowance.clone())? {
        return Ok(chosen);
    }
    // Each tenant's jobs apart: then those who may have no more are passed over at once.
    let mut lines = lines(ask, &allowance)?;
    lines.retain(|line| line.whose == Whose::Nobody);
    let mut walk = Walk::new(ask, "")?;
    while let Some(mut theirs) = walk.next(ask, None, &allowance)? {
        lines.append(&mut theirs);
    }
    in_line(ask, lines, allowance).map(Option::unwrap_or_default)
}

/// The jobs of these lines by priority, then due time, then age; but the slots that are marked go
/// to the longest due job of the priorities below the best one. `None` if too many had to be
/// passed over.
fn in_line<'a>(
    ask: &Ask<'a>,
    lines: Vec<Line<'a>>,
    mut allowance: Allowance<'_>,
) -> Result<Option<Vec<i64>>, StoreError> {
    let mut chosen = Vec::with_capacity(ask.limit.min(64));
    let mut merge = Merge::new(lines);
    while chosen.len() < ask.limit {
        let Some(seq) = merge.take(ask, chosen.len(), &mut allowance)? else {
            break;
        };
        chosen.push(seq);
    }
    Ok((!merge.gave_up()).then_some(chosen))
}
