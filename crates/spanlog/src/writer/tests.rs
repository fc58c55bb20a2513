//! Disks that fail.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Mutex;

use longshore_core::Timestamp;
use longshore_testkit::{ManualClock, SeededRandom};

use super::*;
use crate::bundle::Bundles;
use crate::file::Disk;
use crate::reader::Reader;

/// What the disk does wrong.
#[derive(Debug)]
struct Faults {
    /// Bytes there is room for.
    room: usize,
    /// Most bytes that one write takes.
    at_once: usize,
    /// What a write that finds no room says.
    error: ErrorKind,
    interrupts: usize,
    makes: bool,
    truncates: bool,
    syncs: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            room: usize::MAX,
            at_once: usize::MAX,
            error: ErrorKind::StorageFull,
            interrupts: 0,
            makes: true,
            truncates: true,
            syncs: true,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct BadDisks(Arc<Mutex<Faults>>);

#[derive(Debug)]
struct BadDisk(File, BadDisks);

fn broken() -> io::Error {
    io::Error::other("broken")
}

impl BadDisks {
    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl MakeDisk for BadDisks {
    fn make(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        if !self.0.lock().unwrap().makes {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(Box::new(BadDisk(folder::create(path)?, self.clone())))
    }
}

impl Disk for BadDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = self.1.0.lock().unwrap();
        if faults.interrupts > 0 {
            faults.interrupts -= 1;
            return Err(ErrorKind::Interrupted.into());
        }
        let taken = bytes.len().min(faults.room).min(faults.at_once);
        if taken == 0 {
            return Err(faults.error.into());
        }
        let written = Disk::append(&mut self.0, &bytes[..taken])?;
        faults.room -= written.min(faults.room);
        Ok(written)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if self.1.0.lock().unwrap().truncates {
            self.0.truncate(len)
        } else {
            Err(broken())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.1.0.lock().unwrap().syncs {
            Ok(())
        } else {
            Err(broken())
        }
    }
}

struct Bench {
    folder: PathBuf,
    faults: BadDisks,
    writer: Writer,
}

impl Bench {
    fn new(sync: SyncPolicy) -> Self {
        let number = unique_number();
        let folder = std::env::temp_dir().join(format!("longshore-spanlog-{number:016x}"));
        let faults = BadDisks::default();
        let options = WriterOptions {
            sync,
            ..WriterOptions::default()
        };
        let clock = Arc::new(ManualClock::default());
        let random = SeededRandom::new(number);
        let make = Box::new(faults.clone());
        let writer = Writer::open_on(&folder, options, clock, &random, make).unwrap();
        Self {
            folder,
            faults,
            writer,
        }
    }

    fn append(&mut self, body: &[u8]) -> Result<Position, AppendError> {
        let at = Timestamp::from_unix_millis(0);
        let header = FrameHeader::of_spans(Class::Base, 1, at, at);
        self.writer.append(&header, body)
    }

