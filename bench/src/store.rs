//! The SQLite store called directly, beside the floor: bare SQL in a loop.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use longshore_core::Store;
use longshore_sqlite::{SqliteOptions, SqliteStore};

use crate::Folder;
use crate::direct::{drain, enqueue};
use crate::floor;
use crate::measure::{Rate, Scale, Stopwatch, Table, Turns};

pub fn open(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(SqliteOptions::at(path))?))
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
