//! How long a job waits for a free worker.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use tokio::sync::oneshot;

use crate::engine;

/// A queue of its own, so that the load does not stand in line before the probes.
const QUEUE: &str = "probe";

pub struct Latency {
    pub p50_ms: f64,
    pub p99_ms: f64,
}

fn wall_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_nanos() as u64
}

/// Enqueues `count` probes, each of which carries the time just before its call.
pub async fn produce(path: &Path, count: usize, pause_us: u64) -> Result<()> {
    let producer = Producer::new(engine::open(path)?);
    for _probe in 0..count {
        let request = JobRequest::new(QUEUE, engine::KIND).args(&wall_nanos());
        producer.enqueue(request).await?;
        tokio::time::sleep(Duration::from_micros(pause_us)).await;
    }
    Ok(())
}

/// Probes every few milliseconds, from this process or another; `busy` keeps a second queue and
/// worker going beside them.
pub async fn measure(path: &Path, probes: usize, other: bool, busy: bool) -> Result<Latency> {
    let store = engine::open(path)?;
    let seen = Arc::new(Mutex::new(Vec::with_capacity(probes)));
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::builder(Arc::clone(&store))
        .queue(QUEUE)
        .concurrency(10)
        .handler_with(engine::KIND, Arc::clone(&seen), probe)
        .build()
        .context("the worker cannot be built")?;
    let worker = tokio::spawn(worker.run(async {
        let _stopped = stopped.await;
    }));
    let load = busy.then(|| tokio::spawn(load(store)));
    if other {
        let me = std::env::current_exe()?;
        let status = tokio::process::Command::new(me)
            .args(["produce".as_ref(), path.as_os_str()])
            .args([probes.to_string(), "3000".to_owned()])
            .stdin(Stdio::null())
            .status()
            .await?;
        if !status.success() {
            bail!("the other process failed: {status}");
        }
    } else {
        produce(path, probes, 3000).await?;
    }
    let _worker_is_there = stop.send(());
    worker.await??;
    if let Some(load) = load {
        load.abort();
    }
    let mut seen = std::mem::take(&mut *seen.lock().expect("no handler panics"));
    seen.sort_unstable();
    let at = |share: f64| {
        let index = ((seen.len() as f64 * share) as usize).min(seen.len().saturating_sub(1));
        seen.get(index).copied().unwrap_or_default() as f64 / 1e6
    };
    if seen.len() != probes {
        bail!("{} of {probes} probes ran", seen.len());
    }
    Ok(Latency {
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

async fn probe(
    seen: Arc<Mutex<Vec<u64>>>,
    enqueued: u64,
    _attempt: Attempt,
) -> Result<(), JobError> {
    let waited = wall_nanos().saturating_sub(enqueued);
    seen.lock().expect("no handler panics").push(waited);
    Ok(())
}

/// Batches of 20 jobs, enqueued, claimed and settled without a pause.
async fn load(store: Arc<dyn longshore_core::Store>) -> Result<()> {
    loop {
        engine::enqueue(&*store, 20, 20).await?;
        engine::drain(&*store, 20, 20).await?;
    }
}
