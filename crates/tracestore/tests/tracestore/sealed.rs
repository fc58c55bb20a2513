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
use longshore_tracestore::{Kept, StoryOf, TraceStore, TraceStoreError, TraceStoreOptions, Upkeep};

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

fn upkeep(store: &TraceStore, upkeep: &Upkeep) -> Kept {
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
fn shop() -> (Folder, TraceStore) {
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

fn all_of(store: &TraceStore) -> Vec<Span> {
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
fn a_turn_that_died_in_the_middle_leaves_nothing() {
    let (folder, store) = shop();
    let before = all_of(&store);
    let crashed = folder.crashed();
    upkeep(&store, &at_once());
    let sealed = files(&folder, ".parquet").remove(0);
    let bytes = fs::read(&sealed).unwrap();
    let name = sealed.file_name().unwrap().to_str().unwrap().to_owned();
    let place = crashed.path().join("sealed");
    fs::create_dir(&place).unwrap();
    for cut in (0..bytes.len()).step_by(997) {
        let hidden = place.join(format!("{name}.tmp"));
        fs::write(&hidden, &bytes[..cut]).unwrap();
        let store = crashed.store();
        assert_eq!(store.holdings().damaged_files, 0);
        assert_eq!(all_of(&store), before);
    }
    let store = crashed.store();
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 17);
    assert!(files(&crashed, ".tmp").is_empty());
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

#[test]
fn a_turn_does_not_do_everything_at_once() {
    let folder = Folder::new();
    for number in 1..=4 {
        folder
            .log()
            .append(Class::Base, &job(number, "j", 0, false));
    }
    let store = folder.store();
    let little = Upkeep {
        max_bytes_per_turn: 1,
        ..at_once()
    };
    for turn in 1..=4 {
        let kept = upkeep(&store, &little);
        assert_eq!((kept.sealed_spans, kept.more), (3, turn < 4));
    }
    assert_eq!(all_of(&store).len(), 12);
}

#[test]
fn sealed_files_are_kept_by_class_age_and_bytes() {
    let folder = Folder::new();
    let mut log = folder.log();
    for (number, class) in [(1, Class::Base), (2, Class::Kept), (3, Class::Pinned)] {
        log.append(class, &job(number, "j", 0, false));
    }
    drop(log);
    let store = folder.store();
    upkeep(&store, &at_once());
    let day = Duration::from_secs(24 * 60 * 60);
    let policy = Upkeep {
        max_age: Upkeep::default().max_age,
        ..at_once()
    };
    for (days, left) in [(6, 3), (8, 2), (31, 1), (3_650, 1)] {
        let kept = store.upkeep(&policy, at(9).after(day * days)).unwrap();
        assert_eq!(
            files(&folder, ".parquet").len(),
            left,
            "{days} days: {kept:?}"
        );
    }
    assert_eq!(all_of(&store).len(), 3);
    let tight = Upkeep {
        max_bytes: 0,
        ..at_once()
    };
    let kept = upkeep(&store, &tight);
    assert_eq!((kept.deleted_files, kept.deleted_spans.pinned), (1, 3));
    assert!(store.trace(trace(3)).unwrap().is_none());
}

#[test]
fn one_at_a_time_seals() {
    let (folder, store) = shop();
    let place = folder.path().join("sealed");
    fs::create_dir(&place).unwrap();
    let lock = fs::File::create(place.join("seal.lock")).unwrap();
    lock.try_lock().unwrap();
    let kept = store.upkeep(&at_once(), now()).unwrap();
    assert!(kept.busy && kept.sealed_spans == 0);
    drop(lock);
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 17);
}

#[test]
fn a_place_that_cannot_be_written_loses_nothing_and_is_named() {
    let (folder, store) = shop();
    let before = all_of(&store);
    fs::write(folder.path().join("sealed"), b"not a folder").unwrap();
    let failed = store.upkeep(&at_once(), now()).unwrap_err();
    assert!(
        matches!(failed, TraceStoreError::Sealed { .. }),
        "{failed:?}"
    );
    fs::remove_file(folder.path().join("sealed")).unwrap();
    assert_eq!(all_of(&store), before);
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 17);
    assert_eq!(all_of(&store), before);
}

#[test]
fn damaged_sealed_files_are_left_out_and_counted() {
    let (folder, store) = shop();
    upkeep(&store, &at_once());
    let sealed = files(&folder, ".parquet");
    let path = sealed
        .iter()
        .find(|path| path.to_str().unwrap().contains("base-"))
        .unwrap();
    let whole = fs::read(path).unwrap();
    let mut random = 7_u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap()
    };
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=next() % 3 {
            let at = next() % bytes.len();
            match next() % 3 {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] ^= 1 << (next() % 8),
                _ => bytes[at] = u8::try_from(next() % 256).unwrap(),
            }
        }
        fs::write(path, &bytes).unwrap();
        let store = folder.store();
        let holdings = store.holdings();
        assert_eq!(holdings.sealed_files + holdings.damaged_files, 2);
        // What is not damaged is there.
        assert_eq!(ids(&store.trace(trace(4)).unwrap().unwrap()), [1, 2, 3]);
        let _some = store.trace(trace(7)).unwrap();
        let page = store.search(&query::Query::default(), 100, None).unwrap();
        assert!(page.traces.iter().any(|found| found.trace_id == trace(4)));
    }
}

const FOLDER: &str = "LONGSHORE_TRACESTORE_TEST_FOLDER";

/// Seals in a process that may write no file beyond a few KB; run by the test below.
#[test]
fn sealing_on_a_full_disk_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    let failed = store.upkeep(&at_once(), now()).unwrap_err();
    assert!(matches!(failed, TraceStoreError::Seal { .. }), "{failed:?}");
    let said = std::error::Error::source(&failed).unwrap().to_string();
    assert!(said.contains("File too large"), "{said}");
    // It goes on answering.
    assert_eq!(all_of(&store).len(), 17);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_survived_and_said() {
    let (folder, store) = shop();
    let before = all_of(&store);
    // The limit in blocks of 512 or 1024 bytes; without its signal, writes fail as on a full disk.
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sealed::sealing_on_a_full_disk_in_a_process_of_its_own",
        ])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert!(files(&folder, ".parquet").is_empty() && files(&folder, ".tmp").is_empty());
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 17);
    assert_eq!(all_of(&store), before);
}

#[test]
fn a_turn_that_died_while_it_deleted_log_files_is_brought_to_its_end() {
    let folder = Folder::new();
    for number in 1..=5 {
        folder
            .log()
            .append(Class::Base, &job(number, "j", 0, false));
    }
    let before = all_of(&folder.store());
    let logs = files(&folder, ".spans");
    for deleted in 0..=logs.len() {
        let crashed = folder.crashed();
        upkeep(&crashed.store(), &at_once());
        // All are gone; those that the turn had not come to are there again.
        for log in &logs[deleted..] {
            fs::copy(log, crashed.path().join(log.file_name().unwrap())).unwrap();
        }
        let store = crashed.store();
        assert_eq!(all_of(&store), before);
        assert_eq!(upkeep(&store, &at_once()).sealed_spans, 0);
        assert!(files(&crashed, ".spans").is_empty());
        assert_eq!(all_of(&store), before);
    }
}
