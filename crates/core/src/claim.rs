//! What a worker asks of a store: how many jobs, of which queues, and within which limits.

use std::collections::HashMap;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::WorkerId;
use crate::name::{Kind, QueueName};

/// A worker's wish for jobs.
///
/// ```
/// use std::time::Duration;
/// use longshore_core::{ClaimRequest, Group, Quota, WorkerId};
///
/// let worker = WorkerId::new("worker-1");
/// let queues = vec!["mail".try_into()?];
/// let mut request = ClaimRequest::new(worker, queues, 100, Duration::from_secs(30));
/// // Of these 100, at most 5 newsletters.
/// let group = Group::Kind("send_newsletter".try_into()?);
/// request.quotas = vec![Quota { group, at_most: 5 }];
/// # Ok::<(), longshore_core::InvalidName>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// From which queues; all alike.
    pub queues: Vec<QueueName>,
    /// At most how many.
    pub limit: usize,
    /// For how long each is leased.
    pub lease: Duration,
    /// Who asks.
    pub worker: WorkerId,
    /// Among 8 slots, which one belongs to the lower priorities: callers count up by the jobs they
    /// got, so that also claims of one job at a time are fair. A worker begins at a random one: if it
    /// were 0, workers that end after a few jobs would never come to the eighth.
    pub turn: u64,
    /// At most how many of which jobs. A job must be within every quota of a group it belongs to;
    /// of two for the same group the smaller counts. (C-7)
    pub quotas: Vec<Quota>,
    /// Whether tenants take turns; if `None`, jobs go by priority and due time whoever they are
    /// for. (C-8)
    pub spread: Option<Spread>,
}

impl ClaimRequest {
    /// Most jobs of one claim.
    pub const MAX_LIMIT: usize = 1000;
    /// One claimed job in this many is the oldest of a lower priority, while there are any.
    pub const FAIR_SHARE: u64 = 8;

    /// A wish for jobs of these queues, at turn 0, without quotas and whoever they are for.
    #[must_use]
    pub const fn new(
        worker: WorkerId,
        queues: Vec<QueueName>,
        limit: usize,
        lease: Duration,
    ) -> Self {
        Self {
            queues,
            limit,
            lease,
            worker,
            turn: 0,
            quotas: Vec::new(),
            spread: None,
        }
    }

    /// Whether the slot of this claim, numbered from 0, goes to the longest due job of a priority
    /// lower than the best one due. (C-3)
    ///
    /// With a spread the slots that do are one in eight as by chance: if it were every eighth, it
    /// would always be the turn of the same tenants when eight of them take turns.
    #[must_use]
    pub fn favours_lower(&self, slot: u64) -> bool {
        let number = self.turn.wrapping_add(slot);
        let number = match self.spread {
            None => number,
            Some(_) => xxh3_64(&number.to_le_bytes()),
        };
        number % Self::FAIR_SHARE == Self::FAIR_SHARE - 1
    }
}

/// Jobs that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Those of a queue.
    Queue(QueueName),
    /// Those of a kind, whatever their queue.
    Kind(Kind),
    /// Those of a tenant, whatever their queue; with the empty name, those without a tenant.
    Tenant(String),
    /// Those of each tenant that has no quota of its own: the quota is for each of them, not for
    /// all. Jobs without a tenant are not among them.
    EachTenant,
}

/// At most so many jobs of a group in one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Which jobs.
    pub group: Group,
    /// At most how many of them; 0 for none.
    pub at_most: usize,
}

/// Tenants take turns: in the order of the bytes of their names, around and around until the claim
/// is full or nobody has a job left. Jobs without a tenant are one more, with the empty name.
///
/// A caller that goes on after the tenant of the last job it got serves all alike in the long run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The tenant that comes after this one begins, be there such a one or not; the first one if
    /// `None`.
    pub after: Option<String>,
    /// At most how many jobs each has at a turn; 0 counts as 1.
    pub each: usize,
}

/// How many jobs of which groups a claim may still take. Stores that pick jobs one by one ask it
/// before each, and tell it of each.
///
/// ```
/// use longshore_core::{Allowance, Group, Kind, QueueName, Quota};
///
/// let (mail, noop): (QueueName, Kind) = ("mail".try_into()?, "noop".try_into()?);
/// let quotas = [Quota { group: Group::Tenant("ann".to_owned()), at_most: 1 }];
/// let mut allowance = Allowance::new(&quotas);
/// assert!(allowance.allows(&mail, &noop, "ann"));
/// assert!(allowance.take(&mail, &noop, "ann"), "that was the last one");
/// assert!(!allowance.allows(&mail, &noop, "ann"));
/// assert!(allowance.allows(&mail, &noop, ""));
/// # Ok::<(), longshore_core::InvalidName>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Allowance<'q> {
    queues: HashMap<&'q str, usize>,
    kinds: HashMap<&'q str, usize>,
    tenants: HashMap<&'q str, usize>,
    /// What each tenant has at the beginning that is not named.
    each_tenant: Option<usize>,
    /// What those have left of it of whom jobs were taken.
    other_tenants: HashMap<Box<str>, usize>,
}

