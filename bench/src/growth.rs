//! What many waiting jobs cost.

use std::path::Path;

use anyhow::Result;

use crate::Folder;
use crate::direct;
use crate::measure::{Scale, Stopwatch, Table, megabytes_resident};
use crate::store;

struct Growth {
    enqueue_per_second: f64,
    drain_per_second: f64,
    bytes_a_job: u64,
}

pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let mut table = Table::new(
        "With jobs waiting: claims and settles of 100 at a time",
        &[
            "waiting",
            "enqueue/s",
            "claim and settle/s",
            "bytes a job on disk",
            "MB resident",
        ],
    );
    for waiting in scale.waiting() {
        let seen = measure(&folder.fresh(), *waiting).await?;
        table.row(vec![
            waiting.to_string(),
            format!("{:.0}", seen.enqueue_per_second),
            format!("{:.0}", seen.drain_per_second),
            seen.bytes_a_job.to_string(),
            megabytes_resident().to_string(),
        ]);
    }
    table.print();
    Ok(())
}

/// Fills a store with `waiting` jobs, then drains 20,000 of them (or all) while as many wait.
async fn measure(path: &Path, waiting: usize) -> Result<Growth> {
    let store = store::open(path)?;
    let watch = Stopwatch::start();
    direct::enqueue(&*store, waiting, 1000).await?;
    let enqueue_per_second = watch.per_second(waiting);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = size(path) + size(&path.with_extension("db-wal"));
    let drained = waiting.min(20_000);
    let watch = Stopwatch::start();
    direct::drain(&*store, drained, 100).await?;
    Ok(Growth {
        enqueue_per_second,
        drain_per_second: watch.per_second(drained),
        bytes_a_job: bytes / waiting as u64,
    })
}
