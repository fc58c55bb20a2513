//! Keeping permits while jobs run, and giving them back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::limit::Scope;
use longshore_instrument::Measured;
use tokio::time::{MissedTickBehavior, interval};

use super::desk::Desk;
use super::exchange::Errand;
use super::holdings::{Holding, KEPT_IDLE};
use super::rules::Rules;
use crate::worker::Shared;

/// How often limits are read, and permits looked after.
const EVERY: Duration = Duration::from_secs(1);

/// Looks after the permits of a worker until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.desk.look_after().await;
        measure(&shared);
    }
}

/// Stops jobs whose permits are lost or end soon, until the task is dropped. It asks no store: it
/// must go on while none answers.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (scope, jobs) in shared.desk.overflows() {
            let stopped = shared.running.stop_over(&scope, jobs);
            if stopped > 0 {
                tracing::warn!(
                    limit = %scope,
                    count = stopped,
                    "permits ran out while jobs ran; stopping as many, which run again elsewhere"
                );
            }
        }
    }
}

/// Says what is held, if anybody looks.
fn measure(shared: &Shared) {
    if let Some(meter) = shared.meter() {
        let (in_force, held) = shared.desk.held();
        meter.measure(&Measured::Permits {
            holder: shared.desk.holder(),
            in_force,
            held: &held,
        });
    }
}

/// Says that nothing is held any more.
pub(crate) fn measure_end(shared: &Shared) {
    if let Some(meter) = shared.meter() {
        meter.measure(&Measured::Permits {
            holder: shared.desk.holder(),
            in_force: 0,
            held: &[],
        });
    }
}

impl Desk {
    /// How many limits are in force, and the permits that are held, those of all tenants together.
    fn held(&self) -> (usize, Vec<(String, u64)>) {
        let in_force = self.known_rules().map_or(0, |rules| rules.in_force());
        let mut held: BTreeMap<String, u64> = BTreeMap::new();
        for (scope, holding) in self.purse.lock().iter() {
            let scope = match scope {
                Scope::Tenant(_) => Scope::EveryTenant.to_string(),
                Scope::Queue(_) | Scope::Kind(_) | Scope::EveryTenant => scope.to_string(),
            };
            *held.entry(scope).or_default() += u64::from(holding.held);
        }
        (in_force, held.into_iter().collect())
    }

    /// Reads which limits are in force, renews permits, and gives back what is not used.
    pub(crate) async fn look_after(&self) {
        let rules = match self.read_rules().await {
            Ok(rules) => rules,
            Err(error) => {
                if self.complaints.is_due("limits", error.kind()) {
                    tracing::warn!(
                        error.kind = error.kind().as_str(),
                        "the limits could not be read ({error}); going by those read before"
                    );
                }
                let Ok(rules) = self.rules().await else {
                    return;
                };
                rules
            }
        };
        if rules.is_empty() && self.purse.lock().is_empty() {
            return;
        }
        let _turn = self.turn.lock().await;
        let errands = self.due(&rules);
        let had_some = !errands.is_empty();
        self.run(errands).await;
        let now = self.now();
        let limited = |scope: &Scope| rules.limit(scope).is_some();
        self.purse.lock().forget(now, limited);
        if had_some {
            self.purse.wake();
        }
    }

    /// Gives back everything that no job has.
    pub(crate) async fn close(&self) {
        let Ok(rules) = self.rules().await else {
            return;
        };
        let _turn = self.turn.lock().await;
        let now = self.now();
        let mut errands = Vec::new();
        for (scope, holding) in self.purse.lock().iter() {
            if holding.held > 0 || holding.tokens > 0 {
                errands.push(errand(&rules, scope, holding, holding.used(now), now));
            }
        }
        self.run(errands).await;
    }

    /// Renews what jobs and claims under way have of these scopes.
    pub(super) async fn renew(&self, rules: &Rules, scopes: &[Scope]) {
        self.run(self.in_use(rules, scopes)).await;
    }

    fn in_use(&self, rules: &Rules, scopes: &[Scope]) -> Vec<Errand> {
        let now = self.now();
        let holdings = self.purse.lock();
        let one = |scope: &Scope| {
            let holding = holdings.get(scope)?;
            let errand = errand(rules, scope, holding, holding.used(now), now);
            Some(Errand {
                tokens_back: 0,
                ..errand
            })
        };
        scopes.iter().filter_map(one).collect()
    }

    /// The scopes of which more jobs run than there are permits that last long enough, and how
    /// many more.
    pub(crate) fn overflows(&self) -> Vec<(Scope, u32)> {
        let until = self.now() + self.stop_grace + EVERY;
        let holdings = self.purse.lock();
        let over = |(scope, holding): (&Scope, &Holding)| {
            let jobs = holding.overflow(until);
            (jobs > 0).then(|| (scope.clone(), jobs))
        };
        let mut over: Vec<_> = holdings.iter().filter_map(over).collect();
        over.sort();
        over
    }

    /// What has to be renewed, looked at since others may wait for it, or given back.
    fn due(&self, rules: &Rules) -> Vec<Errand> {
        let now = self.now();
        let fresh = now + self.exchange.term - self.exchange.term / 8;
        let mut errands = Vec::new();
        let mut holdings = self.purse.lock();
        for (scope, limit) in rules.fixed() {
            holdings.enter(scope, limit, now);
        }
        for (scope, holding) in holdings.iter_mut() {
            let used = holding.used(now);
            let is_tenant = matches!(scope, Scope::Tenant(_));
            let is_idle = is_tenant && holding.is_idle(now);
            let wanted = if is_idle || rules.rests(scope) {
                used
            } else {
                holding.held.max(used)
            };
            let stale = now.saturating_sub(holding.tokens_since) >= KEPT_IDLE;
            let gives_tokens = holding.tokens > 0 && stale;
            let keeps = holding.held > 0 && (!is_tenant || is_idle || holding.holds_until < fresh);
            let runs = used > 0 && holding.holds_until < fresh && holding.concurrency.is_some();
            if !(keeps || runs || gives_tokens) {
                continue;
            }
            let mut errand = errand(rules, scope, holding, wanted, now);
            match gives_tokens {
                true => holding.tokens = 0,
                false => errand.tokens_back = 0,
            }
            errands.push(errand);
        }
        errands.sort_by(|one, other| one.scope.cmp(&other.scope));
        errands
    }
}

/// What is asked for a scope as its limit is now, all its tokens going back.
fn errand(rules: &Rules, scope: &Scope, holding: &Holding, wanted: u32, now: Duration) -> Errand {
    let limit = rules.limit(scope);
    let concurrency = limit.and_then(|limit| limit.concurrency);
    Errand {
        scope: scope.clone(),
        concurrency,
        rate: limit.and_then(|limit| limit.rate),
        used: holding.used(now),
        wanted: wanted.min(concurrency.unwrap_or_default()),
        tokens: 0,
        tokens_back: holding.tokens,
    }
}
