//! How far a reader had come, kept in a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::LogError;
use crate::folder;
use crate::position::{Position, Progress};

const TITLE: &str = "longshore-cursor 1";
const SUM: &str = "sum ";
/// Largest file that is taken for a cursor.
const MAX_BYTES: u64 = 16 << 20;

/// A file that says how far a reader had come. One process at a time may store to it.
#[derive(Clone, Debug)]
pub struct Cursor {
    path: PathBuf,
}

/// What a cursor's file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// There is none yet: begin with the oldest.
    Absent,
    /// Go on from here.
    Progress(Progress),
    /// It cannot be read: begin with the oldest, which hands out again what was handed out already,
    /// and say so.
    Damaged,
}

impl Stored {
    /// Where to begin in any case.
    #[must_use]
    pub fn into_progress(self) -> Progress {
        match self {
            Self::Progress(progress) => progress,
            Self::Absent | Self::Damaged => Progress::default(),
        }
    }
}

impl Cursor {
    /// The cursor at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What was stored last.
    ///
    /// # Errors
    /// [`LogError`] if the file is there and the system does not let it be read.
    pub fn load(&self) -> Result<Stored, LogError> {
        let read = File::open(&self.path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(MAX_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(parse(&bytes).map_or(Stored::Damaged, Stored::Progress)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::Absent),
            Err(error) => Err(LogError::on("read", &self.path)(error)),
        }
    }

    /// Stores how far the reader has come. A reader that starts after a crash, of the process or of
    /// the system, finds this or what was stored before, and never half of it.
    ///
    /// # Errors
    /// [`LogError`] if the file cannot be written. What was stored before is still there.
    pub fn store(&self, progress: &Progress) -> Result<(), LogError> {
        let hidden = folder::temporary(&self.path);
        let stored = write(&hidden, &self.path, print(progress).as_bytes());
        stored.map_err(|error| {
            // What is left behind is overwritten by the next attempt.
            let _gone = fs::remove_file(&hidden);
            LogError::on("store", &self.path)(error)
        })
    }
}

fn write(hidden: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that a killed process left behind is of no use.
    let _gone = fs::remove_file(hidden);
    let mut file = folder::create(hidden)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(hidden, path)
}

fn print(progress: &Progress) -> String {
    let mut text = format!("{TITLE}\n");
    for position in progress.positions() {
        text.push_str(&position.to_string());
        text.push('\n');
    }
    let sum = xxh3_64(text.as_bytes());
    text.push_str(&format!("{SUM}{sum:016x}\n"));
    text
}

fn parse(bytes: &[u8]) -> Option<Progress> {
    let text = str::from_utf8(bytes).ok()?;
    let (summed, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let summed = text.get(..=summed.len())?;
    if sum != format!("{SUM}{:016x}", xxh3_64(summed.as_bytes())) {
        return None;
    }
    let mut lines = summed.lines();
    if lines.next()? != TITLE {
        return None;
    }
    let mut progress = Progress::default();
    for line in lines {
        progress.advance(line.parse::<Position>().ok()?);
    }
    Some(progress)
}
