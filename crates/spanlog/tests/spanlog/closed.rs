//! Files that are over, read whole.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_spanlog::{
    Lookup, Position, Reader, ReaderCounts, Through, WriterOptions, closed, size,
};
use longshore_testkit::ManualClock;

use crate::support::{Folder, append, rest_of};

#[test]
fn a_closed_file_is_read_in_parts_and_whole() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for number in 0..5_u8 {
        append(&mut writer, &[number]);
    }
    drop(writer);
    let files = closed(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
    let file = files[0].files[0];
    assert_eq!(size(folder.path()).unwrap(), files[0].bytes);
    let mut lookup = Lookup::new(folder.path());
    let mut read = Vec::new();
    let mut from = Position { file, offset: 0 };
    let ended = loop {
        let before = read.len();
        let ended = lookup.read(from, |frame| {
            read.push(frame.body[0]);
            match read.len() - before {
                2 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        match ended.unwrap() {
            Through::Stopped(on) => from = on,
            ended => break ended,
        }
    };
    assert_eq!((ended, read), (Through::Whole, vec![0, 1, 2, 3, 4]));
    assert_eq!(
        lookup.changed_files().unwrap().as_deref(),
        Some(&[file][..])
    );
    fs::remove_file(&folder.logs()[0]).unwrap();
    let ended = lookup.read(from, |_| ControlFlow::Continue(()));
    assert_eq!(ended.unwrap(), Through::Gone);
    assert_eq!(lookup.files().unwrap(), Some(Vec::new()));
}

#[test]
fn what_is_over_is_handed_over_and_what_is_written_is_read_on() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_000)));
    let mut gone = folder.writer_with(WriterOptions::default(), &clock);
    append(&mut gone, b"1");
    drop(gone);
    clock.advance(Duration::from_secs(1));
    let mut live = folder.writer_with(WriterOptions::default(), &clock);
    append(&mut live, b"2");
    live.rotate();
    append(&mut live, b"3");
    let mut reader = Reader::open(folder.path()).unwrap();
    let over = reader.hand_over();
    let moments: Vec<u64> = over.iter().map(|file| file.created_millis()).collect();
    assert_eq!(moments, [2_000, 1_000]);
    append(&mut live, b"4");
    live.rotate();
    append(&mut live, b"5");
    let bodies = rest_of(&mut reader).into_iter().map(|frame| frame.body);
    assert_eq!(bodies.collect::<Vec<_>>(), [b"3", b"4", b"5"]);
    assert_eq!(reader.counts(), ReaderCounts::default());
}
