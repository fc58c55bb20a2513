//! What many waiting jobs cost.

use std::path::Path;

use anyhow::Result;

use crate::engine;
use crate::measure::Stopwatch;

pub struct Growth {
    pub enqueue_per_second: f64,
    pub drain_per_second: f64,
    pub bytes_a_job: u64,
}

/// Fills a store with `waiting` jobs, then drains 20,000 of them (or all) while as many wait.
pub async fn measure(path: &Path, waiting: usize) -> Result<Growth> {
    let store = engine::open(path)?;
    let watch = Stopwatch::start();
    engine::enqueue(&*store, waiting, 1000).await?;
    let enqueue_per_second = watch.per_second(waiting);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = size(path) + size(&path.with_extension("db-wal"));
    let drained = waiting.min(20_000);
    let watch = Stopwatch::start();
    engine::drain(&*store, drained, 100).await?;
    Ok(Growth {
        enqueue_per_second,
        drain_per_second: watch.per_second(drained),
        bytes_a_job: bytes / waiting as u64,
    })
}
