//! Jobs that are over, in numbers that would take an hour to run: some are run, and the database
//! copies their rows under numbers and ids that nothing else has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use longshore_core::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::direct::{drain, enqueue};

/// Jobs that are run.
pub const RUN: usize = 1_000;
/// Copies of a statement.
const AT_ONCE: usize = 250;

/// Runs some jobs, and has the server copy their rows until `size` are over; gives back how many
/// there are.
pub async fn postgres(
    url: &str,
    store: &Arc<dyn Store>,
    there: usize,
    size: usize,
    most: Duration,
) -> Result<usize> {
    let started = Instant::now();
    let mut there = originals(store, there).await?;
    let mut connection = PgConnection::connect(url).await?;
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns \
         WHERE table_schema = 'longshore' AND table_name = 'job_over' ORDER BY ordinal_position",
    )
    .fetch_all(&mut connection)
    .await?;
    // What no constraint stands on is made anew at the end, which takes less time.
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index \
         WHERE indrelid = 'longshore.job_over'::regclass AND NOT indisprimary",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut before = vec!["SET synchronous_commit = off; SET maintenance_work_mem = '1GB'".into()];
    before.extend(indexes.iter().map(|(name, _)| format!("DROP INDEX {name}")));
    for statement in before {
        execute(&mut connection, statement).await?;
    }
    while there < size && started.elapsed() < most {
        let copies = (size - there).div_ceil(RUN).min(AT_ONCE);
        let numbers = format!("generate_series(1, {copies}) AS copy(number)");
        let statement = copying("longshore.job_over", &columns, there, &numbers)?;
        execute(&mut connection, statement).await?;
        there += copies * RUN;
    }
    let after = indexes.into_iter().map(|(_, definition)| definition);
    let after = after.chain(["VACUUM (ANALYZE) longshore.job_over", "CHECKPOINT"].map(Into::into));
    for statement in after {
        execute(&mut connection, statement).await?;
    }
    connection.close().await?;
    Ok(there)
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<()> {
    let raw = sqlx::raw_sql(AssertSqlSafe(statement));
    raw.execute(connection).await?;
    Ok(())
}

/// The same in a file of SQLite.
pub async fn sqlite(
    url: &str,
    store: &Arc<dyn Store>,
    there: usize,
    size: usize,
    most: Duration,
) -> Result<usize> {
    let started = Instant::now();
    let mut there = originals(store, there).await?;
    let path = url.strip_prefix("sqlite:").context("no file of SQLite")?;
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000")?;
    let mut asked = connection.prepare("SELECT name FROM pragma_table_info('longshore_job')")?;
    let columns: rusqlite::Result<Vec<String>> = asked.query_map([], |row| row.get(0))?.collect();
    let columns = columns?;
    while there < size && started.elapsed() < most {
        let copies = (size - there).div_ceil(RUN).min(AT_ONCE);
        let numbers = format!(
            "(WITH RECURSIVE copy(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copy \
             LIMIT {copies}) SELECT number FROM copy) AS copy"
        );
        connection.execute_batch(&copying("longshore_job", &columns, there, &numbers)?)?;
        there += copies * RUN;
    }
    // All of it is on the disk before anything is measured.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(there)
}

/// Runs the jobs whose rows are copied, unless that was done.
async fn originals(store: &Arc<dyn Store>, there: usize) -> Result<usize> {
    if there == 0 {
        enqueue(&**store, RUN, RUN).await?;
        drain(&**store, RUN, RUN).await?;
    }
    Ok(there.max(RUN))
}

/// Copies the first rows of a table as often as `numbers` has numbers.
fn copying(table: &str, columns: &[String], there: usize, numbers: &str) -> Result<String> {
    let has = |name: &str| columns.iter().any(|column| column == name);
    if !has("seq") || !has("id") {
        bail!("the rows of jobs that are over cannot be copied: the tables have changed");
    }
    let values = columns.iter().map(|column| match column.as_str() {
        // Far beyond those that are given.
        "seq" => format!("o.seq + ({there} + copy.number * {RUN}) * CAST(1000 AS bigint)"),
        "id" => format!("o.id || '-' || ({there} + copy.number)"),
        column => format!("o.{column}"),
    });
    Ok(format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {numbers} \
         CROSS JOIN (SELECT * FROM {table} ORDER BY seq LIMIT {RUN}) AS o",
        columns.join(", "),
        values.collect::<Vec<_>>().join(", "),
    ))
}
