//! What many schedules cost: adding them, a tick of all at once, and a worker while none is due.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use longshore_core::schedule::Schedule;
use longshore_core::{JobFilter, JobPage, JobState, Store, Timestamp};
use longshore_queue::{Attempt, JobError, Producer, RawArgs, RawResult, Schedules, Worker};

use crate::Folder;
use crate::measure::{Stopwatch, Table};
use crate::store;

/// How many schedules.
const COUNTS: [usize; 2] = [1_000, 10_000];
/// How long a worker is watched while nothing is due.
const IDLE: Duration = Duration::from_secs(5);
/// Time from adding the schedules to their tick.
const AHEAD: Duration = Duration::from_secs(10);

struct Ticked {
    added_per_second: f64,
    idle_cpu_percent: f64,
    last_job_ms: f64,
    cpu_us_a_firing: f64,
}

pub async fn rows(folder: &Folder) -> Result<()> {
    let mut table = Table::new(
        "Schedules that all fire at one second, and a worker that serves another queue",
        &[
            "schedules",
            "added/s",
            "CPU while none is due",
            "ms from the tick to its last job",
            "µs CPU a firing",
        ],
    );
    for count in COUNTS {
        let seen = measure(&folder.fresh(), count).await?;
        table.row(vec![
            count.to_string(),
            format!("{:.0}", seen.added_per_second),
            format!("{:.2} %", seen.idle_cpu_percent),
            format!("{:.0}", seen.last_job_ms),
            format!("{:.1}", seen.cpu_us_a_firing),
        ]);
    }
    table.print();
    Ok(())
}

async fn measure(path: &Path, count: usize) -> Result<Ticked> {
    let store = store::open(path)?;
    let now = store.now().await?;
    let second = (now.after(AHEAD).unix_millis() / 1000) % 60;
    let cron = format!("{second} * * * * *");
    let schedules = Schedules::new(Producer::new(Arc::clone(&store)));
    let many = (0..count).map(|number| of(number, &cron));
    let many = many.collect::<Result<Vec<_>>>()?;
    let watch = Stopwatch::start();
    for put in schedules.put_many(many).await? {
        put?;
    }
    let added_per_second = watch.per_second(count);
    let tick = first_tick(&schedules).await?;
    let worker = Worker::builder(Arc::clone(&store))
        .queue("elsewhere")
        .fallback(never)
        .build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    // The first look at everything is no part of the idle time.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let watch = Stopwatch::start();
    tokio::time::sleep(IDLE).await;
    let idle_cpu_percent = watch.cpu_share() * 100.0;
    tokio::time::sleep(tick.since(store.now().await?)).await;
    let watch = Stopwatch::start();
    while waiting(&*store).await? < count as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cpu_us_a_firing = watch.cpu_us(count);
    let last = last_enqueued(&*store).await?;
    let _listening = stop.send(());
    running.await??;
    Ok(Ticked {
        added_per_second,
        idle_cpu_percent,
        last_job_ms: last.since(tick).as_secs_f64() * 1e3,
        cpu_us_a_firing,
    })
}

fn of(number: usize, cron: &str) -> Result<Schedule> {
    let name = format!("tenant-{number}").parse()?;
    Ok(Schedule::new(
        name,
        cron.parse()?,
        "reports".parse()?,
        "report".parse()?,
    ))
}

async fn never(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    Ok(RawResult(None))
}

async fn first_tick(schedules: &Schedules) -> Result<Timestamp> {
    let all = schedules.list().await?;
    let next = all.iter().filter_map(|one| one.standing.next).min();
    next.context("no schedule has a tick")
}

async fn waiting(store: &dyn Store) -> Result<u64> {
    let stats = store.queue_stats().await?;
    Ok(stats.iter().map(|stats| stats.available).sum())
}

/// When the last of the jobs was enqueued.
async fn last_enqueued(store: &dyn Store) -> Result<Timestamp> {
    let filter = JobFilter {
        states: vec![JobState::Available],
        ..JobFilter::default()
    };
    let page = store.list(&filter, None, JobPage::MAX_JOBS).await?;
    let last = page.jobs.iter().map(|job| job.enqueued_at).max();
    last.context("nothing was enqueued")
}
