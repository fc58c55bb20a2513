//! What may not be lost when log files are sealed, whatever lies among them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use longshore_spanlog::{Class, Compression, Kind, Policy, sweep};
use longshore_tracestore::{Sealer, Upkeep};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::sealed::{all_of, at_once, files, now, upkeep};
use crate::support::{Folder, at, ids, job, span, trace};

/// The log file that was written last, of a writer that is gone.
fn newest(folder: &Folder) -> PathBuf {
    files(folder, ".spans").pop().unwrap()
}

/// Lets a file say that it is of the version after this one.
fn make_newer(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    bytes[8] += 1;
    let sum = xxh3_64(&bytes[..24]).to_le_bytes();
    bytes[24..32].copy_from_slice(&sum);
    fs::write(path, bytes).unwrap();
}

/// Lets the first frame of a file be of a kind that nobody knows.
fn make_unknown(path: &PathBuf) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[32 + 8] = 77;
    let sum = xxh3_64_with_seed(&bytes[32..72], xxh3_64(name.as_bytes()));
    bytes[72..80].copy_from_slice(&sum.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_this_version_cannot_read_is_left_where_it_is() {
    for spoil in [make_newer, make_unknown] {
        let folder = Folder::new();
        folder.log().append(Class::Base, &job(1, "j", 0, false));
        folder.log().append(Class::Base, &job(2, "j", 0, false));
        let spoilt = newest(&folder);
        spoil(&spoilt);
        folder.log().append(Class::Base, &job(3, "j", 0, false));
        let store = folder.store();
        assert_eq!(upkeep(&store, &at_once()).sealed_spans, 6);
        assert_eq!(files(&folder, ".spans"), [spoilt]);
        assert_eq!(all_of(&store).len(), 6);
        // Nor does it stand in the way of what comes later.
        folder.log().append(Class::Base, &job(4, "j", 0, false));
        assert_eq!(upkeep(&store, &at_once()).sealed_spans, 3);
        assert_eq!(files(&folder, ".spans").len(), 1);
    }
}

#[test]
fn frames_of_spans_that_cannot_be_read_are_left_where_they_are() {
    let folder = Folder::new();
    let mut log = folder.log();
    log.append(Class::Base, &job(1, "j", 0, false));
    log.write_body(Class::Base, Kind::SPANS, 0, b"no gzip", Compression::Gzip);
    drop(log);
    let store = folder.store();
    assert_eq!(upkeep(&store, &at_once()).sealed_spans, 0);
    assert_eq!(files(&folder, ".spans").len(), 1);
    assert_eq!(all_of(&store).len(), 3);
}

#[test]
fn a_bundle_that_cannot_be_read_is_left_where_it_is() {
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
    let bundle = files(&folder, ".bundle").remove(0);
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[20] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let store = folder.store();
    upkeep(&store, &at_once());
    assert!(bundle.exists());
}

#[test]
fn files_without_spans_go_and_hold_nothing_up() {
    let folder = Folder::new();
    let mut log = folder.log();
    log.open(&[]);
    log.hold(1, &job(1, "j", 0, false));
    log.release(1, &[]);
    drop(log);
    let mut log = folder.log();
    log.append(Class::Base, &job(2, "j", 0, false));
    log.append(Class::Kept, &job(3, "j", 0, false));
    drop(log);
    let store = folder.store();
    let little = Upkeep {
        max_bytes_per_turn: 1,
        ..at_once()
    };
    let turns: Vec<u64> = (0..3)
        .map(|_| upkeep(&store, &little).sealed_spans)
        .collect();
    assert_eq!(turns.iter().sum::<u64>(), 6, "{turns:?}");
    assert!(files(&folder, ".spans").is_empty());
    assert_eq!(all_of(&store).len(), 6);
}

#[test]
fn what_is_held_waits_for_the_file_in_which_it_is_released() {
    let folder = Folder::new();
    let mut log = folder.log();
    let spans = job(1, "j", 0, false);
    log.hold(1, &spans);
    log.hold(2, &job(2, "j", 0, false));
    log.writer.rotate();
    log.append(Class::Kept, &job(3, "j", 0, false));
    log.writer.rotate();
    log.append(Class::Kept, &job(4, "j", 0, false));
    let mut sealer = Sealer::new([folder.path()]);
    let mut turn = || {
        let kept = sealer.turn(&at_once(), now()).unwrap();
        (kept.sealed_spans, kept.from_bytes > 0)
    };
    // Its writer lives, and what comes later in the same lane waits with it.
    assert_eq!(turn(), (0, false));
    log.release(1, &spans[..2]);
    assert_eq!(turn(), (0, false));
    log.release(2, &[]);
    assert_eq!(turn(), (3, true));
    drop(log);
    assert_eq!(turn(), (5, true));
    let store = folder.store();
    assert_eq!(ids(&store.trace(trace(1)).unwrap().unwrap()), [1, 2]);
    assert!(store.trace(trace(2)).unwrap().is_none());
    assert_eq!(store.holdings().sealed_spans, 8);
}

#[test]
fn what_a_dead_process_held_is_sealed_unless_it_was_released_in_another_file() {
    let folder = Folder::new();
    let mut log = folder.log();
    log.hold(1, &job(1, "j", 0, false));
    log.hold(2, &job(2, "j", 0, false));
    log.writer.rotate();
    log.release(1, &[span(1, 9, None, 0, 1)]);
    let crashed = folder.crashed();
    let little = Upkeep {
        max_bytes_per_turn: 1,
        ..at_once()
    };
    let store = crashed.store();
    let before = all_of(&store);
    assert_eq!(before.len(), 4);
    assert_eq!(upkeep(&store, &little).sealed_spans, 3);
    assert_eq!(upkeep(&store, &little).sealed_spans, 1);
    assert_eq!(all_of(&store), before);
    assert_eq!(all_of(&crashed.store()), before);
}

#[test]
fn what_is_too_old_goes_before_what_is_too_much() {
    let folder = Folder::new();
    folder.log().append(Class::Kept, &job(1, "j", 0, false));
    folder
        .log()
        .append(Class::Base, &job(2, "j", 86_400_000, false));
    let store = folder.store();
    upkeep(&store, &at_once());
    let sizes = files(&folder, ".parquet");
    let sizes = sizes.iter().map(|path| fs::metadata(path).unwrap().len());
    // There is room for one of them, and the one of the better class is too old.
    let mut policy = at_once();
    policy.max_bytes = sizes.max().unwrap();
    policy.max_age.kept = Some(Duration::from_secs(3_600));
    let kept = store.upkeep(&policy, at(86_400_010)).unwrap();
    assert_eq!((kept.deleted_spans.kept, kept.deleted_spans.base), (3, 0));
    assert_eq!(ids(&store.trace(trace(2)).unwrap().unwrap()), [1, 2, 3]);
}
