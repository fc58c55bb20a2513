//! Appending, rotation, and reading along.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Timestamp};
use longshore_spanlog::{
    AppendError, Class, Compression, FrameHeader, Kind, MAX_BODY_BYTES, Position, Reader,
    SyncPolicy, WriterOptions,
};
use longshore_testkit::ManualClock;

use crate::support::{Folder, append, header, rest_of};

#[test]
fn a_frame_comes_back_as_it_was_appended() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let sent = FrameHeader {
        kind: Kind::from_number(200).unwrap(),
        class: Class::Pinned,
        compression: Compression::Zstd,
        flags: 0b1010_0101,
        spans: u32::MAX,
        first: Timestamp::from_unix_nanos(-5),
        last: Timestamp::MAX,
    };
    let position = writer.append(&sent, b"body").unwrap();
    let (frames, counts) = folder.read();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].header, sent);
    assert_eq!(frames[0].body, b"body");
    assert_eq!(frames[0].position, position);
    assert_eq!(position.file.writer(), writer.id());
    assert_eq!(position.file.class(), Class::Pinned);
    assert_eq!(counts, Default::default());
}

#[test]
fn positions_are_text_and_back() {
    let folder = Folder::new();
    let position = append(&mut folder.writer(), b"body");
    assert_eq!(position.to_string().parse::<Position>(), Ok(position));
    for wrong in ["", "12", "a:1", "x.spans:1"] {
        assert!(wrong.parse::<Position>().is_err(), "{wrong}");
    }
}

#[test]
fn a_frame_that_is_too_large_is_refused_and_the_next_one_is_not() {
    let folder = Folder::new();
    let options = WriterOptions {
        max_frame_bytes: 10,
        ..WriterOptions::default()
    };
    let mut writer = folder.writer_with(options, &Arc::new(ManualClock::default()));
    let error = writer
        .append(&header(Class::Base, 1), &[0; 11])
        .unwrap_err();
    let AppendError::TooLarge {
        bytes: 11,
        limit: 10,
    } = error
    else {
        panic!("{error}");
    };
    append(&mut writer, &[1; 10]);
    append(&mut writer, &[]);
    assert_eq!(folder.bodies(), [vec![1; 10], vec![]]);
}

#[test]
fn the_largest_body_there_can_be_comes_back() {
    let folder = Folder::new();
    let options = WriterOptions {
        max_frame_bytes: usize::MAX,
        ..WriterOptions::default()
    };
    let mut writer = folder.writer_with(options, &Arc::new(ManualClock::default()));
    let body = vec![7; MAX_BODY_BYTES + 1];
    assert!(writer.append(&header(Class::Base, 1), &body).is_err());
    append(&mut writer, &body[1..]);
    append(&mut writer, b"next");
    let bodies = folder.bodies();
    assert!(bodies[0] == body[1..] && bodies[1] == b"next");
}

#[test]
fn each_class_has_files_of_its_own() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for class in Class::ALL {
        writer
            .append(&header(class, 1), class.as_str().as_bytes())
            .unwrap();
    }
    assert_eq!(folder.logs().len(), 3);
    for frame in folder.read().0 {
        assert_eq!(frame.body, frame.position.file.class().as_str().as_bytes());
    }
}

#[test]
fn files_are_closed_by_size_and_a_large_frame_has_one_to_itself() {
    let folder = Folder::new();
    let options = WriterOptions {
        max_file_bytes: 1000,
        ..WriterOptions::default()
    };
    let mut writer = folder.writer_with(options, &Arc::new(ManualClock::default()));
    let sizes = [300, 300, 300, 5000, 5000, 1];
    for (number, size) in sizes.into_iter().enumerate() {
        append(&mut writer, &vec![u8::try_from(number).unwrap(); size]);
    }
    drop(writer);
    assert_eq!(folder.logs().len(), 5);
    let read: Vec<usize> = folder.bodies().iter().map(Vec::len).collect();
    assert_eq!(read, sizes);
}

#[test]
fn files_are_closed_by_age_also_without_an_append() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::default());
    let options = WriterOptions {
        max_file_age: Duration::from_secs(60),
        ..WriterOptions::default()
    };
    let mut writer = folder.writer_with(options, &clock);
    let first = append(&mut writer, b"first");
    clock.advance(Duration::from_secs(59));
    assert_eq!(append(&mut writer, b"second").file, first.file);
    clock.advance(Duration::from_secs(1));
    let third = append(&mut writer, b"third");
    assert!(third.file > first.file);
    let before = std::fs::metadata(&folder.logs()[1]).unwrap().len();
    clock.advance(Duration::from_secs(60));
    writer.tick().unwrap();
    let after = std::fs::metadata(&folder.logs()[1]).unwrap().len();
    assert_eq!(after - before, 48, "the mark of the end");
    assert_eq!(folder.bodies(), [b"first".as_slice(), b"second", b"third"]);
}

#[test]
fn files_follow_each_other_whatever_the_clock_does() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::default());
    let mut writer = folder.writer_with(WriterOptions::default(), &clock);
    let mut files = Vec::new();
    for number in 0..6_u8 {
        files.push(append(&mut writer, &[number]).file);
        writer.rotate();
        clock.set(clock.now().before(Duration::from_secs(3600)));
    }
    assert!(files.is_sorted_by(|a, b| a < b), "{files:?}");
    assert_eq!(
        folder.bodies(),
        (0..6).map(|number| vec![number]).collect::<Vec<_>>()
    );
}

