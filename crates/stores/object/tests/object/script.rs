//! What the processes of a small case do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    AttemptError, Beat, ClaimRequest, Claimed, Clock as _, Enqueued, Group, Import, Job, JobId,
    JobState, NewJob, Outcome, Place, PruneRequest, Quota, Settlement, Store, Timestamp, UniqueKey,
    WorkerId,
};
use longshore_object::ObjectStore;
use longshore_testkit::ManualClock;
pub(crate) use longshore_testkit::harness::{completion as complete, settlement};

use crate::server::Server;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Claims so many jobs at a time, so often, and ends each well.
    Work { limit: usize, rounds: usize },
    /// The same, once, within a quota, so that it has to read a batch before it claims from it.
    Choosy,
    /// The same, but each attempt but the last fails and is to run again: soon, or after long.
    Fail { seconds: u64 },
    /// Completes jobs that are followed by another.
    Follow,
    /// The same, hours late perhaps, so that the other gets another id.
    FollowLate,
    /// Takes expired leases back, then works.
    Rescue,
    /// Enqueues a job with long args, claims one, and ends it with a long result.
    Long,
    /// Enqueues a job with long args.
    ProduceLong,
    /// Completes jobs that are followed by another with long args.
    FollowLong,
    /// Sweeps after so many hours each, and works.
    Sweep(&'static [u64]),
    /// Claims a job, beats twice, and ends it well.
    Beat,
    /// Enqueues a job with the unique key that all of them have.
    Keyed,
    /// The same, and another one afterwards.
    KeyedTwice,
    /// Enqueues the job whose id all of them were given.
    Shared,
    /// Enqueues a job with the id that all of them have, and that key.
    Chosen,
    /// Cancels the first job.
    Cancel,
    /// Makes the first job run again.
    Retry,
    /// Enqueues so many jobs.
    Produce(usize),
    /// Brings the first so many jobs of another store.
    Bring(usize),
    /// Works, and two hours later deletes what is over.
    Prune,
    /// The same, of two jobs, of which it leaves the first as it is.
    PruneLast,
    /// The same of a job that failed first, and ran again after long.
    PruneParked,
}

/// What was said to callers.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: Vec<JobId>,
    /// The id that several were given.
    pub(crate) shared: Option<JobId>,
    pub(crate) cancelled: Vec<JobId>,
    /// How many jobs follow others, under whatever id.
    pub(crate) followed: usize,
    /// Jobs whose completion was accepted, with the number of the claim.
    pub(crate) completed: Vec<(JobId, u32)>,
}

pub(crate) fn place() -> Place {
    Place::new("q".parse().unwrap())
}

pub(crate) fn new_job(id: JobId) -> NewJob {
    NewJob::new(id, "q".parse().unwrap(), "k".parse().unwrap(), "{}")
}

/// The id that a caller chose.
pub(crate) fn chosen() -> JobId {
    "order-1".parse().unwrap()
}

/// A job as another store had it.
fn brought(number: usize) -> Job {
    let id = format!("brought-{number}").parse().unwrap();
    Job::from_new(new_job(id), Timestamp::from_unix_millis(1000))
}

fn keyed(id: JobId) -> NewJob {
    let mut new = new_job(id);
    new.unique_key = Some(UniqueKey::new("key", &new.kind, &new.args));
    new
}

pub(crate) fn wish(worker: &str, limit: usize) -> ClaimRequest {
    let lease = Duration::from_secs(30);
    ClaimRequest::new(
        WorkerId::new(worker),
        vec!["q".parse().unwrap()],
        limit,
        lease,
    )
}

fn long_args() -> Bytes {
    vec![b'x'; 70_000].into()
}

/// The part of a process.
pub(crate) struct Part {
    pub(crate) store: ObjectStore,
    pub(crate) server: Arc<Server>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) name: String,
}

