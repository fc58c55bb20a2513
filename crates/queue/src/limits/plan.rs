//! What a claim may take: decided before it is sent.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use longshore_core::limit::{Limit, Scope};
use longshore_core::{Group, Quota, Spread, StoreError};

use super::desk::Desk;
use super::holdings::{Holding, Reserved};
use super::rules::Rules;

/// Most tenants that were refused before and are asked for again before one claim.
const TENANTS_AT_ONCE: usize = 64;
/// The longest rest of a worker that has to wait for a limit.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What one claim may take, and what is set aside for it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) quotas: Vec<Quota>,
    pub(crate) spread: Option<Spread>,
    /// No job of any queue may be taken: there is no need to ask for some.
    pub(crate) is_closed: bool,
    /// How long to rest at most if nothing came, since a limit may be why.
    pub(crate) rest: Option<Duration>,
    pub(super) reserved: HashMap<Scope, Reserved>,
    pub(super) rules: Option<Arc<Rules>>,
}

impl Desk {
    /// Decides what a claim of so many jobs may take.
    ///
    /// # Errors
    /// It could not be read which limits are in force.
    pub(crate) async fn plan(&self, jobs: usize) -> Result<Plan, StoreError> {
        let rules = self.rules().await?;
        if rules.is_empty() {
            return Ok(Plan::default());
        }
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        let _turn = self.turn.lock().await;
        let fixed = rules.fixed();
        let missing = fixed.filter_map(|(scope, limit)| self.missing_of(scope, limit, jobs));
        let mut errands: Vec<_> = missing.collect();
        errands.extend(self.missing_of_tenants(&rules, jobs));
        if !errands.is_empty() && self.work_waits().await {
            self.run(errands).await;
        }
        Ok(self.set_aside(rules, jobs))
    }

    /// Tenants that may have more jobs than permits, the longest refused first.
    fn missing_of_tenants(&self, rules: &Rules, jobs: u32) -> Vec<super::exchange::Errand> {
        let now = self.now();
        let holdings = self.purse.lock();
        let until = self.covers_a_lease(now);
        let hungry = |(scope, holding): &(&Scope, &Holding)| {
            let is_used_up = holding.used(now) > 0 && holding.free(now, until) == 0;
            matches!(scope, Scope::Tenant(_)) && (holding.hungry || is_used_up)
        };
        let mut hungry: Vec<_> = holdings.iter().filter(hungry).collect();
        hungry.sort_by_key(|(scope, holding)| (holding.ask_again, (*scope).clone()));
        let hungry = hungry.into_iter().take(TENANTS_AT_ONCE);
        let limited = hungry.filter(|(scope, _)| rules.limit(scope).is_some());
        let missing =
            limited.filter_map(|(scope, holding)| self.missing(scope, holding, jobs, now));
        missing.collect()
    }

    /// Whether there is a job that permits would be for. If that cannot be told, there may be.
    async fn work_waits(&self) -> bool {
        let Ok(stats) = self.exchange.store.queue_stats().await else {
            return true;
        };
        let mut stats = stats.iter();
        stats.any(|stats| stats.available > 0 && self.queues.contains(&stats.queue))
    }

    fn set_aside(&self, rules: Arc<Rules>, jobs: u32) -> Plan {
        let now = self.now();
        let until = self.covers_a_lease(now);
        let mut holdings = self.purse.lock();
        let tenants = holdings.iter().filter_map(|(scope, _)| match scope {
            Scope::Tenant(_) => Some((scope.clone(), rules.limit(scope)?.clone())),
            Scope::Queue(_) | Scope::Kind(_) | Scope::EveryTenant => None,
        });
        let mut tenants: Vec<(Scope, Limit)> = tenants.collect();
        tenants.sort_by(|(one, _), (other, _)| one.cmp(other));
        let fixed = rules
            .fixed()
            .map(|(scope, limit)| (scope.clone(), limit.clone()));
        let mut plan = Plan::default();
        for (scope, limit) in fixed.chain(tenants) {
            let holding = holdings.enter(&scope, &limit, now);
            let free = holding.free(now, until);
            if free < jobs {
                let rest = plan.rest.unwrap_or(LONGEST_REST);
                let refused = holding
                    .hungry
                    .then(|| holding.ask_again.saturating_sub(now));
                let refused = refused.filter(|wait| !wait.is_zero());
                plan.rest = Some(rest.min(refused.unwrap_or(rest)));
            }
            plan.quotas.extend(quota(&scope, free));
            if let Some(reserved) = holdings.reserve(&scope, free.min(jobs)) {
                plan.reserved.insert(scope, reserved);
            }
        }
        plan.quotas.extend(rules.quota_of_each_tenant());
        for scope in rules.closed() {
            plan.quotas.extend(quota(scope, 0));
            plan.rest = plan.rest.or(Some(LONGEST_REST));
        }
        let is_closed = |queue| {
            let reserved = plan.reserved.get(&Scope::Queue(queue));
            reserved.is_some_and(|reserved| reserved.jobs() == 0)
        };
        plan.is_closed = self.queues.iter().cloned().all(is_closed);
        plan.spread = rules.fair.then(|| {
            let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            Spread {
                after: served.clone(),
                each: 1,
            }
        });
        plan.rules = Some(rules);
        plan
    }

    /// Gives back what was set aside for a claim that was not sent, or is known to have brought
    /// nothing.
    pub(crate) fn unused(&self, plan: &Plan) {
        self.purse.put_back(plan.reserved.values());
    }

    /// A claim was sent and no answer came: jobs may run until their leases end.
    pub(crate) fn unanswered(&self, plan: &Plan) {
        let until = self.covers_a_lease(self.now());
        self.purse.doubt(plan.reserved.values(), until);
    }

    /// Returns when a permit came free, or never.
    pub(crate) async fn freed(&self) {
        self.purse.freed().await;
    }
}

fn quota(scope: &Scope, jobs: u32) -> Option<Quota> {
    let group = match scope {
        Scope::Queue(queue) => Group::Queue(queue.clone()),
        Scope::Kind(kind) => Group::Kind(kind.clone()),
        Scope::Tenant(tenant) => Group::Tenant(tenant.clone()),
        Scope::EveryTenant => return None,
    };
    let at_most = usize::try_from(jobs).unwrap_or(usize::MAX);
    Some(Quota { group, at_most })
}
