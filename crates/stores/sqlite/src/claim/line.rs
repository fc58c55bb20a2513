//! Waiting jobs in lines: those of a queue and kind that are equally urgent, in the order of
//! claims.

use std::collections::VecDeque;

use longshore_core::{Allowance, ClaimRequest, Kind, Priority, QueueName, StoreError};
use rusqlite::params;

use crate::claim::choice::Ask;
use crate::error::from_sqlite;

/// A job that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) due: i64,
    pub(super) seq: i64,
    /// Set in a line of all tenants if the claim asks for it.
    pub(super) tenant: Option<Box<str>>,
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

/// A line whose first job is due.
#[derive(Debug)]
pub(super) struct Line<'q> {
    pub(super) queue: &'q QueueName,
    pub(super) kind: Kind,
    pub(super) priority: Priority,
    pub(super) whose: Whose,
    pub(super) jobs: VecDeque<Waiting>,
    /// How many of its jobs were read.
    read: usize,
    /// Whether more than those may be due.
    more: bool,
}

impl<'q> Line<'q> {
    /// The line that begins with this job.
    pub(super) fn new(
        queue: &'q QueueName,
        kind: Kind,
        priority: Priority,
        whose: Whose,
        first: Waiting,
    ) -> Self {
        Self {
            queue,
            kind,
            priority,
            whose,
            jobs: VecDeque::from([first]),
            read: 1,
            more: true,
        }
    }

    /// A line with the kind and priority of this one that holds the jobs of one tenant alone.
    pub(super) fn of_tenant(&self, tenant: &str) -> Self {
        Self {
            queue: self.queue,
            kind: self.kind.clone(),
            priority: self.priority,
            whose: Whose::Tenant(tenant.into()),
            jobs: VecDeque::new(),
            read: 0,
            more: false,
        }
    }

    /// Whether any of its jobs may be taken.
    pub(super) fn is_allowed(&self, allowance: &Allowance<'_>) -> bool {
        let tenant = match &self.whose {
            Whose::Nobody => "",
            Whose::Tenant(tenant) => tenant,
            Whose::Tenants => {
                return allowance.allows_queue(self.queue) && allowance.allows_kind(&self.kind);
            }
        };
        allowance.allows(self.queue, &self.kind, tenant)
    }

    /// Whose job this is; empty if nobody's.
    pub(super) fn tenant_of<'j>(&'j self, job: &'j Waiting) -> &'j str {
        match &self.whose {
            Whose::Nobody => "",
            Whose::Tenant(tenant) => tenant,
            Whose::Tenants => job.tenant.as_deref().unwrap_or_default(),
        }
    }

    /// The first job, read now if it was not yet; about `wanted` are read together.
    pub(super) fn first(
        &mut self,
        ask: &Ask<'_>,
        wanted: usize,
    ) -> Result<Option<&Waiting>, StoreError> {
        if self.jobs.is_empty() && self.more {
            // What is passed over is paid for again, so each reading is as large as all before.
            self.read(ask, wanted.max(self.read))?;
        }
        Ok(self.jobs.front())
    }

    /// Reads about `most` more jobs.
    pub(super) fn read(&mut self, ask: &Ask<'_>, most: usize) -> Result<(), StoreError> {
        let most = most.clamp(8, ClaimRequest::MAX_LIMIT);
        let before = self.jobs.len();
        self.query(ask, most).map_err(from_sqlite)?;
        let found = self.jobs.len() - before;
        self.read += found;
        self.more = found == most;
        Ok(())
    }

    fn query(&mut self, ask: &Ask<'_>, most: usize) -> rusqlite::Result<()> {
        let (queue, kind) = (self.queue.as_str(), self.kind.as_str());
        let (priority, now) = (self.priority.get(), ask.now);
        let (most, read) = (number(most), number(self.read));
        let mut statement = ask.conn.prepare_cached(match &self.whose {
            Whose::Tenant(_) => include_str!("../sql/due_of_tenant.sql"),
            _ => include_str!("../sql/due.sql"),
        })?;
        let mut rows = match &self.whose {
            Whose::Nobody => {
                statement.query(params![queue, kind, priority, now, most, read, false])
            }
            Whose::Tenants => {
                let lane = priority + 4;
                statement.query(params![queue, kind, lane, now, most, read, ask.by_tenant])
            }
            Whose::Tenant(tenant) => {
                statement.query(params![queue, kind, priority, now, most, read, tenant])
            }
        }?;
        while let Some(row) = rows.next()? {
            self.jobs.push_back(Waiting {
                due: row.get(0)?,
                seq: row.get(1)?,
                tenant: row.get(2)?,
            });
        }
        Ok(())
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
