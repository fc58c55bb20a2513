//! Jobs under limits, while workers are killed, shut down, or cut off for longer than their permits
//! last, and calls fail: never more handlers at work than a limit allows, no permit lost for ever,
//! and every job gets its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore::{
    Attempt, JobFilter, JobRequest, JobState, Limit, LimitControl, Producer, RawArgs, RawResult,
    Store, Worker, WorkerBuilder, WorkerReport,
};
use longshore_core::Random;
use longshore_testkit::SeededRandom;
use longshore_testkit::faulty::{Faults, FaultyStore};
use longshore_testkit::way::Around;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::SimulatedClock;
use crate::stall::{Stall, Start};
use crate::subject::{Kind, Subject};
use crate::{of_seeds, process};

mod changes;
pub(crate) mod crash;
mod delays;
mod leases;
mod peace;
mod tenants;

/// Args that stand for jobs of 20 s.
const LONG: u64 = 250;
const LIFETIME: Duration = Duration::from_secs(3600);
const FAULTS: Faults = Faults {
    refused_percent: 4,
    lost_answer_percent: 4,
    repeated_settle_percent: 0,
    latency_max: Duration::from_millis(20),
};

/// How many handlers are at work in each group, and the most there ever were.
#[derive(Clone, Debug, Default)]
struct Gauge(Arc<Mutex<BTreeMap<String, (u32, u32)>>>);

impl Gauge {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (u32, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, attempt: &Attempt) -> AtWork {
        let job = attempt.job();
        let tenant = job.tenant_id.as_deref().unwrap_or_default();
        let groups = [
            format!("queue:{}", job.queue),
            format!("kind:{}", job.kind),
            format!("tenant:{tenant}"),
        ];
        for group in &groups {
            let mut gauge = self.lock();
            let (now, most) = gauge.entry(group.clone()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        AtWork(self.clone(), groups)
    }

    fn now(&self, group: &str) -> u32 {
        self.lock().get(group).map_or(0, |(now, _)| *now)
    }

    fn most(&self, group: &str) -> u32 {
        self.lock().get(group).map_or(0, |(_, most)| *most)
    }

    fn forget(&self) {
        self.lock().retain(|_, (now, most)| {
            *most = *now;
            *now > 0
        });
    }
}

struct AtWork(Gauge, [String; 3]);

impl Drop for AtWork {
    fn drop(&mut self) {
        for group in &self.1 {
            if let Some((now, _)) = self.0.lock().get_mut(group) {
                *now -= 1;
            }
        }
    }
}

struct World {
    _subject: Subject,
    store: Arc<dyn Store>,
    faulty: Arc<FaultyStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
    gauge: Gauge,
}

struct Life {
    worker: JoinHandle<WorkerReport>,
    shutdown: Arc<Notify>,
    stall: Stall,
}

impl World {
    fn new(kind: Kind, seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock::default());
        clock.enter();
        let subject = Subject::open(kind, &clock, Arc::new(SeededRandom::new(!seed)));
        let store = subject.store.clone();
        let random = Arc::new(SeededRandom::new(seed));
        let faulty = FaultyStore::new(store.clone(), random.clone(), FAULTS);
        Self {
            _subject: subject,
            store,
            faulty: Arc::new(faulty),
            clock,
            random,
            gauge: Gauge::default(),
        }
    }

    fn worker(&self, name: &str, store: Arc<dyn Store>) -> WorkerBuilder {
        let gauge = self.gauge.clone();
        Worker::builder(store)
            .queue("orders")
            .queue("other")
            .id(name)
            .lease(Duration::from_secs(1))
            .concurrency(5)
            .clock(self.clock.clone(), self.random.clone())
            .fallback(move |args: RawArgs, attempt: Attempt| {
                let at_work = gauge.enter(&attempt);
                async move {
                    let millis = match args.0.first().copied().map_or(0, u64::from) {
                        // Long enough to outlast its permit if nobody stops it.
                        LONG.. => 20_000,
                        millis => millis,
                    };
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    drop(at_work);
                    Ok::<_, longshore::JobError>(RawResult(None))
                }
            })
    }

