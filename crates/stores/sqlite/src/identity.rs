//! Whether the files that a store has open are still those at its path. A file that was deleted
//! or replaced can be written on, and nobody would ever find what is written.

use std::fs::Metadata;
use std::io::ErrorKind as ErrorKindOfIo;
use std::path::{Path, PathBuf};

use longshore_core::{ErrorKind, StoreError};

/// The file itself, its log, and the memory its users share.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The files of a store, as they were when it was opened.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    files: Vec<(PathBuf, Option<Number>)>,
}

/// Device and number of a file: the same for as long as it is the same file.
type Number = (u64, u64);

impl Identity {
    /// The files that are at `path` now.
    pub(crate) fn of(path: &Path) -> Self {
        // SQLite names log and memory by where a symbolic link leads.
        let path = path
            .canonicalize()
            .unwrap_or_else(|_ignored| path.to_owned());
        let files = SUFFIXES.iter().map(|suffix| {
            let file = with_suffix(&path, suffix);
            let number = number_at(&file).ok().flatten();
            (file, number)
        });
        Self {
            files: files.collect(),
        }
    }

    /// Fails if one of the files is gone or another.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let lost = |(path, number): &&(PathBuf, Option<Number>)| match (number, number_at(path)) {
            (Some(opened), Ok(Some(found))) => *opened != found,
            (Some(_), Err(error)) => error.kind() == ErrorKindOfIo::NotFound,
            // Nothing is known of a file that cannot be looked at; SQLite will say what is wrong.
            (None, _) | (_, Ok(None)) => false,
        };
        match self.files.iter().find(lost) {
            None => Ok(()),
            Some((path, _)) => Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "{} was deleted or replaced while the store was open, so nothing more is read \
                     or written: stop everything that uses it before you touch its files, then \
                     start again",
                    path.display()
                ),
            )),
        }
    }

    /// The size of the log in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        let log = self.files.get(1).map(|(path, _)| std::fs::metadata(path));
        log.and_then(Result::ok).map_or(0, |found| found.len())
    }
}

/// Refuses a log whose file is gone: SQLite would begin anew and delete the log, and what was
/// acknowledged with it.
pub(crate) fn refuse_orphaned_log(path: &Path) -> Result<(), StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let resolved = path
        .canonicalize()
        .unwrap_or_else(|_ignored| path.to_owned());
    let log = with_suffix(&resolved, "-wal");
    // In this order, since who makes a store makes the file first.
    if size(&log) == 0 || size(&resolved) > 0 {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Corrupt,
        format!(
            "the file is missing or empty, but its log {} is not and may hold jobs: put the file \
             back beside its log, restore both from a backup, or delete the log to begin anew",
            log.display()
        ),
    ))
}

/// The path of a file that SQLite keeps beside another.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn number_at(path: &Path) -> std::io::Result<Option<Number>> {
    std::fs::metadata(path).map(|found| number(&found))
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems do not tell")]
fn number(metadata: &Metadata) -> Option<Number> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

/// Other systems do not let an open file be deleted.
#[cfg(not(unix))]
fn number(_metadata: &Metadata) -> Option<Number> {
    None
}
