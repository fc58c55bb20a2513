//! Spans or log records as OTLP in JSON, one request a line, appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Failure, Sent};
use crate::config::FileSettings;
use crate::counters::DropReason;
use crate::signal::Signal;

/// A file of bounded size, and the one before it.
#[derive(Debug)]
pub(crate) struct FileSink {
    settings: FileSettings,
    signal: Signal,
    /// Opened when there is something to write, and again after a failure.
    file: Option<File>,
}

impl FileSink {
    pub(crate) fn new(settings: FileSettings, signal: Signal) -> Self {
        Self {
            settings,
            signal,
            file: None,
        }
    }

    /// Appends an export request as one line.
    pub(super) fn write(&mut self, request: &[u8]) -> Sent {
        let line = match self.signal.json_line(request) {
            Ok(line) => line,
            Err(what) => {
                return Sent::Failed(Failure {
                    reason: DropReason::Refused,
                    what,
                    again: None,
                });
            }
        };
        match self.append(&line) {
            Ok(()) => Sent::Taken {
                rejected: 0,
                said: None,
            },
            Err(error) => {
                self.file = None;
                Sent::Failed(Failure::for_now(format!(
                    "{} cannot be written ({error}); make room, or set {} to another file",
                    self.settings.path.display(),
                    self.signal.file_key()
                )))
            }
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => open(&self.settings.path)?,
        };
        let added = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let length = file.metadata()?.len();
        // Half for this file, half for the one before.
        if length > 0 && length.saturating_add(added) > self.settings.max_bytes / 2 {
            drop(file);
            std::fs::rename(&self.settings.path, before(&self.settings.path))?;
            file = open(&self.settings.path)?;
        }
        file.write_all(line)?;
        self.file = Some(file);
        Ok(())
    }
}

/// Opens a file to go on behind its last line. A line that was not completed, by this process or by
/// one that was killed, stays a line of its own, which readers pass over.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).read(true).create(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Where the file before this one is.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}
