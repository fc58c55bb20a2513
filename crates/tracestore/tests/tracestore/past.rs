//! What lay in a folder before it was opened: the newest of it is known first.

use longshore_core::Timestamp;
use longshore_instrument::{Attribute, Span};
use longshore_spanlog::Class;
use longshore_tracestore::{TraceStore, TraceStoreOptions};

use crate::support::{Folder, at, ids, job, log_at, span, trace};

/// A span that is about as large as a frame may be.
fn large(number: u128) -> Span {
    Span {
        attributes: vec![Attribute::new("text", "x".repeat(3 << 20))],
        ..span(number, 1, None, 0, 1)
    }
}

/// Spans that are known of a trace without reading on.
fn known(store: &TraceStore, number: u128) -> Vec<u64> {
    let spans = store.trace(trace(number)).unwrap();
    ids(&spans.unwrap_or_default())
}

#[test]
fn the_newest_is_known_at_once_and_the_rest_after_it() {
    let folder = Folder::new();
    for number in 1..=14_u32 {
        let mut log = log_at(folder.path(), at(i64::from(number) * 1_000));
        log.append(Class::Base, &[large(number.into())]);
    }
    let mut live = log_at(folder.path(), at(0));
    live.append(Class::Base, &[span(99, 1, None, 0, 1)]);
    let store = TraceStore::open(TraceStoreOptions::new(folder.path())).unwrap();
    assert!(store.refresh().unwrap().more);
    assert_eq!(store.summary(trace(99)).map(|found| found.spans), Some(1));
    let is_known = |number: u128| store.summary(trace(number)).is_some();
    assert!(is_known(14) && is_known(9) && !is_known(1));
    live.append(Class::Base, &[span(99, 2, Some(1), 0, 1)]);
    store.refresh().unwrap();
    assert_eq!(known(&store, 99), [1, 2]);
    store.refresh_all().unwrap();
    assert!((1..=14).all(is_known));
    assert_eq!(store.holdings().spans, 16);
}

#[test]
fn what_was_released_or_said_later_supersedes_what_is_read_after_it() {
    let folder = Folder::new();
    let mut log = folder.log();
    let open = |number| Span {
        end: Timestamp::UNIX_EPOCH,
        ..span(3, number, None, 0, 0)
    };
    log.hold(1, &job(1, "j-1", 0, false));
    log.hold(2, &job(2, "j-2", 0, false));
    log.open(&[open(1), open(2)]);
    log.writer.rotate();
    log.release(1, &[span(1, 9, None, 0, 1)]);
    log.open(&[open(2)]);
    log.writer.rotate();
    log.append(Class::Base, &[span(4, 1, None, 0, 1)]);
    log.append(Class::Kept, &[span(4, 2, None, 0, 1)]);
    let all = |store: &TraceStore| [1, 2, 3, 4].map(|number| known(store, number));
    let store = folder.store();
    assert_eq!(all(&store), [vec![9], vec![1, 2, 3], vec![2], vec![1, 2]]);
    log.release(2, &[]);
    log.open(&[]);
    store.refresh_all().unwrap();
    assert_eq!(all(&store), [vec![9], vec![], vec![], vec![1, 2]]);
    assert_eq!(all(&folder.store()), all(&store));
    log.hold(3, &job(5, "j-5", 0, false));
    drop(log);
    assert_eq!(known(&folder.store(), 5), [1, 2, 3]);
}

#[test]
fn where_there_is_no_room_what_is_older_is_left_out_and_counted() {
    let folder = Folder::new();
    for number in 1..=14_u32 {
        let mut log = log_at(folder.path(), at(i64::from(number) * 1_000));
        let from = i64::from(number) * 1_000;
        log.append(Class::Base, &job(number.into(), "j", from, false));
        log.append(Class::Base, &[large(1_000 + u128::from(number))]);
    }
    let options = TraceStoreOptions {
        max_indexed_spans: 20,
        ..TraceStoreOptions::new(folder.path())
    };
    let store = TraceStore::open(options).unwrap();
    store.refresh_all().unwrap();
    let holdings = store.holdings();
    assert!(holdings.spans <= 20, "{holdings:?}");
    assert!(holdings.left_out > 0, "{holdings:?}");
    assert!(store.summary(trace(14)).is_some() && store.summary(trace(1)).is_none());
}
