//! A store that watches what is done to it, and panics at what must never happen.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, Enqueued, Job, JobFilter, JobId, JobPage,
    JobState, LeaseToken, NewJob, QueueName, QueueStats, Rescued, Settled, Settlement, Store,
    StoreError, StoreInfo, Timestamp,
};

/// Panics when two leases for one job live at a time, when a lease is taken back before it has
/// expired, or when a settle is accepted whose lease is lost. Sits below whatever makes faults.
pub struct AuditedStore {
    inner: Arc<dyn Store>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    leases: HashMap<JobId, (LeaseToken, Timestamp)>,
    enqueued: HashSet<JobId>,
    claims: u64,
}

impl AuditedStore {
    /// Watches `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            ledger: Mutex::default(),
        }
    }

    /// Every job that the store has accepted, acknowledged or not.
    #[must_use]
    pub fn accepted(&self) -> HashSet<JobId> {
        self.ledger().enqueued.clone()
    }

    /// How many claims there were.
    #[must_use]
    pub fn claims(&self) -> u64 {
        self.ledger().claims
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn enqueued(&mut self, answers: &[Result<Enqueued, StoreError>]) {
        let ids = answers
            .iter()
            .flatten()
            .map(|enqueued| enqueued.id().clone());
        self.enqueued.extend(ids);
    }

    fn claimed(&mut self, claimed: &[Claimed], now: Timestamp) {
        for Claimed { lease, .. } in claimed {
            self.claims += 1;
            let held = (lease.token, lease.expires_at);
            let before = self.leases.insert(lease.job_id.clone(), held);
            assert!(
                before.is_none(),
                "job {} was leased at {now} while it had the lease {before:?}",
                lease.job_id
            );
        }
    }

    fn beaten(&mut self, beats: &[Beat], answers: &[BeatAnswer]) {
        for (beat, answer) in beats.iter().zip(answers) {
            let (BeatAnswer::Held(until) | BeatAnswer::CancelRequested(until)) = answer else {
                continue;
            };
            let lease = self.leases.get_mut(&beat.job_id);
            let lease = lease.filter(|(token, _)| *token == beat.token);
            assert!(
                lease.is_some(),
                "a lost lease on {} was renewed",
                beat.job_id
            );
            if let Some((_, expires_at)) = lease {
                *expires_at = *until;
            }
        }
    }

    fn settled(&mut self, sent: &[Settlement], answers: &[Result<Settled, StoreError>]) {
        for (settlement, answer) in sent.iter().zip(answers) {
            if answer.is_err() {
                continue;
            }
            let lease = self.leases.remove(&settlement.job_id);
            assert!(
                lease.is_some_and(|(token, _)| token == settlement.token),
                "a lost lease on {} settled",
                settlement.job_id
            );
            let follow_ups = settlement.follow_ups.iter().map(|job| job.id.clone());
            self.enqueued.extend(follow_ups);
        }
    }

    fn rescued(&mut self, rescued: &[Rescued], now: Timestamp) {
        for Rescued { job, .. } in rescued {
            let lease = self.leases.remove(&job.id);
            assert!(
                lease.is_some_and(|(_, expires_at)| expires_at < now),
                "the lease {lease:?} on {} was taken back at {now}",
                job.id
            );
        }
    }
}

impl fmt::Debug for AuditedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditedStore({:?})", self.inner)
    }
}

#[async_trait]
impl Store for AuditedStore {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner.now().await
    }

    async fn mint(&self, count: usize) -> Result<Vec<JobId>, StoreError> {
        self.inner.mint(count).await
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let answers = self.inner.enqueue(jobs).await?;
        self.ledger().enqueued(&answers);
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let claimed = self.inner.claim(request).await?;
        let now = self.inner.now().await?;
        self.ledger().claimed(&claimed, now);
        Ok(claimed)
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let answers = self.inner.heartbeat(beats).await?;
        self.ledger().beaten(beats, &answers);
        Ok(answers)
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let sent = settlements.clone();
        let answers = self.inner.settle(settlements).await?;
        self.ledger().settled(&sent, &answers);
        Ok(answers)
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        self.inner.promote(limit).await
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let rescued = self.inner.rescue(limit).await?;
        let now = self.inner.now().await?;
        self.ledger().rescued(&rescued, now);
        Ok(rescued)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.inner.get(id).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        self.inner.list(filter, cursor, limit).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.inner.queue_stats().await
    }

    async fn cancel(&self, id: &JobId) -> Result<JobState, StoreError> {
        self.inner.cancel(id).await
    }

    async fn retry_now(&self, id: &JobId) -> Result<JobState, StoreError> {
        self.inner.retry_now(id).await
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.inner.pause(queue).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.inner.resume(queue).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.prune(before, limit).await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        self.inner.wait(queues, timeout).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.inner.read_document(name).await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        self.inner.write_document(name, expected, body).await
    }
}
