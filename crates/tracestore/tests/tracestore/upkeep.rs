//! What becomes of sealing when it is cut short, has no room, finds damage, or has too much to do.

use std::fs;
use std::time::Duration;

use longshore_spanlog::Class;
use longshore_trace::query;
use longshore_tracestore::{TraceStore, TraceStoreError, TraceStoreOptions, Upkeep};

use crate::sealed::{all_of, at_once, files, now, shop, upkeep};
use crate::support::{Folder, at, ids, job, trace};

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
            "upkeep::sealing_on_a_full_disk_in_a_process_of_its_own",
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