#[test]
fn a_writer_that_wrote_nothing_leaves_nothing() {
    let folder = Folder::new();
    drop(folder.writer());
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn every_sync_policy_appends() {
    for sync in [
        SyncPolicy::Never,
        SyncPolicy::Every(Duration::ZERO),
        SyncPolicy::Always,
    ] {
        let folder = Folder::new();
        let options = WriterOptions {
            sync,
            ..WriterOptions::default()
        };
        let mut writer = folder.writer_with(options, &Arc::new(ManualClock::default()));
        append(&mut writer, b"one");
        writer.rotate();
        append(&mut writer, b"two");
        writer.sync().unwrap();
        writer.tick().unwrap();
        assert_eq!(folder.bodies(), [b"one", b"two"]);
    }
}

#[test]
fn a_reader_follows_a_writer_from_file_to_file() {
    let folder = Folder::new();
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.next_frame().unwrap(), None);
    let mut writer = folder.writer();
    for number in 0..20_u8 {
        append(&mut writer, &[number]);
        if number % 3 == 0 {
            writer.rotate();
        }
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!(frame.body, [number]);
        if number % 2 == 0 {
            assert_eq!(reader.next_frame().unwrap(), None);
        }
    }
    drop(writer);
    assert_eq!(reader.next_frame().unwrap(), None);
    assert_eq!(reader.counts(), Default::default());
}

#[test]
fn a_reader_goes_on_where_another_stopped() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for number in 0..30_u8 {
        let class = Class::ALL[usize::from(number) % 3];
        writer.append(&header(class, 1), &[number]).unwrap();
        if number % 7 == 0 {
            writer.rotate();
        }
    }
    for stop in 0..=30 {
        let mut first = Reader::open(folder.path()).unwrap();
        let mut bodies: Vec<Vec<u8>> = (0..stop)
            .map(|_| first.next_frame().unwrap().unwrap().body)
            .collect();
        let mut second = Reader::resume(folder.path(), &first.progress()).unwrap();
        bodies.extend(rest_of(&mut second).into_iter().map(|frame| frame.body));
        bodies.sort();
        assert_eq!(
            bodies,
            (0..30).map(|number| vec![number]).collect::<Vec<_>>(),
            "{stop}"
        );
    }
}

#[test]
fn a_reader_of_what_comes_passes_over_what_was() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for number in 0..10_u8 {
        append(&mut writer, &[number]);
        if number == 4 {
            writer.rotate();
        }
    }
    let mut reader = Reader::open(folder.path()).unwrap();
    reader.skip_to_end().unwrap();
    assert_eq!(reader.next_frame().unwrap(), None);
    append(&mut writer, b"new");
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"new");
}

#[test]
fn a_backlog_does_not_keep_other_writers_waiting() {
    let folder = Folder::new();
    let mut busy = folder.writer();
    for _ in 0..8 {
        append(&mut busy, &[0; 1 << 20]);
    }
    let mut calm = folder.writer();
    append(&mut calm, b"calm");
    let mut reader = Reader::open(folder.path()).unwrap();
    let place = rest_of(&mut reader)
        .iter()
        .position(|frame| frame.body == b"calm");
    assert!(place.unwrap() <= 2, "{place:?}");
}

#[test]
fn a_wake_counts_appends_and_ends_a_wait() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let wake = writer.wake();
    let seen = wake.appends();
    assert_eq!(wake.wait(seen, Duration::ZERO), seen);
    let waiter = std::thread::spawn(move || wake.wait(seen, Duration::from_secs(600)));
    append(&mut writer, b"one");
    assert_eq!(waiter.join().unwrap(), seen + 1);
}

#[cfg(unix)]
#[test]
fn a_folder_that_has_not_changed_is_not_listed_again() {
    let folder = Folder::new();
    let settle = || {
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let names = std::fs::File::open(folder.path()).unwrap();
        names.set_modified(long_ago).unwrap();
    };
    let mut first = folder.writer();
    append(&mut first, b"one");
    settle();
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"one");
    assert_eq!(reader.next_frame().unwrap(), None);
    append(&mut first, b"two");
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"two");
    let mut second = folder.writer();
    append(&mut second, b"three");
    let mut other = Reader::resume(folder.path(), &reader.progress()).unwrap();
    settle();
    assert_eq!(
        reader.next_frame().unwrap(),
        None,
        "nothing says that there is more"
    );
    append(&mut folder.writer(), b"four");
    assert_eq!(rest_of(&mut reader).len(), 2);
    assert_eq!(rest_of(&mut other).len(), 2);
}

#[test]
fn a_folder_that_was_removed_is_made_again() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"lost");
    assert!(!writer.revive().unwrap());
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(writer.revive().unwrap());
    append(&mut writer, b"found");
    assert!(!writer.revive().unwrap());
    let (frames, _) = folder.read();
    let bodies: Vec<_> = frames.iter().map(|frame| frame.body.as_slice()).collect();
    assert_eq!(bodies, [b"found"]);
    // It lives, and others can see it.
    let names = folder.names();
    assert!(
        names.iter().any(|name| name.ends_with(".live")),
        "{names:?}"
    );
}
