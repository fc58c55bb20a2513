//! Jobs under limits, while workers are killed, shut down, or cut off for longer than their permits
//! last, and calls fail: never more handlers at work than a limit allows, no permit lost for ever,
//! and every job gets its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore::{
    Attempt, ErrorKind, JobFilter, JobRequest, JobState, Limit, LimitControl, LimitRefused,
    MemoryStore, Producer, RawArgs, RawResult, Store, Worker, WorkerBuilder, WorkerReport,
};
use longshore_core::{Clock, Random};
use longshore_testkit::SeededRandom;
use longshore_testkit::faulty::{Faults, FaultyStore};
use longshore_testkit::way::Around;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::SimulatedClock;
use crate::stall::Stall;
use crate::subject::{Kind, Subject};
use crate::{chosen, process};

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
                    let millis = args.0.first().copied().map_or(0, u64::from);
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

    async fn produce(&self, jobs: u64) {
        let producer =
            Producer::new(self.store.clone()).with_clock(self.clock.clone(), self.random.clone());
        let requests = (0..jobs).map(|number| {
            let queue = if number % 5 == 0 { "other" } else { "orders" };
            let kind = if number % 3 == 0 { "letter" } else { "order" };
            let millis = u8::try_from(self.random.next_u64() % 250).unwrap();
            JobRequest::new(queue, kind)
                .raw_args(vec![millis])
                .tenant_id(format!("tenant-{}", self.random.next_u64() % 6))
                .max_attempts(1000)
        });
        let answers = producer.enqueue_many(requests.collect()).await.unwrap();
        answers.into_iter().for_each(|answer| drop(answer.unwrap()));
    }

    async fn sleep_up_to(&self, millis: u64) {
        let micros = self.random.next_u64() % (millis * 1000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    /// Kills workers, stops them, and cuts some off until others have their permits.
    async fn torment(&self) {
        for round in 0..8 {
            let lives = [0, 1, 2].map(|number| self.start(&format!("w{round}-{number}")));
            self.sleep_up_to(2_500).await;
            let [first, ..] = &lives;
            if self.random.next_u64().is_multiple_of(2) {
                first.stall.begin();
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
    let life = async {
        world.produce(400).await;
        world.torment().await;
        world.finish().await;
    };
    tokio::time::timeout(LIFETIME, life)
        .await
        .expect("jobs are left that nobody can finish");
    world.all_are_completed(400).await;
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

fn run_all(kind: Kind, usual: std::ops::Range<u64>) {
    for seed in chosen("LONGSHORE_SIM_SEEDS", usual) {
        let run = || process::runtime(61).block_on(simulate(kind, seed));
        if std::panic::catch_unwind(run).is_err() {
            panic!("seed {seed} fails; LONGSHORE_SIM_SEEDS={seed} runs it again");
        }
    }
}

#[test]
fn limits_hold_whatever_happens_to_workers_on_memory() {
    run_all(Kind::Memory, 0..20);
}

#[test]
fn limits_hold_whatever_happens_to_workers_on_sqlite() {
    run_all(Kind::SqliteInTurn, 40..42);
}

fn in_peace<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    process::runtime(61).block_on(async {
        let world = World::new(Kind::Memory, 1);
        world.faulty.heal();
        test(world).await;
    });
}

#[test]
fn a_limit_is_used_in_full_and_jobs_rarely_go_back() {
    in_peace(|world| async move {
        world.limit("queue:orders", at_most(4)).await;
        world.produce(300).await;
        let began = world.clock.monotonic();
        let lives = ["a", "b", "c"].map(|name| world.start(name));
        world.finish().await;
        let took = world.clock.monotonic() - began;
        assert_eq!(world.gauge.most("queue:orders"), 4);
        // 240 jobs of 125 ms on average, four at a time.
        assert!(took < Duration::from_secs(15), "{took:?}");
        for life in lives {
            life.shutdown.notify_one();
            assert_eq!(life.worker.await.unwrap().over_limit, 0);
        }
    });
}

#[test]
fn tenants_that_nobody_knew_go_back_once_at_most_a_claim() {
    in_peace(|world| async move {
        world.limit("tenants", at_most(1)).await;
        world.produce(300).await;
        let report = world.finish().await;
        assert_eq!(report.completed, 300);
        assert_eq!(world.gauge.most("tenant:tenant-1"), 1);
        assert!(report.over_limit <= 30, "{report:?}");
    });
}

#[test]
fn a_rate_is_kept_across_workers_and_used() {
    in_peace(|world| async move {
        let rate = Limit {
            rate: Some("20/s".parse().unwrap()),
            ..Limit::default()
        };
        world.limit("queue:orders", rate).await;
        world.produce(300).await;
        let began = world.clock.monotonic();
        let lives = ["a", "b"].map(|name| world.start(name));
        world.finish().await;
        let took = (world.clock.monotonic() - began).as_secs_f64();
        // 240 jobs: 20 at once, then 20 a second; what lies unused with one for a second is lost.
        assert!((10.9..16.0).contains(&took), "{took}");
        for life in lives {
            life.shutdown.notify_one();
            life.worker.await.unwrap();
        }
    });
}

#[test]
fn a_paused_kind_waits_while_others_run_and_then_goes_on() {
    in_peace(|world| async move {
        let limits = LimitControl::new(world.store.clone());
        limits.pause_kind("letter".parse().unwrap()).await.unwrap();
        world.produce(60).await;
        let life = world.start("a");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.gauge.most("kind:letter"), 0);
        assert!(world.gauge.most("kind:order") > 0);
        limits.resume_kind("letter".parse().unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.all_are_completed(60).await;
        life.shutdown.notify_one();
        assert_eq!(life.worker.await.unwrap().completed, 60);
    });
}

#[test]
fn a_lower_limit_stops_nothing_that_runs_and_holds_for_what_starts() {
    in_peace(|world| async move {
        world.limit("queue:orders", at_most(5)).await;
        world.produce(300).await;
        let life = world.start("a");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.gauge.most("queue:orders"), 5);
        world.limit("queue:orders", at_most(2)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.gauge.forget();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.gauge.most("queue:orders"), 2);
        world.limit("queue:orders", Limit::default()).await;
        world.finish().await;
        life.shutdown.notify_one();
        assert_eq!(life.worker.await.unwrap().leases_lost, 0);
    });
}

#[test]
fn fair_tenants_take_turns() {
    in_peace(|world| async move {
        let fair = Limit {
            fair: true,
            ..Limit::default()
        };
        world.limit("queue:other", fair).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let request = |tenant: &str| {
            JobRequest::new("other", "order")
                .raw_args(vec![100])
                .tenant_id(tenant)
        };
        let flood = (0..500).map(|_| request("loud"));
        producer.enqueue_many(flood.collect()).await.unwrap();
        let few = (0..5).map(|_| request("quiet"));
        producer.enqueue_many(few.collect()).await.unwrap();
        let life = world.start("a");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let filter = JobFilter {
            states: vec![JobState::Completed],
            tenant_id: Some("quiet".to_owned()),
            ..JobFilter::default()
        };
        let page = world.store.list(&filter, None, 1000).await.unwrap();
        assert_eq!(page.jobs.len(), 5);
        life.worker.abort();
    });
}

#[test]
fn a_worker_without_limits_reads_no_document_for_a_claim() {
    in_peace(|world| async move {
        let reads = Arc::new(Counting::default());
        let memory = MemoryStore::with(world.clock.clone(), world.random.clone());
        let store = Arc::new(Around::through(Arc::new(memory), Calls(reads.clone())));
        let producer =
            Producer::new(store.clone()).with_clock(world.clock.clone(), world.random.clone());
        let requests = (0..200).map(|_| JobRequest::new("orders", "order").raw_args(vec![10]));
        producer.enqueue_many(requests.collect()).await.unwrap();
        reads.0.lock().unwrap().clear();
        let worker = world.worker("a", store).build().unwrap();
        let run = tokio::spawn(worker.run(std::future::pending()));
        tokio::time::sleep(Duration::from_millis(9_900)).await;
        run.abort();
        let calls = reads.0.lock().unwrap().clone();
        assert!(calls["claim"] >= 40, "{calls:?}");
        // One a second for the limits, one for the schedules.
        assert!(calls["read_document"] <= 23, "{calls:?}");
        assert!(!calls.contains_key("write_document"), "{calls:?}");
    });
}

#[derive(Debug, Default)]
struct Counting(Mutex<BTreeMap<&'static str, u32>>);

#[derive(Debug)]
struct Calls(Arc<Counting>);

impl longshore_testkit::way::Way for Calls {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: longshore_testkit::way::Effect<'_, T>,
    ) -> Result<T, longshore::StoreError> {
        *self.0.0.lock().unwrap().entry(method).or_default() += 1;
        effect.await
    }
}

fn refused(answer: Result<longshore::Enqueued, longshore::StoreError>) -> LimitRefused {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limited);
    LimitRefused::of(&error).unwrap().clone()
}

#[test]
fn a_full_queue_refuses_what_is_too_much_and_takes_jobs_again_once_there_is_room() {
    in_peace(|world| async move {
        let length = Limit {
            length: Some(10),
            ..Limit::default()
        };
        world.limit("queue:orders", length).await;
        let producer = Producer::new(world.store.clone())
            .with_clock(world.clock.clone(), world.random.clone());
        let request = || JobRequest::new("orders", "order").raw_args(vec![1]);
        let many = (0..15).map(|_| request()).collect();
        let answers = producer.enqueue_many(many).await.unwrap();
        let (taken, too_many) = answers.split_at(10);
        assert!(taken.iter().all(Result::is_ok));
        assert!(too_many.iter().all(Result::is_err));
        let LimitRefused::QueueFull { limit, length, .. } =
            refused(producer.clone().enqueue(request()).await)
        else {
            panic!("refused for another reason");
        };
        assert_eq!((limit, length), (10, 10));
        let other = JobRequest::new("other", "order").raw_args(vec![1]);
        producer.enqueue(other).await.unwrap();
        world.finish().await;
        // A length that refuses is at most so old.
        tokio::time::sleep(Duration::from_millis(100)).await;
        producer.enqueue(request()).await.unwrap();
    });
}

#[test]
fn producers_share_a_rate() {
    in_peace(|world| async move {
        let rate = Limit {
            enqueue_rate: Some("10/s".parse().unwrap()),
            ..Limit::default()
        };
        world.limit("queue:orders", rate).await;
        let producers = [1, 2].map(|_| {
            Producer::new(world.store.clone()).with_clock(world.clock.clone(), world.random.clone())
        });
        let request = || JobRequest::new("orders", "order").raw_args(vec![1]);
        let mut taken = 0;
        for _ in 0..400 {
            for producer in &producers {
                match producer.enqueue(request()).await {
                    Ok(_) => taken += 1,
                    answer => {
                        let LimitRefused::RateLimited { retry_after, .. } = refused(answer) else {
                            panic!("refused for another reason");
                        };
                        assert!(retry_after <= Duration::from_millis(100));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Ten at once, and ten a second for four seconds.
        assert!((45..=50).contains(&taken), "{taken}");
    });
}
