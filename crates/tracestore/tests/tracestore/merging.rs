//! Many small sealed files become one, and nobody who reads notices.

use std::fs;
use std::path::Path;
use std::time::Duration;

use longshore_instrument::{Attribute, Span};
use longshore_spanlog::Class;
use longshore_trace::query;
use longshore_tracestore::{Sealer, TraceStore, Upkeep};

use crate::sealed::{at_once, files, now};
use crate::support::{Folder, job, span, trace};

/// Seals as small files as there are log files, and leaves them so.
fn small() -> Upkeep {
    Upkeep {
        small_spans: 0,
        ..at_once()
    }
}

fn spans_of(number: u128) -> Vec<Span> {
    let from = 1_000 * i64::try_from(number).unwrap();
    let mut spans = job(
        number,
        &format!("j-{number}"),
        from,
        number.is_multiple_of(2),
    );
    let mut own = span(number, 9, Some(3), from + 6, from + 7);
    own.attributes
        .push(Attribute::new("shop.order", format!("o-{number}")));
    // A trace that all of them have a span of.
    let shared = span(100, u64::try_from(number).unwrap(), None, from, from + 2);
    spans.extend([own, shared]);
    spans
}

/// A folder with so many small sealed files of a class.
fn sealed(count: u128, class: Class) -> Folder {
    let folder = Folder::new();
    let mut sealer = Sealer::new([folder.path()]);
    for number in 1..=count {
        folder.log().append(class, &spans_of(number));
        sealer.turn(&small(), now()).unwrap();
    }
    folder
}

fn merge(folder: &Path) -> u64 {
    let mut sealer = Sealer::new([folder]);
    let mut merged = 0;
    loop {
        let kept = sealer.turn(&at_once(), now()).unwrap();
        merged += kept.merged_files;
        if !kept.more {
            return merged;
        }
    }
}

fn all_of(store: &TraceStore) -> Vec<Span> {
    let traces = (1..=100).filter_map(|number| store.trace(trace(number)).unwrap());
    let mut spans: Vec<Span> = traces.flatten().collect();
    spans.sort_by_key(|span| (span.trace_id, span.span_id));
    spans
}

fn found(store: &TraceStore, text: &str) -> usize {
    let query = query::parse(text, now()).unwrap();
    store.search(&query, 100, None).unwrap().traces.len()
}

fn replaced(folder: &Folder) -> usize {
    let sealed = fs::read_dir(folder.path().join("sealed")).unwrap();
    let names = sealed.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_str().unwrap().ends_with(".replaced"))
        .count()
}

#[test]
fn small_files_become_one_and_say_what_they_said() {
    let folder = sealed(10, Class::Kept);
    assert_eq!(files(&folder, ".parquet").len(), 10);
    let before = folder.store();
    let spans = all_of(&before);
    assert_eq!(spans.len(), 50);
    assert_eq!(merge(folder.path()), 10);
    assert_eq!(files(&folder, ".parquet").len(), 1);
    let after = folder.store();
    // Who had opened the small ones finds what is in them, told of the change or not.
    for store in [&before, &after] {
        assert_eq!(all_of(store), spans);
        assert_eq!(found(store, "shop.order=o-7"), 1);
        assert_eq!(found(store, "shop.order=o-11"), 0);
        assert_eq!(found(store, "error"), 5);
        assert_eq!(found(store, "j-3"), 1);
        assert_eq!(found(store, ""), 11);
    }
    before.refresh_all().unwrap();
    for store in [&before, &after] {
        let held = store.holdings();
        assert_eq!((held.sealed_files, held.sealed_spans), (1, 50));
        assert_eq!(all_of(store), spans);
    }
    // What is small and what comes later become one again.
    let mut sealer = Sealer::new([folder.path()]);
    for number in 11..=17 {
        folder.log().append(Class::Kept, &spans_of(number));
        sealer.turn(&small(), now()).unwrap();
    }
    assert_eq!(merge(folder.path()), 8);
    assert_eq!(folder.store().holdings().sealed_spans, 85);
    assert_eq!(found(&folder.store(), "shop.order=o-7"), 1);
}

