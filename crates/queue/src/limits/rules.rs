//! Which limits concern one worker.

use std::collections::HashSet;

use longshore_core::limit::{Limit, Limits, Scope};
use longshore_core::{Group, Job, QueueName, Quota};

/// The limits in force, as one worker sees them.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// The version of the document that they are from.
    pub(crate) version: u64,
    limits: Limits,
    /// Limits of queues and kinds that this worker takes jobs of.
    fixed: Vec<(Scope, Limit)>,
    /// Kinds that it takes no job of: paused ones, and limited ones that it has no handler for.
    closed: Vec<Scope>,
    /// The limits of paused kinds that it has a handler for: what runs of them keeps its permits.
    resting: Vec<(Scope, Limit)>,
    tenants: bool,
    /// Whether tenants take turns in one of its queues.
    pub(crate) fair: bool,
}

impl Rules {
    /// What of these limits concerns a worker of these queues that runs these kinds, or all.
    pub(crate) fn new(
        version: u64,
        limits: Limits,
        queues: &[QueueName],
        kinds: Option<&HashSet<String>>,
    ) -> Self {
        let mut rules = Self {
            version,
            ..Self::default()
        };
        for (scope, limit) in limits.iter() {
            let holds = limit.holds_workers();
            match &scope {
                Scope::Queue(queue) if queues.contains(queue) => {
                    rules.fair |= limit.fair;
                    if holds {
                        rules.fixed.push((scope, limit.clone()));
                    }
                }
                Scope::Kind(kind) if holds => {
                    let runs = kinds.is_none_or(|kinds| kinds.contains(kind.as_str()));
                    match limit.paused || !runs {
                        true => rules.closed.push(scope.clone()),
                        false => rules.fixed.push((scope.clone(), limit.clone())),
                    }
                    if limit.paused && runs {
                        rules.resting.push((scope, limit.clone()));
                    }
                }
                Scope::Tenant(_) | Scope::EveryTenant => rules.tenants |= holds,
                Scope::Queue(_) | Scope::Kind(_) => {}
            }
        }
        rules.limits = limits;
        rules
    }

    /// Whether nothing has to be looked at before a claim.
    pub(crate) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.closed.is_empty() && !self.tenants && !self.fair
    }

    /// How many limits the store has.
    pub(crate) fn in_force(&self) -> usize {
        self.limits.iter().count()
    }

    /// What a claim may take at most of a tenant of whom nothing is known: as much as could ever be
    /// allowed.
    pub(crate) fn quota_of_each_tenant(&self) -> Option<Quota> {
        let limit = self.limits.get(&Scope::EveryTenant)?;
        let burst = limit.rate.map(|rate| rate.burst());
        let most = [limit.concurrency, burst].into_iter().flatten().min()?;
        Some(Quota {
            group: Group::EachTenant,
            at_most: usize::try_from(most).unwrap_or(usize::MAX),
        })
    }

    /// Whether jobs of some tenants are limited.
    pub(crate) const fn limits_tenants(&self) -> bool {
        self.tenants
    }

    pub(crate) fn fixed(&self) -> impl Iterator<Item = (&Scope, &Limit)> {
        self.fixed.iter().map(|(scope, limit)| (scope, limit))
    }

    /// Whether no job of a scope starts now, whatever its limit.
    pub(crate) fn rests(&self, scope: &Scope) -> bool {
        self.resting.iter().any(|(resting, _)| resting == scope)
    }

    pub(crate) fn closed(&self) -> &[Scope] {
        &self.closed
    }

    /// The limit that holds jobs of a scope, if one does.
    pub(crate) fn limit(&self, scope: &Scope) -> Option<&Limit> {
        let limit = match scope {
            Scope::Tenant(tenant) => self.limits.of_tenant(tenant),
            Scope::Queue(_) | Scope::Kind(_) | Scope::EveryTenant => {
                let mut known = self.fixed.iter().chain(&self.resting);
                return known
                    .find(|(known, _)| known == scope)
                    .map(|(_, limit)| limit);
            }
        };
        limit.filter(|limit| limit.holds_workers())
    }

    /// The scopes that hold a job; `None` if no job of its kind is to run here.
    pub(crate) fn scopes(&self, job: &Job) -> Option<Vec<Scope>> {
        let is_kind = |scope: &Scope| matches!(scope, Scope::Kind(kind) if *kind == job.kind);
        if self.closed.iter().any(is_kind) {
            return None;
        }
        let fixed = self.fixed.iter().map(|(scope, _)| scope);
        let holds = |scope: &&Scope| {
            is_kind(scope) || matches!(scope, Scope::Queue(queue) if *queue == job.queue)
        };
        let mut scopes: Vec<Scope> = fixed.filter(holds).cloned().collect();
        let tenant = job.tenant_id.as_deref().filter(|tenant| !tenant.is_empty());
        if let Some(tenant) = tenant.filter(|_| self.tenants) {
            let tenant = Scope::Tenant(tenant.to_owned());
            if self.limit(&tenant).is_some() {
                scopes.push(tenant);
            }
        }
        Some(scopes)
    }
}