impl Part {
    pub(crate) async fn play(self, script: Script) {
        match script {
            Script::Work { limit, rounds } => {
                for _ in 0..rounds {
                    self.work(limit, complete).await;
                }
            }
            Script::Long => self.long().await,
            Script::Beat => self.beat().await,
            Script::ProduceLong => self.produce_long().await,
            Script::Keyed => self.offer_keyed().await,
            Script::KeyedTwice => {
                self.offer_keyed().await;
                self.offer_keyed().await;
            }
            Script::Sweep(hours) => self.sweep(hours).await,
            Script::Chosen => self.offer(keyed(chosen())).await,
            Script::Choosy => self.choose().await,
            Script::Fail { seconds } => self.fail(seconds).await,
            Script::Follow => self.follow(true, "{}".into()).await,
            Script::FollowLate => self.follow(false, "{}".into()).await,
            Script::FollowLong => self.follow(false, long_args()).await,
            Script::Rescue => {
                let _ = self.store.rescue(10).await;
                self.work(2, complete).await;
            }
            Script::Cancel => self.cancel().await,
            Script::Retry => {
                let first = self.told.lock().unwrap().acknowledged[..1].to_vec();
                let _ = self.store.retry_now(&first).await;
            }
            Script::Prune => {
                self.work(1, complete).await;
                self.prune().await;
            }
            Script::PruneLast => self.prune_last().await,
            Script::PruneParked => {
                self.fail(90).await;
                self.clock.advance(Duration::from_secs(100));
                self.work(1, complete).await;
                self.prune().await;
            }
            Script::Bring(jobs) => self.bring(jobs).await,
            Script::Shared => self.offer_shared().await,
            Script::Produce(jobs) => self.produce(jobs).await,
        }
    }

    async fn cancel(&self) {
        let first = self.told.lock().unwrap().acknowledged[..1].to_vec();
        let answers = self.store.cancel(&first).await.unwrap();
        if let Some(Ok(JobState::Cancelled)) = answers.first() {
            self.told.lock().unwrap().cancelled.extend(first);
        }
    }

    async fn offer_shared(&self) {
        let shared = self.told.lock().unwrap().shared.clone();
        if let Some(id) = shared {
            self.offer(new_job(id)).await;
        }
    }

    async fn produce(&self, jobs: usize) {
        let ids = self.store.mint(&vec![place(); jobs]).await;
        let ids = ids.unwrap_or_default();
        let jobs = ids.iter().cloned().map(new_job).collect();
        let answers = self.store.enqueue(jobs).await.unwrap_or_default();
        let created = ids.into_iter().zip(answers);
        let created = created
            .filter(|(_, answer)| answer.is_ok())
            .map(|(id, _)| id);
        self.told.lock().unwrap().acknowledged.extend(created);
    }

    async fn sweep(&self, hours: &[u64]) {
        // As one that works does, be it on other queues.
        let mut wish = wish(&self.name, 1);
        wish.queues = vec!["other".parse().unwrap()];
        let _ = self.store.claim(&wish).await;
        let _ = self.store.queue_stats().await;
        for hours in hours {
            self.clock.advance(Duration::from_secs(hours * 3600));
            let _ = self.store.sweep().await;
        }
        self.work(1, complete).await;
    }

    async fn offer_keyed(&self) {
        let ids = self.store.mint(&[place()]).await.unwrap_or_default();
        for id in ids {
            self.offer(keyed(id)).await;
        }
    }

    async fn follow(&self, is_named: bool, args: Bytes) {
        let ids = self.store.mint(&[place()]).await.unwrap_or_default();
        let next = |id: JobId| NewJob {
            args: args.clone(),
            ..new_job(id)
        };
        let follow = |claimed: &Claimed| Settlement {
            follow_ups: ids.iter().cloned().map(next).collect(),
            ..complete(claimed)
        };
        if self.work(1, follow).await {
            let mut told = self.told.lock().unwrap();
            match is_named {
                true => told.acknowledged.extend(ids.clone()),
                false => told.followed += ids.len(),
            }
        }
        self.work(1, complete).await;
    }

    async fn bring(&self, jobs: usize) {
        let jobs: Vec<Job> = (0..jobs).map(brought).collect();
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        let answers = self.store.import(jobs).await.unwrap_or_default();
        let there = ids.into_iter().zip(answers);
        let there = there.filter(|(_, answer)| answer.is_ok());
        let there = there.map(|(id, _)| id);
        self.told.lock().unwrap().acknowledged.extend(there);
    }

    async fn prune_last(&self) {
        let claimed = self.store.claim(&wish(&self.name, 2)).await;
        if let Some(last) = claimed.unwrap_or_default().last() {
            let _ = self.store.settle(vec![complete(last)]).await;
        }
        self.prune().await;
    }

