//! Tenants that take turns.

use std::collections::VecDeque;

use longshore_core::{Allowance, Group, Spread, StoreError};
use sqlx::postgres::PgConnection;

use crate::claim::choice::{Ask, lines};
use crate::claim::line::{Line, Merge, Whose, read};
use crate::row::{Columns, before_zero};
use crate::statement::all;

/// A part of the first round of turns.
enum Stage {
    /// The jobs of nobody.
    Nobody,
    /// The tenants after one, up to and with another if there is one.
    Tenants(String, Option<String>),
}

/// The seqs of the jobs that fill the slots, in the order of the slots.
pub(super) async fn choose(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    spread: &Spread,
) -> Result<Vec<i64>, StoreError> {
    let mut turns = Turns {
        ask,
        each: spread.each.max(1),
        allowance: Allowance::new(&ask.request.quotas),
        chosen: Vec::with_capacity(ask.limit.min(64)),
        again: VecDeque::new(),
    };
    let stages = match spread.after.as_deref().map(before_zero) {
        None => vec![Stage::Nobody, Stage::Tenants(String::new(), None)],
        Some(last) => vec![
            Stage::Tenants(last.to_owned(), None),
            Stage::Nobody,
            Stage::Tenants(String::new(), Some(last.to_owned())),
        ],
    };
    for stage in stages {
        match stage {
            Stage::Nobody => turns.nobody(conn).await?,
            Stage::Tenants(after, until) => turns.tenants(conn, after, until).await?,
        }
        if turns.is_full() {
            return Ok(turns.chosen);
        }
    }
    while let Some(tenant) = turns.again.pop_front() {
        turns.turn(conn, tenant).await?;
        if turns.is_full() {
            break;
        }
    }
    Ok(turns.chosen)
}

struct Turns<'a> {
    ask: &'a Ask<'a>,
    each: usize,
    allowance: Allowance<'a>,
    chosen: Vec<i64>,
    /// Who had a whole turn and may have more.
    again: VecDeque<Merge>,
}

impl Turns<'_> {
    fn is_full(&self) -> bool {
        self.chosen.len() >= self.ask.limit
    }

    async fn turn(&mut self, conn: &mut PgConnection, mut tenant: Merge) -> Result<(), StoreError> {
        let mut left = self.each;
        while left > 0 && !self.is_full() {
            let slot = self.chosen.len();
            let taken = tenant
                .take(conn, self.ask, slot, &mut self.allowance)
                .await?;
            let Some(seq) = taken else {
                return Ok(());
            };
            self.chosen.push(seq);
            left -= 1;
        }
        self.again.push_back(tenant);
        Ok(())
    }

    async fn nobody(&mut self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let mut lines = lines(conn, self.ask).await?;
        lines.retain(|line| line.whose == Whose::Nobody && line.is_allowed(&self.allowance));
        self.turn(conn, Merge::new(lines)).await
    }

    /// The turns of tenants, who are looked at a few at a time, since there may be many.
    async fn tenants(
        &mut self,
        conn: &mut PgConnection,
        mut after: String,
        until: Option<String>,
    ) -> Result<(), StoreError> {
        while !self.is_full() {
            let wanted = (self.ask.limit - self.chosen.len())
                .div_ceil(self.each)
                .max(16);
            let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
            let mut found = tenants(conn, self.ask, &after, until.as_deref(), wanted).await?;
            let Some((last, _)) = found.last() else {
                return Ok(());
            };
            after.clone_from(last);
            let allowance = &self.allowance;
            for (_, lines) in &mut found {
                lines.retain(|line| line.is_allowed(allowance));
            }
            let mut all: Vec<&mut Line> = found.iter_mut().flat_map(|(_, lines)| lines).collect();
            if !all.is_empty() {
                read(conn, self.ask, &mut all, self.each).await?;
            }
            for (_, lines) in found {
                self.turn(conn, Merge::new(lines)).await?;
                if self.is_full() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The next tenants that have jobs which wait, each with its lines.
pub(super) async fn tenants(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    after: &str,
    until: Option<&str>,
    wanted: i64,
) -> Result<Vec<(String, Vec<Line>)>, StoreError> {
    let closed = ask.closed(|group| match group {
        Group::Tenant(tenant) => Some(tenant.as_str()),
        Group::Queue(_) | Group::Kind(_) | Group::EachTenant => None,
    });
    let sql = &ask.context.sql;
    let query = sql
        .query(&sql.tenants)
        .bind(&ask.queues)
        .bind(after)
        .bind(until)
        .bind(wanted)
        .bind(closed)
        .bind(ask.closed_kinds());
    let rows = all(conn, query).await?;
    let mut found: Vec<(String, Vec<Line>)> = Vec::new();
    for row in &rows {
        let from = &mut Columns::from(row, 0);
        let tenant: &str = from.value()?;
        if found.last().is_none_or(|(last, _)| last != tenant) {
            found.push((tenant.to_owned(), Vec::new()));
        }
        let Some(queue) = from.value::<Option<&str>>()? else {
            continue;
        };
        let queue = queue
            .parse()
            .map_err(|error| crate::error::corrupt("queue", error))?;
        let kind = from.name()?;
        let priority: i16 = from.value()?;
        let line = Line::new(queue, kind, priority.into(), Whose::Tenant(tenant.into()))?;
        if let Some((_, lines)) = found.last_mut() {
            lines.push(line);
        }
    }
    Ok(found)
}
