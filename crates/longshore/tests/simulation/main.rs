//! What must never happen, searched for by seed: a job that is lost, two live leases for one job,
//! a follow-up made twice or not at all, an attempt beyond the last.
//!
//! Workers are killed at random moments, calls fail with and without effect, and the store's
//! clock jumps. Each seed runs in virtual time and is the same at every run; the one that fails
//! is printed. `LONGSHORE_SIM_SEEDS=5,17` runs those, `LONGSHORE_SIM_SEEDS=0..1000` a range.
#![expect(clippy::unwrap_used, reason = "a broken promise is a failed test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, Job, JobError, JobId, JobRequest, JobState, MemoryStore, Producer,
    RawArgs, RawResult, RetryPolicy, Store, Timestamp, Worker,
};
use longshore_core::{Clock, Random};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::faulty::{Faults, FaultyStore};

const JOBS: u64 = 60;
const FAULTS: Faults = Faults {
    refused_percent: 5,
    lost_answer_percent: 5,
    latency_max: Duration::from_millis(40),
};

/// The virtual time of the runtime, and how far someone has moved the wall clock from it.
#[derive(Debug)]
struct SimulatedClock {
    origin: tokio::time::Instant,
    moved_by: AtomicI64,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let moved = self.moved_by.load(Ordering::SeqCst);
        let start = Timestamp::from_unix_millis(1_767_225_600_000);
        Timestamp::from_unix_nanos(start.after(self.monotonic()).unix_nanos() + moved)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

struct World {
    audited: Arc<AuditedStore>,
    faulty: Arc<FaultyStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock {
            origin: tokio::time::Instant::now(),
            moved_by: AtomicI64::new(0),
        });
        let random = Arc::new(SeededRandom::new(seed));
        let memory = Arc::new(MemoryStore::with(clock.clone(), random.clone()));
        let audited = Arc::new(AuditedStore::new(memory));
        let faulty = FaultyStore::new(audited.clone(), random.clone(), FAULTS);
        Self {
            audited,
            faulty: Arc::new(faulty),
            clock,
            random,
        }
    }

    fn worker(&self, name: &str) -> longshore::WorkerBuilder {
        let policy = RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(5));
        Worker::builder(self.faulty.clone())
            .queue("orders")
            .id(name)
            .lease(Duration::from_secs(2))
            .concurrency(4)
            .retry(policy)
            .clock(self.clock.clone(), self.random.clone())
            .fallback(handle)
    }

    /// Enqueues under ids of its own until every job is acknowledged.
    async fn produce(&self) -> Vec<JobId> {
        let producer =
            Producer::new(self.faulty.clone()).with_clock(self.clock.clone(), self.random.clone());
        let mut ids = Vec::new();
        for number in 0..JOBS {
            let request = JobRequest::new("orders", "order")
                .raw_args(self.random.next_u64().to_be_bytes().to_vec())
                .id(format!("order-{number}"))
                .delay(Duration::from_millis(self.random.next_u64() % 2000))
                .priority(u8::try_from(1 + self.random.next_u64() % 4).unwrap())
                .max_attempts(4);
            loop {
                if let Ok(enqueued) = producer.enqueue(request.clone()).await {
                    ids.push(enqueued.id().clone());
                    break;
                }
            }
        }
        ids
    }

    /// Starts workers and kills them, again and again; moves the clock.
    async fn torment(&self) {
        for round in 0..12 {
            let workers: Vec<_> = (0..2)
                .map(|number| {
                    let worker = self.worker(&format!("w{round}-{number}")).build().unwrap();
                    tokio::spawn(worker.run(std::future::pending()))
                })
                .collect();
            let life = Duration::from_micros(self.random.next_u64() % 1_500_000);
            tokio::time::sleep(life).await;
            if round % 4 == 3 {
                let jump = i64::try_from(self.random.next_u64() % 20_000_000_000).unwrap();
                let moved = &self.clock.moved_by;
                moved.fetch_add(jump - 8_000_000_000, Ordering::SeqCst);
            }
            for worker in workers {
                worker.abort();
                if let Err(ended) = worker.await {
                    assert!(ended.is_cancelled(), "a worker panicked: {ended}");
                }
            }
        }
    }
}

