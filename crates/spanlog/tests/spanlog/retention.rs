//! What a sweep deletes, and what it leaves.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use longshore_core::Timestamp;
use longshore_spanlog::{
    ByClass, Class, Policy, Reader, Scope, Shipping, Swept, Writer, WriterOptions, closed, retire,
    survey, sweep, sweep_if_due,
};
use longshore_testkit::ManualClock;

use crate::support::{Folder, append, header};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A policy without bounds.
fn lenient() -> Policy {
    Policy {
        max_bytes: u64::MAX,
        max_files: usize::MAX,
        max_age: ByClass::default(),
        delete_shipped: false,
        unshipped_flags: 0,
    }
}

fn swept(folder: &Folder, policy: &Policy) -> Swept {
    let swept = sweep(folder.path(), policy, NOW).unwrap();
    assert!(!swept.busy && swept.failed == 0, "{swept:?}");
    swept
}

/// A closed file of a class, of so many spans.
fn closed_file(writer: &mut Writer, class: Class, spans: u32) {
    writer.append(&header(class, spans), &[0; 1000]).unwrap();
    writer.rotate();
}

fn left(folder: &Folder) -> Vec<String> {
    let (frames, _) = folder.read();
    frames
        .iter()
        .map(|frame| format!("{}{}", frame.header.class.as_str(), frame.header.spans))
        .collect()
}

#[test]
fn what_is_too_much_goes_by_class_and_age() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for (class, spans) in [
        (Class::Pinned, 1),
        (Class::Kept, 2),
        (Class::Base, 3),
        (Class::Kept, 4),
        (Class::Base, 5),
        (Class::Pinned, 6),
    ] {
        closed_file(&mut writer, class, spans);
    }
    let all = swept(&folder, &lenient());
    assert_eq!(all.deleted, ByClass::default());
    let one = all.left_bytes() / 6;
    let bounded = |files: u64| Policy {
        max_bytes: one * files,
        ..lenient()
    };
    let first = swept(&folder, &bounded(5));
    assert_eq!(
        (first.deleted.base.files, first.deleted.base.bytes),
        (1, one)
    );
    assert_eq!(first.unshipped.base.spans, 3);
    assert_eq!(first.unshipped.base.frames, 1);
    assert_eq!(first.left_bytes(), one * 5);
    swept(&folder, &bounded(2));
    let mut remaining = left(&folder);
    remaining.sort();
    assert_eq!(remaining, ["pinned1", "pinned6"]);
    let files = Policy {
        max_files: 1,
        ..lenient()
    };
    assert_eq!(swept(&folder, &files).unshipped.pinned.spans, 1);
    assert_eq!(left(&folder), ["pinned6"]);
}

#[test]
fn what_is_too_old_goes_by_the_age_of_its_class() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for class in Class::ALL {
        closed_file(&mut writer, class, 1);
        closed_file(&mut writer, class, 2);
    }
    let day = Duration::from_secs(86_400);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000);
    for (number, path) in folder.logs().iter().enumerate() {
        let age = if number % 2 == 0 { day * 10 } else { day };
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(now - age).unwrap();
    }
    let policy = Policy {
        max_age: ByClass {
            base: Some(Duration::ZERO),
            kept: Some(day * 5),
            pinned: None,
        },
        ..lenient()
    };
    swept(&folder, &policy);
    let mut remaining = left(&folder);
    remaining.sort();
    assert_eq!(remaining, ["kept2", "pinned1", "pinned2"]);
}

#[test]
fn what_a_living_writer_appends_to_is_never_deleted() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"first");
    writer.rotate();
    append(&mut writer, b"second");
    let nothing = Policy {
        max_bytes: 0,
        max_files: 0,
        ..lenient()
    };
    let once = swept(&folder, &nothing);
    assert_eq!((once.deleted.base.files, once.left.base.files), (1, 1));
    append(&mut writer, b"third");
    assert_eq!(folder.bodies(), [b"second".as_slice(), b"third"]);
    // A crash leaves no mark at the end, and no lock.
    let crashed = folder.crashed();
    assert_eq!(swept(&crashed, &nothing).deleted.base.files, 1);
    assert_eq!(crashed.names(), ["folder.lock"]);
    // Closed, though its writer lives and has begun no other.
    writer.rotate();
    assert_eq!(swept(&folder, &nothing).unshipped.base.frames, 2);
    append(&mut writer, b"fourth");
    assert_eq!(folder.bodies(), [b"fourth"]);
}

