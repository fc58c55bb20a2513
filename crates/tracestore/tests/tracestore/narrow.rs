//! Searches that need not look everywhere find what the others find.

use std::fs;
use std::path::Path;

use longshore_core::Timestamp;
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, AttributeValue, Resource, Span, SpanEvent};
use longshore_spanlog::Class;
use longshore_trace::TraceSummary;
use longshore_trace::query::{self, Query};
use longshore_tracestore::{Filter, TraceStore};

use crate::sealed::{at_once, upkeep};
use crate::support::{Folder, at, id, ids, job, span, trace};

/// A search that says nothing of what spans are found by.
struct Everywhere(Query);

impl Filter for Everywhere {
    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        self.0.decide(summary)
    }

    fn matches(&self, summary: &TraceSummary, spans: &[Span]) -> bool {
        self.0.matches(summary, || spans)
    }
}

fn all(store: &TraceStore, filter: &dyn Filter, limit: usize) -> Vec<TraceSummary> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.search(filter, limit, cursor.as_deref()).unwrap();
        found.extend(page.traces);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

fn numbers(traces: &[TraceSummary]) -> Vec<u128> {
    let traces = traces.iter();
    traces.map(|trace| trace.trace_id.to_u128()).collect()
}

/// A trace of two spans that say something of every kind.
fn said(number: u64) -> Vec<Span> {
    let from = i64::try_from(number).unwrap();
    let mut one = span(number.into(), 1, None, from, from + 5);
    one.attributes = vec![
        Attribute::new("user.id", format!("u-{}", number % 50)),
        Attribute::new("order.number", from),
        Attribute::new("order.share", 0.5 + number as f64),
        Attribute::new("http.is_odd", number % 2 == 1),
        Attribute {
            key: "order.parts".into(),
            value: AttributeValue::Strings(vec![format!("p-{number}").into(), "screw".into()]),
        },
    ];
    one.events = vec![SpanEvent {
        name: "seen".into(),
        at: at(from),
        attributes: vec![Attribute::new("event.number", from)],
    }];
    let mut other = span(number.into(), 2, Some(1), from + 1, from + 2);
    other.name = format!("call {}", number % 3).into();
    other.attributes = vec![Attribute::new(key::QUEUE, format!("q-{}", number % 7))];
    vec![one, other]
}

/// Traces 1 to 140 in frames of ten, those up to `sealed` in three sealed files.
fn shop(sealed: u64) -> (Folder, TraceStore) {
    let folder = Folder::new();
    let store = folder.store();
    let mut log = folder.log();
    for from in (1..=140).step_by(10) {
        let mut spans: Vec<Span> = (from..from + 10).flat_map(said).collect();
        if from == 101 {
            spans.extend(job(9_001, "j-1", 101, true));
        }
        log.append(Class::Base, &spans);
        if from + 9 == sealed || from + 9 == sealed / 7 || from + 9 == sealed / 7 * 2 {
            log.writer.rotate();
            assert!(upkeep(&store, &at_once()).sealed_spans > 0);
        }
    }
    store.refresh_all().unwrap();
    (folder, store)
}

const SEARCHES: [&str; 24] = [
    "user.id=u-7",
    "user.id=u-7 http.is_odd=true",
    "user.id=none",
    "order.number=133",
    "order.number=133 event.number=133",
    "event.number=77 OR event.number=120",
    "order.parts=p-40",
    "order.parts=screw until:1m",
    "http.is_odd=false",
    "messaging.destination.name=q-3",
    "messaging.destination.name=orders",
    "queue=orders",
    "queue=q-3",
    "tenant=t-17",
    "tag=eu",
    "error.type=Timeout",
    "exception.message=\"no answer\"",
    "name=\"call 1\" user.id=u-8",
    "name=job.process",
    "service=shop order.share=3.5",
    "service=none",
    "user.id=u-7 since:1m -order.number=57",
    "-user.id=u-7",
    "call",
];

#[test]
fn what_is_found_without_looking_everywhere_is_what_is_there() {
    let (_folder, plain) = shop(0);
    for sealed in [0, 70, 140] {
        let (_folder, store) = shop(sealed);
        assert_eq!(
            store.holdings().sealed_files,
            if sealed == 0 { 0 } else { 3 }
        );
        for text in SEARCHES {
            let query = query::parse(text, at(1_000)).unwrap();
            let wanted = all(&plain, &Everywhere(query.clone()), 1_000);
            assert_eq!(all(&store, &query, 30), wanted, "{text}, {sealed} sealed");
        }
        let found = |text: &str| {
            let query = query::parse(text, at(1_000)).unwrap();
            numbers(&all(&store, &query, 5))
        };
        assert_eq!(found("order.number=133"), [133]);
        assert_eq!(found("order.parts=p-40"), [40]);
        assert_eq!(found("user.id=u-7").len(), 3);
        assert_eq!(found("tenant=t-17"), [9_001]);
        assert_eq!(found("http.is_odd=false").len(), 70);
    }
}

#[test]
fn what_is_found_stays_found_while_it_is_sealed() {
    let (folder, store) = shop(0);
    let reader = folder.store();
    let query = query::parse("order.number=133", at(1_000)).unwrap();
    assert_eq!(numbers(&all(&reader, &query, 5)), [133]);
    // The log is sealed by another process, and this one has not noticed.
    drop(store);
    assert!(upkeep(&folder.store(), &at_once()).sealed_spans > 0);
    assert_eq!(numbers(&all(&reader, &query, 5)), [133]);
}

