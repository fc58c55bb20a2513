//! What a program says of itself while it runs: its progress and its checkpoint, in two small files.
//!
//! Files and not a pipe, so that every language and every shell can, a program that is slow to start
//! loses nothing, and nobody blocks if the worker is slow to look.

use std::convert::Infallible;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::Beat;
use longshore_queue::Attempt;
use rustix::fs::{Mode, OFlags};

use super::leftover::{NAME, hold};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Most bytes of the file of the progress that are looked at.
const LINE: usize = 256;
/// How many names are tried for the folder.
const TRIES: u32 = 100;

static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// The variables that name the files.
pub(super) const PROGRESS: &str = "LONGSHORE_PROGRESS_FILE";
pub(super) const CHECKPOINT: &str = "LONGSHORE_CHECKPOINT_FILE";

/// The two files of an attempt, in a folder of their own, which goes with this.
#[derive(Debug)]
pub(super) struct Report {
    folder: PathBuf,
    /// Says that somebody comes back to the folder, where that can be said.
    _held: Option<File>,
    progress: Watched,
    checkpoint: Watched,
}

/// A file, as it was when it was last looked at, and when its content was last taken.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    seen: Option<Mark>,
    taken: Option<Mark>,
}

/// What tells a file from the same file after it was written to: its number, size and time.
type Mark = (u64, u64, i64, i64);

impl Report {
    /// Makes the folder, and in it the checkpoint of the attempt before, if that left one.
    ///
    /// # Errors
    /// The folder of temporary files cannot be written to.
    pub(super) fn open(checkpoint: Option<&[u8]>) -> io::Result<Self> {
        let folder = new_folder(&std::env::temp_dir())?;
        let mut report = Self {
            progress: Watched::of(folder.join("progress")),
            checkpoint: Watched::of(folder.join("checkpoint")),
            _held: hold(&folder),
            folder,
        };
        if let Some(bytes) = checkpoint {
            std::fs::write(&report.checkpoint.path, bytes)?;
            report.checkpoint.taken = report.checkpoint.mark();
        }
        Ok(report)
    }

    /// What the program is told of it.
    pub(super) fn variables(&self) -> [(&'static str, &Path); 2] {
        [
            (PROGRESS, &self.progress.path),
            (CHECKPOINT, &self.checkpoint.path),
        ]
    }

    /// Hands on what the program says, for as long as it is polled.
    pub(super) async fn follow(&mut self, attempt: &Attempt) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(attempt);
        }
    }

    /// Hands on the last that it said. Gives back what is wrong with its checkpoint.
    pub(super) fn end(mut self, attempt: &Attempt) -> Option<String> {
        self.look(attempt);
        // Nobody writes to it any more.
        self.look(attempt);
        let bytes = self.checkpoint.seen.map(|(_, bytes, ..)| bytes)?;
        let most = Beat::MAX_CHECKPOINT_BYTES;
        (usize::try_from(bytes).unwrap_or(usize::MAX) > most).then(|| {
            format!(
                "the checkpoint takes {bytes} bytes, more than the {most} allowed, and was not \
                 stored: keep it elsewhere and write a reference to {CHECKPOINT}"
            )
        })
    }

    fn look(&mut self, attempt: &Attempt) {
        if let Some(line) = self.progress.at_rest(LINE)
            && let Some(percent) = percent(&line)
        {
            attempt.progress(percent);
        }
        let checkpoint = self.checkpoint.at_rest(Beat::MAX_CHECKPOINT_BYTES);
        if let Some(bytes) = checkpoint.filter(|bytes| !bytes.is_empty()) {
            // What is too long is complained of at the end.
            let _too_long = attempt.checkpoint(bytes);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.folder);
    }
}

impl Watched {
    fn of(path: PathBuf) -> Self {
        Self {
            path,
            seen: None,
            taken: None,
        }
    }

    /// The content of a file that has changed since it was last taken, and not since the last look:
    /// a program may be in the middle of writing. `None` too if it is longer than `most`.
    fn at_rest(&mut self, most: usize) -> Option<Vec<u8>> {
        let mark = self.mark();
        let rests = mark.is_some() && mark == self.seen && mark != self.taken;
        self.seen = mark;
        if !rests {
            return None;
        }
        self.taken = mark;
        let mut bytes = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = self.open()?.take(limit).read_to_end(&mut bytes);
        read.ok().filter(|read| *read <= most)?;
        Some(bytes)
    }

    fn mark(&self) -> Option<Mark> {
        let of = self.open()?.metadata().ok()?;
        let mark = (of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        Some(mark)
    }

    /// The file, if it is one: a pipe in its place must not hold up the worker.
    fn open(&self) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::empty()).ok()?);
        file.metadata().ok()?.is_file().then_some(file)
    }
}

/// The number in the last line: `40`, `40 %` or `40.5`.
fn percent(bytes: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text.trim_end().lines().next_back()?;
    let line = line.trim().trim_end_matches('%').trim_end();
    let whole = line.split_once('.').map_or(line, |(whole, _)| whole);
    let percent: u32 = whole.parse().ok()?;
    u8::try_from(percent.min(100)).ok()
}

/// A new folder that only this user may look into.
fn new_folder(among: &Path) -> io::Result<PathBuf> {
    let mut tries = 0;
    loop {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}{}-{number}", std::process::id());
        let path = among.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            // A process of the same number was killed before it could remove it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_number_of_the_last_line() {
        let cases: [(&str, Option<u8>); 9] = [
            ("40", Some(40)),
            ("10\n20\n", Some(20)),
            (" 7 % \n\n", Some(7)),
            ("99.9", Some(99)),
            ("2000", Some(100)),
            ("", None),
            ("\n", None),
            ("-3", None),
            ("half", None),
        ];
        for (written, expected) in cases {
            assert_eq!(percent(written.as_bytes()), expected, "{written:?}");
        }
        assert_eq!(percent(&[0xff]), None);
    }

    #[test]
    fn a_file_is_taken_once_and_only_when_it_rests() {
        let report = Report::open(Some(b"old")).unwrap();
        let path = report.checkpoint.path.clone();
        let mut watched = Watched::of(path.clone());
        watched.taken = watched.mark();
        assert_eq!(watched.at_rest(9), None);
        assert_eq!(
            watched.at_rest(9),
            None,
            "that is what the program was given"
        );
        std::fs::write(&path, "half a").unwrap();
        assert_eq!(watched.at_rest(9), None);
        std::fs::write(&path, "a whole").unwrap();
        assert_eq!(watched.at_rest(9), None);
        assert_eq!(watched.at_rest(9).unwrap(), b"a whole");
        assert_eq!(watched.at_rest(9), None);
        std::fs::write(&path, "far too long").unwrap();
        assert_eq!(watched.at_rest(9), None);
        assert_eq!(watched.at_rest(9), None);
        let folder = report.folder.clone();
        drop(report);
        assert!(!folder.exists());
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let report = Report::open(None).unwrap();
        let path = &report.progress.path;
        std::fs::create_dir(path).unwrap();
        assert!(report.progress.mark().is_none());
        std::fs::remove_dir(path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        assert!(report.progress.mark().is_none());
    }
}
