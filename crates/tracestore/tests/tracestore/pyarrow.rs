//! Sealed files are read by a tool that nobody here wrote: pyarrow, from PyPI. `.ci/run` installs it;
//! `LONGSHORE_PYARROW` names a Python that has it elsewhere.

use std::process::Command;

use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, Span, SpanEvent, SpanStatus};
use longshore_spanlog::Class;
use serde_json::{Value, json};

use crate::sealed::{at_once, files, now};
use crate::support::{Folder, at, job, linking, python, span};

/// Prints all rows, and what the file says of itself.
const SCRIPT: &str = "
import json, sys
import pyarrow.parquet as pq

file = pq.ParquetFile(sys.argv[1])
table = file.read()
at = table.schema.get_field_index('start_time')
rows = table.set_column(at, 'start_time', table['start_time'].cast('int64')).to_pylist()

def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [list(pair) for pair in value]
    return value

print(json.dumps({
    'rows': [{key: plain(value) for key, value in row.items()} for row in rows],
    'metadata': {key.decode(): value.decode() for key, value in file.metadata.metadata.items()},
    'compression': file.metadata.row_group(0).column(0).compression,
    'types': {field.name: str(field.type) for field in table.schema},
}))
";

fn spans() -> Vec<Span> {
    let mut spans = job(7, "j-1", 0, true);
    let mut plain = linking(span(8, 4, Some(2), 3, 4), 7);
    plain.attributes = vec![
        Attribute::new("http.route", "/é"),
        Attribute::new("count", -3_i64),
        Attribute::new("share", 0.5),
        Attribute::new("yes", true),
        Attribute {
            key: "texts".into(),
            value: AttributeValue::Strings(vec!["a".into(), "\"".into()]),
        },
    ];
    plain.events = vec![SpanEvent {
        name: "seen".into(),
        at: at(4),
        attributes: vec![Attribute::new(key::QUEUE, "q")],
    }];
    plain.status = SpanStatus::Error("no way".into());
    spans.push(plain);
    spans
}

fn hex(number: u128, digits: usize) -> String {
    format!("{number:0digits$x}")
}

#[test]
fn pyarrow_reads_what_was_sealed() {
    let Some(python) = python("LONGSHORE_PYARROW") else {
        return;
    };
    let folder = Folder::new();
    folder.log().append(Class::Base, &spans());
    folder.store().upkeep(&at_once(), now()).unwrap();
    let sealed = files(&folder, ".parquet").remove(0);
    let output = Command::new(python)
        .arg("-c")
        .arg(SCRIPT)
        .arg(&sealed)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["compression"], "ZSTD");
    assert_eq!(read["metadata"]["longshore.columns"], "1");
    let sources = read["metadata"]["longshore.sources"].as_str().unwrap();
    assert!(sources.ends_with("-base.spans"), "{sources}");
    assert_eq!(read["types"]["start_time"], "timestamp[ns, tz=UTC]");
    assert!(
        read["types"]["attributes"]
            .as_str()
            .unwrap()
            .starts_with("map<string, string")
    );
    let rows = read["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for (row, span) in rows.iter().zip(spans()) {
        assert_eq!(row["trace_id"], hex(span.trace_id.to_u128(), 32));
        assert_eq!(row["span_id"], hex(span.span_id.to_u64().into(), 16));
        assert_eq!(row["start_time"], span.start.unix_nanos());
        assert_eq!(
            row["duration_nanos"],
            span.end.unix_nanos() - span.start.unix_nanos()
        );
        assert_eq!(row["name"], span.name.as_ref());
        assert_eq!(row["service"], "shop");
        assert_eq!(row["scope"], span.scope.as_ref());
        assert_eq!(row["resource"], r#"{"service.name":"shop"}"#);
    }
    check_attempt(&rows[2]);
    check_plain(&rows[3]);
}

/// The attempt of a job has its attributes in columns of their own.
fn check_attempt(row: &Value) {
    for (column, value) in [
        ("kind", json!("consumer")),
        ("status", json!("error")),
        ("status_message", json!("no")),
        ("parent_span_id", json!(hex(1, 16))),
        ("queue", json!("orders")),
        ("job_kind", json!("order.process")),
        ("job_id", json!("j-1")),
        ("correlation_id", json!("of j-1")),
        ("tenant_id", json!("t-17")),
        ("namespace", json!(null)),
        ("outcome", json!("retried")),
        ("error_type", json!("Timeout")),
        ("tags", json!(r#"["vip","eu"]"#)),
        ("attempt", json!(1)),
        ("attributes", json!([])),
        ("links", json!(null)),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
}

/// Any other span has them in the map.
fn check_plain(plain: &Value) {
    let pairs = json!([
        ["http.route", "/é"],
        ["count", "-3"],
        ["share", "0.5"],
        ["yes", "true"],
        ["texts", r#"["a","\""]"#],
    ]);
    assert_eq!(plain["attributes"], pairs);
    assert_eq!(plain["attribute_types"], "sidbl");
    let events: Value = serde_json::from_str(plain["events"].as_str().unwrap()).unwrap();
    let event = json!({
        "name": "seen",
        "time_unix_nano": at(4).unix_nanos(),
        "attributes": { key::QUEUE: "q" },
    });
    assert_eq!(events, json!([event]));
    let links: Value = serde_json::from_str(plain["links"].as_str().unwrap()).unwrap();
    let link = json!({
        "trace_id": hex(7, 32),
        "span_id": hex(1, 16),
        "flags": 1,
        "attributes": { key::LINK: "enqueue" },
    });
    assert_eq!(links, json!([link]));
}
