//! A store that watches what is done to it, and keeps what must never happen.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, Claimed, Enqueued, Job, JobId, Keep, LeaseToken, Rescued, Settled,
    Settlement, Store, StoreError, Timestamp,
};

use crate::violations::Violations;
use crate::way::{Around, Effect, Traffic, Way};

/// Notes when two leases for one job live at a time, when a lease is taken back before it has
/// expired, when a lost lease settles or is renewed, and when a claim or a rescue finds another
/// checkpoint or another decision to keep the trace than was stored. Sits below whatever makes
/// faults.
pub type AuditedStore = Around<Audit>;

/// The way of an [`AuditedStore`].
#[derive(Default)]
pub struct Audit {
    ledger: Mutex<Ledger>,
    violations: Violations,
}

#[derive(Default)]
struct Ledger {
    leases: HashMap<JobId, (LeaseToken, Timestamp)>,
    enqueued: HashSet<JobId>,
    checkpoints: HashMap<JobId, Bytes>,
    keeps: HashMap<JobId, Keep>,
    claims: u64,
}

impl AuditedStore {
    /// Watches `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::through(inner, Audit::default())
    }

    /// Every job that the store has accepted, acknowledged or not.
    #[must_use]
    pub fn accepted(&self) -> HashSet<JobId> {
        self.way().lock().enqueued.clone()
    }

    /// How many claims there were.
    #[must_use]
    pub fn claims(&self) -> u64 {
        self.way().lock().claims
    }

    /// The jobs that are leased.
    #[must_use]
    pub fn leased(&self) -> Vec<JobId> {
        self.way().lock().leases.keys().cloned().collect()
    }

    /// What has happened that must not.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.way().violations.all()
    }
}

impl Audit {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueued(&self, answers: &[Result<Enqueued, StoreError>]) {
        let ids = answers
            .iter()
            .flatten()
            .map(|enqueued| enqueued.id().clone());
        self.lock().enqueued.extend(ids);
    }

    fn claimed(&self, claimed: &[Claimed], now: Timestamp) {
        let mut ledger = self.lock();
        for Claimed { job, lease } in claimed {
            ledger.claims += 1;
            let held = (lease.token, lease.expires_at);
            let before = ledger.leases.insert(lease.job_id.clone(), held);
            self.violations.check(before.is_none(), || {
                let id = &lease.job_id;
                format!("job {id} was leased at {now} while it had the lease {before:?}")
            });
            self.kept(&mut ledger, job);
        }
    }

    fn beaten(&self, beats: &[Beat], answers: &[BeatAnswer]) {
        let mut ledger = self.lock();
        for (beat, answer) in beats.iter().zip(answers) {
            let (BeatAnswer::Held(until) | BeatAnswer::CancelRequested(until)) = answer else {
                continue;
            };
            let lease = ledger.leases.get_mut(&beat.job_id);
            let lease = lease.filter(|(token, _)| *token == beat.token);
            self.violations.check(lease.is_some(), || {
                format!("a lost lease on {} was renewed", beat.job_id)
            });
            if let Some((_, expires_at)) = lease {
                *expires_at = *until;
            }
            if let Some(checkpoint) = &beat.checkpoint {
                let (id, checkpoint) = (beat.job_id.clone(), checkpoint.clone());
                ledger.checkpoints.insert(id, checkpoint);
            }
        }
    }

    fn settled(&self, sent: &[Settlement], answers: &[Result<Settled, StoreError>]) {
        let mut ledger = self.lock();
        for (settlement, answer) in sent.iter().zip(answers) {
            let id = &settlement.job_id;
            let Ok(settled) = answer else {
                continue;
            };
            let lease = ledger.leases.get(id).copied();
            let held = lease.is_some_and(|(token, _)| token == settlement.token);
            self.violations
                .check(held, || format!("a lost lease on {id} settled"));
            if held {
                ledger.leases.remove(id);
            }
            let follow_ups = settlement.follow_ups.iter().map(|job| job.id.clone());
            ledger.enqueued.extend(follow_ups);
            if let Some(keep) = &settlement.keep {
                let kept = ledger.keeps.entry(id.clone());
                kept.or_insert_with(|| keep.clone());
            }
            if settled.state.is_final() {
                ledger.checkpoints.remove(id);
            }
        }
    }

    fn rescued(&self, rescued: &[Rescued], now: Timestamp) {
        let mut ledger = self.lock();
        for Rescued { job, .. } in rescued {
            let lease = ledger.leases.remove(&job.id);
            let expired = lease.is_some_and(|(_, expires_at)| expires_at < now);
            self.violations.check(expired, || {
                format!("the lease {lease:?} on {} was taken back at {now}", job.id)
            });
            if let Some(keep) = &job.trace.keep {
                let kept = ledger.keeps.entry(job.id.clone());
                kept.or_insert_with(|| keep.clone());
            }
            if job.state.is_final() {
                ledger.checkpoints.remove(&job.id);
            }
            self.kept(&mut ledger, job);
        }
    }

    /// What was stored for later attempts and for the trace is still there.
    fn kept(&self, ledger: &mut Ledger, job: &Job) {
        let checkpoint = ledger.checkpoints.get(&job.id);
        self.violations
            .check(checkpoint == job.checkpoint.as_ref(), || {
                let (id, found) = (&job.id, &job.checkpoint);
                format!("job {id} has the checkpoint {found:?}, not {checkpoint:?}")
            });
        let keep = ledger.keeps.get(&job.id);
        self.violations.check(keep == job.trace.keep.as_ref(), || {
            let (id, found) = (&job.id, &job.trace.keep);
            format!("job {id} has the decision {found:?}, not {keep:?}")
        });
    }
}

impl Way for Audit {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        effect.await
    }

    async fn look(&self, store: &Arc<dyn Store>, traffic: Traffic<'_>) {
        let now = match store.now().await {
            Ok(now) => now,
            Err(error) => {
                self.violations
                    .check(false, || format!("the store has no time: {error}"));
                return;
            }
        };
        match traffic {
            Traffic::Enqueue(answers) => self.enqueued(answers),
            Traffic::Claim(claimed) => self.claimed(claimed, now),
            Traffic::Heartbeat(beats, answers) => self.beaten(beats, answers),
            Traffic::Settle(sent, answers) => self.settled(sent, answers),
            Traffic::Rescue(rescued) => self.rescued(rescued, now),
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audited")
    }
}
