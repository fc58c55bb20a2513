//! Which jobs fill the slots of a claim that has quotas or turns.

use longshore_core::{Allowance, ClaimRequest, Group, StoreError};
use sqlx::postgres::PgConnection;

use crate::claim::line::{Line, Merge, Whose};
use crate::claim::turns;
use crate::error::corrupt;
use crate::row::Columns;
use crate::session::Context;
use crate::statement::{all, one};

/// What a claim looks for.
pub(super) struct Ask<'a> {
    pub(super) context: &'a Context,
    pub(super) request: &'a ClaimRequest,
    /// Those that may be claimed from, each once.
    pub(super) queues: Vec<String>,
    pub(super) limit: usize,
    pub(super) now: i64,
}

impl<'a> Ask<'a> {
    /// Waits until no other claim chooses jobs, then looks at the queues.
    pub(super) async fn new(
        conn: &mut PgConnection,
        context: &'a Context,
        request: &'a ClaimRequest,
    ) -> Result<Self, StoreError> {
        let allowance = Allowance::new(&request.quotas);
        let queues = request.queues.iter();
        let allowed = queues.filter(|queue| allowance.allows_queue(queue));
        let sql = &context.sql;
        let query = sql
            .query(&sql.lock_claims)
            .bind(context.lock_number())
            .bind(allowed.map(|queue| queue.as_str()).collect::<Vec<_>>())
            .bind(context.given());
        let row = one(conn, query).await?;
        let row = row.ok_or_else(|| corrupt("queue", "the server said nothing"))?;
        let from = &mut Columns::from(&row, 0);
        Ok(Self {
            context,
            request,
            now: from.value()?,
            queues: from.value()?,
            limit: request.limit.min(ClaimRequest::MAX_LIMIT),
        })
    }

    /// The names of the groups of this kind of which no job may be claimed at all.
    pub(super) fn closed(&self, name: fn(&Group) -> Option<&str>) -> Vec<&'a str> {
        let quotas = self.request.quotas.iter();
        let closed = quotas.filter(|quota| quota.at_most == 0);
        // A name with a zero byte is nobody's here.
        let names = closed.filter_map(|quota| name(&quota.group));
        names.filter(|name| !name.contains('\0')).collect()
    }

    /// The kinds of which no job may be claimed.
    pub(super) fn closed_kinds(&self) -> Vec<&'a str> {
        self.closed(|group| match group {
            Group::Kind(kind) => Some(kind.as_str()),
            Group::Queue(_) | Group::Tenant(_) | Group::EachTenant => None,
        })
    }
}

/// The seqs of the jobs that fill the slots, in the order of the slots.
pub(super) async fn choose(conn: &mut PgConnection, ask: &Ask<'_>) -> Result<Vec<i64>, StoreError> {
    if ask.queues.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(spread) = &ask.request.spread {
        return turns::choose(conn, ask, spread).await;
    }
    let allowance = Allowance::new(&ask.request.quotas);
    let together = lines(conn, ask).await?;
    if let Some(chosen) = in_line(conn, ask, together, allowance.clone()).await? {
        return Ok(chosen);
    }
    // Each tenant's jobs apart: then those who may have no more are passed over at once.
    let mut apart = lines(conn, ask).await?;
    apart.retain(|line| line.whose == Whose::Nobody);
    for (_, mut lines) in turns::tenants(conn, ask, "", None, i64::MAX).await? {
        apart.append(&mut lines);
    }
    let chosen = in_line(conn, ask, apart, allowance).await?;
    Ok(chosen.unwrap_or_default())
}

/// The lines that may be claimed from, those of all tenants together.
pub(super) async fn lines(conn: &mut PgConnection, ask: &Ask<'_>) -> Result<Vec<Line>, StoreError> {
    let sql = &ask.context.sql;
    let query = sql
        .query(&sql.lines)
        .bind(&ask.queues)
        .bind(ask.closed_kinds());
    let rows = all(conn, query).await?;
    let line = |row| {
        let from = &mut Columns::from(row, 0);
        let (queue, kind) = (from.name()?, from.name()?);
        match from.value::<i32>()? {
            priority @ 1..=4 => Line::new(queue, kind, priority, Whose::Nobody),
            lane => Line::new(queue, kind, lane - 4, Whose::Tenants),
        }
    };
    rows.iter().map(line).collect()
}

/// The jobs of these lines by priority, then due time, then age; but the slots that are marked go
/// to the longest due job of the priorities below the best one. `None` if too many had to be
/// passed over.
async fn in_line(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    lines: Vec<Line>,
    mut allowance: Allowance<'_>,
) -> Result<Option<Vec<i64>>, StoreError> {
    let mut chosen = Vec::with_capacity(ask.limit.min(64));
    let mut merge = Merge::new(lines);
    while chosen.len() < ask.limit {
        let slot = chosen.len();
        let Some(seq) = merge.take(conn, ask, slot, &mut allowance).await? else {
            break;
        };
        chosen.push(seq);
    }
    Ok((!merge.gave_up()).then_some(chosen))
}
