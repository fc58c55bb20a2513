//! Finding lines. Each index of waiting jobs holds line after line, so that the head of each is one
//! look away from the head before it, however many jobs stand between them.

use longshore_core::{Allowance, Kind, Priority, QueueName, StoreError, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};

use crate::claim::choice::Ask;
use crate::claim::line::{Line, Waiting, Whose};
use crate::error::{corrupt, from_sqlite};

/// The lines whose first job is due and that may be claimed from, those of all tenants together.
pub(super) fn lines<'a>(
    ask: &Ask<'a>,
    allowance: &Allowance<'_>,
) -> Result<Vec<Line<'a>>, StoreError> {
    let mut lines = Vec::new();
    let mut statement = next_line(ask.conn).map_err(from_sqlite)?;
    for queue in &ask.queues {
        let mut after = (String::new(), i64::MIN);
        while let Some(head) = Head::read(
            &mut statement,
            params![queue.as_str(), after.0, after.1, ask.by_tenant],
        )? {
            let kind = head.kind()?;
            let is_allowed = allowance.allows_kind(&kind);
            after.0.clone_from(&head.kind);
            after.1 = if is_allowed { head.lane } else { i64::MAX };
            let (whose, priority) = match head.lane {
                1..=4 => (Whose::Nobody, head.lane),
                lane => (Whose::Tenants, lane.saturating_sub(4)),
            };
            let line = head.line(queue, kind, priority, whose, ask.now);
            lines.extend(line.filter(|line| line.is_allowed(allowance)));
        }
    }
    Ok(lines)
}

fn next_line(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    conn.prepare_cached(include_str!("../sql/next_line.sql"))
}

/// When the first waiting job of a queue is due.
pub(crate) fn next_due(
    conn: &Connection,
    queue: &QueueName,
) -> Result<Option<Timestamp>, StoreError> {
    let mut first = None;
    let mut statement = next_line(conn).map_err(from_sqlite)?;
    let mut after = (String::new(), i64::MIN);
    while let Some(head) = Head::read(
        &mut statement,
        params![queue.as_str(), after.0, after.1, false],
    )? {
        first = first.into_iter().chain([head.job.due]).min();
        after = (head.kind, head.lane);
    }
    Ok(first.map(Timestamp::from_unix_nanos))
}

/// Goes from tenant to tenant, in the order of their names, through several queues at once.
pub(super) struct Walk<'a> {
    statement: CachedStatement<'a>,
    /// Of each queue, the line to be looked at next.
    heads: Vec<Option<Head>>,
}

impl<'a> Walk<'a> {
    /// Begins with the first tenant after this one.
    pub(super) fn new(ask: &Ask<'a>, after: &str) -> Result<Self, StoreError> {
        let sql = include_str!("../sql/next_line_of_tenant.sql");
        let mut statement = ask.conn.prepare_cached(sql).map_err(from_sqlite)?;
        let seek = |queue| Head::after_tenant(&mut statement, queue, after);
        let heads = ask.queues.iter().copied().map(seek);
        let heads = heads.collect::<Result<_, _>>()?;
        Ok(Self { statement, heads })
    }

    /// The lines of the next tenant that has a due job which is allowed, none of those after
    /// `until` if that is given.
    pub(super) fn next(
        &mut self,
        ask: &Ask<'a>,
        until: Option<&str>,
        allowance: &Allowance<'_>,
    ) -> Result<Option<Vec<Line<'a>>>, StoreError> {
        let name = |head: &Head| head.job.tenant.clone();
        while let Some(tenant) = self.heads.iter().flatten().filter_map(name).min()
            && until.is_none_or(|until| *tenant <= *until)
        {
            let mut lines = Vec::new();
            for (queue, slot) in ask.queues.iter().zip(&mut self.heads) {
                while let Some(head) = slot.take_if(|head| head.job.tenant == Some(tenant.clone()))
                {
                    let found = Head::step(&mut self.statement, queue, head, allowance, ask.now)?;
                    lines.extend(found.0);
                    *slot = found.1;
                }
            }
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        Ok(None)
    }
}

/// What one look at an index of lines finds.
#[derive(Debug)]
struct Head {
    kind: String,
    /// The lane, or the priority if it is a tenant's.
    lane: i64,
    job: Waiting,
}

impl Head {
    fn read(
        statement: &mut CachedStatement<'_>,
        from: impl Params,
    ) -> Result<Option<Self>, StoreError> {
        let read = |row: &Row<'_>| {
            Ok(Self {
                kind: row.get(0)?,
                lane: row.get(1)?,
                job: Waiting {
                    due: row.get(2)?,
                    seq: row.get(3)?,
                    tenant: row.get(4)?,
                },
            })
        };
        statement
            .query_row(from, read)
            .optional()
            .map_err(from_sqlite)
    }

    /// The first line of the tenants after this one.
    fn after_tenant(
        statement: &mut CachedStatement<'_>,
        queue: &QueueName,
        tenant: &str,
    ) -> Result<Option<Self>, StoreError> {
        Self::read(
            statement,
            params![queue.as_str(), tenant, LAST_KIND, i64::MAX],
        )
    }

    /// The line of this head, if anyone may claim from it, and the head after it that is worth a
    /// look.
    fn step<'q>(
        statement: &mut CachedStatement<'_>,
        queue: &'q QueueName,
        mut head: Self,
        allowance: &Allowance<'_>,
        now: i64,
    ) -> Result<(Option<Line<'q>>, Option<Self>), StoreError> {
        let tenant = head.job.tenant.take().unwrap_or_default();
        if !allowance.allows_tenant(&tenant) {
            return Ok((None, Self::after_tenant(statement, queue, &tenant)?));
        }
        let kind = head.kind()?;
        let is_allowed = allowance.allows_kind(&kind);
        let priority = head.lane;
        let urgent = if is_allowed { priority } else { i64::MAX };
        let next = Self::read(
            statement,
            params![queue.as_str(), tenant, head.kind, urgent],
        )?;
        if !is_allowed {
            return Ok((None, next));
        }
        let line = head.line(queue, kind, priority, Whose::Tenant(tenant), now);
        Ok((line, next))
    }

    fn kind(&self) -> Result<Kind, StoreError> {
        self.kind.parse().map_err(|error| corrupt("kind", error))
    }

    /// The line of this head, if its job is due. Nobody claims at a priority that does not exist.
    fn line(
        self,
        queue: &QueueName,
        kind: Kind,
        priority: i64,
        whose: Whose,
        now: i64,
    ) -> Option<Line<'_>> {
        let priority = Priority::try_from(u8::try_from(priority).ok()?).ok()?;
        (self.job.due <= now).then(|| Line::new(queue, kind, priority, whose, self.job))
    }
}

/// After every name of a kind.
const LAST_KIND: &str = "\u{10ffff}";
