//! The scenario of the crashes: seven jobs and the two that they make, two cancellations. Whatever
//! went wrong before, every process that runs it brings it to the same end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, AttemptRecord, Job, JobError, JobId, JobRequest, JobState, Producer,
    RawArgs, RawResult, RetryPolicy, SpanBuffer, Store, Worker,
};
use longshore_testkit::SeededRandom;

use crate::clock::SimulatedClock;
use crate::rows;

const QUEUE: &str = "orders";
const LEASE: Duration = Duration::from_secs(1);

/// What the store has acknowledged; outlives the process that asked.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(Mutex<BTreeSet<String>>);

impl Acknowledged {
    fn insert(&self, what: &str) {
        let mut acknowledged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.insert(what.to_owned());
    }

    fn contains(&self, what: &str) -> bool {
        let acknowledged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.contains(what)
    }
}

/// A process: a producer that asks for what is not acknowledged yet, and a worker that stops when
/// nothing is left to do.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) spans: Arc<SpanBuffer>,
    pub(crate) acknowledged: Arc<Acknowledged>,
}

impl Cast {
    pub(crate) async fn play(self) {
        self.enqueue_orders().await;
        let worker = self.worker().run(std::future::pending());
        let (report, ()) = tokio::join!(worker, self.cancel_some());
        report.unwrap();
    }

    fn producer(&self) -> Producer {
        Producer::new(self.store.clone())
            .with_recorder(self.spans.clone())
            .with_clock(self.clock.clone(), Arc::new(SeededRandom::new(3)))
    }

    async fn enqueue_orders(&self) {
        let orders = ["paid", "flaky", "resumed", "napping", "unwanted", "family"];
        let wanted: Vec<_> = orders
            .into_iter()
            .filter(|id| !self.acknowledged.contains(id))
            .collect();
        let requests = wanted.iter().map(|id| request(id)).collect();
        let answers = self.producer().enqueue_many(requests).await.unwrap();
        for (id, answer) in wanted.iter().zip(answers) {
            answer.unwrap();
            self.acknowledged.insert(id);
        }
    }

    async fn cancel_some(&self) {
        let withdrawn = request("withdrawn").delay(Duration::from_secs(3600));
        if !self.acknowledged.contains("withdrawn") {
            self.producer().enqueue(withdrawn).await.unwrap();
            self.acknowledged.insert("withdrawn");
        }
        self.cancel("withdrawn").await;
        // By then it runs.
        tokio::time::sleep(Duration::from_millis(150)).await;
        self.cancel("unwanted").await;
    }

    async fn cancel(&self, id: &str) {
        let done = format!("cancelled {id}");
        if !self.acknowledged.contains(&done) {
            let ids = [id.parse().unwrap()];
            let answer = self.store.cancel(&ids).await.unwrap().remove(0);
            answer.unwrap();
            self.acknowledged.insert(&done);
        }
    }

    fn worker(&self) -> Worker {
        let seed = self.name.len() as u64;
        Worker::builder(self.store.clone())
            .queue(QUEUE)
            .id(self.name)
            .lease(LEASE)
            .concurrency(3)
            .retry(RetryPolicy::fixed(Duration::from_millis(100)))
            .recorder(self.spans.clone())
            .clock(self.clock.clone(), Arc::new(SeededRandom::new(seed)))
            .fallback(handle)
            .drain(true)
            .build()
            .unwrap()
    }
}

fn request(id: &str) -> JobRequest {
    JobRequest::new(QUEUE, "order").id(id).max_attempts(5)
}

async fn handle(_args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    let job = attempt.job();
    let before = |outcome| job.history.iter().rfind(|one| one.outcome == outcome);
    match job.id.as_str() {
        "paid" => {
            attempt.enqueue_on_success(JobRequest::new(QUEUE, "receipt"))?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Ok(RawResult(Some("paid".into())));
        }
        "flaky" if before(AttemptOutcome::Retried).is_none() => {
            return Err(JobError::retry("flaky", ""));
        }
        "resumed" => match before(AttemptOutcome::Retried) {
            Some(first) => {
                let left = format!("the rest, from claim {}", first.claim);
                if job.checkpoint.as_deref() != Some(left.as_bytes()) {
                    return Err(JobError::discard("checkpoint_lost", ""));
                }
            }
            None => {
                attempt.checkpoint("half of it")?;
                tokio::time::sleep(Duration::from_millis(360)).await;
                attempt.checkpoint(format!("the rest, from claim {}", job.claim))?;
                return Err(JobError::retry("interrupted", ""));
            }
        },
        "napping" if before(AttemptOutcome::Snoozed).is_none() => {
            return Err(JobError::snooze(Duration::from_millis(80)));
        }
        "unwanted" => {
            attempt.cancelled().await;
            return Err(JobError::cancel("unwanted"));
        }
        "family" => {
            attempt.enqueue(request("child")).await?;
        }
        _ => {}
    }
    Ok(RawResult(None))
}

/// What must be true in the end, wherever a process died.
pub(crate) fn check(jobs: &BTreeMap<JobId, Job>, acknowledged: &Acknowledged, deaths: usize) {
    let ids = [
        "paid",
        "flaky",
        "resumed",
        "napping",
        "family",
        "child",
        "unwanted",
        "withdrawn",
    ];
    for id in ids {
        let job = jobs.get(&id.parse::<JobId>().unwrap());
        let was = acknowledged.contains(id);
        let job = job.unwrap_or_else(|| panic!("{id} is lost; acknowledged: {was}"));
        let expected = match id {
            "unwanted" | "withdrawn" => JobState::Cancelled,
            _ => JobState::Completed,
        };
        assert_eq!(job.state, expected, "{id}: {:?}", job.history);
        let receipts = jobs.values().filter(|other| {
            other.kind.as_str() == "receipt"
                && other.parent_correlation_id.as_deref() == Some(job.correlation_id.as_str())
        });
        assert_eq!(
            receipts.count(),
            usize::from(id == "paid"),
            "receipts of {id}"
        );
    }
    assert_eq!(jobs.len(), ids.len() + 1, "there are jobs nobody asked for");
    let paid = &jobs[&"paid".parse::<JobId>().unwrap()];
    assert_eq!(paid.result.as_deref(), Some(&b"paid"[..]));
    assert_eq!(rows::follow_ups(paid, jobs), 1);
    for job in jobs.values() {
        rows::is_over(job);
        let is_lost = |one: &&AttemptRecord| one.outcome == AttemptOutcome::Lost;
        let lost = job.history.iter().filter(is_lost).count();
        assert!(lost <= deaths, "{} was lost {lost} times", job.id);
    }
}
