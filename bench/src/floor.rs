//! The floor: SQL statements in a loop, with nothing around them.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use crate::measure::{Rate, Stopwatch};

const SCHEMA: [&str; 5] = [
    include_str!("../../crates/stores/sqlite/src/migrations/0001_jobs.sql"),
    include_str!("../../crates/stores/sqlite/src/migrations/0002_failed.sql"),
    include_str!("../../crates/stores/sqlite/src/migrations/0004_unique.sql"),
    include_str!("../../crates/stores/sqlite/src/migrations/0005_over.sql"),
    include_str!("../../crates/stores/sqlite/src/migrations/0006_tenants.sql"),
];
const INSERT: &str = include_str!("../../crates/stores/sqlite/src/sql/insert_job.sql");
const COUNT: &str = include_str!("../../crates/stores/sqlite/src/sql/count.sql");
const DUE: &str = include_str!("../../crates/stores/sqlite/src/sql/due.sql");
const LOAD: &str = include_str!("../../crates/stores/sqlite/src/sql/load_job.sql");
const MARK: &str = include_str!("../../crates/stores/sqlite/src/sql/mark_claimed.sql");
const MARK_16: &str = include_str!("../../crates/stores/sqlite/src/sql/mark_claimed_16.sql");
const OF_ID: &str = include_str!("../../crates/stores/sqlite/src/sql/running_of_id.sql");
const END: &str = include_str!("../../crates/stores/sqlite/src/sql/end_attempt.sql");

const NOW: i64 = 1_800_000_000_000_000_000;
const HISTORY: &str = r#"[1,1,1800000000000000000,1000000,1000000,"completed","longshore-bench"]"#;

