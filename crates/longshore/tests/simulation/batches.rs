//! Batches: what follows one is enqueued once, after all members are over, and always, whoever dies
//! when.

use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, Batch, BatchState, Batches, Job, JobError, JobRequest, Producer, RawArgs, RawResult,
    SpanBuffer, Store, Timestamp, Worker, WorkerBuilder,
};
use longshore_core::Random;
use longshore_core::batch::{METADATA_BATCH, METADATA_ENDED, OPEN_PREFIX};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::faulty::{Faults, FaultyStore};

use crate::clock::SimulatedClock;
use crate::points::{self, Dies};
use crate::process::{self, Death, End};
use crate::subject::{Kind, Subject};
use crate::{of_seeds, rows};

const FAULTS: Faults = Faults {
    refused_percent: 10,
    lost_answer_percent: 10,
    repeated_settle_percent: 0,
    latency_max: Duration::from_millis(60),
};

/// Longer than members may take on their way into a batch.
const ADDED: i64 = 20 * 60 * 1_000_000_000;

/// Where the batches are, and who may work on them.
struct World {
    _subject: Subject,
    audited: Arc<AuditedStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
}

impl World {
    fn new(kind: Kind, seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        let subject = Subject::open(kind, &clock, Arc::new(SeededRandom::new(!seed)));
        Self {
            audited: Arc::new(AuditedStore::new(subject.store.clone())),
            _subject: subject,
            clock,
            random: Arc::new(SeededRandom::new(seed)),
        }
    }

    fn producer(&self, store: Arc<dyn Store>) -> Producer {
        Producer::new(store).with_clock(self.clock.clone(), self.random.clone())
    }

    fn worker(&self, store: Arc<dyn Store>) -> WorkerBuilder {
        Worker::builder(store)
            .queue("orders")
            .id("w")
            .lease(Duration::from_secs(1))
            .recorder(Arc::<SpanBuffer>::default())
            .clock(self.clock.clone(), self.random.clone())
            .fallback(work)
    }

    /// Each batch is over with all of its members, and what follows it is there, in time.
    async fn check(&self, batches: &[(&str, usize)]) {
        let jobs = rows::all(&*self.audited).await;
        let view = Batches::new(self.producer(self.audited.clone()));
        for (id, members) in batches {
            let of = |key: &str| {
                let said = |job: &&Job| job.metadata.get(key).is_some_and(|batch| batch == id);
                jobs.values().filter(said).collect::<Vec<_>>()
            };
            let inside = of(METADATA_BATCH);
            assert_eq!(inside.len(), *members, "the members of {id}");
            let last = inside.iter().map(|job| {
                assert!(job.state.is_final(), "{} of {id} is {}", job.id, job.state);
                job.finished_at.unwrap()
            });
            let last: Timestamp = last.max().unwrap();
            let status = view.get(&id.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(status.state, BatchState::Ended, "{id}: {status:?}");
            // A member that a lost attempt added too counts for each time.
            assert!(
                status.counts.ended() as usize >= *members,
                "{id}: {status:?}"
            );
            assert_eq!(status.counts.ended(), status.members, "{id}: {status:?}");
            let follow = of(METADATA_ENDED);
            let succeeded = status.counts.unsuccessful() == 0;
            assert_eq!(
                follow.len(),
                1 + usize::from(succeeded),
                "after {id}: {status:?}"
            );
            for job in follow {
                assert!(job.enqueued_at >= last, "{} came too early", job.id);
            }
        }
        let open = self
            .audited
            .list_documents(OPEN_PREFIX, None, 10)
            .await
            .unwrap();
        assert_eq!(open, []);
        assert_eq!(self.audited.violations(), [""; 0]);
    }
}

fn batch(id: &str, members: u64) -> Batch {
    let member = |number: u64| {
        JobRequest::new("orders", "member")
            .args(&number)
            .max_attempts(2)
    };
    Batch::new((0..members).map(member))
        .id(id)
        .on_end(JobRequest::new("orders", "on_end"))
        .on_success(JobRequest::new("orders", "on_success"))
}

/// Member 0 adds another; member 3 fails for good.
async fn work(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    if let Some(batch) = attempt.batch() {
        match &*args.0 {
            b"0" => {
                let added = JobRequest::new("orders", "member").args("added");
                let added = added.id(format!("{}.added", batch.id()));
                batch.add(vec![added]).await?;
            }
            b"3" => return Err(JobError::discard("refused", "no")),
            _ => {}
        }
    }
    Ok(RawResult(None))
}

/// A process that makes sure of a batch and works until nothing is left.
struct Cast {
    producer: Producer,
    worker: WorkerBuilder,
}

impl Cast {
    fn new(world: &World, store: Arc<dyn Store>) -> Self {
        Self {
            producer: world.producer(store.clone()),
            worker: world.worker(store).drain(true),
        }
    }

