//! Setting limits, and seeing what is held against them.

use std::sync::Arc;

use longshore_core::limit::{CONFIGURATION, Ledger, Limit, Limits, Scope, Shard, Terms};
use longshore_core::{ErrorKind, Job, Kind, Store, StoreError, Timestamp};
use longshore_instrument::facts::AdminSubject;

use crate::admin::{About, Admin};

use crate::pauses::{self, PauseNote};

/// How often a change is tried again that another one came before.
const TRIES: u32 = 100;

/// Sets the limits of a store. Workers and producers, in whatever process, go by a change within a
/// second.
///
/// A lower limit stops no job that runs; it holds for those that start from then on.
///
/// ```
/// # use std::sync::Arc;
/// # async fn example(store: Arc<dyn longshore_core::Store>) -> Result<(), Box<dyn std::error::Error>> {
/// use longshore_core::limit::Limit;
/// use longshore_queue::LimitControl;
///
/// let limits = LimitControl::new(store);
/// let scope = "queue:mail".parse()?;
/// let at_most_five = Limit { concurrency: Some(5), ..Limit::default() };
/// limits.set(scope, at_most_five).await?;
/// limits.pause_kind("send_mail".try_into()?).await?;
/// # Ok(())
/// # }
/// ```
///
/// A control of [`Admin::limits`] writes a `queue.admin` span for each change.
#[derive(Clone, Debug)]
pub struct LimitControl {
    admin: Admin,
}

/// What is held against the limit of a queue, a kind or one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// What the limit is for.
    pub scope: Scope,
    /// The limit.
    pub limit: Limit,
    /// Permits that workers hold, for jobs that run and for those they are about to claim.
    pub permits: u32,
    /// How many workers hold them.
    pub holders: usize,
    /// Jobs that may start now by the limit's rate; `None` without one.
    pub tokens: Option<u32>,
}

