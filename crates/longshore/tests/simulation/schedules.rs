//! Schedules: every tick has one job, whoever dies, stalls, changes them or moves the clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, CatchUp, Job, JobError, JobId, Producer, RawArgs, RawResult, Schedule, Scheduled,
    Schedules, SpanBuffer, Store, Timestamp, Worker, WorkerBuilder,
};
use longshore_core::id::SpanPart;
use longshore_core::schedule::{METADATA_SCHEDULE, METADATA_TICK};
use longshore_core::{Random, SpanId};
use longshore_testkit::SeededRandom;
use longshore_testkit::audited::AuditedStore;
use longshore_testkit::faulty::{Faults, FaultyStore};
use longshore_testkit::way::Around;
use tokio::task::JoinHandle;

use crate::clock::SimulatedClock;
use crate::points::{self, Dies};
use crate::process::{self, Death, End};
use crate::stall::Stall;
use crate::subject::{Kind, Subject};
use crate::{of_seeds, rows};

const FAULTS: Faults = Faults {
    refused_percent: 10,
    lost_answer_percent: 10,
    repeated_settle_percent: 0,
    latency_max: Duration::from_millis(60),
};

/// A schedule that catches everything up.
fn schedule(name: &str, timetable: &str, args: u64) -> Schedule {
    Schedule {
        catch_up: CatchUp::All(CatchUp::MAX_ALL),
        args: args.to_string(),
        ..Schedule::new(
            name.parse().unwrap(),
            timetable.parse().unwrap(),
            "orders".parse().unwrap(),
            "report".parse().unwrap(),
        )
    }
}

/// Where a schedule's jobs are, and who may look after it.
struct World {
    _subject: Subject,
    audited: Arc<AuditedStore>,
    clock: Arc<SimulatedClock>,
    random: Arc<SeededRandom>,
    spans: Arc<SpanBuffer>,
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
            spans: Arc::default(),
        }
    }

    fn schedules(&self, store: Arc<dyn Store>) -> Schedules {
        let producer = Producer::new(store).with_clock(self.clock.clone(), self.random.clone());
        Schedules::new(producer)
    }

    fn worker(&self, store: Arc<dyn Store>) -> WorkerBuilder {
        Worker::builder(store)
            .queue("orders")
            .id("w")
            .lease(Duration::from_secs(1))
            .recorder(self.spans.clone())
            .clock(self.clock.clone(), self.random.clone())
            .fallback(work)
    }

    /// Every tick that has passed of schedules that nobody stopped has one job; no other tick has
    /// any, and what the schedules say of themselves is so.
    async fn check(&self, whole: &[&str]) {
        let jobs = rows::all(&*self.audited).await;
        let all = self.schedules(self.audited.clone()).list().await.unwrap();
        let now = self.audited.now().await.unwrap();
        for scheduled in &all {
            let name = scheduled.schedule.name.as_str();
            if !whole.contains(&name) {
                continue;
            }
            let expected = passed(scheduled);
            let of_it = jobs
                .values()
                .filter(|job| said(job, METADATA_SCHEDULE) == name);
            let found: BTreeSet<JobId> = of_it.map(|job| job.id.clone()).collect();
            assert_eq!(found, expected, "the jobs of {name}");
            self.check_traces(&expected);
            let standing = &scheduled.standing;
            assert_eq!(standing.fired, expected.len() as u64, "firings of {name}");
            assert_eq!((standing.missed, standing.held), (0, 0), "{name}");
            assert!(
                standing.next.unwrap() > now.before(Duration::from_secs(1)),
                "{name} is late"
            );
        }
        for job in jobs.values() {
            let tick: Timestamp = said(job, METADATA_TICK).parse().unwrap();
            assert_eq!(tick.unix_nanos() % 1_000_000_000, 0, "{}", job.id);
            let schedule = said(job, METADATA_SCHEDULE);
            let id = schedule_named(schedule).job_id(tick);
            assert_eq!(job.id, id);
        }
        assert_eq!(self.audited.violations(), [""; 0]);
    }
}

