//! Cursors.

use std::fs;

use longshore_spanlog::{Class, Cursor, Progress, Reader, Stored};
use proptest::prelude::*;

use crate::support::{Folder, header, rest_of};

fn some_progress(folder: &Folder) -> Progress {
    for _ in 0..3 {
        let mut writer = folder.writer();
        for class in Class::ALL {
            writer.append(&header(class, 1), b"body").unwrap();
        }
    }
    let mut reader = Reader::open(folder.path()).unwrap();
    rest_of(&mut reader);
    reader.progress()
}

#[test]
fn what_is_stored_is_loaded() {
    let folder = Folder::new();
    let cursor = Cursor::at(folder.path().join("reader.position"));
    assert_eq!(cursor.load().unwrap(), Stored::Absent);
    let progress = some_progress(&folder);
    assert_eq!(progress.positions().count(), 9);
    cursor.store(&Progress::default()).unwrap();
    cursor.store(&progress).unwrap();
    assert_eq!(cursor.load().unwrap(), Stored::Progress(progress));
    assert!(!folder.names().iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn what_a_killed_process_left_half_stored_is_no_hindrance() {
    let folder = Folder::new();
    let path = folder.path().join("reader.position");
    fs::write(folder.path().join("reader.position.tmp"), "half").unwrap();
    let cursor = Cursor::at(path);
    cursor.store(&Progress::default()).unwrap();
    assert_eq!(
        cursor.load().unwrap(),
        Stored::Progress(Progress::default())
    );
}

#[test]
fn a_cursor_that_cannot_be_stored_keeps_what_it_had() {
    let folder = Folder::new();
    let cursor = Cursor::at(folder.path().join("missing").join("position"));
    let error = cursor.store(&Progress::default()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(cursor.load().unwrap(), Stored::Absent);
}

#[test]
fn any_damage_is_noticed() {
    let folder = Folder::new();
    let path = folder.path().join("reader.position");
    let cursor = Cursor::at(&path);
    cursor.store(&some_progress(&folder)).unwrap();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        fs::write(&path, &bytes[..at]).unwrap();
        assert_eq!(cursor.load().unwrap(), Stored::Damaged, "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, flipped).unwrap();
        assert_eq!(cursor.load().unwrap(), Stored::Damaged, "byte {at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_damaged_cursor(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = Folder::new();
        let path = folder.path().join("reader.position");
        fs::write(&path, bytes).unwrap();
        prop_assert_eq!(Cursor::at(path).load().unwrap(), Stored::Damaged);
    }
}
