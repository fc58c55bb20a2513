//! Unique keys under faults that follow from a seed: senders that repeat their calls until they are
//! answered, workers that are killed, jobs that are cancelled, retried and pruned, in every scope
//! and with every conflict. At no moment do two jobs have one key.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, Enqueued, ErrorKind, Job, JobError, JobId, JobRequest, JobState, OnConflict, Producer,
    RawArgs, RawResult, RetryPolicy, Store, Timestamp, Unique, UniqueScope, Worker, WorkerBuilder,
};
use longshore_core::{Clock, PruneRequest, Random};
use longshore_testkit::SeededRandom;
use longshore_testkit::faulty::{Faults, FaultyStore};

use crate::clock::SimulatedClock;
use crate::subject::{Kind, Subject};
use crate::{of_seeds, process, rows};

const KEYS: u64 = 3;
const CALLS: u32 = 60;
const WINDOW: Duration = Duration::from_secs(2);
const LIFETIME: Duration = Duration::from_secs(3600);
const FAULTS: Faults = Faults {
    refused_percent: 10,
    lost_answer_percent: 10,
    repeated_settle_percent: 10,
    latency_max: Duration::from_millis(20),
};

struct World {
    subject: Subject,
    /// How long from one look at every row to the next, and for how long it is looked.
    looks: Looks,
    faulty: Arc<FaultyStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
}

/// How often every row is looked at. A server takes a moment to say what it has.
#[derive(Clone, Copy)]
struct Looks {
    every: Duration,
    count: usize,
}

impl Looks {
    const fn at(kind: Kind) -> Self {
        let (millis, count) = match kind.served() {
            None => (15, 1000),
            Some(_) => (150, 100),
        };
        Self {
            every: Duration::from_millis(millis),
            count,
        }
    }
}

/// How often each thing happened over all seeds, so that none is only imagined.
type Tally = BTreeMap<&'static str, usize>;

impl World {
    fn new(kind: Kind, seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        clock.enter();
        let subject = Subject::open(kind, &clock, Arc::new(SeededRandom::new(!seed)));
        let random = Arc::new(SeededRandom::new(seed));
        let faulty = FaultyStore::new(subject.store.clone(), random.clone(), FAULTS);
        Self {
            subject,
            looks: Looks::at(kind),
            faulty: Arc::new(faulty),
            clock,
            random,
        }
    }

    fn below(&self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    async fn pause(&self, millis: u64) {
        tokio::time::sleep(Duration::from_micros(self.below(millis * 1000))).await;
    }

    fn unique(&self) -> Unique {
        let scope = match self.below(3) {
            0 => UniqueScope::Unfinished,
            1 => UniqueScope::Waiting,
            _ => UniqueScope::Window(WINDOW),
        };
        let on_conflict = match self.below(3) {
            0 => OnConflict::Reject,
            1 => OnConflict::Keep,
            _ => OnConflict::Replace { priority: false },
        };
        Unique::by_key(format!("key-{}", self.below(KEYS)))
            .scoped(scope)
            .on_conflict(on_conflict)
    }

    /// Enqueues jobs, and repeats each call until it is answered.
    async fn send(&self) -> Tally {
        let store: Arc<dyn Store> = self.faulty.clone();
        let producer = Producer::new(store).with_clock(self.clock.clone(), self.random.clone());
        let mut tally = Tally::new();
        for _ in 0..CALLS {
            self.pause(400).await;
            let mut request = JobRequest::new("q", "order")
                .args(&self.below(3))
                .max_attempts(3)
                .unique(self.unique());
            if self.below(3) == 0 {
                request = request.delay(Duration::from_millis(self.below(1000)));
            }
            let answer = loop {
                match producer.enqueue(request.clone()).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => {}
                    answer => break answer,
                }
            };
            let what = answer.as_ref().map_or_else(
                |error| {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                    "conflict"
                },
                Enqueued::as_str,
            );
            *tally.entry(what).or_default() += 1;
        }
        tally
    }

    /// Cancels, retries and prunes.
    async fn meddle(&self) -> Tally {
        let mut tally = Tally::new();
        for _ in 0..CALLS * 2 {
            self.pause(200).await;
            let ids: Vec<JobId> = rows::all(&*self.subject.store).await.into_keys().collect();
            let Some(id) = ids.get(self.random.next_u64() as usize % ids.len().max(1)) else {
                continue;
            };
            let id = std::slice::from_ref(id);
            let one = |answers: Result<Vec<Result<_, _>>, _>| answers?.remove(0).map(drop);
            let (what, outcome) = match self.below(6) {
                0 => ("cancelled", one(self.faulty.cancel(id).await)),
                1 => ("discarded", one(self.faulty.discard(id).await)),
                2..=4 => ("retried", one(self.faulty.retry_now(id).await)),
                _ => {
                    let before = self.clock.now().before(Duration::from_millis(200));
                    let request = PruneRequest::before(before, 3);
                    ("pruned", self.faulty.prune(&request).await.map(drop))
                }
            };
            *tally.entry(what).or_default() += usize::from(outcome.is_ok());
        }
        tally
    }

    fn worker(&self, name: &str) -> WorkerBuilder {
        Worker::builder(self.faulty.clone())
            .queue("q")
            .id(name)
            .lease(Duration::from_secs(1))
            .concurrency(2)
            .retry(RetryPolicy::fixed(Duration::from_millis(50)))
            .clock(self.clock.clone(), self.random.clone())
            .fallback(handle)
    }