impl World {
    /// Of these firings, one after the other, each has one enqueue span at most, which links to
    /// that of the one before, whoever enqueued them.
    fn check_traces(&self, firings: &BTreeSet<JobId>) {
        let span_of = |id: &JobId| id.derive_span_id(0, SpanPart::Enqueue);
        let spans = rows::once(self.spans.spans());
        assert!(spans.iter().any(|span| span.name == "queue.enqueue"));
        let mut before = None;
        for id in firings {
            let own = spans.iter().filter(|span| span.span_id == span_of(id));
            let links: Vec<Option<SpanId>> = own
                .map(|span| span.links.first().map(|link| link.context.span_id))
                .collect();
            assert!(links.len() <= 1, "{id} has {} enqueue spans", links.len());
            for link in links {
                assert_eq!(link, before, "the link of {id}");
            }
            before = Some(span_of(id));
        }
    }
}

/// A pair of a job's metadata.
fn said<'a>(job: &'a Job, key: &str) -> &'a str {
    job.metadata.get(key).unwrap()
}

fn schedule_named(name: &str) -> Schedule {
    schedule(name, "@hourly", 0)
}

/// The ids of the jobs of all ticks before the next one.
fn passed(scheduled: &Scheduled) -> BTreeSet<JobId> {
    let (schedule, standing) = (&scheduled.schedule, &scheduled.standing);
    let ticks = schedule.upcoming(standing.since, standing.since, 5000);
    let before = ticks
        .into_iter()
        .take_while(|tick| Some(*tick) < standing.next);
    before.map(|tick| schedule.job_id(tick)).collect()
}

async fn work(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    Ok(RawResult(None))
}

/// A process that makes sure of two schedules, and runs a worker for a while.
struct Cast {
    schedules: Schedules,
    worker: WorkerBuilder,
}

const CRASHED: [&str; 2] = ["often", "seldom"];

impl Cast {
    fn new(world: &World, store: Arc<dyn Store>) -> Self {
        Self {
            schedules: world.schedules(store.clone()),
            worker: world.worker(store),
        }
    }

    async fn play(self) {
        for (name, timetable) in CRASHED.into_iter().zip(["@every 1s", "*/2 * * * * *"]) {
            self.schedules
                .put(schedule(name, timetable, 0))
                .await
                .unwrap();
        }
        let over = tokio::time::sleep(Duration::from_millis(2600));
        self.worker.build().unwrap().run(over).await.unwrap();
    }
}

fn play(kind: Kind, dies: Dies) -> End {
    let world = World::new(kind, 5);
    let life = |store| Cast::new(&world, store).play();
    let end = points::mortal(world.audited.clone(), &world.clock, dies, life);
    process::runtime(61).block_on(async {
        world.clock.enter();
        Cast::new(&world, world.audited.clone()).play().await;
        world.check(&CRASHED).await;
    });
    end
}

/// The process dies after each poll of each of its tasks, so also between the call that enqueues
/// and the write after it; the next one goes on.
pub(crate) fn crash_everywhere(kind: Kind) {
    let variable = "LONGSHORE_SIM_SCHEDULE_POINTS";
    let cut = points::crash_everywhere(variable, kind, Death::OfProcess, |dies| play(kind, dies));
    cut.includes(&["enqueue", "read_document", "write_document"]);
}

#[test]
fn every_tick_fires_once_wherever_a_process_on_memory_dies() {
    crash_everywhere(Kind::MemoryInTurn);
}

#[test]
fn every_tick_fires_once_wherever_a_process_on_sqlite_dies() {
    crash_everywhere(Kind::SqliteInTurn);
}

/// A seed's way through two workers at a time that are killed and held up, faults of the store, a
/// clock that jumps, and people who change schedules.
struct Torment {
    world: World,
    faulty: Arc<FaultyStore>,
}

impl Torment {
    fn new(kind: Kind, seed: u64) -> Self {
        let world = World::new(kind, seed);
        let faulty = FaultyStore::new(world.audited.clone(), world.random.clone(), FAULTS);
        Self {
            world,
            faulty: Arc::new(faulty),
        }
    }

    fn random(&self, below: u64) -> u64 {
        self.world.random.next_u64() % below
    }

    async fn sleep_up_to(&self, millis: u64) {
        tokio::time::sleep(Duration::from_micros(self.random(millis * 1000))).await;
    }

    async fn put(&self, schedule: Schedule) {
        let schedules = self.world.schedules(self.faulty.clone());
        while schedules.put(schedule.clone()).await.is_err() {}
    }

    async fn args(&self, name: &str) -> String {
        let schedules = self.world.schedules(self.world.audited.clone());
        let stored = schedules.get(&name.parse().unwrap()).await.unwrap();
        stored.unwrap().schedule.args
    }

