//! Many jobs under faults that follow from a seed.
//!
//! Workers are killed, shut down, or held up for longer than their leases, jobs are cancelled and discarded, the queue is paused, calls
//! fail with and without effect, settles arrive twice, and the store's clock jumps. Each seed is the same at every run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, Job, JobError, JobId, JobRequest, JobState, Producer, RawArgs,
    RawResult, RetryPolicy, SpanBuffer, Store, StoreError, Worker, WorkerBuilder, WorkerError,
    WorkerReport,
};
use longshore_core::{Random, SpanId};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::faulty::{Faults, FaultyStore};
use longshore_testkit::way::Around;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::SimulatedClock;
use crate::stall::Stall;
use crate::subject::{Kind, Subject};
use crate::{of_seeds, process, rows};

const JOBS: u64 = 60;
/// The longest a seed may take: who is not done by then never will be.
const LIFETIME: Duration = Duration::from_secs(3600);
const FAULTS: Faults = Faults {
    refused_percent: 5,
    lost_answer_percent: 5,
    repeated_settle_percent: 10,
    latency_max: Duration::from_millis(40),
};

struct World {
    _subject: Subject,
    audited: Arc<AuditedStore>,
    faulty: Arc<FaultyStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
    spans: Arc<SpanBuffer>,
}

/// A worker, and what may happen to it.
struct Life {
    worker: JoinHandle<Result<WorkerReport, WorkerError>>,
    shutdown: Arc<Notify>,
    stall: Stall,
}

impl World {
    fn new(kind: Kind, seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        clock.enter();
        let subject = Subject::open(kind, &clock, Arc::new(SeededRandom::new(!seed)));
        let audited = Arc::new(AuditedStore::new(subject.store.clone()));
        let random = Arc::new(SeededRandom::new(seed));
        let faulty = FaultyStore::new(audited.clone(), random.clone(), FAULTS);
        Self {
            _subject: subject,
            audited,
            faulty: Arc::new(faulty),
            clock,
            random,
            spans: Arc::default(),
        }
    }

    fn worker(&self, name: &str, store: Arc<dyn Store>) -> WorkerBuilder {
        let policy = RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(5));
        Worker::builder(store)
            .queue("orders")
            .id(name)
            .lease(Duration::from_secs(1))
            .concurrency(4)
            .retry(policy)
            .recorder(self.spans.clone())
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

    /// Starts workers, holds some up for longer than their leases, and stops them, most of them
    /// dead; moves the clock.
    async fn torment(&self) {
        for round in 0..12 {
            let lives = [0, 1].map(|number| self.start(&format!("w{round}-{number}")));
            self.sleep_up_to(1500).await;
            if round % 4 == 3 {
                let jump = i64::try_from(self.random.next_u64() % 20_000_000_000).unwrap();
                self.clock.jump(jump - 8_000_000_000);
            }
            if let [held_up, _] = &lives
                && self.random.next_u64().is_multiple_of(2)
            {
                held_up.stall.begin();
                self.sleep_up_to(3000).await;
                held_up.stall.end();
                self.sleep_up_to(300).await;
            }
            for life in lives {
                self.stop(life).await;
            }
        }
    }

