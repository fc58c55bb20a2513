//! Many small files become few, and nobody who reads notices.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use longshore_core::{Clock, SystemClock, Timestamp};
use longshore_spanlog::{
    Class, Cursor, Lookup, Policy, Reader, Scope, Shipping, Swept, Writer, survey, sweep,
    sweep_if_due,
};

use crate::support::{Folder, append, header, rest_of};

/// Most entries of a folder in which many short processes have run.
const FEW: usize = 400;

fn number_of(body: &[u8]) -> u32 {
    u32::from_le_bytes(body.try_into().unwrap())
}

/// What a reader finds that has read nothing yet.
fn numbers(folder: &Folder) -> Vec<u32> {
    let (frames, counts) = folder.read();
    assert_eq!(counts, longshore_spanlog::ReaderCounts::default());
    let mut numbers: Vec<u32> = frames.iter().map(|frame| number_of(&frame.body)).collect();
    numbers.sort_unstable();
    numbers
}

/// What a process does that writes one span, ships it or not, and sweeps if that is due.
fn run_once(folder: &Folder, number: u32, ships: bool) {
    let mut writer = folder.writer();
    let mut shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    shipping.claim().unwrap();
    append(&mut writer, &number.to_le_bytes());
    let now = SystemClock::new().now();
    sweep_if_due(
        folder.path(),
        &Policy::default(),
        now,
        Duration::from_secs(30),
    )
    .unwrap();
    if ships {
        while let Some(frame) = shipping.next_frame().unwrap() {
            shipping.delivered(frame.end);
        }
        shipping.save().unwrap();
    }
}

fn swept(folder: &Folder) -> Swept {
    let swept = sweep(folder.path(), &Policy::default(), SystemClock::new().now()).unwrap();
    assert!(!swept.busy && swept.failed == 0, "{swept:?}");
    assert_eq!(swept.unshipped.of(Class::Base).frames, 0);
    swept
}

#[test]
fn a_thousand_short_processes_leave_few_files_and_every_span() {
    let folder = Folder::new();
    let mut most = 0;
    for number in 0..1000 {
        run_once(&folder, number, number % 10 == 0);
        most = most.max(folder.names().len());
    }
    assert!(most <= FEW, "{most} entries");
    assert_eq!(numbers(&folder), Vec::from_iter(0..1000));
    swept(&folder);
    let left = folder.names();
    assert!(left.len() < 70, "{left:?}");
    assert_eq!(numbers(&folder), Vec::from_iter(0..1000));
}

#[test]
fn what_was_not_shipped_is_shipped_once_by_whoever_comes() {
    let folder = Folder::new();
    for number in 0..300 {
        run_once(&folder, number, false);
    }
    swept(&folder);
    let mut shipped = Vec::new();
    while shipped.len() < 300 {
        // One that is killed now and then: it has saved what was delivered, and gives nothing back.
        let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
        shipping.claim().unwrap();
        for _ in 0..50 {
            let Some(frame) = shipping.next_frame().unwrap() else {
                break;
            };
            shipped.push(number_of(&frame.body));
            shipping.delivered(frame.end);
        }
        shipping.save().unwrap();
        shipping.claim().unwrap();
        swept(&folder);
    }
    shipped.sort_unstable();
    assert_eq!(shipped, Vec::from_iter(0..300));
    let mut last = Shipping::open(folder.path(), None, Scope::Orphans);
    for _ in 0..10 {
        last.claim().unwrap();
        assert_eq!(last.next_frame().unwrap(), None);
    }
    drop(last);
    swept(&folder);
    assert!(folder.names().len() < 70, "{:?}", folder.names());
    assert_eq!(survey(folder.path(), |_| true).unwrap().unshipped_bytes, 0);
}

