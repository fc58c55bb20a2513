//! Spans or log records as OTLP in JSON, one request a line, appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
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
    /// Whether the file may end in the middle of a line.
    is_torn: bool,
}

impl FileSink {
    pub(crate) fn new(settings: FileSettings, signal: Signal) -> Self {
        Self {
            settings,
            signal,
            file: None,
            is_torn: false,
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
            self.is_torn = false;
        }
        // What was torn stays a line of its own, which readers pass over.
        if std::mem::replace(&mut self.is_torn, true) {
            file.write_all(b"\n")?;
        }
        file.write_all(line)?;
        self.is_torn = false;
        self.file = Some(file);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Where the file before this one is.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}
