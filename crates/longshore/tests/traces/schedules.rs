//! Schedules: each firing a trace of its own, linked to the one before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, CatchUp, ErrorKind, Job, JobError, JobFilter, JobState, Put, RawArgs, RawResult,
    Schedule, Schedules, Timestamp, Worker,
};
use longshore_core::schedule::{METADATA_SCHEDULE, Shard};
use longshore_testkit::way::{Around, Effect, Way};

use crate::world::World;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn schedule(name: &str, timetable: &str) -> Schedule {
    Schedule::new(
        name.parse().unwrap(),
        timetable.parse().unwrap(),
        "orders".parse().unwrap(),
        "report".parse().unwrap(),
    )
}

async fn work(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    Ok(RawResult(None))
}

/// Runs a worker for so long.
async fn run_for(world: &World, seconds: u64) {
    let worker = world.worker().fallback(work).build().unwrap();
    let over = tokio::time::sleep(Duration::from_secs(seconds));
    worker.run(over).await.unwrap();
}

async fn jobs(world: &World) -> Vec<Job> {
    let filter = JobFilter::default();
    let mut jobs = world.store.list(&filter, None, 1000).await.unwrap().jobs;
    jobs.reverse();
    jobs
}

/// Two ticks and, between them, a person.
#[tokio::test(start_paused = true)]
async fn firings_are_traces_of_their_own_and_linked() {
    let world = World::new();
    let schedules = Schedules::new(world.producer());
    schedules
        .put(schedule("minutely", "* * * * *"))
        .await
        .unwrap();
    run_for(&world, 70).await;
    let name = "minutely".parse().unwrap();
    let request = schedules.request(&name).await.unwrap();
    world.enqueue(request.traceparent(CALLER, "", "")).await;
    run_for(&world, 60).await;
    world.assert_tree("schedule");
    let spans = world.spans.spans();
    let of_ticks = spans
        .iter()
        .filter(|span| span.attribute("longshore.schedule.tick").is_some());
    assert_eq!(of_ticks.count(), 4, "two enqueue spans and two attempts");
    let of_schedule =
        |span: &&longshore::instrument::Span| span.attribute("longshore.schedule.name").is_some();
    assert_eq!(spans.iter().filter(of_schedule).count(), 7);
    let attempt = spans
        .iter()
        .find(|span| span.name == "job.process")
        .unwrap();
    let text = |key| format!("{:?}", attempt.attribute(key).unwrap());
    assert!(text("longshore.schedule.name").contains("\"minutely\""));
    assert!(text("longshore.schedule.tick").contains("\"2026-01-01T00:01:00Z\""));
    world.assert_one_enqueue_span_each();
}

#[tokio::test(start_paused = true)]
async fn a_handler_knows_its_tick() {
    let world = World::new();
    let schedules = Schedules::new(world.producer());
    let every = Schedule {
        args: "7".to_owned(),
        tags: vec!["nightly".to_owned()],
        max_attempts: Some(3),
        ..schedule("often", "@every 10s")
    };
    schedules.put(every).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = seen.clone();
    let worker = world
        .worker()
        .handler("report", move |args: u32, attempt: Attempt| {
            let schedule = attempt.schedule().map(str::to_owned);
            noting
                .lock()
                .unwrap()
                .push((schedule, attempt.tick(), args));
            async { Ok::<_, JobError>(()) }
        });
    let worker = worker.build().unwrap();
    worker
        .run(tokio::time::sleep(Duration::from_secs(15)))
        .await
        .unwrap();
    schedules.trigger(&"often".parse().unwrap()).await.unwrap();
    let again = world.worker().drain(true).fallback(work).build().unwrap();
    again.run(std::future::pending()).await.unwrap();
    let tick = "2026-01-01T00:00:10Z".parse().unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [(Some("often".to_owned()), Some(tick), 7)]
    );
    let jobs = jobs(&world).await;
    assert_eq!(jobs[0].id.as_str(), "cron.often.20260101T000010Z");
    assert_eq!((jobs[0].max_attempts, jobs[0].tags.len()), (3, 1));
    let fired_by_hand = &jobs[1];
    assert_eq!(
        fired_by_hand.metadata.get(METADATA_SCHEDULE).unwrap(),
        "often"
    );
    assert_eq!(fired_by_hand.metadata.len(), 1, "of no tick");
}

