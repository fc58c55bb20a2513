//! Waiting jobs in lines: those of a queue and kind that are equally urgent, in the order of
//! claims. Several lines are taken from as one.

use std::collections::VecDeque;

use longshore_core::{Allowance, ClaimRequest, Kind, Priority, QueueName, StoreError};
use sqlx::postgres::PgConnection;

use crate::claim::choice::Ask;
use crate::error::corrupt;
use crate::row::Columns;
use crate::statement::all;

/// Most jobs of tenants who may have no more that are passed over one by one.
const MAX_SKIPPED: usize = 1000;
/// Fewest jobs that are read of a line at a time.
const FEWEST: usize = 8;

/// A job that waits.
#[derive(Debug)]
struct Waiting {
    due: i64,
    seq: i64,
    tenant: Option<Box<str>>,
}

/// Whose jobs stand in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of no tenant.
    Nobody,
    /// Those of all tenants together.
    Tenants,
    /// Those of this tenant.
    Tenant(Box<str>),
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    queue: QueueName,
    kind: Kind,
    priority: Priority,
    pub(super) whose: Whose,
    jobs: VecDeque<Waiting>,
    /// How many of its jobs were read.
    read: usize,
    /// Whether more than those may be due.
    more: bool,
}

impl Line {
    pub(super) fn new(
        queue: QueueName,
        kind: Kind,
        priority: i32,
        whose: Whose,
    ) -> Result<Self, StoreError> {
        let small = u8::try_from(priority).map_err(|error| corrupt("priority", error))?;
        Ok(Self {
            queue,
            kind,
            priority: Priority::try_from(small).map_err(|error| corrupt("priority", error))?,
            whose,
            jobs: VecDeque::new(),
            read: 0,
            more: true,
        })
    }

    /// Whether any of its jobs may be taken.
    pub(super) fn is_allowed(&self, allowance: &Allowance<'_>) -> bool {
        let tenant = match &self.whose {
            Whose::Nobody => "",
            Whose::Tenant(tenant) => tenant,
            Whose::Tenants => {
                return allowance.allows_queue(&self.queue) && allowance.allows_kind(&self.kind);
            }
        };
        allowance.allows(&self.queue, &self.kind, tenant)
    }

    fn lane(&self) -> i32 {
        let priority = i32::from(self.priority.get());
        match self.whose {
            Whose::Nobody | Whose::Tenant(_) => priority,
            Whose::Tenants => priority + 4,
        }
    }

    fn tenant(&self) -> Option<&str> {
        match &self.whose {
            Whose::Tenant(tenant) => Some(tenant),
            Whose::Nobody | Whose::Tenants => None,
        }
    }
}

/// Reads about `most` more jobs of each line that has none left and may have more.
pub(super) async fn read(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    lines: &mut [&mut Line],
    most: usize,
) -> Result<(), StoreError> {
    // What is passed over is paid for again, so each reading is as large as all before.
    let most = |line: &Line| most.max(line.read).clamp(FEWEST, ClaimRequest::MAX_LIMIT);
    let mosts: Vec<usize> = lines.iter().map(|line| most(line)).collect();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let texts = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line)).collect::<Vec<_>>();
    let sql = &ask.context.sql;
    let query = sql
        .query(&sql.due_of_lines)
        .bind(ask.now)
        .bind(texts(|line| line.queue.as_str()))
        .bind(texts(|line| line.kind.as_str()))
        .bind(lines.iter().map(|line| line.tenant()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.lane()).collect::<Vec<_>>())
        .bind(
            lines
                .iter()
                .map(|line| number(line.read))
                .collect::<Vec<_>>(),
        )
        .bind(mosts.iter().copied().map(number).collect::<Vec<_>>());
    let rows = all(conn, query).await?;
    for row in &rows {
        let from = &mut Columns::from(row, 0);
        let place: i64 = from.value()?;
        let job = Waiting {
            due: from.value()?,
            seq: from.value()?,
            tenant: from.value::<Option<&str>>()?.map(Box::from),
        };
        let at = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let line = lines.get_mut(at).ok_or_else(|| corrupt("line", place))?;
        line.jobs.push_back(job);
    }
    for (line, most) in lines.iter_mut().zip(mosts) {
        line.read += line.jobs.len();
        line.more = line.jobs.len() == most;
    }
    Ok(())
}

