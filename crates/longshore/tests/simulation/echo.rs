//! Settles that arrive again: each right after its answer, and whenever its job was taken back or
//! claimed since. Every one must be refused and write nothing.

use std::sync::{Arc, Mutex, PoisonError};

use longshore::{JobId, Store, StoreError};
use longshore_core::{LeaseToken, Settlement};
use longshore_testkit::Violations;
use longshore_testkit::faulty::settle_again;
use longshore_testkit::way::{Around, Effect, Traffic, Way};

pub(crate) type EchoingStore = Around<Echo>;

#[derive(Debug, Default)]
pub(crate) struct Echo {
    sent: Mutex<Vec<Settlement>>,
    violations: Violations,
}

impl Echo {
    /// Remembers settles on their way, also those that may not arrive.
    pub(crate) fn remember(&self, settlements: &[Settlement]) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for settlement in settlements {
            if sent.iter().all(|other| other.token != settlement.token) {
                sent.push(settlement.clone());
            }
        }
    }

    fn sent(&self) -> Vec<Settlement> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clone()
    }

    /// Sends the remembered settles of these jobs again, but for the one that holds the lease.
    async fn repeat(&self, store: &dyn Store, jobs: &[(&JobId, Option<LeaseToken>)]) {
        // One that was accepted can make its job run again at once, and so without end.
        if !self.violations.all().is_empty() {
            return;
        }
        let is_old = |settlement: &Settlement| {
            jobs.iter()
                .any(|(id, token)| **id == settlement.job_id && *token != Some(settlement.token))
        };
        for settlement in self.sent().into_iter().filter(is_old) {
            let broken = settle_again(store, settlement).await;
            self.violations
                .check(broken.is_none(), || broken.unwrap_or_default());
        }
    }

    /// Sends everything again, once every job is over; gives back what went wrong, ever.
    pub(crate) async fn last_word(&self, store: &dyn Store) -> Vec<String> {
        for settlement in self.sent() {
            let broken = settle_again(store, settlement).await;
            self.violations
                .check(broken.is_none(), || broken.unwrap_or_default());
        }
        self.violations.all()
    }
}

impl Way for Echo {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        effect.await
    }

    fn hear(&self, settlements: &[Settlement]) {
        self.remember(settlements);
    }

    async fn look(&self, store: &Arc<dyn Store>, traffic: Traffic<'_>) {
        let jobs: Vec<_> = match traffic {
            Traffic::Claim(claimed) => claimed
                .iter()
                .map(|one| (&one.job.id, Some(one.lease.token)))
                .collect(),
            Traffic::Rescue(rescued) => rescued.iter().map(|one| (&one.job.id, None)).collect(),
            Traffic::Settle(sent, _) => sent.iter().map(|one| (&one.job_id, None)).collect(),
            Traffic::Enqueue(_) | Traffic::Heartbeat(..) => Vec::new(),
        };
        self.repeat(&**store, &jobs).await;
    }
}