#[test]
fn only_what_was_not_shipped_is_a_loss() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for spans in 1..=5 {
        writer.append(&header(Class::Base, spans), b"body").unwrap();
    }
    drop(writer);
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    shipping.claim().unwrap();
    for _ in 0..3 {
        let frame = shipping.next_frame().unwrap().unwrap();
        shipping.delivered(frame.end);
    }
    shipping.save().unwrap();
    let nothing = Policy {
        max_bytes: 0,
        ..lenient()
    };
    let lost = swept(&folder, &nothing).unshipped.base;
    assert_eq!((lost.frames, lost.spans, lost.bytes), (2, 9, 2 * 52));
}

#[test]
fn what_was_shipped_goes_at_once_if_the_folder_is_only_a_buffer() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"first");
    writer.rotate();
    append(&mut writer, b"second");
    let mut shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    shipping.claim().unwrap();
    let buffer = Policy {
        delete_shipped: true,
        ..lenient()
    };
    assert_eq!(swept(&folder, &buffer).deleted.base.files, 0);
    while let Some(frame) = shipping.next_frame().unwrap() {
        shipping.delivered(frame.end);
    }
    shipping.save().unwrap();
    let gone = swept(&folder, &buffer);
    assert_eq!((gone.deleted.base.files, gone.left.base.files), (1, 1));
    assert_eq!(gone.unshipped, ByClass::default());
    drop(writer);
    while let Some(frame) = shipping.next_frame().unwrap() {
        shipping.delivered(frame.end);
    }
    shipping.save().unwrap();
    drop(shipping);
    let gone = swept(&folder, &buffer);
    assert_eq!(gone.deleted.base.files, 1);
    assert_eq!(gone.unshipped, ByClass::default());
    assert_eq!(
        folder.names(),
        ["folder.lock"],
        "and nothing is left beside"
    );
}

#[test]
fn what_dead_writers_left_half_made_goes_after_a_while() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"body");
    let temporary = format!("{}.tmp", folder.names()[0]);
    let path = folder.path().join(&temporary);
    fs::write(&path, "half").unwrap();
    fs::write(folder.path().join("notes.txt"), "ours to keep").unwrap();
    swept(&folder, &lenient());
    assert!(path.exists(), "its writer lives");
    drop(writer);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let just_now = Timestamp::UNIX_EPOCH.after(since);
    sweep(folder.path(), &lenient(), just_now).unwrap();
    assert!(path.exists(), "it may be about to get its name");
    let later = just_now.after(Duration::from_secs(601));
    sweep(folder.path(), &lenient(), later).unwrap();
    assert!(!path.exists());
    assert!(folder.names().contains(&"notes.txt".to_owned()));
}

#[test]
fn two_sweeps_do_not_disturb_each_other() {
    let folder = Folder::new();
    closed_file(&mut folder.writer(), Class::Base, 1);
    let lock = File::create(folder.path().join("folder.lock")).unwrap();
    lock.lock().unwrap();
    let nothing = Policy {
        max_bytes: 0,
        ..lenient()
    };
    assert!(sweep(folder.path(), &nothing, NOW).unwrap().busy);
    assert_eq!(folder.bodies().len(), 1);
    lock.unlock().unwrap();
    assert_eq!(swept(&folder, &nothing).deleted.base.files, 1);
}

#[test]
fn a_folder_that_is_not_there_needs_no_sweep() {
    let folder = Folder::new();
    let missing = folder.path().join("missing");
    assert_eq!(sweep(&missing, &lenient(), NOW).unwrap(), Swept::default());
    assert!(!missing.exists());
}

