//! Files that are not what a writer wrote.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::Timestamp;
use longshore_spanlog::{Class, Frame, Policy, Reader, sweep};
use proptest::prelude::*;

use crate::support::{Folder, append, header, rest_of};

/// A folder with one closed file of five frames, its bytes and its frames.
fn sample() -> (Folder, PathBuf, Vec<u8>, Vec<Frame>) {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for (number, size) in [0, 1, 60, 200, 33].into_iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        let body = vec![b'a' + number; size];
        writer
            .append(&header(Class::Base, u32::from(number) + 1), &body)
            .unwrap();
    }
    drop(writer);
    let path = folder.logs().remove(0);
    let bytes = fs::read(&path).unwrap();
    let frames = folder.read().0;
    assert_eq!(frames.len(), 5);
    (folder, path, bytes, frames)
}

#[test]
fn a_file_cut_at_any_byte_gives_the_frames_before_the_cut() {
    let (folder, path, bytes, frames) = sample();
    // Another writer's file, to see that the reader goes on.
    append(&mut folder.writer(), b"other");
    for len in 0..=bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let (read, counts) = folder.read();
        let (read, other): (Vec<_>, Vec<_>) =
            read.into_iter().partition(|frame| frame.body != b"other");
        assert_eq!(other.len(), 1, "{len}");
        let whole = frames.iter().filter(|frame| frame.end.offset <= len as u64);
        assert!(read.iter().eq(whole), "{len}");
        let end = read.last().map_or(32, |frame| frame.end.offset);
        let torn = match u64::try_from(len).unwrap() {
            short if short < 32 => short,
            full if full == bytes.len() as u64 => 0,
            cut => cut - end,
        };
        assert_eq!(counts.torn_bytes, torn, "{len}");
        assert_eq!(counts.damaged_bytes, 0, "{len}");
    }
}

#[test]
fn a_file_that_grows_byte_by_byte_gives_each_frame_once() {
    let (folder, path, bytes, frames) = sample();
    let _live = folder.live_lock_of(&path);
    fs::write(&path, []).unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    let mut read = Vec::new();
    for len in 0..=bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        read.extend(rest_of(&mut reader));
        let whole = frames.iter().filter(|frame| frame.end.offset <= len as u64);
        assert!(read.iter().eq(whole), "{len}");
    }
    assert_eq!(reader.counts(), Default::default());
}

#[test]
fn a_frame_that_its_writer_took_back_is_replaced_by_the_next() {
    let (folder, path, bytes, frames) = sample();
    let _live = folder.live_lock_of(&path);
    let taken_back = usize::try_from(frames[2].position.offset).unwrap();
    // Half of the fourth frame, where the third one comes to stand.
    let mut half = bytes[..taken_back].to_vec();
    half.extend_from_slice(&bytes[usize::try_from(frames[3].position.offset).unwrap()..][..100]);
    fs::write(&path, half).unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(rest_of(&mut reader), frames[..2]);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(rest_of(&mut reader), frames[2..]);
    assert_eq!(reader.counts(), Default::default());
}

#[test]
fn a_flipped_bit_costs_the_frame_it_is_in_and_no_other() {
    let (folder, path, bytes, frames) = sample();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            let (read, counts) = folder.read();
            let spared =
                |frame: &&Frame| !(frame.position.offset..frame.end.offset).contains(&(at as u64));
            let whole: Vec<_> = frames.iter().filter(spared).cloned().collect();
            assert_eq!(read, whole, "byte {at}, bit {bit}");
            let hit = frames.iter().find(|frame| !spared(frame));
            let lost = match hit {
                Some(frame) => frame.end.offset - frame.position.offset,
                None if at < 32 => 32,
                None => 48,
            };
            assert_eq!(counts.damaged_bytes, lost, "byte {at}, bit {bit}");
            // A body that is damaged behind a header that is not: what was in it is known.
            let in_body = hit.filter(|frame| at as u64 >= frame.position.offset + 48);
            let spans = in_body.map_or(0, |frame| u64::from(frame.header.spans));
            assert_eq!(counts.damaged_spans, spans, "byte {at}, bit {bit}");
            assert_eq!(counts.damaged_frames, u64::from(in_body.is_some()));
            assert_eq!(counts.torn_bytes, 0);
        }
    }
}

#[test]
fn a_hole_in_a_living_file_is_passed_once_something_valid_follows() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"first");
    let hole = append(&mut writer, &[1; 600_000]);
    let path = folder.logs().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let offset = usize::try_from(hole.offset).unwrap();
    bytes[offset..offset + 300_000].fill(0);
    // In place, since the writer has it open.
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(rest_of(&mut reader).len(), 1);
    assert_eq!(reader.counts().damaged_bytes, 0);
    append(&mut writer, b"third");
    assert_eq!(rest_of(&mut reader)[0].body, b"third");
    assert_eq!(reader.counts().damaged_bytes, 600_048);
}