/// A writer that dies after some of its frames were shipped: the place to which they were is kept
/// with the file.
#[test]
fn a_file_that_was_shipped_in_part_is_shipped_from_there() {
    let folder = Folder::new();
    let mut expected = Vec::new();
    for nth in 0..100_u32 {
        let mut writer = folder.writer();
        let mut shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
        shipping.claim().unwrap();
        for number in 0..3 {
            append(&mut writer, &(nth * 3 + number).to_le_bytes());
        }
        let mut own = 0;
        while let Some(frame) = shipping.next_frame().unwrap() {
            if frame.end.file.writer() == writer.id() && own < nth % 4 {
                own += 1;
                shipping.delivered(frame.end);
            }
        }
        shipping.save().unwrap();
        expected.extend((nth % 4..3).map(|number| nth * 3 + number));
    }
    swept(&folder);
    assert!(folder.logs().is_empty(), "{:?}", folder.names());
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    let mut shipped = Vec::new();
    for _ in 0..10 {
        shipping.claim().unwrap();
        while let Some(frame) = shipping.next_frame().unwrap() {
            shipped.push(number_of(&frame.body));
            shipping.delivered(frame.end);
        }
        shipping.save().unwrap();
    }
    shipped.sort_unstable();
    assert_eq!(shipped, expected);
}

/// Whoever had come half-way finds the rest, at every place, over a restart or not.
#[test]
fn a_reader_goes_on_where_it_was() {
    for read_before in [0, 1, 50, 99, 100] {
        let folder = Folder::new();
        let mut writers: Vec<Writer> = (0..100).map(|_| folder.writer()).collect();
        for (number, writer) in (0..).zip(&mut writers) {
            append(writer, &u32::to_le_bytes(number));
        }
        drop(writers);
        let mut goes_on = Reader::open(folder.path()).unwrap();
        let mut seen = BTreeMap::new();
        for _ in 0..read_before {
            let frame = goes_on.next_frame().unwrap().unwrap();
            *seen.entry(number_of(&frame.body)).or_insert(0) += 1;
        }
        let cursor = Cursor::at(folder.path().join("somebody.else"));
        cursor.store(&goes_on.progress()).unwrap();
        swept(&folder);
        assert!(folder.logs().is_empty(), "{:?}", folder.names());
        let stored = cursor.load().unwrap().into_progress();
        let mut resumed = Reader::resume(folder.path(), &stored).unwrap();
        for reader in [&mut goes_on, &mut resumed] {
            let mut seen = seen.clone();
            for frame in rest_of(reader) {
                *seen.entry(number_of(&frame.body)).or_insert(0) += 1;
            }
            assert_eq!(seen, (0..100).map(|number| (number, 1)).collect());
            assert_eq!(reader.counts(), longshore_spanlog::ReaderCounts::default());
        }
    }
}

/// A sweep that is cut short leaves a file twice, alone and in a bundle: it is read once, and the
/// next sweep removes it.
#[test]
fn a_file_that_is_there_twice_is_read_once() {
    let folder = Folder::new();
    for number in 0..200 {
        run_once(&folder, number, number % 2 == 0);
    }
    let before = folder.crashed();
    swept(&folder);
    for name in before.names() {
        let path = folder.path().join(&name);
        if !path.exists() {
            fs::copy(before.path().join(&name), path).unwrap();
        }
    }
    assert_eq!(numbers(&folder), Vec::from_iter(0..200));
    let all = survey(folder.path(), |_| true).unwrap();
    swept(&folder);
    assert!(folder.names().len() < 70, "{:?}", folder.names());
    assert_eq!(numbers(&folder), Vec::from_iter(0..200));
    let after = survey(folder.path(), |_| true).unwrap();
    assert_eq!(after.unshipped_bytes, all.unshipped_bytes);
}

/// Readers of every kind, writers that come and go, and two that sweep.
#[test]
fn nobody_who_reads_meanwhile_misses_or_repeats_a_span() {
    let folder = Folder::new();
    let over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let sweeps = || {
            while !over.load(Ordering::Relaxed) {
                sweep(folder.path(), &Policy::default(), Timestamp::UNIX_EPOCH).unwrap();
            }
        };
        scope.spawn(sweeps);
        scope.spawn(sweeps);
        let tails = || {
            let mut reader = Reader::open(folder.path()).unwrap();
            let mut seen = Vec::new();
            loop {
                let last = over.load(Ordering::Relaxed);
                seen.extend(
                    rest_of(&mut reader)
                        .iter()
                        .map(|frame| number_of(&frame.body)),
                );
                // A cursor that is stored and read again.
                reader = Reader::resume(folder.path(), &reader.progress()).unwrap();
                if last {
                    seen.sort_unstable();
                    return (seen, reader.counts().vanished_files);
                }
            }
        };
        let tailing = [scope.spawn(tails), scope.spawn(tails)];
        for number in 0..600 {
            append(&mut folder.writer(), &u32::to_le_bytes(number));
        }
        over.store(true, Ordering::Relaxed);
        tailing.map(|tailing| tailing.join().unwrap())
    });
    for (seen, vanished) in seen {
        assert_eq!(seen, Vec::from_iter(0..600));
        assert_eq!(vanished, 0);
    }
}

