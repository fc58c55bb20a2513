//! Longshore and its peers on one server, in turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Scale;
use crate::contestant::{Contestant, Tools};
use crate::measure::Turns;
use crate::page::Page;
use crate::program::Program;
use crate::side::Order;
use crate::sink::Sink;
use crate::stage::{Done, Folder, Kind, Stage};

/// Jobs in a call, and how many are enqueued so.
pub const BATCHES: [(usize, usize); 3] = [(1, 1_000), (10, 5_000), (100, 20_000)];
/// All of these.
const ENQUEUED: usize = 26_000;
/// How long that may take.
const ENQUEUE: Duration = Duration::from_secs(3);
/// Processes with a worker each. Together they run this many jobs at a time.
pub const WORKERS: [usize; 2] = [1, 4];
pub const AT_A_TIME: usize = 100;
/// Jobs that wait for them, so many that what a worker does at first counts for little.
const JOBS: usize = 100_000;
/// How long running them may take; what was run by then counts.
const RUN: Duration = Duration::from_secs(8);
/// How long all of a run may take: who hangs is given up.
const PATIENCE: Duration = Duration::from_secs(90);
/// Probes of a run, and the pause between them.
const PROBES: usize = 200;
const PAUSE_US: u64 = 10_000;

/// What a part of a run came to, per job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    pub per_second: f64,
    pub client_us: f64,
    pub server_us: f64,
    pub sink_us: f64,
    pub logged: f64,
    pub requests: f64,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Run {
    pub enqueue: [Part; BATCHES.len()],
    pub work: [Part; WORKERS.len()],
    pub waits_ms: Vec<f64>,
    pub settings: String,
}

/// A run, or why there is none; `None` if there was no time for it.
pub type Outcome = Option<std::result::Result<Run, String>>;

/// Everyone who runs on such a server, in turns, each on an empty one, in as many rounds as end by
/// `until`; one at least.
pub async fn rows(
    kind: Kind,
    folder: &Folder,
    scale: Scale,
    tools: &Tools,
    until: Instant,
) -> Result<()> {
    let mut stage = Stage::start(kind, folder, scale.counts).await?;
    let sink = Sink::start()?;
    let contestants = tools.contestants(kind);
    let mut failed: Vec<Option<String>> = vec![None; contestants.len()];
    let (mut runs, mut rounds, mut is_over) = (0, 0, false);
    let mut round = Instant::now();
    let turns = Turns::take(contestants.len(), scale.rounds, async |at| {
        if runs % contestants.len() == 0 && !is_over {
            let now = Instant::now();
            // Another one would take as long as the last one.
            is_over = runs > 0 && now + (now - round) > until;
            (round, rounds) = (now, rounds + usize::from(!is_over));
        }
        runs += 1;
        if is_over {
            return Ok(None);
        }
        // Who failed once would fail again, and take as long.
        if let Some(why) = &failed[at] {
            return Ok(Some(Err(why.clone())));
        }
        let contestant = contestants[at];
        let started = Instant::now();
        let ran = tokio::time::timeout(PATIENCE, run(contestant, &mut stage, &sink, tools)).await;
        let ran = ran.context("its run took more than 90 s");
        let outcome = ran
            .and_then(|ran| ran)
            .map_err(|error| format!("{error:#}"));
        failed[at] = outcome.as_ref().err().cloned();
        let (name, seconds) = (kind.name(), started.elapsed().as_secs_f64());
        let error = outcome.as_ref().err();
        eprintln!("{name}: {}: {seconds:.1} s {error:?}", contestant.name);
        for line in stage.statements().await? {
            eprintln!("  {line}");
        }
        Ok(Some(outcome))
    })
    .await?;
    Page {
        kind,
        contestants: &contestants,
        turns: &turns,
    }
    .print(&stage.settings().await?, rounds);
    Ok(())
}

async fn run(who: Contestant, stage: &mut Stage<'_>, sink: &Sink, tools: &Tools) -> Result<Run> {
    let mut run = Run::default();
    let url = stage.fresh().await?;
    let mut words = tools.words(who, &url, &sink.url)?;
    let mut producer = Program::start(&words)?;
    run.settings = producer.ask(&Order::SetUp).await?.settings;
    let mut waiting = 0;
    let most = who.most_waiting.unwrap_or(JOBS);
    for (part, (batch, jobs)) in run.enqueue.iter_mut().zip(BATCHES) {
        // Of those that may wait, as many as of all.
        let jobs = jobs * most.min(ENQUEUED) / ENQUEUED;
        let meter = Meter::start(stage, sink, &[&producer]).await?;
        let answer = enqueue(&mut producer, jobs, batch).await?;
        waiting += answer.0;
        *part = meter.stop(stage, sink, &[&producer], answer.0).await?;
        part.per_second = answer.0 as f64 / answer.1;
    }
    for (part, workers) in run.work.iter_mut().zip(WORKERS) {
        // Who is slow at it runs as many as there are.
        for _turn in 0..2 {
            let (jobs, _seconds) = enqueue(&mut producer, most - waiting, 100).await?;
            waiting += jobs;
        }
        let (measured, left) = work(&words, workers, waiting, stage, sink).await?;
        *part = measured;
        waiting = left;
    }
    // A server that cleans up after what was run is not idle.
    let url = stage.fresh().await?;
    words = tools.words(who, &url, &sink.url)?;
    producer = Program::start(&words)?;
    producer.ask(&Order::SetUp).await?;
    match probe(&mut producer, &words).await {
        Ok(waits) => run.waits_ms = waits,
        Err(error) => run.settings += &format!("; the latency was not measured: {error:#}"),
    }
    producer.ask(&Order::Stop).await?;
    Ok(run)
}