    fn start(&self, name: &str) -> Life {
        let (stall, shutdown) = (Stall::default(), Arc::new(Notify::new()));
        let store = Arc::new(Around::through(self.faulty.clone(), stall.clone()));
        let worker = self.worker(name, store).build().unwrap();
        let asked = shutdown.clone();
        let run = async move { worker.run(async move { asked.notified().await }).await };
        Life {
            worker: tokio::spawn(async move { run.await.unwrap() }),
            shutdown,
            stall,
        }
    }

    async fn limit(&self, scope: &str, limit: Limit) {
        let limits = LimitControl::new(self.store.clone());
        limits.set(scope.parse().unwrap(), limit).await.unwrap();
    }

    /// Jobs of less than so many milliseconds, or of [`LONG`] and more.
    async fn produce(&self, jobs: u64, millis: u64) {
        let producer =
            Producer::new(self.store.clone()).with_clock(self.clock.clone(), self.random.clone());
        let requests = (0..jobs).map(|number| {
            let queue = if number % 5 == 0 { "other" } else { "orders" };
            let kind = if number % 3 == 0 { "letter" } else { "order" };
            let millis = u8::try_from(self.random.next_u64() % millis).unwrap();
            let job = JobRequest::new(queue, kind)
                .raw_args(vec![millis])
                .max_attempts(1000);
            match self.random.next_u64() % 6 {
                5 => job,
                tenant => job.tenant_id(format!("tenant-{tenant}")),
            }
        });
        let answers = producer.enqueue_many(requests.collect()).await.unwrap();
        answers.into_iter().for_each(|answer| drop(answer.unwrap()));
    }