/// What is done with files is done with bundles: by class, by age, by bytes, and losses are counted.
#[test]
fn bundles_are_kept_within_the_bounds() {
    let folder = Folder::new();
    for number in 0..200_u32 {
        let class = Class::ALL[number as usize % 2];
        let mut writer = folder.writer();
        writer
            .append(&header(class, 2), &number.to_le_bytes())
            .unwrap();
    }
    let policy = Policy::default();
    let now = SystemClock::new().now();
    sweep(folder.path(), &policy, now).unwrap();
    assert!(folder.logs().is_empty(), "{:?}", folder.names());
    let later = now.after(Duration::from_secs(86_400 * 8));
    let swept = sweep(folder.path(), &policy, later).unwrap();
    assert_eq!(swept.unshipped.base.spans, 200);
    assert_eq!(swept.unshipped.kept.spans, 0);
    assert_eq!(numbers(&folder).len(), 100);
    let tight = Policy {
        max_bytes: 100,
        ..policy
    };
    let swept = sweep(folder.path(), &tight, now).unwrap();
    assert_eq!((swept.unshipped.kept.spans, swept.left_bytes()), (200, 0));
}

#[test]
fn a_bundle_that_cannot_be_read_is_counted_and_hides_nothing_else() {
    let folder = Folder::new();
    for number in 0..200 {
        run_once(&folder, number, false);
    }
    swept(&folder);
    let bundle = |name: &String| name.ends_with(".bundle");
    let path = folder
        .path()
        .join(folder.names().iter().find(|name| bundle(name)).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    append(&mut folder.writer(), &7_u32.to_le_bytes());
    let (frames, counts) = folder.read();
    assert!(frames.iter().any(|frame| number_of(&frame.body) == 7));
    assert_eq!(counts.damaged_bundles, 1);
    swept(&folder);
    assert!(path.exists(), "it may be mended");
}

#[test]
fn frames_are_found_again_by_their_place_and_not_once_they_are_gone() {
    let folder = Folder::new();
    let mut lookup = Lookup::new(folder.path());
    let mut places = Vec::new();
    for number in 0..70_u32 {
        let mut writer = folder.writer();
        append(&mut writer, b"before");
        let place = append(&mut writer, &number.to_le_bytes());
        let found = lookup.frame(place).unwrap().unwrap();
        assert_eq!(number_of(&found.body), number);
        assert!(lookup.is_live(writer.id()));
        let id = writer.id();
        drop(writer);
        assert!(!lookup.is_live(id));
        places.push(place);
    }
    let files = lookup.files().unwrap();
    assert!(swept(&folder).bundled >= 64);
    assert_eq!(lookup.files().unwrap(), files);
    let bodies = |lookup: &mut Lookup| -> Vec<Option<u32>> {
        let frames = places.iter().map(|place| lookup.frame(*place).unwrap());
        frames
            .map(|frame| frame.map(|frame| number_of(&frame.body)))
            .collect()
    };
    assert_eq!(bodies(&mut lookup), (0..70).map(Some).collect::<Vec<_>>());
    // One that never looked at the folder before, and a place where no frame begins.
    let within = longshore_spanlog::Position {
        offset: places[3].offset + 1,
        ..places[3]
    };
    assert_eq!(Lookup::new(folder.path()).frame(within).unwrap(), None);
    for path in fs::read_dir(folder.path()).unwrap() {
        fs::remove_file(path.unwrap().path()).unwrap();
    }
    assert_eq!(bodies(&mut lookup), vec![None; 70]);
    assert_eq!(lookup.files().unwrap(), Some(Vec::new()));
}