    /// Deletes what is over, two hours later.
    async fn prune(&self) {
        self.clock.advance(Duration::from_secs(7200));
        let over = self.clock.now();
        let _ = self.store.prune(&PruneRequest::before(over, 10)).await;
    }

    async fn choose(&self) {
        let mut wish = wish(&self.name, 2);
        let group = Group::Queue("q".parse().unwrap());
        wish.quotas = vec![Quota { group, at_most: 2 }];
        self.work_as(&wish, complete).await;
    }

    async fn fail(&self, seconds: u64) {
        let available_at = self.clock.now().after(Duration::from_secs(seconds));
        let fail = |claimed: &Claimed| {
            let error = AttemptError::new("check", "as the test wants");
            let outcome = Outcome::Retry {
                available_at,
                error,
            };
            settlement(claimed, outcome)
        };
        self.work(1, fail).await;
        self.work(2, complete).await;
    }

    /// Claims and settles once; whether any settle was accepted.
    async fn work(&self, limit: usize, end: impl Fn(&Claimed) -> Settlement) -> bool {
        self.work_as(&wish(&self.name, limit), end).await
    }

    async fn work_as(&self, wish: &ClaimRequest, end: impl Fn(&Claimed) -> Settlement) -> bool {
        let Ok(claimed) = self.store.claim(wish).await else {
            return false;
        };
        let cancelled = self.told.lock().unwrap().cancelled.clone();
        for claimed in claimed
            .iter()
            .filter(|claimed| cancelled.contains(&claimed.job.id))
        {
            let id = &claimed.job.id;
            self.server
                .watch()
                .tell(format!("{id} was answered as cancelled, and runs"));
        }
        for Claimed { lease, job } in &claimed {
            if !self.server.watch().was_leased(lease.token) {
                let what = format!("{} runs with a lease that nothing has stored", job.id);
                self.server.watch().tell(what);
            }
        }
        if claimed.is_empty() {
            return false;
        }
        let settlements: Vec<Settlement> = claimed.iter().map(end).collect();
        let ends_well = settlements
            .first()
            .is_some_and(|first| matches!(first.outcome, Outcome::Complete { .. }));
        let answers = self.store.settle(settlements).await.unwrap_or_default();
        for (claimed, answer) in claimed.iter().zip(&answers) {
            if answer.is_ok() && ends_well {
                let Job { id, claim, .. } = &claimed.job;
                self.told
                    .lock()
                    .unwrap()
                    .completed
                    .push((id.clone(), *claim));
            }
        }
        answers.iter().any(Result::is_ok)
    }

    async fn produce_long(&self) {
        let ids = self.store.mint(&[place()]).await.unwrap_or_default();
        for id in ids {
            let mut new = new_job(id);
            new.args = long_args();
            self.offer(new).await;
        }
    }

    async fn long(&self) {
        self.produce_long().await;
        let result = Some(vec![b'y'; 2000].into());
        let end = |claimed: &Claimed| {
            settlement(
                claimed,
                Outcome::Complete {
                    result: result.clone(),
                },
            )
        };
        self.work(1, end).await;
    }

    async fn beat(&self) {
        let Ok(claimed) = self.store.claim(&wish(&self.name, 1)).await else {
            return;
        };
        for claimed in claimed {
            let beat = Beat {
                job_id: claimed.job.id.clone(),
                token: claimed.lease.token,
                extend_by: Duration::from_secs(30),
                progress: Some(50),
                checkpoint: None,
            };
            for _ in 0..2 {
                let _ = self.store.heartbeat(std::slice::from_ref(&beat)).await;
            }
            let _ = self.store.settle(vec![complete(&claimed)]).await;
        }
    }

    async fn offer(&self, new: NewJob) {
        let answers = self.store.enqueue(vec![new]).await.unwrap_or_default();
        for answer in answers.into_iter().flatten() {
            if let Enqueued::Created { id, .. } = answer {
                let mut told = self.told.lock().unwrap();
                if told.acknowledged.contains(&id) {
                    let what = format!("{id} was answered as created twice");
                    self.server.watch().tell(what);
                }
                told.acknowledged.push(id);
            }
        }
    }
}