impl<'q> Allowance<'q> {
    /// What these quotas leave at the beginning.
    #[must_use]
    pub fn new(quotas: &'q [Quota]) -> Self {
        let mut allowance = Self::default();
        for Quota { group, at_most } in quotas {
            let (groups, name) = match group {
                Group::Queue(queue) => (&mut allowance.queues, queue.as_str()),
                Group::Kind(kind) => (&mut allowance.kinds, kind.as_str()),
                Group::Tenant(tenant) => (&mut allowance.tenants, tenant.as_str()),
                Group::EachTenant => {
                    let most = allowance.each_tenant.unwrap_or(*at_most);
                    allowance.each_tenant = Some(most.min(*at_most));
                    continue;
                }
            };
            let left = groups.entry(name).or_insert(*at_most);
            *left = (*left).min(*at_most);
        }
        allowance
    }

    /// Whether a job of this queue, kind and tenant (empty if it has none) may be taken.
    #[must_use]
    pub fn allows(&self, queue: &QueueName, kind: &Kind, tenant: &str) -> bool {
        self.allows_queue(queue) && self.allows_kind(kind) && self.allows_tenant(tenant)
    }

    /// Whether any job of this queue may be taken.
    #[must_use]
    pub fn allows_queue(&self, queue: &QueueName) -> bool {
        self.queues.get(queue.as_str()) != Some(&0)
    }

    /// Whether any job of this kind may be taken.
    #[must_use]
    pub fn allows_kind(&self, kind: &Kind) -> bool {
        self.kinds.get(kind.as_str()) != Some(&0)
    }

    /// Whether any job of this tenant may be taken.
    #[must_use]
    pub fn allows_tenant(&self, tenant: &str) -> bool {
        match self.tenants.get(tenant) {
            Some(left) => *left > 0,
            None if tenant.is_empty() => true,
            None => {
                let left = self.other_tenants.get(tenant).copied();
                left.or(self.each_tenant) != Some(0)
            }
        }
    }

    /// Whether any tenant has a quota.
    #[must_use]
    pub fn limits_tenants(&self) -> bool {
        !self.tenants.is_empty() || self.each_tenant.is_some()
    }

    /// Counts a job that was taken; `true` if it was the last one of a group.
    pub fn take(&mut self, queue: &QueueName, kind: &Kind, tenant: &str) -> bool {
        let mut last = false;
        for (groups, name) in [
            (&mut self.queues, queue.as_str()),
            (&mut self.kinds, kind.as_str()),
            (&mut self.tenants, tenant),
        ] {
            if let Some(left) = groups.get_mut(name) {
                *left = left.saturating_sub(1);
                last |= *left == 0;
            }
        }
        if let Some(most) = self.each_tenant
            && !tenant.is_empty()
            && !self.tenants.contains_key(tenant)
        {
            let left = self.other_tenants.entry(tenant.into()).or_insert(most);
            *left = left.saturating_sub(1);
            last |= *left == 0;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_quotas_for_a_group_the_smaller_counts() {
        let quota = |at_most| Quota {
            group: Group::Kind("k".parse().unwrap()),
            at_most,
        };
        for quotas in [[quota(0), quota(7)], [quota(7), quota(0)]] {
            let allowance = Allowance::new(&quotas);
            assert!(!allowance.allows_kind(&"k".parse().unwrap()));
        }
    }

    #[test]
    fn with_a_spread_every_tenant_has_its_share_for_lower_priorities() {
        let mut request = ClaimRequest::new(WorkerId::new("w"), vec![], 1, Duration::ZERO);
        assert!(request.favours_lower(7) && request.favours_lower(15));
        request.spread = Some(Spread {
            after: None,
            each: 1,
        });
        for tenants in 1..100 {
            for tenant in 0..tenants {
                let turns = 400;
                let slots = (0..turns).map(|turn| tenant + turn * tenants);
                let shares = slots.filter(|slot| request.favours_lower(*slot)).count();
                assert!(
                    (20..90).contains(&shares),
                    "{tenant} of {tenants}: {shares}"
                );
            }
        }
    }
}
