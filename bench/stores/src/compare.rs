//! Longshore and its peers on one server, in turns.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Scale;
use crate::contestant::{Contestant, Tools};
use crate::measure::{Samples, Table, Turns};
use crate::program::Program;
use crate::side::Order;
use crate::sink::Sink;
use crate::stage::{Folder, Kind, Stage};

/// Jobs in a call, and how many are enqueued so.
const BATCHES: [(usize, usize); 3] = [(1, 1_000), (10, 5_000), (100, 20_000)];
/// How long that may take.
const ENQUEUE: Duration = Duration::from_secs(3);
/// Processes with a worker each. Together they run this many jobs at a time.
const WORKERS: [usize; 2] = [1, 4];
const AT_A_TIME: usize = 100;
/// Jobs that wait for them.
const JOBS: usize = 26_000;
/// How long running them may take; what was run by then counts.
const RUN: Duration = Duration::from_secs(8);
/// After so long no further round begins: the whole page is to take 20 minutes at most.
const ROUNDS: Duration = Duration::from_secs(150);
const ROUNDS_OF_MANY: Duration = Duration::from_secs(480);
/// Probes of a run, and the pause between them.
const PROBES: usize = 200;
const PAUSE_US: u64 = 5_000;

/// What a part of a run came to, per job.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    per_second: f64,
    client_us: f64,
    server_us: f64,
    sink_us: f64,
    logged: f64,
}

/// What a run came to.
#[derive(Debug, Default)]
struct Run {
    enqueue: [Part; BATCHES.len()],
    work: [Part; WORKERS.len()],
    waits_ms: Vec<f64>,
    settings: String,
}

/// A run, or why there is none.
type Outcome = std::result::Result<Run, String>;

/// Everyone who runs on such a server, in turns, each on an empty one.
pub async fn rows(kind: Kind, folder: &Folder, scale: Scale, tools: &Tools) -> Result<()> {
    let mut stage = match Stage::start(kind, folder).await {
        Ok(stage) => stage,
        Err(error) => {
            println!("### {kind:?}\n\nnot measured: {error:#}\n");
            return Ok(());
        }
    };
    let sink = Sink::start()?;
    let contestants = tools.contestants(kind);
    let mut failed: Vec<Option<String>> = vec![None; contestants.len()];
    let begun = Instant::now();
    let most = match contestants.len() {
        0..=5 => ROUNDS,
        _ => ROUNDS_OF_MANY,
    };
    let turns = Turns::take(contestants.len(), scale.rounds, async |at| {
        // Who failed once would fail again, and take as long.
        if let Some(why) = &failed[at] {
            return Ok(Err(why.clone()));
        }
        if begun.elapsed() > most {
            return Ok(Err("there was no time for another round".to_owned()));
        }
        let contestant = contestants[at];
        let started = Instant::now();
        let ran = run(contestant, &mut stage, &sink, tools).await;
        let outcome = ran.map_err(|error| format!("{error:#}"));
        failed[at] = outcome.as_ref().err().cloned();
        let seconds = started.elapsed().as_secs_f64();
        eprintln!(
            "{kind:?}: {}: {seconds:.1} s {:?}",
            contestant.name,
            outcome.as_ref().err()
        );
        Ok(outcome)
    })
    .await?;
    println!(
        "## {kind:?}\n\n{}; {} rounds\n",
        stage.settings().await?,
        scale.rounds
    );
    Page {
        kind,
        contestants: &contestants,
        turns: &turns,
    }
    .print();
    Ok(())
}