    fn read(&self) -> Vec<Vec<u8>> {
        let mut reader = Reader::open(&self.folder).unwrap();
        let next = || reader.next_frame().unwrap();
        std::iter::from_fn(next).map(|frame| frame.body).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}

fn unique_number() -> u64 {
    longshore_core::SystemRandom.next_u64()
}

#[test]
fn a_full_disk_takes_nothing_of_a_frame_and_everything_once_there_is_room() {
    let mut bench = Bench::new(SyncPolicy::Never);
    let first = bench.append(b"first").unwrap();
    for room in [0, 1, 20, 52] {
        bench.faults.set(|faults| faults.room = room);
        let error = bench.append(b"lost!").unwrap_err();
        assert!(matches!(error, AppendError::Full { .. }), "{error}");
        assert_eq!(error.reason(), "disk_full");
        assert_eq!(bench.read(), [b"first"]);
    }
    bench.faults.set(|faults| faults.room = usize::MAX);
    let second = bench.append(b"second").unwrap();
    assert_eq!(second.file, first.file);
    assert_eq!(bench.read(), [b"first".as_slice(), b"second"]);
}

#[test]
fn a_piece_that_cannot_be_cut_off_is_left_behind_with_its_file() {
    let mut bench = Bench::new(SyncPolicy::Never);
    let first = bench.append(b"first").unwrap();
    bench.faults.set(|faults| {
        faults.room = 50;
        faults.truncates = false;
    });
    bench.append(b"lost").unwrap_err();
    bench.faults.set(|faults| faults.room = usize::MAX);
    let second = bench.append(b"second").unwrap();
    assert!(second.file > first.file);
    let mut reader = Reader::open(&bench.folder).unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"first");
    assert_eq!(reader.next_frame().unwrap().unwrap().body, b"second");
    assert_eq!(reader.next_frame().unwrap(), None);
    assert_eq!(reader.counts().torn_bytes, 50);
}

#[test]
fn a_file_that_may_not_grow_is_followed_by_another() {
    let mut bench = Bench::new(SyncPolicy::Never);
    let first = bench.append(b"first").unwrap();
    bench.faults.set(|faults| {
        faults.room = 10;
        faults.error = ErrorKind::FileTooLarge;
    });
    let error = bench.append(b"lost").unwrap_err();
    assert_eq!(error.reason(), "disk_full");
    bench.faults.set(|faults| faults.room = usize::MAX);
    assert!(bench.append(b"second").unwrap().file > first.file);
    assert_eq!(bench.read(), [b"first".as_slice(), b"second"]);
}

#[test]
fn a_broken_disk_says_so_with_the_file() {
    let mut bench = Bench::new(SyncPolicy::Never);
    bench.append(b"first").unwrap();
    bench.faults.set(|faults| {
        faults.room = 3;
        faults.error = ErrorKind::Other;
    });
    let error = bench.append(b"lost").unwrap_err();
    assert_eq!(error.reason(), "io");
    assert!(error.to_string().contains(".spans"), "{error}");
    assert_eq!(bench.read(), [b"first"]);
}

#[test]
fn a_file_that_cannot_be_made_leaves_nothing() {
    let mut bench = Bench::new(SyncPolicy::Never);
    bench.faults.set(|faults| faults.makes = false);
    assert_eq!(bench.append(b"lost").unwrap_err().reason(), "disk_full");
    bench.faults.set(|faults| {
        faults.makes = true;
        faults.room = 7;
    });
    assert_eq!(bench.append(b"lost").unwrap_err().reason(), "disk_full");
    let listing = folder::list(&bench.folder, &mut Bundles::default()).unwrap();
    assert!(listing.files.is_empty() && listing.temporaries.is_empty());
    bench.faults.set(|faults| faults.room = usize::MAX);
    bench.append(b"first").unwrap();
    assert_eq!(bench.read(), [b"first"]);
}

#[test]
fn short_and_interrupted_writes_are_gone_on_with() {
    let mut bench = Bench::new(SyncPolicy::Never);
    bench.faults.set(|faults| {
        faults.at_once = 3;
        faults.interrupts = 2;
    });
    bench.append(b"first").unwrap();
    assert_eq!(bench.read(), [b"first"]);
}

#[test]
fn what_the_disk_does_not_confirm_is_visible_and_its_file_is_left() {
    let mut bench = Bench::new(SyncPolicy::Always);
    let first = bench.append(b"first").unwrap();
    bench.faults.set(|faults| faults.syncs = false);
    let error = bench.append(b"second").unwrap_err();
    assert_eq!(error.reason(), "sync");
    assert_eq!(bench.read(), [b"first".as_slice(), b"second"]);
    bench.faults.set(|faults| faults.syncs = true);
    let third = bench.append(b"third").unwrap();
    assert!(third.file > first.file);
    assert_eq!(bench.read(), [b"first".as_slice(), b"second", b"third"]);
}
