//! Log files that are over become Parquet, and nobody who reads notices.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::{Clock, SystemClock, Timestamp, TraceState};
use longshore_instrument::table::{key, name};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Resource, Span, SpanEvent, SpanStatus,
};
use longshore_spanlog::{ByClass, Class, Policy, sweep};
use longshore_trace::query;
use longshore_tracestore::{Kept, StoryOf, TraceStore, Upkeep};

use crate::support::{Folder, at, id, ids, job, linking, span, trace};

/// Upkeep that seals at once what nobody ships, and deletes nothing.
pub(crate) fn at_once() -> Upkeep {
    Upkeep {
        min_age: Duration::ZERO,
        min_bytes: 0,
        local_flags: None,
        max_age: ByClass::default(),
        ..Upkeep::default()
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock::new().now()
}

pub(crate) fn upkeep(store: &TraceStore, upkeep: &Upkeep) -> Kept {
    let kept = store.upkeep(upkeep, now()).unwrap();
    assert!(!kept.busy);
    kept
}

pub(crate) fn files(folder: &Folder, ending: &str) -> Vec<PathBuf> {
    let path = match ending {
        ".parquet" => folder.path().join("sealed"),
        _ => folder.path().to_owned(),
    };
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    paths.sort();
    paths
}

/// A span with something in every field.
fn full() -> Span {
    let text = |key: &'static str, value: &str| Attribute::new(key, value.to_owned());
    let mut full = linking(linking(span(7, 30, Some(3), 6, 8), 9), 7);
    full.links[0].context.trace_state = TraceState::parse("ot=th:8").0;
    full.links[0].attributes.push(Attribute::new("n", -1_i64));
    full.trace_state = TraceState::parse("ot=th:0,x=1").0;
    full.parent_is_remote = true;
    full.status = SpanStatus::Error("no way é".into());
    full.dropped = Dropped {
        attributes: 1,
        events: 2,
        links: u32::MAX,
    };
    full.attributes = vec![
        text("z", "last first"),
        text(key::QUEUE, "orders"),
        Attribute::new("int", i64::MIN),
        Attribute::new("double", 1.0),
        Attribute::new("other", 0.1),
        Attribute::new("nan", f64::INFINITY),
        Attribute::new("yes", true),
        text(key::QUEUE, "a second queue"),
        Attribute {
            key: key::TAGS.into(),
            value: AttributeValue::Strings(vec!["a".into(), "".into()]),
        },
        Attribute {
            key: "texts".into(),
            value: AttributeValue::Strings(vec!["\"q\"".into()]),
        },
        Attribute::new(key::ATTEMPT, 3_i64),
        Attribute::new(key::JOB_ID, 17_i64),
        text("empty", ""),
    ];
    full.events = vec![
        SpanEvent {
            name: "one".into(),
            at: at(6),
            attributes: Vec::new(),
        },
        SpanEvent {
            name: "two".into(),
            at: at(7),
            attributes: vec![Attribute::new("d", 2.0), text("s", "x\ny")],
        },
    ];
    full
}

fn by_id(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.trace_id, span.span_id));
    spans
}

/// A folder with traces 1 to 5 and 7, the store that knows them, and what it knows.
pub(crate) fn shop() -> (Folder, TraceStore) {
    let folder = Folder::new();
    let mut log = folder.log();
    for number in 1..=5_u128 {
        let from = 1_000 * i64::try_from(number).unwrap();
        let mut spans = job(number, &format!("j-{number}"), from, number % 2 == 0);
        spans[0] = linking(spans[0].clone(), 100);
        let class = if number == 4 {
            Class::Kept
        } else {
            Class::Base
        };
        log.append(class, &spans);
    }
    log.append(Class::Base, &[full(), span(7, 31, None, 0, 1)]);
    drop(log);
    let store = folder.store();
    (folder, store)
}

pub(crate) fn all_of(store: &TraceStore) -> Vec<Span> {
    let traces = (1..=7).filter_map(|number| store.trace(trace(number)).unwrap());
    by_id(traces.flatten().collect())
}

