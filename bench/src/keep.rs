//! Whether the traces of failed and slow jobs are whole at a low sampling rate, whatever happens
//! to the workers.
//!
//! For each seed two producers and two workers, each a process of its own, run thousands of jobs
//! that fail, wait, snooze and dawdle as their numbers say; in the last quarter failures are ten
//! times as frequent. Meanwhile workers are killed at random moments and started again. Then the
//! [`checker`] judges from the rows of the job table, and from what arrived at a receiver, whether
//! every failed or slow job has its whole trace, and how many of the others left one.
//!
//! The jobs are in a SQLite file of their own, or where `LONGSHORE_KEEP_STORE` says: in any store, by
//! its URL, or in a private server of `postgres`, `redis` or `s3`.

mod checker;
mod place;
mod plan;
mod receiver;
mod roles;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use longshore_core::{QueueStats, Store};
use tokio::time::{Instant, sleep};

use crate::Folder;
use crate::measure::Table;
use checker::Verdict;
use place::{Place, Server};
use receiver::Receiver;

/// Jobs of one seed.
const JOBS: u64 = 20_000;
/// Seeds, and so runs.
const SEEDS: u64 = 20;
/// How often a worker is killed in one run.
const KILLS: u64 = 8;
/// The longest time that one run may take.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs one of the processes of the experiment.
pub async fn role(words: &[&str]) -> Result<()> {
    let [role, place @ ..] = words else {
        bail!("no role");
    };
    let (place, more) = Place::from_words(place)?;
    match (*role, more) {
        ("producer", [seed, part]) => {
            roles::produce(&place, seed.parse()?, part.parse()?, jobs()).await
        }
        ("worker", []) => roles::work(&place).await,
        ("last", []) => roles::sweep(&place).await,
        _ => bail!("no such role: {words:?}"),
    }
}

/// `LONGSHORE_KEEP_JOBS` and `LONGSHORE_KEEP_SEEDS` make it smaller or larger.
fn jobs() -> u64 {
    number("LONGSHORE_KEEP_JOBS").unwrap_or(JOBS)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs every seed and prints a row for each.
pub async fn rows(folder: &Folder) -> Result<()> {
    let server = Server::start(std::env::var("LONGSHORE_KEEP_STORE").ok().as_deref())?;
    let name = server.name();
    let mut table = Table::new(
        format!(
            "Keeping at 1 % ({name}): failed or slow jobs whose trace is whole, and others that left one"
        ),
        &[
            "seed",
            "jobs",
            "failed or slow",
            "whole",
            "others",
            "others that left",
            "kills",
            "s",
        ],
    );
    let first = number("LONGSHORE_KEEP_FIRST_SEED").unwrap_or(1);
    let seeds = number("LONGSHORE_KEEP_SEEDS").unwrap_or(SEEDS);
    let mut total = Verdict::default();
    for seed in first..first + seeds {
        let clock = Instant::now();
        let (verdict, kills) = run(&server, &folder.fresh(), seed).await?;
        for problem in verdict.problems.iter().take(5) {
            println!("seed {seed}: {problem}");
        }
        let seconds = format!("{:.1}", clock.elapsed().as_secs_f64());
        let mut row = vec![seed.to_string()];
        row.extend(verdict.cells());
        row.extend([kills.to_string(), seconds]);
        table.row(row);
        total.add(verdict);
    }
    let mut row = vec!["all".to_owned()];
    row.extend(total.cells());
    row.extend([String::new(), String::new()]);
    table.row(row);
    table.print();
    ensure!(
        total.problems.is_empty(),
        "{} jobs without their whole trace",
        total.problems.len()
    );
    Ok(())
}

/// One seed: gives the verdict and how many workers were killed.
async fn run(server: &Server, path: &Path, seed: u64) -> Result<(Verdict, u64)> {
    let folder = path.with_extension("keep");
    std::fs::create_dir_all(&folder)?;
    let receiver = Receiver::start()?;
    let place = Place::new(server, &folder, &receiver.url)?;
    let store = place.open()?;
    store.now().await?;
    let mut producers =
        [0, 1].map(|part: u64| start("producer", &place, &[&seed.to_string(), &part.to_string()]));
    let mut workers = [(); 2].map(|()| start("worker", &place, &[]));
    let mut random = plan::Random::new(seed);
    let began = Instant::now();
    let mut kills = 0;
    loop {
        sleep(Duration::from_millis(200 + random.below(1200))).await;
        ensure!(began.elapsed() < LIMIT, "seed {seed} takes too long");
        let enqueued = ended(&mut producers)?;
        let (left, over) = standing(&*store, &place).await?;
        // Counts may lag.
        if enqueued && left == 0 && over == jobs() {
            break;
        }
        if kills < KILLS && left > 0 {
            let victim = &mut workers[random.below(2) as usize];
            let child = victim
                .as_mut()
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            child.kill()?;
            child.wait()?;
            *victim = start("worker", &place, &[]);
            kills += 1;
        }
    }
    for worker in workers {
        let mut worker = worker?;
        // Its standard input is what it listens to.
        drop(worker.stdin.take());
        ensure!(worker.wait()?.success(), "a worker did not end well");
    }
    let mut last = start("last", &place, &[])?;
    ensure!(
        last.wait()?.success(),
        "what killed workers left was not sent"
    );
    let verdict = checker::judge(&*store, &place, &receiver.take()).await?;
    ensure!(verdict.jobs() == jobs(), "not every job is listed");
    std::fs::remove_dir_all(&folder)?;
    Ok((verdict, kills))
}

fn start(role: &str, place: &Place, more: &[&str]) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["keep-role", role])
        .args(place.words())
        .args(more)
        .stdin(Stdio::piped())
        .spawn()
        .context("a process of the experiment")
}

fn ended(producers: &mut [Result<Child>]) -> Result<bool> {
    let mut all = true;
    for producer in producers {
        let child = producer
            .as_mut()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        match child.try_wait()? {
            Some(status) => ensure!(status.success(), "a producer failed"),
            None => all = false,
        }
    }
    Ok(all)
}

/// How many jobs are not over, and how many are.
async fn standing(store: &dyn Store, place: &Place) -> Result<(u64, u64)> {
    let stats = store.queue_stats().await?;
    let own = stats.iter().find(|stats| stats.queue == place.queue);
    let over = |stats: &QueueStats| stats.completed + stats.cancelled + stats.discarded;
    Ok(own.map_or((0, 0), |stats| (stats.unfinished(), over(stats))))
}