    async fn sleep_up_to(&self, millis: u64) {
        let micros = self.random.next_u64() % (millis * 1000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    fn start(&self, name: &str) -> Life {
        let (stall, shutdown) = (Stall::default(), Arc::new(Notify::new()));
        let store = Arc::new(Around::through(self.faulty.clone(), stall.clone()));
        let worker = self.worker(name, store);
        let worker = worker.shutdown_grace(Duration::from_millis(100));
        let asked = shutdown.clone();
        let run = worker
            .build()
            .unwrap()
            .run(async move { asked.notified().await });
        Life {
            worker: tokio::spawn(run),
            shutdown,
            stall,
        }
    }

    async fn stop(&self, life: Life) {
        if self.random.next_u64().is_multiple_of(3) {
            life.shutdown.notify_one();
        } else {
            life.worker.abort();
        }
        match life.worker.await {
            Ok(ended) => drop(ended.unwrap()),
            Err(ended) => assert!(ended.is_cancelled(), "a worker panicked: {ended}"),
        }
    }

    /// Cancels and discards jobs, and pauses the queue for moments.
    async fn meddle(&self) {
        let queue = "orders".parse().unwrap();
        for _ in 0..20 {
            self.sleep_up_to(500).await;
            let id = format!("order-{}", self.random.next_u64() % JOBS);
            // A call that fails, or a job that is not there yet, is another turn's work.
            let _answer = match self.random.next_u64() % 4 {
                0 => self.faulty.pause(&queue).await,
                1 => self.end(&id.parse().unwrap()).await,
                _ => self.faulty.resume(&queue).await,
            };
        }
        while self.faulty.resume(&queue).await.is_err() {}
    }

    async fn end(&self, id: &JobId) -> Result<(), StoreError> {
        let ids = std::slice::from_ref(id);
        match self.random.next_u64().is_multiple_of(2) {
            true => self.faulty.cancel(ids).await.map(drop),
            false => self.faulty.discard(ids).await.map(drop),
        }
    }

    async fn finish(&self) {
        self.faulty.heal();
        let last = self
            .worker("last", self.faulty.clone())
            .drain(true)
            .timeout(Duration::from_secs(2));
        let last = last.build().unwrap().run(std::future::pending());
        last.await.unwrap();
    }

    fn check(job: &Job, jobs: &BTreeMap<JobId, Job>, spans: &HashMap<SpanId, usize>) {
        rows::is_over(job);
        if job.kind.as_str() == "order" {
            let expected = usize::from(job.state == JobState::Completed);
            let receipts = rows::follow_ups(job, jobs);
            assert_eq!(receipts, expected, "receipts of {}", job.id);
        }
        for record in &job.history {
            let span = rows::attempt_span(job, record.claim);
            let count = spans.get(&span).copied().unwrap_or_default();
            let (id, claim) = (&job.id, record.claim);
            assert!(count <= 1, "claim {claim} of {id} has {count} spans");
        }
    }
}

/// Succeeds, fails, snoozes, panics or hangs, as the job's bytes and the attempt say; leaves two
/// checkpoints on the way, of which the next attempt must find the last.
async fn handle(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    if attempt.job().kind.as_str() != "order" {
        return Ok(RawResult(None));
    }
    let byte = args.0.get(attempt.number() as usize % 8).copied();
    let byte = u64::from(byte.unwrap_or_default());
    let job = attempt.job();
    if let Some(last) = job
        .last_attempt()
        .filter(|last| last.outcome == AttemptOutcome::Retried)
    {
        let left = last.claim.to_string();
        assert_eq!(job.checkpoint.as_deref(), Some(left.as_bytes()));
    }
    attempt.checkpoint("not there yet")?;
    tokio::time::sleep(Duration::from_millis(byte * 3)).await;
    attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
    attempt.checkpoint(job.claim.to_string())?;
    tokio::time::sleep(Duration::from_millis(byte)).await;
    match byte % 8 {
        0 => Err(JobError::retry("flaky", "")),
        1 if attempt.job().claim < 6 => Err(JobError::snooze(Duration::from_millis(50))),
        2 if attempt.number() == 1 => std::future::pending().await,
        _ => Ok(RawResult(None)),
    }
}

/// What came of a seed: every row, and how much went on.
struct Outcome {
    jobs: BTreeMap<JobId, Job>,
    claims: u64,
    repeated_settles: u64,
}

impl Outcome {
    fn is(&self, other: &Self, what: &str) {
        for (id, job) in &self.jobs {
            assert_eq!(Some(job), other.jobs.get(id), "{what}");
        }
        assert_eq!(self.jobs.len(), other.jobs.len(), "{what}");
        assert_eq!(self.claims, other.claims, "{what}");
        assert_eq!(self.repeated_settles, other.repeated_settles, "{what}");
    }
}

async fn simulate(kind: Kind, seed: u64) -> Outcome {
    let world = World::new(kind, seed);
    let life = async {
        let (ids, (), ()) = tokio::join!(world.produce(), world.torment(), world.meddle());
        world.finish().await;
        ids
    };
    let ids = tokio::time::timeout(LIFETIME, life)
        .await
        .expect("jobs are left that nobody can finish");
    let jobs = rows::all(&*world.audited).await;
    for id in ids.iter().chain(&world.audited.accepted()) {
        assert!(jobs.contains_key(id), "the acknowledged job {id} is lost");
    }
    let spans = rows::span_counts(&world.spans);
    for job in jobs.values() {
        World::check(job, &jobs, &spans);
    }
    rows::are_counted(&jobs, &*world.audited).await;
    let mut violations = world.faulty.violations();
    violations.extend(world.audited.violations());
    assert!(violations.is_empty(), "{violations:#?}");
    Outcome {
        jobs,
        claims: world.audited.claims(),
        repeated_settles: world.faulty.repeated(),
    }
}

fn run(kind: Kind, seed: u64) -> Outcome {
    process::runtime(61).block_on(simulate(kind, seed))
}

pub(crate) fn run_all(kind: Kind, usual: std::ops::Range<u64>) {
    let outcomes = of_seeds("LONGSHORE_SIM_SEEDS", usual, |seed| run(kind, seed));
    assert!(outcomes.iter().any(|outcome| outcome.repeated_settles > 0));
}

#[test]
fn nothing_that_must_never_happen_happens_on_memory() {
    run_all(Kind::Memory, 0..40);
}

#[test]
fn nothing_that_must_never_happen_happens_on_sqlite() {
    run_all(Kind::SqliteInTurn, 40..44);
}

#[test]
fn the_same_seed_is_the_same_run_on_either_store() {
    for seed in 7..10 {
        let memory = run(Kind::MemoryInTurn, seed);
        memory.is(&run(Kind::MemoryInTurn, seed), "memory again");
        memory.is(&run(Kind::SqliteInTurn, seed), "sqlite");
    }
}