    async fn sleep_up_to(&self, millis: u64) {
        let micros = self.random.next_u64() % (millis * 1000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    /// Now, or where the worker waits for an answer before it goes on.
    fn cut_off(&self, stall: &Stall) {
        match self.random.next_u64() % 4 {
            0 => stall.begin(),
            1 => stall.begin_at(Start::Claimed),
            2 => stall.begin_at(Start::Call("settle")),
            _ => stall.begin_at(Start::Call("write_document")),
        }
    }

    /// Kills workers, stops them, and cuts some off until others have their permits.
    async fn torment(&self) {
        for round in 0..8 {
            let lives = [0, 1, 2].map(|number| self.start(&format!("w{round}-{number}")));
            self.sleep_up_to(2_500).await;
            let [first, ..] = &lives;
            if self.random.next_u64().is_multiple_of(2) {
                self.cut_off(&first.stall);
                self.sleep_up_to(25_000).await;
                first.stall.end();
                self.sleep_up_to(2_000).await;
            }
            for life in lives {
                match self.random.next_u64().is_multiple_of(2) {
                    true => life.shutdown.notify_one(),
                    false => life.worker.abort(),
                }
                if let Err(ended) = life.worker.await {
                    assert!(ended.is_cancelled(), "a worker panicked: {ended}");
                }
            }
        }
    }

    async fn finish(&self) -> WorkerReport {
        self.faulty.heal();
        let last = self.worker("last", self.store.clone()).drain(true);
        last.build()
            .unwrap()
            .run(std::future::pending())
            .await
            .unwrap()
    }

    /// Whatever anyone held is free again by now.
    async fn nothing_is_held(&self) {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let uses = LimitControl::new(self.store.clone())
            .in_use()
            .await
            .unwrap();
        assert!(!uses.is_empty());
        for one in uses {
            assert_eq!(one.permits, 0, "{} is still held", one.scope);
        }
    }

    async fn all_are_completed(&self, jobs: u64) {
        let filter = JobFilter {
            states: vec![JobState::Completed],
            ..JobFilter::default()
        };
        let page = self.store.list(&filter, None, 1000).await.unwrap();
        assert_eq!(page.jobs.len() as u64, jobs);
    }
}

fn at_most(most: u32) -> Limit {
    Limit {
        concurrency: Some(most),
        ..Limit::default()
    }
}

async fn simulate(kind: Kind, seed: u64) {
    let world = World::new(kind, seed);
    world.limit("queue:orders", at_most(3)).await;
    world.limit("kind:letter", at_most(2)).await;
    world.limit("tenants", at_most(1)).await;
    world.limit("tenant:tenant-0", at_most(2)).await;
    let jobs = if kind.served().is_some() { 120 } else { 400 };
    let life = async {
        world.produce(jobs, 256).await;
        world.torment().await;
        world.finish().await;
    };
    tokio::time::timeout(LIFETIME, life)
        .await
        .expect("jobs are left that nobody can finish");
    world.all_are_completed(jobs).await;
    let limits = [
        ("queue:orders", 3),
        ("kind:letter", 2),
        ("tenant:tenant-0", 2),
        ("tenant:tenant-1", 1),
        ("tenant:tenant-2", 1),
        ("tenant:tenant-3", 1),
    ];
    for (group, limit) in limits {
        let most = world.gauge.most(group);
        assert!(most <= limit, "{most} of {group} ran at once");
        assert!(most > 0);
    }
    world.nothing_is_held().await;
}

/// The first worker's handler would run for 20 s; the worker is cut off, and its permit ends after
/// 8.5 s. The second may start its job then, and not before the first has stopped.
#[test]
fn a_worker_that_is_cut_off_stops_before_another_starts() {
    process::runtime(61).block_on(async {
        let world = World::new(Kind::Memory, 3);
        world.faulty.heal();
        world.limit("kind:long", at_most(1)).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let long = || JobRequest::new("orders", "long").raw_args(vec![255]);
        producer.enqueue_many(vec![long(), long()]).await.unwrap();
        let first = world.start("first");
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.stall.begin();
        let second = world.start("second");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.gauge.now("kind:long"), 1);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.gauge.now("kind:long"), 1, "the second goes on");
        first.stall.end();
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.all_are_completed(2).await;
        assert_eq!(world.gauge.most("kind:long"), 1);
        first.shutdown.notify_one();
        second.shutdown.notify_one();
        assert_eq!(first.worker.await.unwrap().leases_lost, 1);
        second.worker.await.unwrap();
    });
}

/// The first worker holds the permit when its claim is held up; the second has it when the claim
/// arrives at last.
#[test]
fn a_claim_that_arrives_late_starts_nothing() {
    process::runtime(61).block_on(async {
        let world = World::new(Kind::Memory, 3);
        world.faulty.heal();
        world.limit("kind:long", at_most(1)).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let add = async |millis| {
            let request = JobRequest::new("orders", "long").raw_args(vec![millis]);
            producer.enqueue(request).await.unwrap();
        };
        let first = world.start("first");
        add(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.all_are_completed(1).await;
        first.stall.begin();
        add(255).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let second = world.start("second");
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(world.gauge.now("kind:long"), 1);
        add(255).await;
        first.stall.end();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(world.gauge.now("kind:long"), 1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.all_are_completed(3).await;
        assert_eq!(world.gauge.most("kind:long"), 1);
        for life in [first, second] {
            life.shutdown.notify_one();
            life.worker.await.unwrap();
        }
    });
}

pub(crate) fn run_all(kind: Kind, usual: std::ops::Range<u64>) {
    of_seeds("LONGSHORE_SIM_SEEDS", usual, |seed| {
        process::runtime(61).block_on(simulate(kind, seed));
    });
}

#[test]
fn limits_hold_whatever_happens_to_workers_on_memory() {
    run_all(Kind::Memory, 0..8);
}

#[test]
fn limits_hold_whatever_happens_to_workers_on_sqlite() {
    run_all(Kind::SqliteInTurn, 40..41);
}
