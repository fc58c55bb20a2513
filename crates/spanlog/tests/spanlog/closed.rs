//! Files that are over, read whole.

use std::fs;
use std::ops::ControlFlow;

use longshore_core::Timestamp;
use longshore_spanlog::{Lookup, Position, Through, closed, size};

use crate::support::{Folder, append};

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
