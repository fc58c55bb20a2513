//! What can go wrong, named by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An operation on the folder failed. Trying again later is safe.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct LogError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl LogError {
    /// Makes an error of what the system said while `doing` something with `path`.
    pub(crate) fn on(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system said.
    #[must_use]
    pub const fn io(&self) -> &io::Error {
        &self.source
    }

    pub(crate) fn into_io(self) -> io::Error {
        self.source
    }
}

/// A frame was not appended. Nothing of it is in the log, but for [`AppendError::Sync`].
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The body is too large. Split it, or raise `max_frame_bytes`.
    #[error(
        "a frame of {bytes} bytes is larger than the {limit} that the span log takes; split the batch"
    )]
    TooLarge {
        /// Bytes of the body.
        bytes: usize,
        /// Most it may have.
        limit: usize,
    },
    /// The disk, a quota or a limit of the process is used up. Appends work again once there is
    /// room.
    #[error("there is no room on the disk for {}; free some, or lower the bounds of the span log", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be made or written. The next append tries again.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The frame is written and readers see it, but the disk did not confirm it. The next append
    /// goes to a new file, since what such a disk says of the old one cannot be relied on.
    #[error("the disk did not confirm what was written to {}", path.display())]
    Sync {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl AppendError {
    pub(crate) fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full { path, source },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }

    /// The reason as a metric label: `too_large`, `disk_full`, `io` or `sync`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Full { .. } => "disk_full",
            Self::Io { .. } => "io",
            Self::Sync { .. } => "sync",
        }
    }
}