/// Lines whose jobs are taken by priority, then due time, then age.
#[derive(Debug, Default)]
pub(super) struct Merge {
    lines: Vec<Line>,
    /// How many jobs were passed over since their tenants may have no more.
    skipped: usize,
}

impl Merge {
    pub(super) fn new(lines: Vec<Line>) -> Self {
        Self { lines, skipped: 0 }
    }

    /// Whether it stopped, since too many jobs were passed over whose tenants may have no more.
    pub(super) const fn gave_up(&self) -> bool {
        self.skipped > MAX_SKIPPED
    }

    /// The job for this slot of the claim; counts it.
    pub(super) async fn take(
        &mut self,
        conn: &mut PgConnection,
        ask: &Ask<'_>,
        slot: usize,
        allowance: &mut Allowance<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let left = ask.limit.saturating_sub(slot);
        let Some(best) = self.first(conn, ask, left, (None, allowance)).await? else {
            return Ok(None);
        };
        let mut pick = best;
        if ask.request.favours_lower(slot as u64)
            && let Some(urgency) = self.lines.get(best).map(|line| line.priority)
            && let Some(lower) = self
                .first(conn, ask, left, (Some(urgency), allowance))
                .await?
        {
            pick = lower;
        }
        let Some(line) = self.lines.get_mut(pick) else {
            return Ok(None);
        };
        let Some(job) = line.jobs.pop_front() else {
            return Ok(None);
        };
        allowance.take(
            &line.queue,
            &line.kind,
            job.tenant.as_deref().unwrap_or_default(),
        );
        Ok(Some(job.seq))
    }

    /// The line whose first job may be taken and is the best one, or of those less urgent than
    /// `below` the one that has been due the longest. Leaves out what may not be taken.
    async fn first(
        &mut self,
        conn: &mut PgConnection,
        ask: &Ask<'_>,
        left: usize,
        (below, allowance): (Option<Priority>, &Allowance<'_>),
    ) -> Result<Option<usize>, StoreError> {
        while !self.gave_up() {
            self.catch_up(conn, ask, left).await?;
            let heads = self.lines.iter().enumerate().filter_map(|(at, line)| {
                let first = line.jobs.front()?;
                let urgency = match below {
                    None => line.priority,
                    Some(below) if line.priority > below => Priority::LAST,
                    Some(_) => return None,
                };
                Some(((urgency, first.due, first.seq), at))
            });
            let Some((_, at)) = heads.min() else {
                return Ok(None);
            };
            let Some(line) = self.lines.get_mut(at) else {
                return Ok(None);
            };
            if !line.is_allowed(allowance) {
                // What a group may not have now it may not have later: the line is left.
                line.jobs.clear();
                line.more = false;
                continue;
            }
            let tenant = line.jobs.front().and_then(|job| job.tenant.as_deref());
            if allowance.allows_tenant(tenant.unwrap_or_default()) {
                return Ok(Some(at));
            }
            line.jobs.pop_front();
            self.skipped += 1;
        }
        Ok(None)
    }

    /// Has every line stand with its first job. Lines keep their places, by which they are known.
    async fn catch_up(
        &mut self,
        conn: &mut PgConnection,
        ask: &Ask<'_>,
        left: usize,
    ) -> Result<(), StoreError> {
        let is_behind = |line: &&mut Line| line.more && line.jobs.is_empty();
        let others = self.lines.iter().filter(|line| !line.jobs.is_empty());
        let others = others.count();
        let mut behind: Vec<&mut Line> = self.lines.iter_mut().filter(is_behind).collect();
        if behind.is_empty() {
            return Ok(());
        }
        // The lines share what is left, as far as anyone can tell.
        let most = left / (others + behind.len());
        read(conn, ask, &mut behind, most).await
    }
}
