//! Frames that a writer hands to a reader of its process without the detour of the file.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use longshore_core::Timestamp;
use longshore_spanlog::{
    Class, Frame, FrameHeader, Reader, Recent, Scope, Shipping, Writer, WriterOptions,
};
use longshore_testkit::ManualClock;

use crate::support::{Folder, append};

fn shipping(folder: &Folder, writer: &Writer, recent: Recent) -> Shipping {
    let shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    let mut shipping = shipping.with_recent(recent);
    shipping.claim().unwrap();
    shipping
}

fn rest(shipping: &mut Shipping) -> Vec<Frame> {
    std::iter::from_fn(|| shipping.next_frame().unwrap()).collect()
}

fn of_class(writer: &mut Writer, class: Class, body: &[u8]) {
    let at = Timestamp::UNIX_EPOCH;
    let header = FrameHeader::of_spans(class, 1, at, at);
    writer.append(&header, body).unwrap();
}

/// Makes everything in the log unreadable.
fn spoil(folder: &Folder) {
    for log in folder.logs() {
        let mut file = OpenOptions::new().write(true).open(&log).unwrap();
        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&vec![0; length as usize]).unwrap();
    }
}

#[test]
fn what_was_written_while_somebody_reads_is_not_read_back() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let recent = writer.remember(1 << 20);
    let mut shipping = shipping(&folder, &writer, recent);
    append(&mut writer, b"found by listing");
    assert_eq!(rest(&mut shipping).len(), 1);
    for body in [b"two", b"six"] {
        append(&mut writer, body);
    }
    spoil(&folder);
    let bodies: Vec<Vec<u8>> = rest(&mut shipping).into_iter().map(|f| f.body).collect();
    assert_eq!(bodies, [b"two", b"six"]);
}

/// Whatever memory holds, the frames, their places and their order are those of the files.
#[test]
fn frames_are_those_of_the_files_whatever_is_held() {
    for held in [0, 40, 400, 1 << 20] {
        let folder = Folder::new();
        let options = WriterOptions {
            max_file_bytes: 700,
            ..WriterOptions::default()
        };
        let clock = Arc::new(ManualClock::default());
        let mut writer = folder.writer_with(options, &clock);
        let recent = writer.remember(held);
        let mut shipping = shipping(&folder, &writer, recent);
        let mut shipped = Vec::new();
        for number in 0..200_u32 {
            let class = Class::ALL[(number / 7 % 2) as usize];
            of_class(&mut writer, class, format!("{number:0>20}").as_bytes());
            if number % 13 == 0 {
                shipped.extend(rest(&mut shipping));
            }
        }
        drop(writer);
        shipped.extend(rest(&mut shipping));
        let mut reader = Reader::open(folder.path()).unwrap();
        let mut read: Vec<Frame> = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            read.push(frame);
        }
        for class in Class::ALL {
            let of = |frames: &[Frame]| -> Vec<Frame> {
                let of_class = |frame: &&Frame| frame.header.class == class;
                frames.iter().filter(of_class).cloned().collect()
            };
            assert_eq!(of(&shipped), of(&read), "{held} {class:?}");
        }
        assert_eq!(shipped.len(), 200);
    }
}

#[test]
fn a_file_that_was_deleted_hides_no_later_one() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let recent = writer.remember(1 << 20);
    let mut shipping = shipping(&folder, &writer, recent);
    append(&mut writer, b"first");
    assert_eq!(rest(&mut shipping).len(), 1);
    append(&mut writer, b"gone");
    writer.rotate();
    let first_file = folder.logs();
    append(&mut writer, b"still there");
    for log in first_file {
        fs::remove_file(log).unwrap();
    }
    // The folder is listed anew by the look after the one that misses the file.
    let mut frames = rest(&mut shipping);
    frames.extend(rest(&mut shipping));
    assert_eq!(frames.last().unwrap().body, b"still there");
}

#[test]
fn what_was_handed_out_and_not_delivered_comes_again_from_the_file() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let recent = writer.remember(1 << 20);
    let mut shipping = shipping(&folder, &writer, recent);
    for body in [b"one", b"two"] {
        append(&mut writer, body);
        assert_eq!(rest(&mut shipping).len(), 1);
    }
    shipping.rewind();
    append(&mut writer, b"new");
    let bodies: Vec<Vec<u8>> = rest(&mut shipping).into_iter().map(|f| f.body).collect();
    assert_eq!(bodies, [b"one", b"two", b"new"]);
}

/// A writer that never pauses does not keep what others left from being shipped.
#[test]
fn others_have_their_turn() {
    let folder = Folder::new();
    let mut other = folder.writer();
    append(&mut other, b"left");
    drop(other);
    let mut writer = folder.writer();
    let recent = writer.remember(8 << 20);
    let mut shipping = shipping(&folder, &writer, recent);
    append(&mut writer, b"first");
    let mut bodies = Vec::new();
    for _ in 0..20 {
        append(&mut writer, &vec![7; 200 << 10]);
        bodies.push(shipping.next_frame().unwrap().unwrap().body);
    }
    assert!(bodies.iter().any(|body| body == b"left"));
}
