//! What is known of a log while it is written, by one process and by others.

use std::fs;
use std::io::Write;

use longshore_core::Timestamp;
use longshore_instrument::{Span, SpanStatus};
use longshore_spanlog::{Class, Compression, Kind, Policy, sweep};
use longshore_trace::TraceSummary;
use longshore_tracestore::{Refreshed, TraceStore, TraceStoreOptions};

use crate::support::{Folder, at, id, ids, job, span, trace};

fn spans_of(store: &TraceStore, number: u128) -> Vec<u64> {
    store.refresh_all().unwrap();
    let spans = store.trace(trace(number)).unwrap();
    ids(&spans.unwrap_or_default())
}

#[test]
fn what_processes_write_is_one_trace_as_soon_as_it_is_written() {
    let folder = Folder::new();
    let store = folder.store();
    assert_eq!(store.refresh().unwrap(), Refreshed::default());
    assert!(store.trace(trace(7)).unwrap().is_none());
    let (mut producer, mut worker) = (folder.log_of("api"), folder.log_of("worker"));
    let spans = job(7, "j-1", 0, true);
    producer.append(Class::Base, &spans[..1]);
    assert_eq!(spans_of(&store, 7), [1]);
    worker.append(Class::Kept, &spans[1..]);
    worker.append(Class::Base, &[span(8, 1, None, 50, 60)]);
    assert_eq!(spans_of(&store, 7), [1, 2, 3]);
    // Every field comes back.
    let read = store.span(trace(7), id(3)).unwrap().unwrap();
    assert_eq!(read.service(), Some("worker"));
    assert_eq!(
        Span {
            resource: None,
            ..read
        },
        spans[2]
    );
    assert_eq!(store.span(trace(7), id(9)).unwrap(), None);
    let summary = store.summary(trace(7)).unwrap();
    let whole = store.trace(trace(7)).unwrap().unwrap();
    let wanted = TraceSummary {
        kept: true,
        ..TraceSummary::of(trace(7), &whole)
    };
    assert_eq!(summary, wanted);
    assert_eq!(
        (summary.service.as_str(), summary.services.len()),
        ("api", 2)
    );
    assert_eq!(summary.error_type.as_deref(), Some("Timeout"));
    assert_eq!(summary.tags, ["vip", "eu"]);
    assert!(!store.summary(trace(8)).unwrap().kept);
    // A store that is opened later knows the same.
    assert_eq!(folder.store().summary(trace(7)), Some(summary));
}

#[test]
fn identical_spans_count_once() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.log(), folder.log());
    one.append(Class::Base, &job(7, "j-1", 0, false));
    other.append(Class::Kept, &job(7, "j-1", 0, false));
    one.append(Class::Base, &[span(7, 9, Some(3), 6, 7)]);
    let store = folder.store();
    assert_eq!(spans_of(&store, 7), [1, 2, 3, 9]);
    let summary = store.summary(trace(7)).unwrap();
    assert_eq!((summary.spans, summary.attempts), (4, 1));
}

#[test]
fn what_was_held_is_superseded_when_it_is_released() {
    let folder = Folder::new();
    let store = folder.store();
    let mut log = folder.log();
    let spans = job(7, "j-1", 0, false);
    // In parts, as what is too large for one frame.
    log.hold(1, &spans[..1]);
    log.hold(1, &spans[1..]);
    log.hold(2, &job(8, "j-2", 0, false));
    assert_eq!(spans_of(&store, 7), [1, 2, 3]);
    let settled = Span {
        end: at(99),
        status: SpanStatus::Error("later".into()),
        ..spans[2].clone()
    };
    log.release(1, &[settled.clone(), span(7, 4, Some(3), 9, 10)]);
    // Its lease was lost: others have written what became of it.
    log.release(2, &[]);
    assert_eq!(spans_of(&store, 7), [3, 4]);
    assert_eq!(store.span(trace(7), id(3)).unwrap().unwrap().end, at(99));
    assert!(store.summary(trace(7)).unwrap().failed);
    assert!(spans_of(&store, 8).is_empty());
    assert_eq!(store.summary(trace(8)), None);
    let later = folder.store();
    assert_eq!(spans_of(&later, 7), [3, 4]);
    assert_eq!(later.holdings().traces, 1);
}

#[test]
fn what_was_held_by_a_process_that_died_stays() {
    let folder = Folder::new();
    let mut log = folder.log();
    log.hold(1, &job(7, "j-1", 0, true));
    let crashed = folder.crashed();
    assert_eq!(spans_of(&crashed.store(), 7), [1, 2, 3]);
}

#[test]
fn what_is_open_is_what_its_process_said_last() {
    let folder = Folder::new();
    let store = folder.store();
    let mut log = folder.log();
    let open = |number, from| Span {
        end: Timestamp::UNIX_EPOCH,
        ..span(7, number, None, from, 0)
    };
    log.open(&[open(1, 0), open(2, 5)]);
    assert_eq!(spans_of(&store, 7), [1, 2]);
    assert_eq!(store.summary(trace(7)).unwrap().open, 2);
    // One has ended; until that is said, its end counts.
    log.append(Class::Base, &[span(7, 1, None, 0, 8)]);
    assert_eq!(spans_of(&store, 7), [1, 2]);
    assert_eq!(store.span(trace(7), id(1)).unwrap().unwrap().end, at(8));
    assert_eq!(store.summary(trace(7)).unwrap().open, 1);
    log.open(&[open(2, 5), open(3, 6)]);
    assert_eq!(spans_of(&store, 7), [1, 2, 3]);
    log.open(&[]);
    assert_eq!(spans_of(&store, 7), [1]);
    // What another process has open is its own matter.
    let mut other = folder.log();
    other.open(&[open(4, 9)]);
    log.open(&[open(2, 5)]);
    assert_eq!(spans_of(&store, 7), [1, 2, 4]);
    let crashed = folder.crashed();
    assert_eq!(spans_of(&crashed.store(), 7), [1]);
    drop(other);
    assert_eq!(spans_of(&store, 7), [1, 2]);
    // Another file of the same writer changes nothing, another frame does.
    log.writer.rotate();
    log.append(Class::Base, &[span(8, 1, None, 0, 1)]);
    assert_eq!(spans_of(&store, 7), [1, 2]);
    log.open(&[]);
    assert_eq!(spans_of(&store, 7), [1]);
}

