//! apalis with its SQLite backend, set up as its documentation shows, but durable.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use apalis::layers::WorkerBuilderExt;
use apalis::prelude::*;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePoolOptions, SqliteStorage};

use crate::Folder;
use crate::measure::{Rate, Scale, Stopwatch, Table, Turns};
use crate::worker::{Setup, end_to_end};

const JOBS: usize = 5_000;

/// apalis and Longshore in turns, on as many jobs.
pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let turns = Turns::take(2, scale.rounds(5), async |variant| {
        let path = folder.fresh();
        if variant == 0 {
            return run(&path, JOBS).await;
        }
        let setup = Setup {
            tracing: None,
            jobs: JOBS,
            singles: 0,
            concurrency: 100,
            turns: 0,
        };
        let run = end_to_end(&path, setup).await?;
        Ok(Rate {
            enqueue_per_second: run.enqueue_per_second,
            drain_per_second: run.run_per_second,
            cpu_us: run.enqueue_cpu_us + run.run_cpu_us,
        })
    })
    .await?;
    let mut table = Table::new(
        "apalis 1.0 with apalis-sqlite 1.0, on the same durability",
        &["what", "apalis", "Longshore", "ratio"],
    );
    let mut row = |what: &str, digits, of: fn(&Rate) -> f64| {
        table.row(vec![
            what.to_owned(),
            turns.of(0, of).cell(digits),
            turns.of(1, of).cell(digits),
            turns.ratio(1, 0, of).spread(1),
        ]);
    };
    row("enqueue by 100/s", 0, |rate| rate.enqueue_per_second);
    row("run no-op jobs, 100 at a time/s", 0, |rate| {
        rate.drain_per_second
    });
    row("µs CPU a job, both", 1, |rate| rate.cpu_us);
    table.print();
    Ok(())
}

/// Enqueues `jobs` in calls of 100, then runs them with 100 handlers at a time.
async fn run(path: &Path, jobs: usize) -> Result<Rate> {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    // Its set-up turns `synchronous` off on the connection it uses, so that connection is not
    // used for anything else.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect(&url)
        .await?;
    SqliteStorage::setup(&pool).await?;
    pool.close().await;
    let options: SqliteConnectOptions = url
        .parse::<SqliteConnectOptions>()?
        .pragma("journal_mode", "WAL")
        .pragma("synchronous", "FULL")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "64000")
        .pragma("busy_timeout", "10000");
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    let config = Config::default().queue("bench").batch_size(100);
    let mut backend = SqliteStorage::<u32>::new(&pool).with_config(config);
    let watch = Stopwatch::start();
    for batch in 0..jobs / 100 {
        let first = batch as u32 * 100;
        let mut items = futures::stream::iter(first..first + 100);
        backend
            .push_stream(&mut items)
            .await
            .map_err(|error| anyhow::anyhow!("apalis cannot push: {error}"))?;
    }
    let enqueue_per_second = watch.per_second(jobs);
    let left = Arc::new(AtomicUsize::new(jobs));
    let worker = WorkerBuilder::new("bench")
        .backend(backend.poll_with_interval(Duration::from_millis(10)))
        .concurrency(100)
        .data(Arc::clone(&left))
        .build(noop);
    let watch = Stopwatch::start();
    worker.run().await.context("apalis' worker failed")?;
    Ok(Rate {
        enqueue_per_second,
        drain_per_second: watch.per_second(jobs),
        cpu_us: watch.cpu_us(jobs),
    })
}

async fn noop(
    _number: u32,
    left: Data<Arc<AtomicUsize>>,
    worker: WorkerContext,
) -> Result<(), BoxDynError> {
    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
        worker.stop()?;
    }
    Ok(())
}
