//! How long a job waits for a free worker.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use longshore_core::Store;
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use tokio::sync::oneshot;

use crate::Folder;
use crate::direct::{self, KIND};
use crate::measure::{Samples, Scale, Stopwatch, Table, Turns};
use crate::store::open;

/// A queue of its own, so that the load does not stand in line before the probes.
const QUEUE: &str = "probe";
/// Probes of one run, and the pause between them.
const PROBES: usize = 200;
const PAUSE_US: u64 = 3000;

fn wall_nanos() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_nanos() as u64
}

pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let variants = [
        ("same process", "idle", false, false),
        ("same process", "loaded", false, true),
        ("another process", "idle", true, false),
        ("another process", "loaded", true, true),
    ];
    let turns = Turns::take(variants.len(), scale.rounds(10), async |variant| {
        let (_, _, other, busy) = variants[variant];
        measure(&folder.fresh(), other, busy).await
    })
    .await?;
    let mut table = Table::new(
        "From the call that enqueues to the start of the handler",
        &["where", "load", "p50 ms", "p99 ms", "longest ms"],
    );
    for (variant, (place, load, _, _)) in variants.into_iter().enumerate() {
        let waits: Samples = turns.runs(variant).iter().flatten().copied().collect();
        table.row(vec![
            place.to_owned(),
            load.to_owned(),
            waits.cell(2),
            format!("{:.2}", waits.quantile(0.99)),
            format!("{:.2}", waits.quantile(1.0)),
        ]);
    }
    table.print();
    let share = idle(&folder.fresh()).await?;
    println!(
        "a worker with nothing to do: {:.2} % of a core\n",
        share * 100.0
    );
    Ok(())
}

/// Enqueues `count` probes, each of which carries the time just before its call.
async fn produce(store: Arc<dyn Store>, count: usize, pause_us: u64) -> Result<()> {
    let producer = Producer::new(store);
    for _probe in 0..count {
        let request = JobRequest::new(QUEUE, KIND).args(&wall_nanos());
        producer.enqueue(request).await?;
        tokio::time::sleep(Duration::from_micros(pause_us)).await;
    }
    Ok(())
}

/// The same from a process of its own.
pub async fn produce_elsewhere(path: &Path, count: usize, pause_us: u64) -> Result<()> {
    produce(open(path)?, count, pause_us).await
}

/// What share of a core a worker takes that has nothing to do.
async fn idle(path: &Path) -> Result<f64> {
    let worker = Worker::builder(open(path)?)
        .queue(QUEUE)
        .handler(KIND, async |(): (), _attempt| Ok::<(), JobError>(()))
        .build()
        .context("the worker cannot be built")?;
    let watch = Stopwatch::start();
    worker
        .run(tokio::time::sleep(Duration::from_secs(5)))
        .await?;
    Ok(watch.cpu_share())
}

/// Milliseconds that probes waited, one every few milliseconds, from this process or another;
/// `busy` keeps a second queue and worker going beside them.
async fn measure(path: &Path, other: bool, busy: bool) -> Result<Vec<f64>> {
    let store = open(path)?;
    let seen = Arc::new(Mutex::new(Vec::with_capacity(PROBES)));
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::builder(Arc::clone(&store))
        .queue(QUEUE)
        .concurrency(10)
        .handler_with(KIND, Arc::clone(&seen), probe)
        .build()
        .context("the worker cannot be built")?;
    let worker = tokio::spawn(worker.run(async {
        let _stopped = stopped.await;
    }));
    let load = busy.then(|| tokio::spawn(load(Arc::clone(&store))));
    if other {
        let me = std::env::current_exe()?;
        let status = tokio::process::Command::new(me)
            .args(["produce".as_ref(), path.as_os_str()])
            .args([PROBES.to_string(), PAUSE_US.to_string()])
            .stdin(Stdio::null())
            .status()
            .await?;
        if !status.success() {
            bail!("the other process failed: {status}");
        }
    } else {
        produce(store, PROBES, PAUSE_US).await?;
    }
    let _worker_is_there = stop.send(());
    worker.await??;
    if let Some(load) = load {
        load.abort();
    }
    let seen = std::mem::take(&mut *seen.lock().expect("no handler panics"));
    if seen.len() != PROBES {
        bail!("{} of {PROBES} probes ran", seen.len());
    }
    Ok(seen)
}

async fn probe(
    seen: Arc<Mutex<Vec<f64>>>,
    enqueued: u64,
    _attempt: Attempt,
) -> Result<(), JobError> {
    let waited = wall_nanos().saturating_sub(enqueued);
    seen.lock()
        .expect("no handler panics")
        .push(waited as f64 / 1e6);
    Ok(())
}

/// Batches of 20 jobs, enqueued, claimed and settled without a pause.
async fn load(store: Arc<dyn Store>) -> Result<()> {
    loop {
        direct::enqueue(&*store, 20, 20).await?;
        direct::drain(&*store, 20, 20).await?;
    }
}
