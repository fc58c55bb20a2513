//! What a worker holds against limits: plain values, changed under one short lock.
//!
//! Permits that are in use never leave by an exchange; those that are free may, so nothing is
//! reserved while an exchange is under way (`Desk` sees to it).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::Clock;
use longshore_core::limit::{Granted, Limit, Rate, Scope};
use tokio::sync::Notify;

/// How long tokens and permits of tenants stay with a worker that does not use them.
pub(crate) const KEPT_IDLE: Duration = Duration::from_secs(1);

/// How long a tenant that was refused is left alone at least: there may be many.
const TENANT_ASKS_AGAIN: Duration = Duration::from_millis(250);

/// What is held for one scope. Times are readings of the worker's monotonic clock.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    /// Tells it from one that was there before under the same scope.
    generation: u64,
    pub(crate) concurrency: Option<u32>,
    pub(crate) rate: Option<Rate>,
    /// Permits that are certain to be ours until `holds_until`.
    pub(crate) held: u32,
    pub(crate) holds_until: Duration,
    /// Those that jobs and claims under way have.
    used: u32,
    /// Those of jobs that may run although nobody heard of it, until when.
    doubtful: Vec<(u32, Duration)>,
    pub(crate) tokens: u32,
    pub(crate) tokens_since: Duration,
    /// No use in asking before.
    pub(crate) ask_again: Duration,
    /// More was wanted than there was.
    pub(crate) hungry: bool,
    idle_since: Duration,
}

impl Holding {
    fn new(generation: u64, limit: &Limit, now: Duration) -> Self {
        Self {
            generation,
            concurrency: limit.concurrency,
            rate: limit.rate,
            held: 0,
            holds_until: Duration::ZERO,
            used: 0,
            doubtful: Vec::new(),
            tokens: 0,
            tokens_since: now,
            ask_again: Duration::ZERO,
            hungry: false,
            idle_since: now,
        }
    }

    /// Permits that must stay, whatever happens.
    pub(crate) fn used(&self, now: Duration) -> u32 {
        let doubtful = self.doubtful.iter().filter(|(_, until)| *until > now);
        doubtful.fold(self.used, |sum, (permits, _)| sum.saturating_add(*permits))
    }

    /// How many jobs may start, if their leases end before `until`.
    pub(crate) fn free(&self, now: Duration, until: Duration) -> u32 {
        let permits = match self.concurrency {
            None => u32::MAX,
            Some(_) if self.holds_until < until => 0,
            Some(most) => self.held.min(most).saturating_sub(self.used(now)),
        };
        match self.rate {
            Some(_) => permits.min(self.tokens),
            None => permits,
        }
    }

    /// Whether what jobs have of it lasts until `until`: where nothing is limited any more, for ever.
    fn lasts_until(&self, until: Duration) -> bool {
        self.concurrency.is_none() || self.holds_until >= until
    }

    /// How many jobs run without a permit, or with one that ends before `until`.
    pub(crate) fn overflow(&self, until: Duration) -> u32 {
        match self.concurrency {
            None => 0,
            Some(_) if self.holds_until < until => self.used,
            Some(_) => self.used.saturating_sub(self.held),
        }
    }

    /// Whether nothing was used for a while.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.used(now) == 0 && now.saturating_sub(self.idle_since) >= KEPT_IDLE
    }

    /// Whether there is nothing to remember.
    fn is_spent(&self, now: Duration) -> bool {
        let nothing = self.held == 0 && self.tokens == 0;
        nothing && self.is_idle(now) && (!self.hungry || self.ask_again + KEPT_IDLE < now)
    }
}

/// A claim's hold on permits and tokens of one scope.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) scope: Scope,
    generation: u64,
    jobs: u32,
    permits: bool,
    tokens: bool,
}

impl Reserved {
    /// How many jobs of the scope may come.
    pub(crate) const fn jobs(&self) -> u32 {
        self.jobs
    }
}

/// Everything that a worker holds.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    holdings: HashMap<Scope, Holding>,
    generation: u64,
}