fn open(path: &Path) -> Result<Connection> {
    let conn = Connection::open(path)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -(4 << 10))?;
    conn.pragma_update(None, "wal_autocheckpoint", 4096)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn in_transaction(conn: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    work()?;
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn job_id(number: usize) -> String {
    format!("0199f8b2-7c00-7000-8000-{number:012x}")
}

fn count(conn: &Connection, from: usize, to: usize, by: usize) -> Result<()> {
    let mut changes = [0_i64; 7];
    changes[to] += by as i64;
    if from < 7 {
        changes[from] -= by as i64;
    }
    let [a, b, c, d, e, f, g] = changes;
    conn.prepare_cached(COUNT)?
        .execute(params!["bench", a, b, c, d, e, f, g])?;
    Ok(())
}

/// Puts jobs in by `batch`, then takes them out likewise. `insert` is given the numbers of the jobs
/// to put in, within a transaction; `claim_and_settle` says how many it has dealt with.
fn cycles(
    conn: &Connection,
    (jobs, batch): (usize, usize),
    insert: impl Fn(&Connection, Range<usize>) -> Result<()>,
    claim_and_settle: impl Fn(&Connection, usize) -> Result<usize>,
) -> Result<Rate> {
    let whole = Stopwatch::start();
    let watch = Stopwatch::start();
    for start in (0..jobs).step_by(batch) {
        in_transaction(conn, || insert(conn, start..jobs.min(start + batch)))?;
    }
    let enqueue_per_second = watch.per_second(jobs);
    let watch = Stopwatch::start();
    let mut done = 0;
    while done < jobs {
        done += claim_and_settle(conn, batch)?;
    }
    Ok(Rate {
        enqueue_per_second,
        drain_per_second: watch.per_second(jobs),
        cpu_us: whole.cpu_us(jobs),
    })
}

/// The statements of the SQLite store.
pub fn ours(path: &Path, jobs: usize, batch: usize) -> Result<Rate> {
    let conn = open(path)?;
    conn.execute_batch(&SCHEMA.concat())?;
    cycles(&conn, (jobs, batch), ours_insert, ours_claim_and_settle)
}

fn ours_insert(conn: &Connection, jobs: Range<usize>) -> Result<()> {
    let mut insert = conn.prepare_cached(INSERT)?;
    let added = jobs.len();
    for job in jobs {
        insert.execute(params![
            job_id(job),
            "bench",
            "noop",
            2,
            2,
            20,
            NOW,
            NOW,
            None::<i64>,
            None::<i64>,
            None::<&str>,
            None::<i64>,
            0,
            None::<&str>,
            None::<&str>,
            b"null",
            None::<i64>,
            None::<&str>,
        ])?;
    }
    count(conn, 9, 2, added)
}

fn ours_claim_and_settle(conn: &Connection, batch: usize) -> Result<usize> {
    let mut claimed = Vec::with_capacity(batch);
    in_transaction(conn, || {
        let seqs: Vec<i64> = conn
            .prepare_cached(DUE)?
            .query_map(
                params!["bench", "noop", 2, NOW, batch as i64, 0, false],
                |row| row.get(1),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let mut load = conn.prepare_cached(LOAD)?;
        for &seq in &seqs {
            let id: String = load.query_row([seq], |row| {
                let _args: Vec<u8> = row.get(25)?;
                row.get(0)
            })?;
            claimed.push((id, 77 + seq));
        }
        mark(conn, &seqs)?;
        count(conn, 2, 3, claimed.len())
    })?;
    in_transaction(conn, || {
        let mut of_id = conn.prepare_cached(OF_ID)?;
        let mut end = conn.prepare_cached(END)?;
        for (id, token) in &claimed {
            let seq: i64 = of_id.query_row(params![id, token], |row| row.get(0))?;
            end.execute(params![
                seq,
                4,
                1,
                None::<i64>,
                NOW,
                0,
                0,
                None::<&[u8]>,
                None::<&str>,
                HISTORY,
            ])?;
        }
        count(conn, 3, 4, claimed.len())
    })?;
    (!claimed.is_empty())
        .then_some(claimed.len())
        .context("the floor ran out of jobs")
}

fn mark(conn: &Connection, seqs: &[i64]) -> Result<()> {
    for seqs in seqs.chunks(16) {
        if seqs.len() < 4 {
            for seq in seqs {
                conn.prepare_cached(MARK)?.execute(params![
                    77,
                    "longshore-bench",
                    NOW,
                    NOW + 1,
                    seq
                ])?;
            }
            continue;
        }
        let mut mark = conn.prepare_cached(MARK_16)?;
        mark.raw_bind_parameter(1, 77)?;
        mark.raw_bind_parameter(2, "longshore-bench")?;
        mark.raw_bind_parameter(3, NOW)?;
        mark.raw_bind_parameter(4, NOW + 1)?;
        for at in 0..16 {
            mark.raw_bind_parameter(5 + at, seqs.get(at))?;
        }
        mark.raw_execute()?;
    }
    Ok(())
}

/// The least that a queue could do: one narrow table, one index.
pub fn minimal(path: &Path, jobs: usize, batch: usize) -> Result<Rate> {
    let conn = open(path)?;
    conn.execute_batch(
        "CREATE TABLE job (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, due INTEGER NOT NULL,
           args BLOB, lease INTEGER) STRICT;
         CREATE INDEX waiting ON job (due) WHERE state = 0;",
    )?;
    cycles(
        &conn,
        (jobs, batch),
        minimal_insert,
        minimal_claim_and_settle,
    )
}

fn minimal_insert(conn: &Connection, jobs: Range<usize>) -> Result<()> {
    let insert = "INSERT INTO job (state, due, args) VALUES (0, ?1, ?2)";
    let mut insert = conn.prepare_cached(insert)?;
    for _job in jobs {
        insert.execute(params![NOW, b"null"])?;
    }
    Ok(())
}

fn minimal_claim_and_settle(conn: &Connection, batch: usize) -> Result<usize> {
    let mut claimed: Vec<i64> = Vec::new();
    in_transaction(conn, || {
        claimed = conn
            .prepare_cached(
                "UPDATE job SET state = 1, lease = ?1 WHERE id IN
                   (SELECT id FROM job WHERE state = 0 AND due <= ?1 ORDER BY due LIMIT ?2)
                 RETURNING id",
            )?
            .query_map(params![NOW, batch as i64], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(())
    })?;
    in_transaction(conn, || {
        let settle = "UPDATE job SET state = 2, lease = NULL WHERE id = ?1";
        let mut settle = conn.prepare_cached(settle)?;
        for id in &claimed {
            settle.execute([id])?;
        }
        Ok(())
    })?;
    (!claimed.is_empty())
        .then_some(claimed.len())
        .context("the floor ran out of jobs")
}
