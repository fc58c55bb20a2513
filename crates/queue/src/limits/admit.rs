//! Which claimed jobs may start.

use std::collections::HashMap;
use std::sync::PoisonError;

use longshore_core::Claimed;
use longshore_core::limit::Scope;

use super::desk::Desk;
use super::holdings::{Permits, Reserved};
use super::plan::Plan;
use super::rules::Rules;

/// Claimed jobs, told apart.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// Those that may start, with what allows it.
    pub(crate) jobs: Vec<(Claimed, Permits)>,
    /// Those that have to go back.
    pub(crate) refused: Vec<Claimed>,
}

impl Desk {
    /// Sees to it that every claimed job has its permits; those for which there is none go back.
    pub(crate) async fn admit(&self, plan: Plan, claimed: Vec<Claimed>) -> Admitted {
        let Some(rules) = &plan.rules else {
            let jobs = claimed.into_iter();
            let jobs = jobs.map(|claimed| (claimed, Permits::default())).collect();
            let refused = Vec::new();
            return Admitted { jobs, refused };
        };
        if let Some(last) = claimed.last().filter(|_| plan.spread.is_some()) {
            let tenant = last.job.tenant_id.clone().unwrap_or_default();
            *self.served.lock().unwrap_or_else(PoisonError::into_inner) = Some(tenant);
        }
        let scopes: Vec<Option<Vec<Scope>>> = claimed
            .iter()
            .map(|claimed| rules.scopes(&claimed.job))
            .collect();
        let mut reserved = plan.reserved;
        if rules.limits_tenants() {
            self.ask_for_tenants(rules, &scopes, &mut reserved).await;
        }
        // Last: nothing may be waited for between this and the start of the jobs.
        self.confirm(rules, &mut reserved).await;
        let mut admitted = Admitted::default();
        for (claimed, scopes) in claimed.into_iter().zip(scopes) {
            match scopes.and_then(|scopes| self.permits(&scopes, &mut reserved)) {
                Some(permits) => admitted.jobs.push((claimed, permits)),
                None => admitted.refused.push(claimed),
            }
        }
        self.purse.put_back(reserved.values());
        admitted
    }

    /// The answers to a claim and about its tenants may have taken long: renews the permits that
    /// were set aside for it if they do not last as long as the leases, and lets go of those that
    /// are lost, or ran out while others were renewed.
    async fn confirm(&self, rules: &Rules, reserved: &mut HashMap<Scope, Reserved>) {
        let is_late = |scope: &Scope, until| {
            let holdings = self.purse.lock();
            let holding = holdings.get(scope);
            holding
                .is_some_and(|holding| holding.concurrency.is_some() && holding.holds_until < until)
        };
        let until = self.now() + self.lease;
        let late = reserved.iter().filter(|(_, reserved)| reserved.jobs() > 0);
        let late = late.filter(|(scope, _)| is_late(scope, until));
        let mut late: Vec<Scope> = late.map(|(scope, _)| scope.clone()).collect();
        if late.is_empty() {
            return;
        }
        late.sort();
        let _turn = self.turn.lock().await;
        self.renew(rules, &late).await;
        let until = self.now() + self.lease;
        let mut holdings = self.purse.lock();
        for reserved in reserved.values_mut() {
            holdings.trim(reserved, until);
        }
    }

    /// Asks for the permits of tenants for whom too few, or none, were set aside.
    async fn ask_for_tenants(
        &self,
        rules: &Rules,
        scopes: &[Option<Vec<Scope>>],
        reserved: &mut HashMap<Scope, Reserved>,
    ) {
        let mut jobs: HashMap<&Scope, u32> = HashMap::new();
        let tenants = scopes.iter().flatten().flatten();
        for scope in tenants.filter(|scope| matches!(scope, Scope::Tenant(_))) {
            *jobs.entry(scope).or_default() += 1;
        }
        let mut unknown = Vec::new();
        for (scope, jobs) in jobs {
            match reserved.get(scope) {
                // As many as were allowed: there may be more where they came from.
                Some(reserved) if jobs >= reserved.jobs() => {
                    if let Some(holding) = self.purse.lock().get_mut(scope) {
                        holding.hungry = true;
                    }
                }
                Some(_) => {}
                None => unknown.push((scope.clone(), jobs)),
            }
        }
        if unknown.is_empty() {
            return;
        }
        unknown.sort();
        let _turn = self.turn.lock().await;
        let mut errands = Vec::with_capacity(unknown.len());
        for (scope, jobs) in &unknown {
            if let Some(limit) = rules.limit(scope) {
                errands.extend(self.missing_of(scope, limit, *jobs));
            }
        }
        self.run(errands).await;
        let now = self.now();
        let mut holdings = self.purse.lock();
        for (scope, jobs) in unknown {
            if let Some(holding) = holdings.get_mut(&scope) {
                holding.hungry = true;
            }
            let free = holdings
                .get(&scope)
                .map(|holding| holding.free(now, now + self.lease));
            if let Some(kept) = holdings.reserve(&scope, free.unwrap_or_default().min(jobs)) {
                reserved.insert(scope, kept);
            }
        }
    }

    /// One of what was set aside for each scope, or of none.
    fn permits(
        &self,
        scopes: &[Scope],
        reserved: &mut HashMap<Scope, Reserved>,
    ) -> Option<Permits> {
        let has = |scope| {
            reserved
                .get(scope)
                .is_some_and(|one: &Reserved| one.jobs() > 0)
        };
        if !scopes.iter().all(has) {
            return None;
        }
        let mut permits = Permits::default();
        for scope in scopes {
            if let Some(reserved) = reserved.get_mut(scope) {
                self.purse.assign(&mut permits, reserved);
            }
        }
        Some(permits)
    }
}