impl Holdings {
    /// The holding of a scope whose limit is this, made if there is none.
    pub(crate) fn enter(&mut self, scope: &Scope, limit: &Limit, now: Duration) -> &mut Holding {
        self.generation += 1;
        let generation = self.generation;
        let holding = match self.holdings.entry(scope.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Holding::new(generation, limit, now)),
        };
        if holding.concurrency.is_none() && limit.concurrency.is_some() {
            // What runs already began without a permit, and needs none.
            holding.generation = generation;
            (holding.used, holding.held) = (0, 0);
            holding.doubtful.clear();
        }
        (holding.concurrency, holding.rate) = (limit.concurrency, limit.rate);
        holding
    }

    pub(crate) fn get(&self, scope: &Scope) -> Option<&Holding> {
        self.holdings.get(scope)
    }

    pub(crate) fn get_mut(&mut self, scope: &Scope) -> Option<&mut Holding> {
        self.holdings.get_mut(scope)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Scope, &Holding)> {
        self.holdings.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Scope, &mut Holding)> {
        self.holdings.iter_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holdings.is_empty()
    }

    /// Forgets what is not `wanted` any more, and tenants of whom nothing is held.
    pub(crate) fn forget(&mut self, now: Duration, wanted: impl Fn(&Scope) -> bool) {
        self.holdings.retain(|scope, holding| {
            let of_tenant = matches!(scope, Scope::Tenant(_));
            wanted(scope) && !(of_tenant && holding.is_spent(now))
        });
        for holding in self.holdings.values_mut() {
            holding.doubtful.retain(|(_, until)| *until > now);
        }
    }

    /// Sets at most `most` permits and tokens of a scope aside.
    pub(crate) fn reserve(&mut self, scope: &Scope, jobs: u32) -> Option<Reserved> {
        let holding = self.holdings.get_mut(scope)?;
        let (permits, tokens) = (holding.concurrency.is_some(), holding.rate.is_some());
        if permits {
            holding.used = holding.used.saturating_add(jobs);
        }
        if tokens {
            holding.tokens = holding.tokens.saturating_sub(jobs);
        }
        Some(Reserved {
            scope: scope.clone(),
            generation: holding.generation,
            jobs,
            permits,
            tokens,
        })
    }

    /// Takes from what was set aside what there is no permit for any more.
    pub(crate) fn trim(&mut self, reserved: &mut Reserved, until: Duration) {
        if let Some(holding) = self.same(&reserved.scope, reserved.generation) {
            let lost = holding.overflow(until).min(reserved.jobs);
            holding.used = holding.used.saturating_sub(lost);
            reserved.jobs -= lost;
        }
    }

    /// Gives back what a claim did not use.
    fn put_back(&mut self, reserved: &Reserved, now: Duration) {
        if let Some(holding) = self.same(&reserved.scope, reserved.generation) {
            if reserved.permits {
                holding.used = holding.used.saturating_sub(reserved.jobs);
            }
            if reserved.tokens {
                holding.tokens = holding.tokens.saturating_add(reserved.jobs);
            }
            holding.idle_since = now;
        }
    }

    /// The permits of a job that may run until `until` although nobody heard of it.
    fn doubt(&mut self, (scope, generation): (&Scope, u64), permits: u32, until: Duration) {
        if let Some(holding) = self.same(scope, generation) {
            holding.used = holding.used.saturating_sub(permits);
            holding.doubtful.push((permits, until));
        }
    }

    fn release(&mut self, (scope, generation): (&Scope, u64), now: Duration) {
        if let Some(holding) = self.same(scope, generation) {
            holding.used = holding.used.saturating_sub(1);
            holding.idle_since = now;
        }
    }

    fn same(&mut self, scope: &Scope, generation: u64) -> Option<&mut Holding> {
        let holding = self.holdings.get_mut(scope)?;
        (holding.generation == generation).then_some(holding)
    }

    /// Takes in what an exchange granted that was begun at the reading `began`.
    pub(crate) fn granted(&mut self, scope: &Scope, granted: &Granted, began: Duration) {
        let Some(holding) = self.holdings.get_mut(scope) else {
            return;
        };
        holding.held = granted.permits;
        holding.holds_until = began + granted.holds_for;
        if granted.tokens > 0 {
            holding.tokens = holding.tokens.saturating_add(granted.tokens);
            holding.tokens_since = began;
        }
        holding.hungry = granted.ask_again_in.is_some();
        let least = match (scope, holding.hungry) {
            (Scope::Tenant(_), true) => TENANT_ASKS_AGAIN,
            _ => Duration::ZERO,
        };
        holding.ask_again = began + granted.ask_again_in.unwrap_or_default().max(least);
    }

    /// An exchange may have worked or not: what is not in use may be gone.
    pub(crate) fn unsure(&mut self, scope: &Scope, used: u32) {
        if let Some(holding) = self.holdings.get_mut(scope) {
            holding.held = holding.held.min(used);
        }
    }
}

/// The holdings, shared between the worker's tasks.
#[derive(Clone, Debug)]
pub(crate) struct Purse {
    clock: Arc<dyn Clock>,
    holdings: Arc<Mutex<Holdings>>,
    /// Notified when a permit comes free.
    freed: Arc<Notify>,
}

impl Purse {
    /// A purse with nothing in it.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            holdings: Arc::default(),
            freed: Arc::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a permit has come free since the last time.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.freed.notify_one();
    }

    /// Gives back what a claim did not use.
    pub(crate) fn put_back<'r>(&self, reserved: impl IntoIterator<Item = &'r Reserved>) {
        let now = self.clock.monotonic();
        let mut holdings = self.lock();
        for reserved in reserved.into_iter().filter(|reserved| reserved.jobs > 0) {
            holdings.put_back(reserved, now);
        }
    }

    /// Keeps what was set aside for a claim that may have worked until `until`.
    pub(crate) fn doubt<'r>(
        &self,
        reserved: impl IntoIterator<Item = &'r Reserved>,
        until: Duration,
    ) {
        let mut holdings = self.lock();
        for reserved in reserved.into_iter().filter(|reserved| reserved.permits) {
            holdings.doubt((&reserved.scope, reserved.generation), reserved.jobs, until);
        }
    }

    /// Moves one job's part of what was set aside to the job.
    pub(crate) fn assign(&self, permits: &mut Permits, reserved: &mut Reserved) -> bool {
        if reserved.jobs == 0 {
            return false;
        }
        reserved.jobs -= 1;
        if reserved.permits {
            permits
                .held
                .push((reserved.scope.clone(), reserved.generation));
            permits.purse.get_or_insert_with(|| self.clone());
        }
        true
    }
}