#[test]
fn a_trace_is_listed_where_it_was_going_on_though_more_of_it_began_later() {
    let folder = Folder::new();
    let store = folder.store();
    let long = span(7, 1, None, 1_000, 20_000);
    let short = span(7, 2, Some(1), 5_000, 5_001);
    for one in [long, short] {
        folder.log().append(Class::Base, &[one]);
        assert_eq!(upkeep(&store, &at_once()).sealed_spans, 1);
    }
    let query = query::parse("since:10s", at(20_000)).unwrap();
    assert_eq!(numbers(&all(&store, &query, 5)), [7]);
    // And by what only the earlier one says.
    let query = query::parse("name=work", at(20_000)).unwrap();
    assert_eq!(numbers(&all(&store, &query, 5)), [7]);
}

#[test]
fn files_of_the_first_version_are_read_and_searched() {
    let folder = Folder::new();
    let sealed = folder.path().join("sealed");
    fs::create_dir(&sealed).unwrap();
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracestore/first-version");
    for entry in fs::read_dir(there).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), sealed.join(entry.file_name())).unwrap();
    }
    let store = folder.store();
    let held = store.holdings();
    assert_eq!(
        (held.sealed_files, held.sealed_spans, held.damaged_files),
        (2, 17, 0)
    );
    assert_eq!(ids(&store.trace(trace(7)).unwrap().unwrap()), [30, 31]);
    let full = store.span(trace(7), id(30)).unwrap().unwrap();
    assert_eq!((full.attributes.len(), full.events.len()), (13, 2));
    for (text, wanted) in [
        ("", vec![5, 4, 3, 2, 1, 7]),
        ("exception.message=\"no answer\"", vec![4, 2]),
        ("job=j-3", vec![3]),
        ("tag=eu", vec![5, 4, 3, 2, 1]),
    ] {
        let query = query::parse(text, at(6_000)).unwrap();
        assert_eq!(numbers(&all(&store, &query, 2)), wanted, "{text}");
    }
}

#[test]
fn completion_looks_at_no_more_of_a_large_trace_than_of_others() {
    let folder = Folder::new();
    let mut log = folder.log();
    for frame in 0..40_u64 {
        let some = (0..100).map(|number| {
            let mut one = span(1, 1 + frame * 100 + number, None, 5_000, 5_001);
            let value = if frame < 5 { "early" } else { "late" };
            one.attributes = vec![Attribute::new("large.part", value)];
            one
        });
        log.append(Class::Base, &some.collect::<Vec<_>>());
    }
    let mut small = span(2, 1, None, 0, 1);
    small.attributes = vec![Attribute::new("small.part", "yes")];
    log.append(Class::Base, &[small]);
    let store = folder.store();
    assert_eq!(store.keys("").unwrap().len(), 3);
    assert_eq!(store.values("small.part", "").unwrap(), ["yes"]);
    assert_eq!(store.trace(trace(1)).unwrap().unwrap().len(), 4_000);
}

#[test]
fn resources_are_what_their_spans_say() {
    let folder = Folder::new();
    for service in ["web", "shop"] {
        let mut log = folder.log_of(service);
        for number in 1..=20 {
            let number = number + if service == "web" { 100 } else { 0 };
            log.append(Class::Base, &[span(number, 1, None, 0, 1)]);
        }
    }
    let store = folder.store();
    for _tier in 0..2 {
        let query = query::parse("service.name=web", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(all(&store, &query, 7).len(), 20);
        let web = store.trace(trace(101)).unwrap().unwrap().remove(0);
        let service = Attribute::new("service.name", "web");
        let resource = Resource {
            attributes: vec![service],
        };
        assert_eq!(web.resource.as_deref(), Some(&resource));
        upkeep(&store, &at_once());
    }
}

#[test]
fn the_stores_of_a_trace_are_known_wherever_it_lies() {
    let folder = Folder::new();
    let mut log = folder.log();
    for number in 1..=30 {
        let of = |store: &str, id: u64| {
            let mut span = span(number, id, None, 0, 1);
            let attributes = vec![
                Attribute::new("service.name", "shop"),
                Attribute::new(key::STORE, store.to_owned()),
            ];
            span.resource = Some(std::sync::Arc::new(Resource { attributes }));
            span
        };
        let spans = match number % 3 {
            0 => vec![span(number, 1, None, 0, 1)],
            1 => vec![of("sqlite:/a.db", 1)],
            _ => vec![of("sqlite:/b.db", 1), of("sqlite:/a.db", 2)],
        };
        log.append(Class::Base, &spans);
    }
    drop(log);
    let check = |store: &TraceStore| {
        let page = store.search(&|_: &TraceSummary| true, 50, None).unwrap();
        assert_eq!(page.traces.len(), 30);
        for summary in page.traces {
            let stores: &[&str] = match summary.trace_id.to_u128() % 3 {
                0 => &[],
                1 => &["sqlite:/a.db"],
                _ => &["sqlite:/a.db", "sqlite:/b.db"],
            };
            assert_eq!(summary.stores, stores, "{}", summary.trace_id);
            assert_eq!(summary.service, "shop");
        }
    };
    let store = folder.store();
    check(&store);
    upkeep(&store, &at_once());
    check(&store);
    check(&folder.store());
}
