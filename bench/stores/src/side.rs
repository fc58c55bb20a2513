//! The measured program: it does what the measuring one says, line by line, so that each runs in a
//! process of its own, in whatever language, and its CPU is counted apart.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The queue, and the kind of the jobs.
pub const QUEUE: &str = "bench";

/// What a program is told, one JSON object a line. The program for Node reads the same.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Make the tables, and say how all is set up.
    SetUp,
    /// Enqueue `jobs` jobs, `batch` in a call, one call after the other, for as long as allowed.
    Enqueue {
        jobs: usize,
        batch: usize,
        milliseconds: u64,
    },
    /// Enqueue jobs that carry the time just before their call.
    Probe { jobs: usize, pause_us: u64 },
    /// Start a worker.
    Work { concurrency: usize },
    /// Say how many jobs ran.
    Count,
    /// Stop the worker, and say how long probes waited.
    Stop,
}

/// What it answers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Answer {
    /// Why it failed.
    pub error: Option<String>,
    /// How it is set up.
    pub settings: String,
    /// Jobs enqueued, or run so far.
    pub jobs: usize,
    /// How long enqueueing them took.
    pub seconds: f64,
    /// When the first job ran, and the last one, in microseconds of the epoch.
    pub first_us: u64,
    pub last_us: u64,
    /// How long each probe waited, in microseconds.
    pub waits_us: Vec<u64>,
}

/// What handlers note. Jobs carry 0, or the time in microseconds when they were enqueued.
#[derive(Debug)]
pub struct Tally {
    jobs: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
    waits_us: Mutex<Vec<u64>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            jobs: AtomicU64::new(0),
            first_us: AtomicU64::new(u64::MAX),
            last_us: AtomicU64::new(0),
            waits_us: Mutex::default(),
        }
    }
}

impl Tally {
    /// A handler ran a job that carries `stamp`.
    pub fn ran(&self, stamp: u64) {
        let now = now_us();
        if stamp > 0 {
            let mut waits = self.waits_us.lock().expect("nobody panics");
            waits.push(now.saturating_sub(stamp));
        }
        self.first_us.fetch_min(now, Ordering::Relaxed);
        self.last_us.fetch_max(now, Ordering::Relaxed);
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_micros() as u64
}

/// A worker that runs until it is told to stop.
#[derive(Debug)]
pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

/// When a worker is to stop.
pub type Stopped = oneshot::Receiver<()>;

impl Running {
    /// Starts what `run` gives; it ends soon after its argument is ready.
    pub fn start<F>(run: impl FnOnce(Stopped) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(stopped));
        Self { stop, task }
    }

    /// Stops it, or gives it up after a while: its jobs are done.
    async fn stop(mut self) -> Result<()> {
        let _ended_already = self.stop.send(());
        match tokio::time::timeout(Duration::from_secs(3), &mut self.task).await {
            Ok(ended) => ended.context("the worker panicked")?,
            Err(_elapsed) => {
                self.task.abort();
                Ok(())
            }
        }
    }
}

/// One queue, as its own documents show it.
pub trait Side {
    /// Makes the tables; gives back the settings that matter, in words.
    async fn set_up(&mut self) -> Result<String>;

    /// Enqueues a job for each of `stamps`, which it carries, in one call.
    async fn enqueue(&mut self, stamps: &[u64]) -> Result<()>;

    /// Starts a worker whose handlers do nothing but [`Tally::ran`].
    async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running>;

    /// What has to be waited for at the end.
    async fn finish(&mut self) {}
}

/// Does what standard input says until it ends.
pub async fn serve(mut side: impl Side) -> Result<()> {
    let tally = Arc::new(Tally::default());
    let mut running = None;
    let (lines, mut next) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = next.recv().await {
        let order = serde_json::from_str(&line?).context("no order")?;
        let answer = obey(order, &mut side, &tally, &mut running).await;
        let answer = answer.unwrap_or_else(|error| Answer {
            error: Some(format!("{error:#}")),
            ..Answer::default()
        });
        println!("{}", serde_json::to_string(&answer)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Says why the measured program ended, in place of an answer, so that the table says it.
pub fn explain(served: Result<()>) -> Result<()> {
    if let Err(error) = &served {
        let answer = Answer {
            error: Some(format!("{error:#}")),
            ..Answer::default()
        };
        println!("{}", serde_json::to_string(&answer)?);
    }
    served
}

async fn obey(
    order: Order,
    side: &mut impl Side,
    tally: &Arc<Tally>,
    running: &mut Option<Running>,
) -> Result<Answer> {
    let mut answer = Answer::default();
    match order {
        Order::SetUp => answer.settings = side.set_up().await?,
        Order::Enqueue {
            jobs,
            batch,
            milliseconds,
        } => {
            let (started, most) = (Instant::now(), Duration::from_millis(milliseconds));
            while answer.jobs < jobs && started.elapsed() < most {
                let batch = batch.min(jobs - answer.jobs);
                side.enqueue(&vec![0; batch]).await?;
                answer.jobs += batch;
            }
            answer.seconds = started.elapsed().as_secs_f64();
        }
        Order::Probe { jobs, pause_us } => {
            for _probe in 0..jobs {
                side.enqueue(&[now_us()]).await?;
                tokio::time::sleep(Duration::from_micros(pause_us)).await;
            }
            answer.jobs = jobs;
        }
        Order::Work { concurrency } => {
            *running = Some(side.work(concurrency, Arc::clone(tally)).await?);
        }
        Order::Count => {
            let ended = running.as_ref().is_some_and(|run| run.task.is_finished());
            if let Some(run) = running.take_if(|_| ended) {
                run.stop().await?;
                anyhow::bail!("the worker ended by itself");
            }
        }
        Order::Stop => {
            if let Some(run) = running.take() {
                run.stop().await?;
            }
            side.finish().await;
            let mut waits = tally.waits_us.lock().expect("nobody panics");
            answer.waits_us = std::mem::take(&mut *waits);
        }
    }
    if answer.jobs == 0 {
        answer.jobs = tally.jobs.load(Ordering::Relaxed) as usize;
        answer.first_us = tally.first_us.load(Ordering::Relaxed);
        answer.last_us = tally.last_us.load(Ordering::Relaxed);
    }
    Ok(answer)
}