/// Succeeds, fails, snoozes, panics or hangs, as the job's bytes and the attempt say.
async fn handle(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    if attempt.job().kind.as_str() != "order" {
        return Ok(RawResult(None));
    }
    let byte = args.0.get(attempt.number() as usize % 8).copied();
    let byte = u64::from(byte.unwrap_or_default());
    tokio::time::sleep(Duration::from_millis(byte * 4)).await;
    attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
    let job = attempt.job();
    if let Some(last) = job
        .last_attempt()
        .filter(|last| last.outcome == AttemptOutcome::Retried)
    {
        let left = last.claim.to_string();
        assert_eq!(job.checkpoint.as_deref(), Some(left.as_bytes()));
    }
    attempt.checkpoint(job.claim.to_string())?;
    match byte % 8 {
        0 => Err(JobError::retry("flaky", "")),
        1 if attempt.job().claim < 6 => Err(JobError::snooze(Duration::from_millis(50))),
        2 if attempt.number() == 1 => std::future::pending().await,
        _ => Ok(RawResult(None)),
    }
}

async fn simulate(seed: u64) -> String {
    let world = World::new(seed);
    let (ids, ()) = tokio::join!(world.produce(), world.torment());
    world.faulty.heal();
    let last = world
        .worker("last")
        .drain(true)
        .timeout(Duration::from_secs(2));
    let report = last.build().unwrap().run(std::future::pending()).await;
    report.unwrap();
    let jobs = all_jobs(&world).await;
    for id in &ids {
        assert!(jobs.contains_key(id), "the acknowledged job {id} is lost");
    }
    for job in jobs.values() {
        check(job, &jobs);
    }
    let mut story: Vec<String> = jobs
        .values()
        .map(|job| format!("{} {} {}", job.id, job.state, job.claim))
        .collect();
    story.sort();
    format!("{} claims\n{}", world.audited.claims(), story.join("\n"))
}

async fn all_jobs(world: &World) -> HashMap<JobId, Job> {
    let mut jobs = HashMap::new();
    for id in world.audited.accepted() {
        let job = world.audited.get(&id).await.unwrap();
        jobs.insert(id, job.unwrap());
    }
    jobs
}

fn check(job: &Job, jobs: &HashMap<JobId, Job>) {
    assert!(job.state.is_final(), "{} is {}", job.id, job.state);
    assert!(job.attempt <= job.max_attempts);
    let panicked = |record: &longshore::AttemptRecord| {
        record
            .error
            .as_ref()
            .is_some_and(|error| error.class == "panic")
    };
    assert!(!job.history.iter().any(panicked), "{:?}", job.history);
    let claims: Vec<u32> = job.history.iter().map(|record| record.claim).collect();
    assert!(claims.is_sorted_by(|a, b| a < b), "{}: {claims:?}", job.id);
    assert_eq!(job.claim as usize, job.history.len(), "{}", job.id);
    let completed =
        |record: &&longshore::AttemptRecord| record.outcome == AttemptOutcome::Completed;
    let completions = job.history.iter().filter(completed).count();
    let expected = usize::from(job.state == JobState::Completed);
    assert_eq!(completions, expected, "{} completed", job.id);
    if job.kind.as_str() == "order" {
        let is_receipt = |other: &&Job| {
            other.parent_correlation_id.as_deref() == Some(job.correlation_id.as_str())
        };
        let receipts = jobs.values().filter(is_receipt).count();
        assert_eq!(receipts, expected, "receipts of {}", job.id);
    }
}

fn seeds() -> Vec<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for whoever runs the tests"
    )]
    let Ok(text) = std::env::var("LONGSHORE_SIM_SEEDS") else {
        return (0..40).collect();
    };
    match text.split_once("..") {
        Some((first, end)) => (first.parse().unwrap()..end.parse().unwrap()).collect(),
        None => text.split(',').map(|seed| seed.parse().unwrap()).collect(),
    }
}

fn run(seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(simulate(seed))
}

#[test]
fn nothing_that_must_never_happen_happens() {
    for seed in seeds() {
        let ended = std::panic::catch_unwind(|| run(seed));
        assert!(
            ended.is_ok(),
            "seed {seed} fails; LONGSHORE_SIM_SEEDS={seed} runs it again"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    assert_eq!(run(7), run(7));
}