/// A worker fires at the tick, to the millisecond of its timer.
#[tokio::test(start_paused = true)]
async fn a_tick_fires_when_it_is_due() {
    let world = World::new();
    let schedules = Schedules::new(world.producer());
    let with_jitter = Schedule {
        jitter: Duration::from_secs(20),
        ..schedule("later", "* * * * *")
    };
    let offset = with_jitter.offset();
    assert!(offset > Duration::from_secs(1));
    schedules.put(with_jitter).await.unwrap();
    schedules
        .put(schedule("sharp", "*/10 * * * * *"))
        .await
        .unwrap();
    run_for(&world, 100).await;
    let jobs = jobs(&world).await;
    assert_eq!(jobs.len(), 11);
    for job in jobs {
        let tick: Timestamp = job.metadata["longshore.tick"].parse().unwrap();
        let after = match job.metadata[METADATA_SCHEDULE].as_str() {
            "later" => offset,
            _ => Duration::ZERO,
        };
        let late = job.enqueued_at.since(tick.after(after));
        assert!(
            late <= Duration::from_millis(2),
            "{} was {late:?} late",
            job.id
        );
        assert!(job.enqueued_at >= tick.after(after));
    }
}

/// What no worker was there for is caught up as the schedule says.
#[tokio::test(start_paused = true)]
async fn ticks_without_a_worker_are_caught_up() {
    for (catch_up, fired, missed) in [
        (CatchUp::Skip, 0, 5),
        (CatchUp::One, 1, 4),
        (CatchUp::All(3), 3, 2),
    ] {
        let world = World::new();
        let schedules = Schedules::new(world.producer());
        let hourly = Schedule {
            catch_up,
            ..schedule("hourly", "@hourly")
        };
        schedules.put(hourly).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5 * 3600 + 600)).await;
        run_for(&world, 5).await;
        assert_eq!(jobs(&world).await.len(), fired, "{catch_up}");
        let standing = schedules.list().await.unwrap().remove(0).standing;
        assert_eq!(
            (standing.fired, standing.missed),
            (fired as u64, missed),
            "{catch_up}"
        );
        let next = standing.next.unwrap();
        assert_eq!(next.to_string(), "2026-01-01T06:00:00Z");
    }
}

/// A schedule whose jobs run alone passes ticks over while one is unfinished.
#[tokio::test(start_paused = true)]
async fn a_schedule_can_keep_its_jobs_from_overlapping() {
    let world = World::new();
    let schedules = Schedules::new(world.producer());
    let alone = Schedule {
        alone: true,
        ..schedule("slow", "@every 10s")
    };
    schedules.put(alone).await.unwrap();
    let slow = |_args: RawArgs, _attempt: Attempt| async {
        tokio::time::sleep(Duration::from_secs(25)).await;
        Ok::<_, JobError>(RawResult(None))
    };
    let worker = world.worker().fallback(slow).build().unwrap();
    worker
        .run(tokio::time::sleep(Duration::from_secs(65)))
        .await
        .unwrap();
    let ids: Vec<String> = jobs(&world)
        .await
        .iter()
        .map(|job| job.id.to_string())
        .collect();
    assert_eq!(
        ids,
        ["cron.slow.20260101T000010Z", "cron.slow.20260101T000040Z"]
    );
    let standing = schedules.list().await.unwrap().remove(0).standing;
    assert_eq!((standing.fired, standing.held), (2, 4));
}