    async fn play(self) {
        self.producer.enqueue_batch(batch("b", 2)).await.unwrap();
        let running = self.worker.build().unwrap().run(std::future::pending());
        running.await.unwrap();
    }
}

fn play(kind: Kind, dies: Dies) -> End {
    let world = World::new(kind, 5);
    let life = |store| Cast::new(&world, store).play();
    let end = points::mortal(world.audited.clone(), &world.clock, dies, life);
    process::runtime(61).block_on(async {
        world.clock.enter();
        Cast::new(&world, world.audited.clone()).play().await;
        // Time enough to find what the dead process has not noted, or not added.
        world.clock.jump(ADDED);
        let worker = world.worker(world.audited.clone()).build().unwrap();
        let over = tokio::time::sleep(Duration::from_secs(25));
        worker.run(over).await.unwrap();
        world.check(&[("b", 3)]).await;
    });
    end
}

/// The process dies after each poll of each of its tasks, so also between any two writes; the next
/// one repeats its call and goes on.
pub(crate) fn crash_everywhere(kind: Kind) {
    let variable = "LONGSHORE_SIM_BATCH_POINTS";
    let cut = points::crash_everywhere(variable, kind, Death::OfProcess, |dies| play(kind, dies));
    cut.includes(&["enqueue", "settle", "write_document", "delete_document"]);
}

#[test]
fn what_follows_comes_once_wherever_a_process_on_memory_dies() {
    crash_everywhere(Kind::MemoryInTurn);
}

#[test]
fn what_follows_comes_once_wherever_a_process_on_sqlite_dies() {
    crash_everywhere(Kind::SqliteInTurn);
}

/// A seed's way through batches while workers and whoever enqueues are killed, members are
/// cancelled, and the store fails.
struct Torment {
    world: World,
    faulty: Arc<FaultyStore>,
}

const BATCHES: [(&str, u64); 3] = [("few", 3), ("some", 12), ("lone", 1)];

impl Torment {
    fn new(kind: Kind, seed: u64) -> Self {
        let world = World::new(kind, seed);
        let faulty = FaultyStore::new(world.audited.clone(), world.random.clone(), FAULTS);
        Self {
            world,
            faulty: Arc::new(faulty),
        }
    }

    async fn sleep_up_to(&self, millis: u64) {
        let micros = self.world.random.next_u64() % (millis * 1000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    /// Repeats each call until it succeeds; some tries are cut short.
    async fn send(&self) {
        for (id, members) in BATCHES {
            self.sleep_up_to(1500).await;
            loop {
                let producer = self.world.producer(self.faulty.clone());
                tokio::select! {
                    biased;
                    sent = producer.enqueue_batch(batch(id, members)) => {
                        if sent.is_ok() { break; }
                    }
                    () = self.sleep_up_to(1000) => {}
                }
            }
        }
    }

    async fn work(&self) {
        for _ in 0..6 {
            let worker = || {
                let worker = self.world.worker(self.faulty.clone()).build().unwrap();
                tokio::spawn(async { drop(worker.run(std::future::pending()).await) })
            };
            let lives = [worker(), worker()];
            self.sleep_up_to(2500).await;
            for life in lives {
                life.abort();
                assert!(life.await.is_err_and(|ended| ended.is_cancelled()));
            }
        }
    }

    /// Cancels members without a word to their batches.
    async fn cancel(&self) {
        for _ in 0..6 {
            self.sleep_up_to(1500).await;
            let jobs = rows::all(&*self.world.audited).await;
            let member = jobs
                .values()
                .filter(|job| job.metadata.contains_key(METADATA_BATCH));
            let ids: Vec<_> = member.map(|job| job.id.clone()).collect();
            if let Some(id) = ids.get(usize::try_from(self.world.random.next_u64() % 16).unwrap()) {
                let _answer = self.faulty.cancel(std::slice::from_ref(id)).await;
            }
        }
    }

    async fn run(&self) {
        self.world.clock.enter();
        tokio::join!(self.send(), self.work(), self.cancel());
        self.faulty.heal();
        for jump in [0, ADDED] {
            self.world.clock.jump(jump);
            let worker = self.world.worker(self.faulty.clone()).build().unwrap();
            let over = tokio::time::sleep(Duration::from_secs(40));
            worker.run(over).await.unwrap();
        }
        let jobs = rows::all(&*self.world.audited).await;
        let members = |id: &str| {
            let is_in = |job: &&Job| job.metadata.get(METADATA_BATCH).is_some_and(|of| of == id);
            jobs.values().filter(is_in).count()
        };
        let found = BATCHES.map(|(id, _)| (id, members(id)));
        for ((id, sent), (_, found)) in BATCHES.into_iter().zip(found) {
            let sent = usize::try_from(sent).unwrap();
            // The added one is missing if its parent was cancelled before it ran.
            assert!(
                (sent..=sent + 1).contains(&found),
                "{found} members of {id}"
            );
        }
        self.world.check(&found).await;
    }
}

pub(crate) fn torment(kind: Kind, usual: std::ops::Range<u64>) {
    of_seeds("LONGSHORE_SIM_BATCH_SEEDS", usual, |seed| {
        process::runtime(61).block_on(Torment::new(kind, seed).run());
    });
}

#[test]
fn what_follows_comes_once_under_torment_on_memory() {
    torment(Kind::Memory, 0..30);
}

#[test]
fn what_follows_comes_once_under_torment_on_sqlite() {
    torment(Kind::SqliteInTurn, 0..6);
}
