//! Folders, writers and frames of tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::{Random, SystemRandom, Timestamp};
use longshore_spanlog::{
    Class, Frame, FrameHeader, Position, Reader, ReaderCounts, Writer, WriterOptions,
};
use longshore_testkit::ManualClock;

/// A folder that is gone when the test is over.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = SystemRandom.next_u64();
        let path = std::env::temp_dir().join(format!("longshore-spanlog-{number:016x}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What a crash at this moment would leave: all files, and no locks.
    pub(crate) fn crashed(&self) -> Self {
        let copy = Self::new();
        for name in self.names() {
            fs::copy(self.0.join(&name), copy.0.join(&name)).unwrap();
        }
        copy
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The files of the log.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        let names = self.names().into_iter();
        names
            .filter(|name| name.ends_with(".spans"))
            .map(|name| self.0.join(name))
            .collect()
    }

    pub(crate) fn writer(&self) -> Writer {
        self.writer_with(WriterOptions::default(), &Arc::new(ManualClock::default()))
    }

    pub(crate) fn writer_with(&self, options: WriterOptions, clock: &Arc<ManualClock>) -> Writer {
        let clock = Arc::clone(clock);
        Writer::open(&self.0, options, clock, &SystemRandom).unwrap()
    }

    /// Every frame, and what was met besides.
    pub(crate) fn read(&self) -> (Vec<Frame>, ReaderCounts) {
        let mut reader = Reader::open(&self.0).unwrap();
        let frames = rest_of(&mut reader);
        (frames, reader.counts())
    }

    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.read().0.into_iter().map(|frame| frame.body).collect()
    }

    /// The lock that shows that a writer lives, held by the test in its place.
    pub(crate) fn live_lock_of(&self, log: &Path) -> File {
        let name = log.file_name().unwrap().to_str().unwrap();
        let writer = name.split_once('-').unwrap().1;
        let writer = writer.rsplit_once('-').unwrap().0;
        let file = File::create(self.0.join(format!("{writer}.live"))).unwrap();
        file.try_lock().unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// What a reader has not given yet.
pub(crate) fn rest_of(reader: &mut Reader) -> Vec<Frame> {
    std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
}

pub(crate) fn header(class: Class, spans: u32) -> FrameHeader {
    let at = Timestamp::from_unix_millis(1_767_225_600_000);
    FrameHeader::of_spans(class, spans, at, at)
}

/// Appends a body to the base class.
pub(crate) fn append(writer: &mut Writer, body: &[u8]) -> Position {
    writer.append(&header(Class::Base, 1), body).unwrap()
}