#[test]
fn packed_frames_are_read_and_broken_ones_counted() {
    let folder = Folder::new();
    let mut log = folder.log();
    let body = log.body(&[span(7, 1, None, 0, 1)]);
    let zstd = zstd_of(&body);
    log.write_body(Class::Base, Kind::SPANS, 0, &zstd, Compression::Zstd);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&log.body(&[span(7, 2, None, 0, 1)]))
        .unwrap();
    let gzip = gzip.finish().unwrap();
    log.write_body(Class::Base, Kind::SPANS, 0, &gzip, Compression::Gzip);
    log.write_body(Class::Base, Kind::SPANS, 0, &gzip[..20], Compression::Gzip);
    log.write_body(
        Class::Base,
        Kind::SPANS,
        0,
        b"\x0a\x05rest",
        Compression::None,
    );
    log.write_body(Class::Base, Kind::LOGS, 0, &body, Compression::None);
    // What unpacks to more than fits into memory.
    let bomb = zstd_of(&vec![0; 65 << 20]);
    log.write_body(Class::Base, Kind::SPANS, 0, &bomb, Compression::Zstd);
    let store = folder.store();
    assert_eq!(spans_of(&store, 7), [1, 2]);
    let holdings = store.holdings();
    assert_eq!((holdings.unreadable, holdings.refused), (2, 1));
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

#[test]
fn what_is_deleted_is_forgotten_and_what_is_put_together_is_not() {
    let folder = Folder::new();
    let store = folder.store();
    for number in 0..70 {
        let mut log = folder.log();
        log.append(Class::Base, &job(number + 1, "j", 0, false));
    }
    let mut log = folder.log();
    log.append(Class::Kept, &[span(1, 9, None, 3, 4)]);
    store.refresh_all().unwrap();
    let swept = sweep(folder.path(), &Policy::default(), now()).unwrap();
    assert!(swept.bundled >= 64, "{swept:?}");
    assert_eq!(spans_of(&store, 3), [1, 2, 3]);
    assert_eq!(store.holdings().traces, 70);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        if name.ends_with(".bundle") || name.ends_with("base.spans") {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(spans_of(&store, 3).is_empty());
    assert_eq!(spans_of(&store, 1), [9]);
    assert_eq!((store.holdings().traces, store.holdings().spans), (1, 1));
    assert!(store.services() == ["shop"] && store.operations("shop") == ["work"]);
}

#[test]
fn a_release_after_its_file_is_gone_takes_nothing_of_others_away() {
    let folder = Folder::new();
    let store = folder.store();
    let mut log = folder.log();
    log.hold(1, &job(7, "j-1", 0, false));
    store.refresh_all().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "spans") {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(spans_of(&store, 7).is_empty());
    // It has the number in the index now that the other had.
    folder
        .log()
        .append(Class::Base, &job(7, "j-1", 0, false)[..1]);
    assert_eq!(spans_of(&store, 7), [1]);
    log.writer.rotate();
    log.release(1, &[span(8, 1, None, 0, 1)]);
    assert_eq!(spans_of(&store, 8), [1]);
    assert_eq!(spans_of(&store, 7), [1]);
}

fn now() -> Timestamp {
    use longshore_core::{Clock, SystemClock};
    SystemClock::new().now()
}

#[test]
fn memory_is_bounded() {
    let folder = Folder::new();
    let mut log = folder.log();
    for number in 0..100 {
        let from = i64::try_from(number).unwrap();
        log.append(Class::Base, &job(number + 1, "j", from, false));
    }
    let options = TraceStoreOptions {
        max_indexed_spans: 100,
        ..TraceStoreOptions::new(folder.path())
    };
    let store = TraceStore::open(options).unwrap();
    store.refresh_all().unwrap();
    let holdings = store.holdings();
    assert!(holdings.spans <= 90, "{holdings:?}");
    assert_eq!(holdings.left_out, 300 - holdings.spans as u64);
    assert!(store.summary(trace(100)).is_some() && store.summary(trace(1)).is_none());
    assert_eq!(
        store
            .traces_of(longshore_tracestore::StoryOf::Job("j"))
            .len(),
        holdings.traces
    );
}

#[test]
fn a_log_that_is_cut_anywhere_gives_what_is_whole() {
    let folder = Folder::new();
    let mut log = folder.log();
    let mut ends = Vec::new();
    for number in 1..4_u128 {
        log.append(Class::Base, &job(number, "j", 0, false));
        let files = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap());
        let file = files
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|end| end == "spans"));
        ends.push((
            fs::metadata(file.as_ref().unwrap()).unwrap().len(),
            file.unwrap(),
        ));
    }
    let bytes = fs::read(&ends[0].1).unwrap();
    for cut in (0..bytes.len()).step_by(37).chain([bytes.len()]) {
        let crashed = Folder::new();
        let name = ends[0].1.file_name().unwrap();
        fs::write(crashed.path().join(name), &bytes[..cut]).unwrap();
        let store = crashed.store();
        let whole = ends.iter().filter(|(end, _)| *end <= cut as u64).count();
        assert_eq!(store.holdings().traces, whole, "cut at {cut}");
    }
}
