//! The SQLite store called directly, beside the floor: bare SQL in a loop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use longshore_core::{ClaimRequest, NewJob, Outcome, Place, Settlement, Store, WorkerId};
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::Folder;
use crate::floor;
use crate::measure::{Rate, Scale, Stopwatch, Table, Turns};

pub const QUEUE: &str = "bench";
pub const KIND: &str = "noop";

pub fn open(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(SqliteOptions::at(path))?))
}

pub async fn new_jobs(store: &dyn Store, count: usize) -> Result<Vec<NewJob>> {
    let ids = store.mint(&vec![Place::new(QUEUE.parse()?); count]).await?;
    ids.into_iter()
        .map(|id| Ok(NewJob::new(id, QUEUE.parse()?, KIND.parse()?, "null")))
        .collect()
}

/// Floor and store in turns, for each size of batch.
pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let mut table = Table::new(
        "Bare SQL in a loop, and the SQLite store called directly",
        &[
            "what",
            "batch",
            "enqueue/s",
            "claim and settle/s",
            "whole cycles/s",
            "µs CPU a cycle",
            "cycles, of the floor of Longshore's schema",
        ],
    );
    for batch in [1, 100, 1000] {
        let jobs = if batch == 1 { 1_000 } else { 20_000 };
        let turns = Turns::take(3, scale.rounds(7), async |variant| {
            let path = folder.fresh();
            match variant {
                0 => floor::ours(&path, jobs, batch),
                1 => floor::minimal(&path, jobs, batch),
                _ => store(&path, jobs, batch).await,
            }
        })
        .await?;
        for (variant, name) in [
            "bare SQL, Longshore's schema",
            "bare SQL, a minimal schema",
            "the store, one caller",
        ]
        .into_iter()
        .enumerate()
        {
            table.row(vec![
                name.to_owned(),
                batch.to_string(),
                turns.of(variant, |run| run.enqueue_per_second).cell(0),
                turns.of(variant, |run| run.drain_per_second).cell(0),
                turns.of(variant, Rate::cycles_per_second).cell(0),
                turns.of(variant, |run| run.cpu_us).cell(1),
                turns.ratio(variant, 0, Rate::cycles_per_second).spread(2),
            ]);
        }
    }
    table.print();
    Ok(())
}

/// One caller of the store: enqueues everything, then claims and settles everything.
async fn store(path: &Path, jobs: usize, batch: usize) -> Result<Rate> {
    let store = open(path)?;
    let whole = Stopwatch::start();
    let watch = Stopwatch::start();
    enqueue(&*store, jobs, batch).await?;
    let enqueue_per_second = watch.per_second(jobs);
    let watch = Stopwatch::start();
    drain(&*store, jobs, batch).await?;
    Ok(Rate {
        enqueue_per_second,
        drain_per_second: watch.per_second(jobs),
        cpu_us: whole.cpu_us(jobs),
    })
}

pub async fn enqueue(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let mut made = 0;
    while made < jobs {
        let count = batch.min(jobs - made);
        let answers = store.enqueue(new_jobs(store, count).await?).await?;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
        made += count;
    }
    Ok(())
}

pub async fn drain(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let (worker, lease) = (WorkerId::new("longshore-bench"), Duration::from_secs(30));
    let mut request = ClaimRequest::new(worker, vec![QUEUE.parse()?], batch, lease);
    let mut done = 0;
    while done < jobs {
        let claimed = store.claim(&request).await?;
        request.turn += claimed.len() as u64;
        let settlements: Vec<Settlement> = claimed
            .into_iter()
            .map(|claimed| Settlement {
                job_id: claimed.lease.job_id,
                token: claimed.lease.token,
                outcome: Outcome::Complete { result: None },
                follow_ups: Vec::new(),
                keep: None,
                span: None,
            })
            .collect();
        if settlements.is_empty() {
            bail!("the store ran out of jobs after {done} of {jobs}");
        }
        done += settlements.len();
        let answers = store.settle(settlements).await?;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
    }
    Ok(())
}