/// Pausing, changing and removing are seen within a second, and none brings a tick back.
#[tokio::test(start_paused = true)]
async fn changes_are_seen_while_a_worker_runs() {
    let world = World::new();
    let schedules = Schedules::new(world.producer());
    let name = "s".parse().unwrap();
    let running = tokio::spawn({
        let world = world.clone();
        async move { run_for(&world, 100).await }
    });
    let seconds = |count| tokio::time::sleep(Duration::from_secs(count));
    let count = async || jobs(&world).await.len();
    assert_eq!(
        schedules.put(schedule("s", "@every 5s")).await.unwrap(),
        Put::Added
    );
    assert_eq!(
        schedules.put(schedule("s", "@every 5s")).await.unwrap(),
        Put::Unchanged
    );
    seconds(11).await;
    assert_eq!(count().await, 2);
    assert!(schedules.pause(&name).await.unwrap());
    seconds(20).await;
    assert_eq!(count().await, 2);
    assert!(schedules.resume(&name).await.unwrap());
    seconds(6).await;
    assert_eq!(count().await, 3);
    assert_eq!(
        schedules.put(schedule("s", "@every 2s")).await.unwrap(),
        Put::Changed
    );
    seconds(7).await;
    assert_eq!(count().await, 6);
    assert!(schedules.remove(&name).await.unwrap());
    assert!(!schedules.remove(&name).await.unwrap());
    assert!(!schedules.pause(&name).await.unwrap());
    seconds(10).await;
    assert_eq!(count().await, 6);
    let refused = schedules.trigger(&name).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    running.await.unwrap();
}

/// Counts the calls to a store, by method.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Mutex<std::collections::BTreeMap<&'static str, usize>>>);

impl Counting {
    fn take(&self) -> std::collections::BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Way for Counting {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, longshore::StoreError> {
        *self.0.lock().unwrap().entry(method).or_default() += 1;
        effect.await
    }
}

/// Ten thousand schedules: adding them is a write per shard, a tick of all of them is a write and
/// an enqueue call per shard, and while none is due nothing is read but the directory.
#[tokio::test(start_paused = true)]
async fn ten_thousand_schedules_are_cheap() {
    let world = World::new();
    let calls = Counting::default();
    let store = Arc::new(Around::through(world.store.clone(), calls.clone()));
    let producer = longshore::Producer::new(store.clone());
    let schedules = Schedules::new(producer);
    let many = (0..10_000).map(|number| schedule(&format!("tenant-{number}"), "@hourly"));
    let answers = schedules.put_many(many.collect()).await.unwrap();
    assert!(answers.into_iter().all(|put| matches!(put, Ok(Put::Added))));
    let shards = usize::from(Shard::COUNT);
    assert_eq!(calls.take()["write_document"], shards + 2);
    let worker = Worker::builder(store)
        .queue("others")
        .prune(longshore::PrunePolicy::keep_all())
        .fallback(work);
    let clock = world.clock();
    let worker = worker.clock(clock.0, clock.1).build().unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(3599);
    let stop = Arc::new(tokio::sync::Notify::new());
    let stopped = stop.clone();
    let running = tokio::spawn(async move { worker.run(stopped.notified()).await.unwrap() });
    tokio::time::sleep_until(until - Duration::from_millis(500)).await;
    calls.take();
    tokio::time::sleep_until(until).await;
    let idle = calls.take();
    let of = |method| idle.get(method).copied().unwrap_or_default();
    assert!(
        of("read_document") <= 4 && of("write_document") == 0,
        "{idle:?}"
    );
    tokio::time::sleep_until(until + Duration::from_millis(1500)).await;
    let tick = calls.take();
    stop.notify_one();
    running.await.unwrap();
    // The worker's own entry in the register, and its turn at tidying that, may fall into the hour.
    let written = tick["write_document"];
    assert!((shards..=shards + 2).contains(&written), "{written}");
    assert_eq!(tick["enqueue"], shards);
    // Once to see what is new of each, since that falls into the same moment, and once to fire.
    assert!(tick["read_document"] <= 2 * shards + 8, "{tick:?}");
    let stats = world.store.queue_stats().await.unwrap();
    let orders = stats.iter().find(|stats| stats.queue.as_str() == "orders");
    let mut orders = orders.unwrap().clone();
    assert_eq!(*orders.count_mut(JobState::Available), 10_000);
}