    /// Starts workers and kills them.
    async fn work(&self) {
        for round in 0..8 {
            let worker = self.worker(&format!("w{round}")).build().unwrap();
            let life = tokio::spawn(worker.run(std::future::pending()));
            self.pause(2500).await;
            life.abort();
            assert!(life.await.unwrap_err().is_cancelled(), "a worker panicked");
        }
    }

    /// Looks at every row, over and over.
    async fn watch(&self) -> usize {
        let mut watched = Watched::default();
        loop {
            let jobs = rows::all(&*self.subject.store).await;
            watched.look(jobs, self.clock.now());
            if watched.looks > self.looks.count {
                return watched.reserved;
            }
            tokio::time::sleep(self.looks.every).await;
        }
    }
}

/// Fails, waits for its worker's death, or succeeds.
async fn handle(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    match (&*args.0, attempt.number()) {
        (b"0", 1) => Err(JobError::retry("flaky", "")),
        (b"1", 1) => std::future::pending().await,
        _ => Ok(RawResult(None)),
    }
}

/// What was seen, and the windows of completed jobs that are gone since.
#[derive(Default)]
struct Watched {
    completed: HashMap<JobId, Job>,
    looks: usize,
    reserved: usize,
}

impl Watched {
    fn look(&mut self, jobs: BTreeMap<JobId, Job>, now: Timestamp) {
        self.looks += 1;
        let pruned = self.completed.values();
        let pruned: Vec<&Job> = pruned.filter(|job| !jobs.contains_key(&job.id)).collect();
        let held = jobs.values().chain(pruned.iter().copied());
        let held = held.filter(|job| job.holds_unique_key(now));
        let mut keys: BTreeMap<&str, &Job> = BTreeMap::new();
        for job in held {
            let key = job.unique_key.as_ref().unwrap().key.as_str();
            if let Some(other) = keys.insert(key, job) {
                panic!("at {now} two jobs have {key}:\n{other:?}\n{job:?}");
            }
        }
        self.reserved += pruned
            .iter()
            .filter(|job| job.holds_unique_key(now))
            .count();
        for (id, job) in jobs {
            if job.state == JobState::Completed {
                self.completed.insert(id, job);
            } else {
                // Retried by hand: what becomes of it now is not known before it is seen.
                self.completed.remove(&id);
            }
        }
    }
}

async fn simulate(kind: Kind, seed: u64) -> Tally {
    let world = World::new(kind, seed);
    let life = async {
        let senders =
            async { tokio::join!(world.send(), world.send(), world.meddle(), world.work()) };
        let ((one, two, meddled, ()), reserved) = tokio::join!(senders, world.watch());
        world.faulty.heal();
        let last = world.worker("last").timeout(Duration::from_millis(50));
        let last = last.drain(true).build().unwrap();
        last.run(std::future::pending()).await.unwrap();
        let mut tally = Tally::from([("reserved", reserved)]);
        for (what, count) in [one, two, meddled].into_iter().flatten() {
            *tally.entry(what).or_default() += count;
        }
        tally
    };
    let tally = tokio::time::timeout(LIFETIME, life).await.unwrap();
    for job in rows::all(&*world.subject.store).await.values() {
        let (id, state) = (&job.id, job.state);
        assert!(state.is_final(), "{id} is {state}");
    }
    assert_eq!(world.faulty.violations(), [] as [String; 0]);
    is_free(&world).await;
    tally
}

/// Once all is over and every window has passed, every key is free.
async fn is_free(world: &World) {
    tokio::time::sleep(WINDOW).await;
    let producer = Producer::new(world.subject.store.clone());
    let producer = producer.with_clock(world.clock.clone(), world.random.clone());
    for key in 0..KEYS {
        let request = JobRequest::new("q", "order").unique_key(format!("key-{key}"));
        let enqueued = producer.enqueue(request).await.unwrap();
        assert_eq!(enqueued.as_str(), "created", "key-{key} is held for ever");
    }
}

pub(crate) fn run_all(kind: Kind, usual: std::ops::Range<u64>) {
    let mut seen = BTreeSet::new();
    let tallies = of_seeds("LONGSHORE_SIM_SEEDS", usual, |seed| {
        process::runtime(61).block_on(simulate(kind, seed))
    });
    for tally in tallies {
        seen.extend(tally.into_iter().filter(|(_, count)| *count > 0));
    }
    let mut seen: BTreeSet<_> = seen.into_iter().map(|(what, _)| what).collect();
    if kind.served().is_some() {
        // On object storage nothing is old enough to be pruned within a window.
        seen.insert("reserved");
    }
    let all = [
        "cancelled",
        "conflict",
        "created",
        "discarded",
        "hit",
        "pruned",
        "replaced",
        "reserved",
        "retried",
    ];
    assert_eq!(seen, BTreeSet::from(all), "not all of it happens");
}

#[test]
fn no_two_jobs_have_a_key_on_memory() {
    run_all(Kind::Memory, 0..20);
}

#[test]
fn no_two_jobs_have_a_key_on_sqlite() {
    run_all(Kind::SqliteInTurn, 20..23);
}
