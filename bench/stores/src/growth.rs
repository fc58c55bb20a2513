//! What many jobs cost that wait, or are over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use longshore_core::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Scale;
use crate::direct::{drain, enqueue};
use crate::measure::{Stopwatch, Table};
use crate::ours;
use crate::stage::{Folder, Kind, Stage};

/// Jobs enqueued and run beside those that are there.
const JOBS: usize = 20_000;
/// How long making jobs may take for all rows of a store; the last row has as many as there are by
/// then.
const MAKING: Duration = Duration::from_secs(60);

pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
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
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::Redis] {
        for many in [Many::Wait(scale.waiting), Many::AreOver(scale.over)] {
            let started = Instant::now();
            let measured = measure(kind, many, folder, &mut table).await;
            let seconds = started.elapsed().as_secs_f64();
            eprintln!(
                "growth: {kind:?}: {seconds:.1} s {:?}",
                measured.as_ref().err()
            );
            if let Err(error) = measured {
                table.row(vec![
                    format!("{kind:?}"),
                    format!("not measured: {error:#}"),
                ]);
            }
        }
    }
    table.print();
    Ok(())
}

#[derive(Clone, Copy)]
enum Many {
    Wait(&'static [usize]),
    AreOver(&'static [usize]),
}

async fn measure(kind: Kind, many: Many, folder: &Folder, table: &mut Table) -> Result<()> {
    let mut stage = Stage::start(kind, folder).await?;
    let url = stage.fresh().await?;
    let store = ours::open(&url)?;
    let (sizes, what) = match many {
        Many::Wait(sizes) => (sizes, "wait"),
        Many::AreOver(sizes) => (sizes, "are over"),
    };
    let mut there = 0;
    let mut making = MAKING;
    for &size in sizes {
        let started = Instant::now();
        there = match many {
            Many::Wait(_) => wait(&store, there, size, making).await?,
            Many::AreOver(_) if kind == Kind::Postgres => {
                copy(&url, &store, there, size, making).await?
            }
            Many::AreOver(_) => run(&store, there, size, making).await?,
        };
        making = making.saturating_sub(started.elapsed());
        let cells = beside(&mut stage, &store).await?;
        let first = [format!("{kind:?}"), format!("{there} {what}")];
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

/// Runs some jobs, and has the server copy their rows until `size` are over.
async fn copy(
    url: &str,
    store: &Arc<dyn Store>,
    there: usize,
    size: usize,
    most: Duration,
) -> Result<usize> {
    const RUN: usize = 1_000;
    /// Copies of a statement.
    const AT_ONCE: usize = 500;
    let started = Instant::now();
    if there == 0 {
        enqueue(&**store, RUN, RUN).await?;
        drain(&**store, RUN, RUN).await?;
    }
    let mut there = there.max(RUN);
    if there >= size {
        return Ok(there);
    }
    let mut connection = PgConnection::connect(url).await?;
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns \
         WHERE table_schema = 'longshore' AND table_name = 'job_over' ORDER BY ordinal_position",
    )
    .fetch_all(&mut connection)
    .await?;
    if !["seq", "id"]
        .iter()
        .all(|name| columns.iter().any(|column| column == name))
    {
        bail!("the rows of jobs that are over cannot be copied: the tables have changed");
    }
    let mut statements = vec!["SET synchronous_commit = off".to_owned()];
    while let Some(statement) = statements.pop() {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        if there < size && started.elapsed() < most {
            let copies = (size - there).div_ceil(RUN).min(AT_ONCE);
            statements.push(copying(&columns, there, copies, RUN));
            there += copies * RUN;
        }
    }
    for statement in ["VACUUM (ANALYZE) longshore.job_over", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(there)
}

/// Copies the first `rows` rows so many times, under numbers and ids that nothing else has.
fn copying(columns: &[String], there: usize, copies: usize, rows: usize) -> String {
    let values = columns.iter().map(|column| match column.as_str() {
        // Far beyond those that are given.
        "seq" => format!("o.seq + ({there} + copy * {rows}) * 1000"),
        "id" => format!("o.id || '-' || ({there} + copy)"),
        column => format!("o.{column}"),
    });
    format!(
        "INSERT INTO longshore.job_over ({}) SELECT {} FROM generate_series(1, {copies}) AS copy \
         CROSS JOIN (SELECT * FROM longshore.job_over ORDER BY seq LIMIT {rows}) AS o",
        columns.join(", "),
        values.collect::<Vec<_>>().join(", "),
    )
}

/// Enqueues and runs jobs beside those that are there.
async fn beside(stage: &mut Stage<'_>, store: &Arc<dyn Store>) -> Result<Vec<String>> {
    let logged = stage.logged().await;
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
    let logged = (stage.logged().await - logged) / JOBS as f64;
    cells.push(format!("{logged:.0}"));
    Ok(cells)
}