async fn run(who: Contestant, stage: &mut Stage<'_>, sink: &Sink, tools: &Tools) -> Result<Run> {
    let mut run = Run::default();
    let url = stage.fresh().await?;
    let words = tools.words(who, &url, &sink.url)?;
    let mut producer = Program::start(&words)?;
    run.settings = producer.ask(&Order::SetUp).await?.settings;
    let mut waiting = 0;
    let most = who.most_waiting.unwrap_or(JOBS);
    for (part, (batch, jobs)) in run.enqueue.iter_mut().zip(BATCHES) {
        // Of those that may wait, as many as of all.
        let jobs = jobs * most / JOBS;
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
    if waiting > 0 {
        let url = stage.fresh().await?;
        let words = tools.words(who, &url, &sink.url)?;
        producer = Program::start(&words)?;
        producer.ask(&Order::SetUp).await?;
        run.waits_ms = probe(&mut producer, &words).await?;
    } else {
        run.waits_ms = probe(&mut producer, &words).await?;
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
    logged: f64,
}

impl Meter {
    async fn start(stage: &mut Stage<'_>, sink: &Sink, programs: &[&Program]) -> Result<Self> {
        Ok(Self {
            client: programs.iter().map(|program| program.cpu()).sum(),
            logged: stage.logged().await,
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
            logged: each(now.logged, self.logged),
        })
    }
}

/// The tables of one server.
struct Page<'p> {
    kind: Kind,
    contestants: &'p [Contestant],
    turns: &'p Turns<Outcome>,
}

/// Where Longshore without tracing stands, and with all of it.
const OFF: usize = 0;
const ALL: usize = 2;

impl Page<'_> {
    fn print(&self) {
        self.enqueue();
        for at in 0..WORKERS.len() {
            self.work(at);
        }
        self.latency();
        for (at, contestant) in self.contestants.iter().enumerate() {
            let mut said = Vec::new();
            let runs = self.turns.runs(at);
            match runs.iter().flatten().next() {
                Some(run) => said.push(run.settings.clone()),
                None => said.push("**not measured**".to_owned()),
            }
            let whys = runs.iter().filter_map(|run| run.as_ref().err());
            said.extend(whys.last().map(|why| format!("at last: {why}")));
            println!("- {}: {}", contestant.name, said.join("; "));
        }
        println!();
    }

    fn cell(&self, at: usize, digits: usize, of: impl Fn(&Run) -> f64) -> String {
        let runs = self.turns.runs(at).iter().flatten();
        let samples: Samples = runs.map(of).collect();
        if samples.median().is_nan() {
            return "–".to_owned();
        }
        samples.cell(digits)
    }

    /// By how much `ours` is ahead in a round.
    fn ahead(&self, ours: usize, at: usize, of: impl Fn(&Run) -> f64) -> String {
        let rounds = self.turns.runs(ours).iter().zip(self.turns.runs(at));
        let both = rounds.filter_map(|(ours, it)| ours.as_ref().ok().zip(it.as_ref().ok()));
        let samples: Samples = both.map(|(ours, it)| of(ours) / of(it)).collect();
        if at == ours || samples.median().is_nan() {
            return "–".to_owned();
        }
        samples.spread(2)
    }

    fn enqueue(&self) {
        let title = format!(
            "{:?}: enqueue, one caller, one call after the other",
            self.kind
        );
        let mut table = Table::new(
            title,
            &[
                "queue",
                "by 1: jobs/s",
                "µs CPU each, client",
                "server",
                "by 10: jobs/s",
                "client",
                "server",
                "by 100: jobs/s",
                "client",
                "server",
                "log bytes each",
                "no tracing, of it, by 1",
                "by 10",
                "by 100",
                "tracing 100 %, of it, by 100",
            ],
        );
        for (at, contestant) in self.contestants.iter().enumerate() {
            let mut cells = vec![contestant.name.to_owned()];
            for size in 0..BATCHES.len() {
                cells.push(self.cell(at, 0, |run| run.enqueue[size].per_second));
                cells.push(self.cell(at, 1, |run| run.enqueue[size].client_us));
                cells.push(self.cell(at, 1, |run| run.enqueue[size].server_us));
            }
            let last = BATCHES.len() - 1;
            cells.push(self.cell(at, 0, |run| run.enqueue[last].logged));
            for size in 0..BATCHES.len() {
                cells.push(self.ahead(OFF, at, |run| run.enqueue[size].per_second));
            }
            cells.push(self.ahead(ALL, at, |run| run.enqueue[last].per_second));
            table.row(cells);
        }
        table.print();
    }

    fn work(&self, size: usize) {
        let workers = WORKERS[size];
        let title = format!(
            "{:?}: no-op jobs, {workers} worker{} of {} jobs at a time",
            self.kind,
            if workers == 1 {
                ""
            } else {
                "s, each a process,"
            },
            AT_A_TIME / workers,
        );
        let mut table = Table::new(
            title,
            &[
                "queue",
                "jobs/s",
                "µs CPU each, client",
                "server",
                "receiver of spans",
                "log bytes each",
                "no tracing, of it",
                "tracing 100 %, of it",
                "CPU of both, of no tracing's",
            ],
        );
        let both = |run: &Run| run.work[size].client_us + run.work[size].server_us;
        for (at, contestant) in self.contestants.iter().enumerate() {
            table.row(vec![
                contestant.name.to_owned(),
                self.cell(at, 0, |run| run.work[size].per_second),
                self.cell(at, 1, |run| run.work[size].client_us),
                self.cell(at, 1, |run| run.work[size].server_us),
                self.cell(at, 1, |run| run.work[size].sink_us),
                self.cell(at, 0, |run| run.work[size].logged),
                self.ahead(OFF, at, |run| run.work[size].per_second),
                self.ahead(ALL, at, |run| run.work[size].per_second),
                self.ahead(at, OFF, both),
            ]);
        }
        table.print();
    }

    fn latency(&self) {
        let title = format!(
            "{:?}: from the call that enqueues to the handler in another process, idle",
            self.kind
        );
        let mut table = Table::new(title, &["queue", "p50 ms", "p99 ms", "longest ms"]);
        for (at, contestant) in self.contestants.iter().enumerate() {
            let runs = self.turns.runs(at).iter().flatten();
            let waits: Samples = runs.flat_map(|run| run.waits_ms.iter().copied()).collect();
            let quantile = |share| match waits.quantile(share) {
                value if value.is_nan() => "–".to_owned(),
                value => format!("{value:.2}"),
            };
            table.row(vec![
                contestant.name.to_owned(),
                quantile(0.5),
                quantile(0.99),
                quantile(1.0),
            ]);
        }
        table.print();
    }
}