#[test]
fn a_frame_inside_of_a_body_is_never_taken_for_one() {
    let (_inner, _, bytes, _) = sample();
    let folder = Folder::new();
    let mut writer = folder.writer();
    let outer = append(&mut writer, &bytes);
    append(&mut writer, b"next");
    drop(writer);
    let path = folder.logs().remove(0);
    let mut damaged = fs::read(&path).unwrap();
    damaged[usize::try_from(outer.offset).unwrap()] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_eq!(folder.bodies(), [b"next"]);
}

#[test]
fn a_file_of_a_later_version_is_left_alone_and_counted() {
    let (folder, path, mut bytes, _) = sample();
    bytes[8] = 2;
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let (frames, counts) = folder.read();
    assert!(frames.is_empty());
    assert_eq!((counts.unsupported_files, counts.damaged_bytes), (1, 0));
}

#[test]
fn files_that_vanish_are_counted_and_the_rest_is_read() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for number in 0..4_u8 {
        append(&mut writer, &[number]);
        writer.rotate();
    }
    let mut reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().body, [0]);
    let logs = folder.logs();
    fs::remove_file(&logs[1]).unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().body, [2]);
    fs::remove_file(&logs[2]).unwrap();
    fs::remove_file(&logs[3]).unwrap();
    assert_eq!(reader.next_frame().unwrap(), None);
    assert_eq!(reader.counts().vanished_files, 2);
    append(&mut writer, b"new");
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"new");
}

#[test]
fn a_file_full_of_beginnings_takes_no_longer_than_another() {
    let (folder, path, bytes, frames) = sample();
    let mut noise = b"\xd7\xf6LS".repeat(1 << 20);
    noise.extend_from_slice(&bytes[32..]);
    let mut all = bytes[..32].to_vec();
    all.extend_from_slice(&noise);
    fs::write(&path, all).unwrap();
    let (read, counts) = folder.read();
    assert_eq!(read.len(), frames.len());
    assert_eq!(counts.damaged_bytes, 4 << 20);
}

fn place(folder: &Folder, name: &Path, bytes: &[u8]) {
    fs::write(folder.path().join(name.file_name().unwrap()), bytes).unwrap();
}

/// Pieces of a file: of what a writer wrote, and of anything else.
fn any_pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Piece::Noise),
        (0_usize..700, 0_usize..300).prop_map(|(from, len)| Piece::Written(from, len)),
        (0_usize..5).prop_map(Piece::Frame),
        Just(Piece::Noise(b"\xd7\xf6LS".to_vec())),
    ];
    proptest::collection::vec(piece, 0..12)
}

#[derive(Clone, Debug)]
enum Piece {
    Noise(Vec<u8>),
    Written(usize, usize),
    Frame(usize),
}

proptest! {
    #[test]
    fn any_bytes_give_no_frame_that_was_not_written(pieces in any_pieces(), with_header: bool) {
        let (folder, path, bytes, frames) = sample();
        let mut file = if with_header { bytes[..32].to_vec() } else { Vec::new() };
        let mut whole = 0;
        for piece in &pieces {
            match piece {
                Piece::Noise(noise) => file.extend_from_slice(noise),
                Piece::Written(from, len) => {
                    let from = (*from).min(bytes.len());
                    file.extend_from_slice(&bytes[from..(from + len).min(bytes.len())]);
                }
                Piece::Frame(number) => {
                    let frame = &frames[*number];
                    let range = frame.position.offset as usize..frame.end.offset as usize;
                    file.extend_from_slice(&bytes[range]);
                    whole += 1;
                }
            }
        }
        place(&folder, &path, &file);
        let (read, counts) = folder.read();
        for frame in &read {
            let known = frames.iter().any(|known| {
                known.header == frame.header && known.body == frame.body
            });
            prop_assert!(known, "{frame:?}");
        }
        // A whole frame can only be missed behind a header that claims its bytes.
        if pieces.iter().all(|piece| !matches!(piece, Piece::Written(..))) {
            prop_assert_eq!(read.len(), whole);
        }
        let read_bytes: u64 = read.iter().map(|frame| frame.end.offset - frame.position.offset).sum();
        prop_assert!(read_bytes + counts.damaged_bytes + counts.torn_bytes <= file.len() as u64);
        // A sweep counts what it deletes, whatever that is.
        let nothing = Policy { max_bytes: 0, ..Policy::default() };
        let swept = sweep(folder.path(), &nothing, Timestamp::UNIX_EPOCH).unwrap();
        prop_assert_eq!(swept.unshipped.base.frames, read.len() as u64);
    }
}
