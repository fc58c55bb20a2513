//! The peer: DuckDB, which somebody else wrote, over the same sealed files. `LONGSHORE_DUCKDB` names a
//! Python that has it; without one the rows are left out, and that is said.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::corpus::Making;
use crate::measure::Table;

/// Each query once before, then some times; prints what it found and the milliseconds.
const SCRIPT: &str = "
import sys, time
import duckdb
db = duckdb.connect()
db.execute('SET threads = 1')
print(duckdb.__version__)
for query in sys.stdin.read().splitlines():
    name, sql = query.split('\t')
    found = len(db.execute(sql).fetchall())
    took = []
    while len(took) < 10 and sum(took) < 20_000:
        begun = time.process_time()
        db.execute(sql).fetchall()
        took.append((time.process_time() - begun) * 1e3)
    took.sort()
    print(name, len(took), found, f'{took[len(took) // 2]:.2f} / {took[-1]:.2f}', sep='\t')
";

pub fn rows(path: &Path, making: &Making, spans: usize) -> Result<()> {
    let Some(python) = std::env::var_os("LONGSHORE_DUCKDB") else {
        println!("DuckDB is left out: LONGSHORE_DUCKDB names no Python that has it.\n");
        return Ok(());
    };
    let files = format!("'{}/sealed/*.parquet'", path.display());
    let some = spans / 8 / 3;
    let trace = making.traces[making.traces.len() / 3];
    let value = |key: &str, value: String| {
        format!("SELECT DISTINCT trace_id FROM {files} WHERE attributes['{key}'] = '{value}'")
    };
    let queries = [
        (
            "a trace by its id",
            format!(
                "SELECT span_id, name, duration_nanos, attributes FROM {files} WHERE trace_id = unhex('{trace}')"
            ),
        ),
        (
            "a value in one span",
            value("order.reference", format!("R-{some}")),
        ),
        (
            "a value in ten traces",
            value("order.batch", format!("B-{}", some / 10)),
        ),
        (
            "service and name, 100",
            format!(
                "SELECT DISTINCT trace_id FROM {files} WHERE service = 'bench' AND name = 'SELECT orders' LIMIT 100"
            ),
        ),
    ];
    let lines: Vec<String> = queries
        .iter()
        .map(|(name, sql)| format!("{name}\t{sql}"))
        .collect();
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("the Python of LONGSHORE_DUCKDB does not start")?;
    let mut input = child.stdin.take().context("it has no input")?;
    std::io::Write::write_all(&mut input, lines.join("\n").as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "DuckDB failed");
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    let mut table = Table::new(
        format!(
            "The same sealed files by DuckDB {version} with one thread, CPU milliseconds, median and the longest"
        ),
        &["what", "times", "found", "DuckDB"],
    );
    for line in lines {
        table.row(line.split('\t').map(str::to_owned).collect());
    }
    table.print();
    Ok(())
}
