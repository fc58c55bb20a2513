//! Looking things up among many spans, in the log and sealed, and beside a peer.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use longshore_core::{Clock, SystemClock};
use longshore_trace::query;
use longshore_tracestore::TraceStore;

use super::corpus::{Kind, Making};
use super::{duckdb, open, seal, write};
use crate::allocator::bytes_in_use;
use crate::measure::{Samples, Table, busy, megabytes_resident};

/// A search, whether all pages are asked for, and how many traces it finds at least.
struct Search {
    what: &'static str,
    text: String,
    all: bool,
    at_least: usize,
}

fn searches(spans: usize) -> Vec<Search> {
    // A job and a request together have eight spans.
    let some = spans / 8 / 3;
    let search = |what, text: &str, all, at_least| Search {
        what,
        text: text.to_owned(),
        all,
        at_least,
    };
    vec![
        search("the newest 100", "", false, 100),
        search(
            "a value in one span",
            &format!("order.reference=R-{some}"),
            true,
            1,
        ),
        search(
            "a value in ten traces",
            &format!("order.batch=B-{}", some / 10),
            true,
            10,
        ),
        search("a value that is nowhere", "order.reference=none", true, 0),
        search(
            "a value in one trace of 10,000, 100 of them",
            "user.id=u-77",
            false,
            (spans / 8 / 5_000).clamp(1, 100),
        ),
        search(
            "a value in every second trace, 100 of them",
            "http.request.method=GET",
            false,
            100,
        ),
        search(
            "service and name, 100",
            "service=bench name=\"SELECT orders\"",
            false,
            100,
        ),
        search("queue and error, 100", "queue=orders error", false, 100),
        search("error, 100", "error", false, 100),
        search("longer than 1 s, none, one page", "duration>1s", false, 0),
        search(
            "a text that is nowhere, one page",
            "\"nothing says this\"",
            false,
            0,
        ),
    ]
}

pub fn rows(path: &Path, spans: usize) -> Result<()> {
    let mut making = Making::new(Kind::Both, spans);
    write(path, making.by_ref())?;
    let mut table = Table::new(
        format!(
            "Looking things up among {} spans of both, {} traces: CPU milliseconds of one thread, median and the longest (of a trace by its id the 99th percentile)",
            making.spans,
            making.traces.len()
        ),
        &["what", "times", "found", "in the log", "sealed"],
    );
    let before = bytes_in_use();
    let (store, indexed) = open(path)?;
    let hot_memory = bytes_in_use() - before;
    let hot = looks(&store, &making, spans)?;
    let (sealed, bytes) = seal(&store, making.spans)?;
    drop(store);
    let before = bytes_in_use();
    let (store, opened) = open(path)?;
    let sealed_memory = bytes_in_use() - before;
    for (hot, cold) in hot.into_iter().zip(looks(&store, &making, spans)?) {
        table.row([hot, cold.into_iter().skip(3).collect()].concat());
    }
    table.print();
    let thousands = |took: std::time::Duration| making.spans as f64 / took.as_secs_f64() / 1e3;
    println!(
        "In the log: indexed at {:.0} k spans/s, {} bytes of memory a span. Sealed at {:.0} k spans/s, \
         {:.1} bytes a span in {} files; opened in {:.2} s, {:.1} bytes of memory a span. {} MB resident.\n",
        thousands(indexed),
        hot_memory / making.spans,
        thousands(sealed),
        bytes as f64 / making.spans as f64,
        store.holdings().sealed_files,
        opened.as_secs_f64(),
        sealed_memory as f64 / making.spans as f64,
        megabytes_resident(),
    );
    duckdb::rows(path, &making, spans)?;
    drop(store);
    std::fs::remove_dir_all(path)?;
    Ok(())
}

fn looks(store: &TraceStore, making: &Making, spans: usize) -> Result<Vec<Vec<String>>> {
    let mut number = 7_usize;
    let by_id = times(300, || {
        number = (number * 31 + 17) % making.traces.len();
        let spans = store.trace(making.traces[number])?;
        spans.map(|spans| spans.len()).context("the trace is there")
    })?;
    let mut rows = vec![[vec!["a trace by its id".to_owned()], by_id].concat()];
    for search in searches(spans) {
        let query = query::parse(&search.text, SystemClock::new().now())?;
        let look = || {
            let (mut found, mut cursor) = (0, None);
            loop {
                let page = store.search(&query, 100, cursor.as_deref())?;
                found += page.traces.len();
                cursor = page.next_cursor;
                let enough = !search.all && (found >= search.at_least);
                if cursor.is_none() || enough {
                    ensure!(found >= search.at_least, "{} finds {found}", search.text);
                    return Ok(found);
                }
            }
        };
        // Once before, so that files are in the memory of the system.
        look()?;
        rows.push([vec![search.what.to_owned()], times(10, look)?].concat());
    }
    Ok(rows)
}

/// How often, what was found last, and how long it took.
fn times(rounds: usize, mut what: impl FnMut() -> Result<usize>) -> Result<Vec<String>> {
    let mut samples = Vec::with_capacity(rounds);
    let mut found = 0;
    let begun = Instant::now();
    for _round in 0..rounds {
        let started = busy();
        found = black_box(what()?);
        samples.push((busy() - started).as_secs_f64() * 1e3);
        if begun.elapsed().as_secs() > 10 {
            break;
        }
    }
    let rounds = samples.len();
    let samples: Samples = samples.into_iter().collect();
    let share = if rounds >= 100 { 0.99 } else { 1.0 };
    Ok(vec![
        rounds.to_string(),
        found.to_string(),
        format!("{:.2} / {:.2}", samples.median(), samples.quantile(share)),
    ])
}