/// The permits of one job, given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    purse: Option<Purse>,
    held: Vec<(Scope, u64)>,
}

impl Permits {
    /// Whether they last until `until`.
    pub(crate) fn last_until(&self, until: Duration) -> bool {
        let Some(purse) = &self.purse else {
            return true;
        };
        let mut holdings = purse.lock();
        self.held.iter().all(|(scope, generation)| {
            let holding = holdings.same(scope, *generation);
            holding.is_none_or(|holding| holding.lasts_until(until))
        })
    }

    /// Whether one of them is of this scope.
    pub(crate) fn are_of(&self, scope: &Scope) -> bool {
        self.held.iter().any(|(held, _)| held == scope)
    }

    /// Keeps them until `until`, since the job may run until then for all that is known.
    pub(crate) fn doubt(mut self, until: Duration) {
        if let Some(purse) = &self.purse {
            let mut holdings = purse.lock();
            for (scope, generation) in self.held.drain(..) {
                holdings.doubt((&scope, generation), 1, until);
            }
        }
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        let Some(purse) = &self.purse else {
            return;
        };
        let now = purse.clock.monotonic();
        let mut holdings = purse.lock();
        for (scope, generation) in &self.held {
            holdings.release((scope, *generation), now);
        }
        drop(holdings);
        purse.wake();
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemClock;

    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn scope() -> Scope {
        "queue:mail".parse().unwrap()
    }

    fn limit(most: u32) -> Limit {
        Limit {
            concurrency: Some(most),
            ..Limit::default()
        }
    }

    /// Three permits of at most five, for 60 s.
    fn purse() -> Purse {
        let purse = Purse::new(Arc::new(SystemClock::new()));
        let granted = Granted {
            permits: 3,
            holds_for: at(60),
            ..Granted::default()
        };
        let mut holdings = purse.lock();
        holdings.enter(&scope(), &limit(5), at(0));
        holdings.granted(&scope(), &granted, at(0));
        drop(holdings);
        purse
    }

    fn free(purse: &Purse, now: u64) -> u32 {
        let holdings = purse.lock();
        let holding = holdings.get(&scope()).unwrap();
        holding.free(at(now), at(now) + LEASE)
    }

    fn one(purse: &Purse) -> Permits {
        let mut reserved = purse.lock().reserve(&scope(), 1).unwrap();
        let mut permits = Permits::default();
        assert!(purse.assign(&mut permits, &mut reserved));
        assert!(!purse.assign(&mut permits, &mut reserved));
        permits
    }

    #[test]
    fn a_permit_is_free_only_while_it_outlasts_a_lease() {
        let purse = purse();
        assert_eq!(
            (free(&purse, 0), free(&purse, 30), free(&purse, 31)),
            (3, 3, 0)
        );
    }

    #[test]
    fn a_job_has_its_permit_until_it_is_dropped_or_no_longer_in_doubt() {
        let purse = purse();
        let (first, second) = (one(&purse), one(&purse));
        assert_eq!(free(&purse, 0), 1);
        drop(first);
        assert_eq!(free(&purse, 0), 2);
        second.doubt(at(20));
        assert_eq!((free(&purse, 19), free(&purse, 20)), (2, 3));
    }

    #[test]
    fn a_lease_is_renewed_only_within_the_permit_and_a_job_without_one_is_too_many() {
        let purse = purse();
        let permits = one(&purse);
        assert!(permits.last_until(at(60)) && !permits.last_until(at(61)));
        let overflow = |until| purse.lock().get(&scope()).unwrap().overflow(at(until));
        assert_eq!((overflow(60), overflow(61)), (0, 1));
        let others_have_it = Granted::default();
        purse.lock().granted(&scope(), &others_have_it, at(10));
        assert_eq!(overflow(5), 1);
        assert!(
            Permits::default().last_until(Duration::MAX),
            "nothing limits it"
        );
    }

    #[test]
    fn what_an_unsure_exchange_may_have_given_away_is_not_used() {
        let purse = purse();
        let _permits = one(&purse);
        purse.lock().unsure(&scope(), 1);
        assert_eq!(free(&purse, 0), 0);
    }

    #[test]
    fn jobs_that_began_before_a_limit_was_set_do_not_count() {
        let purse = purse();
        let permits = one(&purse);
        let mut holdings = purse.lock();
        holdings.enter(&scope(), &Limit::default(), at(1));
        let holding = holdings.enter(&scope(), &limit(5), at(2));
        assert_eq!((holding.used(at(2)), holding.held), (0, 0));
        drop(holdings);
        drop(permits);
        let holdings = purse.lock();
        assert_eq!(holdings.get(&scope()).unwrap().used(at(2)), 0);
    }
}