#[test]
fn what_is_sealed_is_what_it_was() {
    let (folder, store) = shop();
    let before = all_of(&store);
    let page = store.search(&query::Query::default(), 100, None).unwrap();
    let kept = upkeep(&store, &at_once());
    assert_eq!((kept.sealed_spans, kept.more), (17, false));
    assert!(kept.from_bytes > 0 && kept.sealed_bytes > 0);
    assert_eq!(files(&folder, ".parquet").len(), 2);
    assert!(files(&folder, ".spans").is_empty());
    let later = folder.store();
    for store in [&store, &later] {
        assert_eq!(
            (store.holdings().traces, store.holdings().sealed_spans),
            (0, 17)
        );
        let after = all_of(store);
        assert_eq!(after.len(), before.len());
        for (after, before) in after.iter().zip(&before) {
            assert_eq!(after, before);
        }
        let sealed = store.search(&query::Query::default(), 100, None).unwrap();
        assert_eq!(sealed.traces, page.traces);
        assert!(sealed.traces.iter().any(|trace| trace.kept));
    }
    // Nothing more to be done.
    assert_eq!(upkeep(&later, &at_once()), Kept::default());
}

#[test]
fn sealed_traces_are_found_in_every_way() {
    let (_folder, store) = shop();
    upkeep(&store, &at_once());
    let found = |text: &str| -> Vec<u128> {
        let query = query::parse(text, at(6_000)).unwrap();
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.search(&query, 2, cursor.as_deref()).unwrap();
            found.extend(page.traces.iter().map(|trace| trace.trace_id.to_u128()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return found;
            }
        }
    };
    assert_eq!(found(""), [5, 4, 3, 2, 1, 7]);
    assert_eq!(found("error -kept=true"), [2, 7]);
    assert_eq!(found("job=j-3"), [3]);
    assert_eq!(found("since:3500ms"), [5, 4, 3]);
    assert_eq!(found("until:3500ms"), [2, 1, 7]);
    assert_eq!(found("exception.message=\"no answer\""), [4, 2]);
    assert!(found("exception.type=x").is_empty());
    let numbers = |of| -> Vec<u128> {
        store
            .traces_of(of)
            .iter()
            .map(|trace| trace.to_u128())
            .collect()
    };
    assert_eq!(numbers(StoryOf::Job("j-3")), [3, 100]);
    let mut linked = numbers(StoryOf::Trace(trace(100)));
    linked.sort_unstable();
    assert_eq!(linked, [1, 2, 3, 4, 5, 100]);
    assert_eq!(store.services(), ["shop"]);
    assert_eq!(store.values("queue", "").unwrap(), ["orders"]);
    assert!(store.operations("shop").contains(&name::PROCESS.to_owned()));
    assert_eq!(
        store.span(trace(7), id(30)).unwrap(),
        Some(Span {
            resource: Some(std::sync::Arc::new(Resource {
                attributes: vec![Attribute::new("service.name", "shop")]
            })),
            ..full()
        })
    );
}

#[test]
fn a_trace_in_several_files_is_one() {
    let folder = Folder::new();
    let spans = job(7, "j-1", 0, true);
    for part in [&spans[..1], &spans[1..2]] {
        folder.log().append(Class::Base, part);
        assert_eq!(upkeep(&folder.store(), &at_once()).sealed_spans, 1);
    }
    let mut log = folder.log();
    log.append(Class::Kept, &spans[1..]);
    log.append(Class::Base, &[span(8, 1, None, 3, 4)]);
    let store = folder.store();
    assert_eq!(ids(&store.trace(trace(7)).unwrap().unwrap()), [1, 2, 3]);
    for limit in [1, 5] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = store
                .search(&query::Query::default(), limit, cursor.as_deref())
                .unwrap();
            found.extend(page.traces);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let seen: Vec<(u128, u32)> = found
            .iter()
            .map(|trace| (trace.trace_id.to_u128(), trace.spans))
            .collect();
        assert_eq!(seen, [(8, 1), (7, 3)]);
        assert!(found[1].kept && found[1].failed && found[1].orphans == 0);
    }
    // One that began before a time is found there, also if more of it came later.
    let until = query::parse("until:1ms", at(1_000_000)).unwrap();
    let until = query::Query::of(until.expr().cloned());
    drop(store.search(&until, 5, None).unwrap());
    log.append(Class::Base, &[span(7, 9, Some(3), 5_000, 5_001)]);
    store.refresh_all().unwrap();
    assert_eq!(store.summary(trace(7)).unwrap().end, at(5_001));
}

