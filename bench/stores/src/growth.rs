//! What many jobs cost that wait, or are over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use longshore_core::Store;

use crate::Scale;
use crate::direct::{drain, enqueue};
use crate::fill;
use crate::measure::{Stopwatch, Table};
use crate::ours;
use crate::stage::{Folder, Kind, Stage};

/// Jobs enqueued and run beside those that are there.
const JOBS: usize = 20_000;
/// Most jobs that are over on Redis, whose memory holds them all: 0.8 GB.
const MOST_IN_MEMORY: usize = 1_000_000;

/// What was measured by `until`, or soon after it.
pub async fn rows(folder: &Folder, scale: Scale, until: Instant) -> Result<()> {
    let mut table = Table::new(
        format!(
            "Growth: {JOBS} jobs enqueued by 1000, then claimed and settled by 100, one caller, no \
             tracing"
        ),
        &[
            "store",
            "jobs beside them",
            "enqueue/s",
            "µs CPU each, client",
            "server",
            "claim and settle/s",
            "µs CPU each, client",
            "server",
            "log bytes a job",
        ],
    );
    let kinds = [Kind::Sqlite, Kind::Redis, Kind::Postgres];
    let manys = [Many::Wait(scale.waiting), Many::AreOver(scale.over)];
    let all = manys
        .iter()
        .flat_map(|many| kinds.map(|kind| (*many, kind)));
    let mut left = kinds.len() * manys.len();
    for (many, kind) in all {
        let started = Instant::now();
        // What one does not need the others have; what is measured takes some of it.
        let making = until.saturating_duration_since(started) / left as u32 * 4 / 5;
        left -= 1;
        let measured = measure(kind, many, making, folder, &mut table).await;
        let seconds = started.elapsed().as_secs_f64();
        let error = measured.as_ref().err();
        eprintln!(
            "growth: {} {}: {seconds:.1} s {error:?}",
            kind.name(),
            many.word()
        );
        if let Err(error) = measured {
            let why = format!("not measured: {error:#}");
            let mut cells = vec![kind.name().to_owned(), why];
            cells.resize(9, "–".to_owned());
            table.row(cells);
        }
    }
    table.print();
    println!(
        "Jobs that wait were enqueued, and jobs that are over were run; of the latter, SQLite and \
         PostgreSQL have {} that were run, whose rows were then copied by SQL. Where there is no row \
         of a size, making as many took too long, or, on Redis, would take too much memory.\n",
        fill::RUN
    );
    Ok(())
}

#[derive(Clone, Copy)]
enum Many {
    Wait(&'static [usize]),
    AreOver(&'static [usize]),
}

impl Many {
    fn word(self) -> &'static str {
        match self {
            Self::Wait(_) => "wait",
            Self::AreOver(_) => "are over",
        }
    }
}

async fn measure(
    kind: Kind,
    many: Many,
    mut making: Duration,
    folder: &Folder,
    table: &mut Table,
) -> Result<()> {
    let mut stage = Stage::start(kind, folder, false).await?;
    let url = stage.fresh().await?;
    let store = ours::open(&url)?;
    let (Many::Wait(sizes) | Many::AreOver(sizes)) = many;
    let most = match (kind, many) {
        (Kind::Redis, Many::AreOver(_)) => MOST_IN_MEMORY,
        _ => usize::MAX,
    };
    let mut there = 0;
    for &size in sizes.iter().filter(|&&size| size <= most) {
        let started = Instant::now();
        there = match many {
            Many::Wait(_) => wait(&store, there, size, making).await?,
            Many::AreOver(_) if kind == Kind::Postgres => {
                fill::postgres(&url, &store, there, size, making).await?
            }
            Many::AreOver(_) if kind == Kind::Sqlite => {
                fill::sqlite(&url, &store, there, size, making).await?
            }
            Many::AreOver(_) => run(&store, there, size, making).await?,
        };
        making = making.saturating_sub(started.elapsed());
        let cells = beside(&mut stage, &store).await?;
        let first = [kind.name().to_owned(), format!("{there} {}", many.word())];
        table.row(first.into_iter().chain(cells).collect());
        if let Many::AreOver(_) = many {
            there += JOBS;
        }
        if there < size {
            break;
        }
    }
    Ok(())
}

/// Enqueues until `size` jobs wait.
async fn wait(store: &Arc<dyn Store>, there: usize, size: usize, most: Duration) -> Result<usize> {
    let (mut there, started) = (there, Instant::now());
    while there < size && started.elapsed() < most {
        let jobs = (size - there).min(10_000);
        enqueue(&**store, jobs, 1_000).await?;
        there += jobs;
    }
    Ok(there)
}

/// Runs jobs until `size` are over.
async fn run(store: &Arc<dyn Store>, there: usize, size: usize, most: Duration) -> Result<usize> {
    let (mut there, started) = (there, Instant::now());
    while there < size && started.elapsed() < most {
        let jobs = (size - there).min(10_000);
        enqueue(&**store, jobs, 1_000).await?;
        drain(&**store, jobs, 1_000).await?;
        there += jobs;
    }
    Ok(there)
}

/// Enqueues and runs jobs beside those that are there.
async fn beside(stage: &mut Stage<'_>, store: &Arc<dyn Store>) -> Result<Vec<String>> {
    let logged = stage.done().await?.logged;
    let mut cells = Vec::new();
    let server = stage.cpu();
    let watch = Stopwatch::start();
    enqueue(&**store, JOBS, 1_000).await?;
    cells.push(format!("{:.0}", watch.per_second(JOBS)));
    cells.push(format!("{:.1}", watch.cpu_us(JOBS)));
    let between = stage.cpu();
    cells.push(format!("{:.1}", (between - server) * 1e6 / JOBS as f64));
    let watch = Stopwatch::start();
    drain(&**store, JOBS, 100).await?;
    cells.push(format!("{:.0}", watch.per_second(JOBS)));
    cells.push(format!("{:.1}", watch.cpu_us(JOBS)));
    let server = stage.cpu() - between;
    cells.push(format!("{:.1}", server * 1e6 / JOBS as f64));
    let logged = (stage.done().await?.logged - logged) / JOBS as f64;
    cells.push(format!("{logged:.0}"));
    Ok(cells)
}