#[test]
fn a_reader_bears_a_sweep_in_the_middle_of_a_file() {
    let folder = Folder::new();
    let options = WriterOptions {
        max_file_bytes: 5000,
        ..WriterOptions::default()
    };
    let mut writer = folder.writer_with(options, &Arc::new(ManualClock::default()));
    for number in 0..20_u8 {
        append(&mut writer, &[number; 1000]);
    }
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().body[0], 0);
    let policy = Policy {
        max_files: 1,
        ..lenient()
    };
    swept(&folder, &policy);
    append(&mut writer, &[99; 10]);
    let rest: Vec<u8> = crate::support::rest_of(&mut reader)
        .iter()
        .map(|frame| frame.body[0])
        .collect();
    assert_eq!(rest.last(), Some(&99));
    assert!(rest.is_sorted());
    assert!(reader.counts().vanished_files >= 3);
}

#[test]
fn a_folder_is_swept_once_in_an_interval_whoever_asks() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let every = Duration::from_secs(60);
    let sweep_at = |seconds: u64| {
        let now = NOW.after(Duration::from_secs(seconds));
        let none = Policy {
            max_files: 0,
            ..lenient()
        };
        sweep_if_due(folder.path(), &none, now, every).unwrap()
    };
    closed_file(&mut writer, Class::Base, 1);
    assert_eq!(sweep_at(0).deleted.base.files, 1);
    closed_file(&mut writer, Class::Base, 2);
    assert!(sweep_at(59).busy);
    assert_eq!(left(&folder), ["base2"]);
    assert_eq!(sweep_at(60).deleted.base.files, 1);
    closed_file(&mut writer, Class::Base, 3);
    // A clock that was set back must not end all sweeps.
    assert_eq!(sweep_at(0).deleted.base.files, 1);
}

#[test]
fn a_survey_counts_what_is_to_be_shipped() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let unmarked = header(Class::Base, 1);
    writer.append(&unmarked, &[0; 100]).unwrap();
    let mut marked = unmarked;
    marked.flags = 0x80;
    writer.append(&marked, &[0; 1000]).unwrap();
    drop(writer);
    let ships = |header: &longshore_spanlog::FrameHeader| header.flags == 0;
    let before = survey(folder.path(), ships).unwrap();
    let all = Policy {
        max_files: 0,
        unshipped_flags: 0x80,
        ..lenient()
    };
    assert_eq!(before.files, 1);
    assert!(before.bytes > 1100 && (100..200).contains(&before.unshipped_bytes));
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    shipping.claim().unwrap();
    while let Some(frame) = shipping.next_frame().unwrap() {
        shipping.delivered(frame.end);
    }
    shipping.save().unwrap();
    assert_eq!(survey(folder.path(), ships).unwrap().unshipped_bytes, 0);
    let mut writer = folder.writer();
    writer.append(&marked, &[0; 1000]).unwrap();
    writer.append(&unmarked, &[0; 100]).unwrap();
    drop(writer);
    let swept = swept(&folder, &all);
    assert_eq!(
        (swept.deleted.base.files, swept.unshipped.base.spans),
        (2, 1)
    );
}

#[test]
fn what_is_closed_can_be_retired_once_it_is_elsewhere() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let mut shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    shipping.claim().unwrap();
    closed_file(&mut writer, Class::Kept, 1);
    closed_file(&mut writer, Class::Base, 2);
    writer
        .append(&header(Class::Base, 3), b"is appended to")
        .unwrap();
    let found = closed(folder.path(), NOW).unwrap();
    let classes: Vec<Class> = found.iter().map(|file| file.class).collect();
    assert_eq!(classes, [Class::Base, Class::Kept]);
    assert!(found.iter().all(|file| file.is_to_be_shipped(0x80)));
    while let Some(frame) = shipping.next_frame().unwrap() {
        shipping.delivered(frame.end);
    }
    shipping.save().unwrap();
    let found = closed(folder.path(), NOW).unwrap();
    assert!(!found.iter().any(|file| file.is_to_be_shipped(0x80)));
    // While somebody else takes leases or deletes files, nothing is done.
    let lock = File::create(folder.path().join("folder.lock")).unwrap();
    lock.try_lock().unwrap();
    assert!(!retire(folder.path(), &found).unwrap());
    drop(lock);
    assert!(retire(folder.path(), &found).unwrap());
    assert_eq!(left(&folder), ["base3"]);
    assert!(closed(folder.path(), NOW).unwrap().is_empty());
    assert!(retire(folder.path(), &found).unwrap());
}