#[test]
fn spans_in_both_tiers_count_once_and_the_next_turn_mends_it() {
    let (folder, store) = shop();
    let before = all_of(&store);
    // A turn that died after publishing: the log files are there still.
    let crashed = folder.crashed();
    upkeep(&store, &at_once());
    fs::create_dir(crashed.path().join("sealed")).unwrap();
    for sealed in files(&folder, ".parquet") {
        fs::copy(
            &sealed,
            crashed
                .path()
                .join("sealed")
                .join(sealed.file_name().unwrap()),
        )
        .unwrap();
    }
    let store = crashed.store();
    assert_eq!(store.holdings().sealed_spans, 17);
    assert_eq!(all_of(&store), before);
    let page = store.search(&query::Query::default(), 100, None).unwrap();
    assert_eq!(page.traces.len(), 6);
    assert_eq!(page.traces.iter().map(|trace| trace.spans).sum::<u32>(), 17);
    let kept = upkeep(&store, &at_once());
    assert_eq!(kept.sealed_spans, 0);
    assert!(files(&crashed, ".spans").is_empty());
    assert_eq!(all_of(&store), before);
}

#[test]
fn only_what_is_over_is_sealed() {
    let folder = Folder::new();
    let mut log = folder.log();
    log.append(Class::Base, &job(1, "j-1", 0, false));
    let store = folder.store();
    assert_eq!(
        upkeep(&store, &at_once()).sealed_spans,
        0,
        "its writer may append to it"
    );
    log.writer.rotate();
    let patient = Upkeep {
        min_bytes: 1 << 20,
        ..at_once()
    };
    assert_eq!(
        upkeep(&store, &patient).sealed_spans,
        0,
        "it is small and young"
    );
    let exported = Upkeep {
        local_flags: Some(0x80),
        ..at_once()
    };
    assert_eq!(
        upkeep(&store, &exported).sealed_spans,
        0,
        "it is to be shipped"
    );
    let waited = Upkeep {
        max_wait: Duration::ZERO,
        ..patient
    };
    assert_eq!(upkeep(&store, &waited).sealed_spans, 3);
    // What is held is not final while its writer lives.
    log.hold(1, &job(2, "j-2", 0, false));
    log.writer.rotate();
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 0);
    log.release(1, &job(2, "j-2", 0, true)[1..]);
    log.writer.rotate();
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 2);
    assert_eq!(ids(&store.trace(trace(2)).unwrap().unwrap()), [2, 3]);
    log.hold(2, &job(3, "j-3", 0, false));
    log.open(&[Span {
        end: Timestamp::UNIX_EPOCH,
        ..span(4, 1, None, 5, 0)
    }]);
    drop(log);
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 3);
    assert!(store.trace(trace(4)).unwrap().is_none());
    assert!(files(&folder, ".spans").len() <= 1);
    // What this version does not know is not thrown away.
    let mut log = folder.log();
    let kind = longshore_spanlog::Kind::from_number(99).unwrap();
    log.append(Class::Kept, &job(5, "j-5", 0, false));
    log.write_body(
        Class::Kept,
        kind,
        0,
        b"?",
        longshore_spanlog::Compression::None,
    );
    drop(log);
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 0);
    assert_eq!(ids(&store.trace(trace(5)).unwrap().unwrap()), [1, 2, 3]);
}

#[test]
fn bundles_are_sealed_whole() {
    let folder = Folder::new();
    for number in 1..=70 {
        folder
            .log()
            .append(Class::Base, &job(number, "j", 0, false));
    }
    assert!(
        sweep(folder.path(), &Policy::default(), now())
            .unwrap()
            .bundled
            >= 64
    );
    let store = folder.store();
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 210);
    assert!(files(&folder, ".bundle").is_empty() && files(&folder, ".spans").is_empty());
    assert_eq!(ids(&store.trace(trace(66)).unwrap().unwrap()), [1, 2, 3]);
    assert_eq!(files(&folder, ".parquet").len(), 1);
}