impl LimitControl {
    /// The control of a store's limits, without telemetry.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::of(Admin::new(store))
    }

    pub(crate) const fn of(admin: Admin) -> Self {
        Self { admin }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.admin.store()
    }

    /// The limits in force.
    ///
    /// # Errors
    /// The document could not be read.
    pub async fn read(&self) -> Result<Limits, StoreError> {
        Ok(self.read_versioned().await?.1)
    }

    /// Changes limits in one step, however many others change some at the same time. `change` may
    /// be called several times, each time with the limits as they are.
    ///
    /// # Errors
    /// What `change` refuses, more limits than fit into a document, or the store.
    pub async fn change<T>(
        &self,
        change: impl FnMut(&mut Limits) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.admin.watched(self.change_in_turn(change)).await
    }

    async fn change_in_turn<T>(
        &self,
        mut change: impl FnMut(&mut Limits) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started_at = self.admin.now();
        let mut tries = 1;
        loop {
            let (version, mut limits) = self.read_versioned().await?;
            let before = limits.clone();
            let answer = change(&mut limits)?;
            if limits == before {
                return Ok(answer);
            }
            let body = limits.encode()?;
            let written = self.store().write_document(CONFIGURATION, version, body);
            match written.await {
                Ok(_version) => {
                    self.record(&before, &limits, started_at);
                    return Ok(answer);
                }
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sets the whole limit of a scope; an empty one is removed.
    ///
    /// # Errors
    /// `Invalid`: the limit is not possible, or not for this scope.
    pub async fn set(&self, scope: Scope, limit: Limit) -> Result<(), StoreError> {
        self.change(|limits| limits.set(scope.clone(), limit.clone()))
            .await
    }

    /// Removes the limit of a scope; gives back what it was.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn remove(&self, scope: &Scope) -> Result<Option<Limit>, StoreError> {
        self.change(|limits| Ok(limits.remove(scope))).await
    }

    /// Starts no more jobs of a kind, in whatever queue; those that run go on.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn pause_kind(&self, kind: Kind) -> Result<(), StoreError> {
        self.pause_kind_noted(kind, &PauseNote::default()).await
    }

    /// The same, and notes beside it who did that and why: see
    /// [`Admin::pauses`](crate::Admin::pauses).
    ///
    /// # Errors
    /// `Invalid`: the note is longer than a line, and nothing was done. Else as the store says; the
    /// kind may then be paused with nothing noted.
    pub async fn pause_kind_noted(&self, kind: Kind, note: &PauseNote) -> Result<(), StoreError> {
        let pause = note.pause(&**self.store()).await?;
        let scope = Scope::Kind(kind);
        self.set_paused(&scope, true).await?;
        pauses::note(&**self.store(), &scope, &pause).await
    }

    /// Starts jobs of a kind again.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn resume_kind(&self, kind: Kind) -> Result<(), StoreError> {
        let scope = Scope::Kind(kind);
        self.set_paused(&scope, false).await?;
        pauses::forget(&**self.store(), &scope).await
    }

    async fn set_paused(&self, scope: &Scope, paused: bool) -> Result<(), StoreError> {
        self.change(|limits| {
            let limit = limits.get(scope).cloned().unwrap_or_default();
            limits.set(scope.clone(), Limit { paused, ..limit })
        })
        .await
    }

    /// What is held against every limit of a queue or kind, and of each tenant that has jobs now.
    ///
    /// # Errors
    /// A document could not be read.
    pub async fn in_use(&self) -> Result<Vec<LimitUse>, StoreError> {
        let limits = self.read().await?;
        let now = self.store().now().await?;
        let mut uses = Vec::new();
        let mut tenants = false;
        for (scope, limit) in limits.iter() {
            match scope
                .document()
                .filter(|_| !matches!(scope, Scope::Tenant(_)))
            {
                Some(name) => {
                    let ledger = self.shard(&name).await?.ledger(&scope).clone();
                    uses.push(self.one_use(scope, limit, &ledger, now));
                }
                None => tenants |= limit.holds_workers(),
            }
        }
        for name in Scope::tenant_documents().filter(|_| tenants) {
            let shard = self.shard(&name).await?;
            let of_tenant = |(scope, ledger): (Scope, &Ledger)| {
                let Scope::Tenant(tenant) = &scope else {
                    return None;
                };
                let limit = limits.of_tenant(tenant)?;
                Some(self.one_use(scope, limit, ledger, now))
            };
            uses.extend(shard.iter().filter_map(of_tenant));
        }
        uses.sort_by(|one, other| one.scope.cmp(&other.scope));
        Ok(uses)
    }

    /// The limits that leave no room for one more job like this, that of a paused kind included:
    /// why one that is available may not start.
    ///
    /// # Errors
    /// A document could not be read.
    pub async fn full_for(&self, job: &Job) -> Result<Vec<LimitUse>, StoreError> {
        let limits = self.read().await?;
        let tenant = job.tenant_id.as_deref().filter(|tenant| !tenant.is_empty());
        let of_tenant = tenant.and_then(|tenant| limits.of_tenant(tenant));
        let tenant = tenant.map(|tenant| Scope::Tenant(tenant.to_owned()));
        let named = [
            Scope::Queue(job.queue.clone()),
            Scope::Kind(job.kind.clone()),
        ];
        let named = named.into_iter().map(|scope| {
            let limit = limits.get(&scope);
            (scope, limit)
        });
        let mut full = Vec::new();
        for (scope, limit) in named.chain(tenant.map(|scope| (scope, of_tenant))) {
            let holds = limit.filter(|limit| limit.holds_workers());
            let (Some(limit), Some(name)) = (holds, scope.document()) else {
                continue;
            };
            let ledger = self.shard(&name).await?.ledger(&scope).clone();
            let held = self.one_use(scope, limit, &ledger, self.store().now().await?);
            let is_full = limit.concurrency.is_some_and(|most| held.permits >= most);
            if limit.paused || is_full || held.tokens == Some(0) {
                full.push(held);
            }
        }
        Ok(full)
    }

    fn one_use(&self, scope: Scope, limit: &Limit, ledger: &Ledger, now: Timestamp) -> LimitUse {
        let terms = Terms {
            concurrency: limit.concurrency,
            rate: limit.rate.as_ref(),
            now,
            clock_error: self.store().info().clock_error,
        };
        LimitUse {
            scope,
            permits: ledger.permits_out(&terms),
            holders: ledger.holders(&terms),
            tokens: limit.rate.map(|rate| ledger.tokens_left(&rate, now)),
            limit: limit.clone(),
        }
    }

    /// Records the span of a call that changed limits.
    fn record(&self, before: &Limits, after: &Limits, started_at: Timestamp) {
        let changes = changes(before, after);
        let Some((scope, verb)) = changes.first() else {
            return;
        };
        let is_one = changes.len() == 1;
        let verb = match changes.iter().all(|(_, other)| other == verb) {
            true => verb,
            false => "set",
        };
        let subject = match scope {
            Scope::Kind(kind) if is_one && PAUSING.contains(&verb) => AdminSubject::Kind(kind),
            _ => AdminSubject::Limits {
                scope: is_one.then_some(scope),
                count: changes.len(),
            },
        };
        self.admin.record(verb, About::Store, subject, started_at);
    }

    async fn shard(&self, name: &str) -> Result<Shard, StoreError> {
        let stored = self.store().read_document(name).await?;
        Shard::decode(name, stored.as_ref())
    }

    async fn read_versioned(&self) -> Result<(u64, Limits), StoreError> {
        match self.store().read_document(CONFIGURATION).await? {
            None => Ok((0, Limits::default())),
            Some(document) => Ok((document.version, Limits::decode(&document.body)?)),
        }
    }
}

/// What is done to kinds, not to limits.
const PAUSING: [&str; 2] = ["pause", "resume"];

/// The scopes whose limits differ, and what was done to each.
fn changes(before: &Limits, after: &Limits) -> Vec<(Scope, &'static str)> {
    let gone = before
        .iter()
        .filter(|(scope, _)| after.get(scope).is_none());
    let scopes = after.iter().chain(gone);
    let nothing = Limit::default();
    let differs = |(scope, _): (Scope, &Limit)| {
        let old = before.get(&scope).unwrap_or(&nothing);
        let new = after.get(&scope).unwrap_or(&nothing);
        (old != new).then(|| (scope, verb(old, new)))
    };
    scopes.filter_map(differs).collect()
}

fn verb(old: &Limit, new: &Limit) -> &'static str {
    let only_less = Limit {
        concurrency: old.concurrency.filter(|_| new.concurrency.is_some()),
        rate: old.rate.filter(|_| new.rate.is_some()),
        length: old.length.filter(|_| new.length.is_some()),
        enqueue_rate: old.enqueue_rate.filter(|_| new.enqueue_rate.is_some()),
        fair: old.fair && new.fair,
        paused: old.paused,
        other: new.other.clone(),
    };
    match (old.paused, new.paused) {
        (false, true) => "pause",
        (true, false) => "resume",
        _ if *new == only_less => "remove",
        _ => "set",
    }
}
