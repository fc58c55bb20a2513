//! Measures Longshore beside its peers and beside bare SQL, all in one run, all as durable: WAL
//! with `synchronous=FULL`. Prints a table in Markdown.
//!
//! `cargo xtask bench` runs everything; `--quick` takes a tenth of the jobs and leaves out a
//! million waiting ones. `LONGSHORE_BENCH_DIR` says on which disk.

mod engine;
mod floor;
mod growth;
mod latency;
mod measure;
mod peer;
mod recorder;
mod sink;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use measure::{Rate, Scale, Table, megabytes_resident};

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => all(Scale::FULL).await,
        ["--quick"] => all(Scale::QUICK).await,
        // The other process of the rows with tracing.
        ["sink"] => sink::serve(),
        // The other process of the latency rows.
        ["produce", path, count, pause_us] => {
            latency::produce(Path::new(path), count.parse()?, pause_us.parse()?).await
        }
        _ => bail!("usage: longshore-bench [--quick]"),
    }
}

/// A fresh folder for the files of a run, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let base =
            std::env::var_os("LONGSHORE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("longshore-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

async fn all(scale: Scale) -> Result<()> {
    let folder = Folder::new()?;
    println!("{}\n", measure::machine());
    let floor = floor_rows(&folder, scale)?;
    let store = store_rows(&folder, scale, &floor).await?;
    let off = worker_rows(&folder, scale).await?;
    peer_rows(&folder, scale, off).await?;
    drop(store);
    engine_rows();
    latency_rows(&folder, scale).await?;
    growth_rows(&folder, scale).await?;
    println!("memory at the end: {} MB resident", megabytes_resident());
    Ok(())
}

const BATCHES: [usize; 3] = [1, 100, 1000];

fn floor_rows(folder: &Folder, scale: Scale) -> Result<Vec<Rate>> {
    let mut table = Table::new(
        "Bare SQL in a loop",
        &[
            "schema",
            "batch",
            "insert/s",
            "claim and settle/s",
            "whole cycles/s",
            "µs CPU a cycle",
        ],
    );
    let mut rates = Vec::new();
    for batch in BATCHES {
        let jobs = scale.jobs(batch);
        let minimal = floor::minimal(&folder.file(&format!("minimal-{batch}.db")), jobs, batch)?;
        table.row(cycle_cells("minimal", batch, minimal));
        let ours = floor::ours(&folder.file(&format!("floor-{batch}.db")), jobs, batch)?;
        table.row(cycle_cells("Longshore's", batch, ours));
        rates.push(ours);
    }
    table.print();
    Ok(rates)
}

fn cycle_cells(name: &str, batch: usize, rate: Rate) -> Vec<String> {
    vec![
        name.to_owned(),
        batch.to_string(),
        format!("{:.0}", rate.enqueue_per_second),
        format!("{:.0}", rate.drain_per_second),
        format!("{:.0}", rate.cycles_per_second()),
        format!("{:.1}", rate.cpu_us),
    ]
}

async fn store_rows(folder: &Folder, scale: Scale, floor: &[Rate]) -> Result<Vec<Rate>> {
    let mut table = Table::new(
        "The SQLite store, called directly",
        &[
            "calls",
            "batch",
            "enqueue/s",
            "claim and settle/s",
            "whole cycles/s",
            "µs CPU a cycle",
            "of the floor",
        ],
    );
    let mut rates = Vec::new();
    for (batch, floor) in BATCHES.into_iter().zip(floor) {
        let path = folder.file(&format!("store-{batch}.db"));
        let rate = engine::store(&path, scale.jobs(batch), batch).await?;
        let mut cells = cycle_cells("one caller", batch, rate);
        cells.push(format!(
            "{:.2}",
            rate.cycles_per_second() / floor.cycles_per_second()
        ));
        table.row(cells);
        rates.push(rate);
    }
    table.print();
    Ok(rates)
}

async fn worker_rows(folder: &Folder, scale: Scale) -> Result<Rate> {
    let mut table = Table::new(
        "No-op jobs end to end: producer, worker with 100 handlers at a time, SQLite",
        &[
            "tracing",
            "enqueue one by one/s",
            "enqueue by 100/s",
            "µs CPU each",
            "run/s",
            "µs CPU each",
            "run/s, of off",
            "spans exported",
            "lost",
        ],
    );
    let mut off = None;
    for (name, ratio) in [("off", None), ("1 %", Some(0.01)), ("100 %", Some(1.0))] {
        let path = folder.file(&format!("worker-{}.db", name.replace(' ', "")));
        let run = engine::end_to_end(&path, scale.jobs(100), scale.jobs(1), ratio).await?;
        let base = *off.get_or_insert(run.rate);
        table.row(vec![
            name.to_owned(),
            format!("{:.0}", run.single_per_second),
            format!("{:.0}", run.rate.enqueue_per_second),
            format!("{:.1}", run.enqueue_cpu_us),
            format!("{:.0}", run.rate.drain_per_second),
            format!("{:.1}", run.rate.cpu_us),
            format!("{:.2}", run.rate.drain_per_second / base.drain_per_second),
            run.exported.to_string(),
            run.dropped.to_string(),
        ]);
    }
    table.print();
    off.context("nothing was measured")
}

async fn peer_rows(folder: &Folder, scale: Scale, ours: Rate) -> Result<()> {
    let mut table = Table::new(
        "apalis 1.0 with apalis-sqlite 1.0, on the same durability",
        &["what", "apalis/s", "Longshore/s", "ratio"],
    );
    let peer = peer::run(&folder.file("apalis.db"), scale.peer_jobs()).await?;
    for (what, theirs, ours) in [
        (
            "enqueue by 100",
            peer.enqueue_per_second,
            ours.enqueue_per_second,
        ),
        (
            "run no-op jobs, 100 at a time",
            peer.drain_per_second,
            ours.drain_per_second,
        ),
    ] {
        table.row(vec![
            what.to_owned(),
            format!("{theirs:.0}"),
            format!("{ours:.0}"),
            format!("{:.1}", ours / theirs),
        ]);
    }
    table.print();
    Ok(())
}

fn engine_rows() {
    let mut table = Table::new(
        "Telemetry of one no-op job's attempt, no store and no worker around it",
        &["sampled", "ns", "allocations"],
    );
    for sampled in [false, true] {
        let cost = engine::telemetry_of_one_attempt(sampled);
        table.row(vec![
            if sampled { "yes: spans built" } else { "no" }.to_owned(),
            format!("{:.0}", cost.nanoseconds),
            format!("{:.1}", cost.allocations),
        ]);
    }
    table.print();
}

async fn latency_rows(folder: &Folder, scale: Scale) -> Result<()> {
    let mut table = Table::new(
        "From the call that enqueues to the start of the handler",
        &["where", "load", "p50 ms", "p99 ms"],
    );
    for (place, load, other, busy) in [
        ("same process", "idle", false, false),
        ("same process", "loaded", false, true),
        ("another process", "idle", true, false),
        ("another process", "loaded", true, true),
    ] {
        let name = format!("latency-{}-{}.db", u8::from(other), u8::from(busy));
        let seen = latency::measure(&folder.file(&name), scale.probes(), other, busy).await?;
        table.row(vec![
            place.to_owned(),
            load.to_owned(),
            format!("{:.2}", seen.p50_ms),
            format!("{:.2}", seen.p99_ms),
        ]);
    }
    table.print();
    Ok(())
}

async fn growth_rows(folder: &Folder, scale: Scale) -> Result<()> {
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
        let path = folder.file(&format!("growth-{waiting}.db"));
        let seen = growth::measure(&path, *waiting).await?;
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
