//! The queries that `docs/trace-store.md` shows run in DuckDB, from PyPI, over what was sealed.
//! `.ci/run` installs it; `LONGSHORE_DUCKDB` names a Python that has it elsewhere.

use std::process::Command;

use longshore_core::Clock;
use longshore_core::SystemClock;
use longshore_instrument::{Attribute, Span};
use longshore_spanlog::Class;
use serde_json::{Value, json};

use crate::sealed::{at_once, upkeep};
use crate::support::{Folder, at, job, python, span};

/// Runs queries and prints the rows of each.
const SCRIPT: &str = "
import json, sys
import duckdb

db = duckdb.connect()
print(json.dumps([db.execute(query).fetchall() for query in sys.argv[1:]]))
";

const PAGE: &str = include_str!("../../../../docs/trace-store.md");

/// The queries of the page.
fn queries() -> Vec<&'static str> {
    let blocks = PAGE.split("```sql").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    let queries = blocks.flat_map(|block| block.split(';'));
    queries
        .map(str::trim)
        .filter(|query| !query.is_empty())
        .collect()
}

/// Spans as if they had begun now, since the page asks for the last day.
fn recent(spans: Vec<Span>) -> Vec<Span> {
    let now = SystemClock::new().now();
    let moved = |span: Span| Span {
        start: now.before(at(10_000).since(span.start)),
        end: now.before(at(10_000).since(span.end)),
        ..span
    };
    spans.into_iter().map(moved).collect()
}

#[test]
fn duckdb_answers_what_the_page_asks() {
    assert_eq!(queries().len(), 2);
    let Some(python) = python("LONGSHORE_DUCKDB") else {
        return;
    };
    let folder = Folder::new();
    let mut log = folder.log();
    for number in 1..=3 {
        log.append(
            Class::Base,
            &recent(job(number, &format!("j-{number}"), 0, false)),
        );
    }
    let mut request = span(0xab, 4, None, 3, 4);
    request.attributes = vec![
        Attribute::new("http.route", "/orders"),
        Attribute::new("http.response.status_code", 500_i64),
    ];
    // What is looked up in a file of its own is read with the rest.
    log.append(Class::Kept, &recent(vec![request]));
    drop(log);
    assert_eq!(upkeep(&folder.store(), &at_once()).sealed_spans, 10);
    let output = Command::new(python)
        .current_dir(folder.path())
        .args(["-c", SCRIPT])
        .args(queries())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers[0], json!([["orders", "order.process", 3, 4.0]]));
    let trace = format!("{:032X}", 0xab);
    assert_eq!(answers[1], json!([[trace, "/orders"]]));
}