#[test]
fn the_small_files_are_left_for_a_while_for_those_who_read_them() {
    let folder = sealed(8, Class::Base);
    let mut sealer = Sealer::new([folder.path()]);
    let begin = now();
    assert_eq!(sealer.turn(&at_once(), begin).unwrap().merged_files, 8);
    for (seconds, left) in [(59, 8), (60, 0)] {
        let later = begin.after(Duration::from_secs(seconds));
        sealer.turn(&at_once(), later).unwrap();
        assert_eq!(replaced(&folder), left);
    }
    assert_eq!(all_of(&folder.store()).len(), 40);
}

#[test]
fn each_class_is_put_together_by_itself() {
    let folder = sealed(8, Class::Base);
    let mut sealer = Sealer::new([folder.path()]);
    for number in 11..=17 {
        folder.log().append(Class::Kept, &spans_of(number));
        sealer.turn(&small(), now()).unwrap();
    }
    assert_eq!(merge(folder.path()), 8);
    let names = files(&folder, ".parquet");
    let kept = |path: &&std::path::PathBuf| path.to_str().unwrap().contains("/kept-");
    assert_eq!((names.len(), names.iter().filter(kept).count()), (8, 7));
}

#[test]
fn a_turn_that_died_while_it_put_files_together_is_brought_to_its_end() {
    let folder = sealed(9, Class::Base);
    let spans = all_of(&folder.store());
    let parts = files(&folder, ".parquet");
    let copies: Vec<_> = parts.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(merge(folder.path()), 9);
    for left in 0..=parts.len() {
        for (path, bytes) in parts.iter().zip(&copies).take(left) {
            let mut aside = path.clone().into_os_string();
            aside.push(".replaced");
            fs::remove_file(aside).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let store = folder.store();
        assert_eq!(all_of(&store), spans);
        assert_eq!(found(&store, ""), 10);
        assert_eq!(merge(folder.path()), 0);
        assert_eq!(files(&folder, ".parquet").len(), 1);
        assert_eq!(all_of(&folder.store()), spans);
    }
}

#[test]
fn what_is_damaged_is_left_as_it_is() {
    let folder = sealed(9, Class::Base);
    let damaged = files(&folder, ".parquet").remove(4);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[200..600].fill(0xFF);
    fs::write(&damaged, &bytes).unwrap();
    assert_eq!(merge(folder.path()), 8);
    assert_eq!(fs::read(&damaged).unwrap(), bytes);
    assert_eq!(files(&folder, ".parquet").len(), 2);
}

#[test]
fn log_files_of_which_a_merged_file_was_made_are_not_sealed_anew() {
    let folder = Folder::new();
    let mut sealer = Sealer::new([folder.path()]);
    let mut logs = Vec::new();
    for number in 1..=8 {
        folder.log().append(Class::Base, &spans_of(number));
        let paths = files(&folder, ".spans");
        logs.extend(
            paths
                .iter()
                .map(|path| (path.clone(), fs::read(path).unwrap())),
        );
        sealer.turn(&small(), now()).unwrap();
    }
    // Another process was at the log, so that they could not be deleted.
    for (path, bytes) in &logs {
        fs::write(path, bytes).unwrap();
    }
    let mut sealer = Sealer::new([folder.path()]);
    let lock = longshore_spanlog::folder::try_lock(&folder.path().join("folder.lock")).unwrap();
    assert_eq!(sealer.turn(&at_once(), now()).unwrap().merged_files, 8);
    drop(lock);
    let kept = sealer.turn(&at_once(), now()).unwrap();
    assert_eq!((kept.sealed_spans, files(&folder, ".spans").len()), (0, 0));
    assert_eq!(folder.store().holdings().sealed_spans, 40);
}