/// How many were enqueued, and in how many seconds.
async fn enqueue(producer: &mut Program, jobs: usize, batch: usize) -> Result<(usize, f64)> {
    let order = Order::Enqueue {
        jobs,
        batch,
        milliseconds: ENQUEUE.as_millis() as u64,
    };
    let answer = producer.ask(&order).await?;
    Ok((answer.jobs, answer.seconds))
}

/// Runs what waits with so many workers, each a process; gives back how much is left.
async fn work(
    words: &[String],
    workers: usize,
    waiting: usize,
    stage: &mut Stage<'_>,
    sink: &Sink,
) -> Result<(Part, usize)> {
    let started: Result<Vec<Program>> = (0..workers).map(|_| Program::start(words)).collect();
    let mut programs = started?;
    // Who answers has read its files and opened its store.
    for program in &mut programs {
        program.ask(&Order::Count).await?;
    }
    let all: Vec<&Program> = programs.iter().collect();
    let meter = Meter::start(stage, sink, &all).await?;
    let concurrency = AT_A_TIME / workers;
    let begun = Instant::now();
    for program in &mut programs {
        program.ask(&Order::Work { concurrency }).await?;
    }
    let (mut ran, mut first, mut last) = (0, u64::MAX, 0);
    while ran < waiting && begun.elapsed() < RUN {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ran = 0;
        for program in &mut programs {
            let answer = program.ask(&Order::Count).await?;
            ran += answer.jobs;
            last = last.max(answer.last_us);
            first = first.min(answer.first_us);
        }
    }
    // Its last spans, too, belong to the jobs.
    let mut stopped = 0;
    for program in &mut programs {
        stopped += program.ask(&Order::Stop).await?.jobs;
    }
    let all: Vec<&Program> = programs.iter().collect();
    let mut part = meter.stop(stage, sink, &all, stopped.max(ran)).await?;
    part.per_second = ran as f64 * 1e6 / last.saturating_sub(first) as f64;
    Ok((part, waiting.saturating_sub(ran)))
}

/// Milliseconds from the call that enqueues to the handler in another process, nothing else going
/// on.
async fn probe(producer: &mut Program, words: &[String]) -> Result<Vec<f64>> {
    let mut worker = Program::start(words)?;
    worker.ask(&Order::Work { concurrency: 10 }).await?;
    // It is to have found nothing before.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let order = Order::Probe {
        jobs: PROBES,
        pause_us: PAUSE_US,
    };
    producer.ask(&order).await?;
    let asked = Instant::now();
    loop {
        let ran = worker.ask(&Order::Count).await?.jobs;
        if ran >= PROBES {
            break;
        }
        if asked.elapsed() > Duration::from_secs(10) {
            anyhow::bail!("{ran} of {PROBES} probes ran");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waits = worker.ask(&Order::Stop).await?.waits_us;
    Ok(waits.into_iter().map(|us| us as f64 / 1e3).collect())
}

/// CPU and bytes since it was started.
struct Meter {
    client: f64,
    server: f64,
    sink: f64,
    done: Done,
}

impl Meter {
    async fn start(stage: &mut Stage<'_>, sink: &Sink, programs: &[&Program]) -> Result<Self> {
        Ok(Self {
            client: programs.iter().map(|program| program.cpu()).sum(),
            done: stage.done().await?,
            server: stage.cpu(),
            sink: sink.cpu_so_far()?.as_secs_f64(),
        })
    }

    async fn stop(
        self,
        stage: &mut Stage<'_>,
        sink: &Sink,
        programs: &[&Program],
        jobs: usize,
    ) -> Result<Part> {
        let now = Self::start(stage, sink, programs).await?;
        let each = |now: f64, before: f64| (now - before) / jobs as f64;
        Ok(Part {
            per_second: 0.0,
            client_us: each(now.client, self.client) * 1e6,
            server_us: each(now.server, self.server) * 1e6,
            sink_us: each(now.sink, self.sink) * 1e6,
            logged: each(now.done.logged, self.done.logged),
            requests: each(now.done.requests, self.done.requests),
        })
    }
}