    fn start(&self) -> (JoinHandle<()>, Stall) {
        let stall = Stall::default();
        let store = Arc::new(Around::through(self.faulty.clone(), stall.clone()));
        let worker = self.world.worker(store).build().unwrap();
        let run = async { drop(worker.run(std::future::pending()).await) };
        (tokio::spawn(run), stall)
    }

    async fn work(&self) {
        for round in 0..10 {
            let lives = [self.start(), self.start()];
            self.sleep_up_to(4000).await;
            if round % 3 == 2 {
                let jump = i64::try_from(self.random(20_000)).unwrap() - 8_000;
                self.world.clock.jump(jump * 1_000_000);
            }
            if self.random(2) == 0 {
                lives[0].1.begin();
                self.sleep_up_to(6000).await;
                lives[0].1.end();
                self.sleep_up_to(300).await;
            }
            for (life, _) in lives {
                life.abort();
                assert!(life.await.is_err_and(|ended| ended.is_cancelled()));
            }
        }
    }

    /// Gives one schedule other args, again and again, of which none may be lost; pauses, removes
    /// and adds another.
    async fn meddle(&self) {
        let schedules = self.world.schedules(self.faulty.clone());
        let name = "volatile".parse().unwrap();
        for number in 0..20 {
            self.sleep_up_to(2000).await;
            self.put(schedule("changing", "*/3 * * * * *", number))
                .await;
            self.sleep_up_to(1000).await;
            assert_eq!(self.args("changing").await, number.to_string());
            // Whether it was done does not matter.
            let _answer = match self.random(5) {
                0 => schedules.pause(&name).await.map(drop),
                1 => schedules.resume(&name).await.map(drop),
                2 => schedules.remove(&name).await.map(drop),
                _ => schedules
                    .put(schedule("volatile", "@every 2s", number))
                    .await
                    .map(drop),
            };
        }
    }

    async fn run(&self) {
        self.world.clock.enter();
        self.put(schedule("stable", "@every 1s", 0)).await;
        self.put(schedule("sparse", "*/7 * * * * *", 0)).await;
        self.put(schedule("changing", "*/3 * * * * *", 0)).await;
        tokio::join!(self.work(), self.meddle());
        self.faulty.heal();
        let worker = self.world.worker(self.faulty.clone()).build().unwrap();
        // Longer than the clock may have been set back.
        let over = tokio::time::sleep(Duration::from_secs(30));
        worker.run(over).await.unwrap();
        self.world.check(&["stable", "sparse", "changing"]).await;
    }
}

pub(crate) fn torment(kind: Kind, usual: std::ops::Range<u64>) {
    of_seeds("LONGSHORE_SIM_SCHEDULE_SEEDS", usual, |seed| {
        process::runtime(61).block_on(Torment::new(kind, seed).run());
    });
}

#[test]
fn every_tick_fires_once_under_torment_on_memory() {
    torment(Kind::Memory, 0..40);
}

#[test]
fn every_tick_fires_once_under_torment_on_sqlite() {
    torment(Kind::SqliteInTurn, 40..44);
}

/// The clock is a year ahead for a minute; schedules go on when it is right again, those too whose
/// next tick was found meanwhile.
#[test]
fn a_clock_that_was_far_ahead_stops_no_schedule() {
    let world = World::new(Kind::Memory, 1);
    process::runtime(61).block_on(async {
        world.clock.enter();
        let schedules = world.schedules(world.audited.clone());
        for (name, catch_up) in [("one", CatchUp::One), ("skip", CatchUp::Skip)] {
            let schedule = Schedule {
                catch_up,
                ..schedule(name, "*/10 * * * * *", 0)
            };
            schedules.put(schedule).await.unwrap();
        }
        let year = 366 * 86_400 * 1_000_000_000;
        let worker = world.worker(world.audited.clone()).build().unwrap();
        let running = tokio::spawn(worker.run(tokio::time::sleep(Duration::from_secs(300))));
        tokio::time::sleep(Duration::from_secs(25)).await;
        world.clock.jump(year);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.clock.jump(-year);
        tokio::time::sleep(Duration::from_secs(70)).await;
        let before = rows::all(&*world.audited).await.len();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let after = rows::all(&*world.audited).await.len();
        assert_eq!(after - before, 12);
        running.await.unwrap().unwrap();
    });
}
