//! One file while it is written.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_core::Timestamp;

use crate::error::AppendError;
use crate::folder;
use crate::format;
use crate::frame::FrameHeader;
use crate::name::FileName;
use crate::position::Position;

/// What is written to. A disk that fails in tests is another one.
pub(crate) trait Disk: fmt::Debug + Send {
    /// Writes at the end; may take less than all.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts what lies beyond `len`.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Returns once what was written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes the files of a writer.
pub(crate) trait MakeDisk: fmt::Debug + Send {
    /// Makes a new file.
    fn make(&self, path: &Path) -> io::Result<Box<dyn Disk>>;
}

/// Makes real files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

impl MakeDisk for RealDisk {
    fn make(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        Ok(Box::new(folder::create(path)?))
    }
}

/// A file that its writer appends to.
#[derive(Debug)]
pub(crate) struct LogFile {
    disk: Box<dyn Disk>,
    path: PathBuf,
    name: FileName,
    id: u64,
    /// Bytes of whole frames and of the header.
    len: u64,
    /// When it was begun, by the monotonic clock.
    pub(crate) begun: Duration,
    /// Whether something was written since the last sync.
    unsynced: bool,
    /// Whether it can take no more: a piece of a frame lies at its end and cannot be cut off, or
    /// the system lets it grow no further.
    spent: bool,
}

impl LogFile {
    /// Makes the file with its header. It gets its name once it has one, so that no reader sees it
    /// without.
    pub(crate) fn create(
        folder: &Path,
        name: FileName,
        begun: Duration,
        make: &dyn MakeDisk,
    ) -> Result<Self, AppendError> {
        let path = folder.join(name.to_string());
        let hidden = folder::temporary(&path);
        let header = format::encode_file_header(name);
        let made = make.make(&hidden).and_then(|mut disk| {
            write_all(&mut *disk, &header)?;
            fs::rename(&hidden, &path)?;
            Ok(disk)
        });
        match made {
            Ok(disk) => Ok(Self {
                disk,
                path,
                name,
                id: format::file_id(name),
                len: header.len() as u64,
                begun,
                unsynced: true,
                spent: false,
            }),
            Err(error) => {
                // What is left behind is swept away later.
                let _gone = fs::remove_file(&hidden);
                Err(AppendError::new("make", &path, error))
            }
        }
    }

    /// Appends a frame with one write, or nothing of it. `scratch` is emptied and used.
    pub(crate) fn append(
        &mut self,
        header: &FrameHeader,
        body: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Position, AppendError> {
        scratch.clear();
        format::encode_frame(scratch, self.id, header, body);
        self.write(scratch)
    }

    /// Puts the mark at the end that tells readers that nothing more comes. Without it they find
    /// out by other means.
    pub(crate) fn finish(mut self, at: Timestamp, scratch: &mut Vec<u8>) {
        if self.spent {
            return;
        }
        scratch.clear();
        format::encode_end(scratch, self.id, self.name.class(), at);
        let _unmarked = self.write(scratch);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Position, AppendError> {
        let position = self.end();
        match write_all(&mut *self.disk, bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                self.unsynced = true;
                Ok(position)
            }
            Err(error) => {
                let too_large = error.kind() == ErrorKind::FileTooLarge;
                self.spent = self.disk.truncate(self.len).is_err() || too_large;
                Err(AppendError::new("write to", &self.path, error))
            }
        }
    }

    /// Makes what was written survive a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), AppendError> {
        if !self.unsynced {
            return Ok(());
        }
        self.disk.sync().map_err(|source| AppendError::Sync {
            path: self.path.clone(),
            source,
        })?;
        self.unsynced = false;
        Ok(())
    }

    /// Where the next frame begins.
    pub(crate) const fn end(&self) -> Position {
        Position {
            file: self.name,
            offset: self.len,
        }
    }

    /// Whether frames can still be appended.
    pub(crate) const fn takes_more(&self) -> bool {
        !self.spent
    }

    /// Whether there is no frame in it.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len <= format::FILE_HEADER as u64
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn write_all(disk: &mut dyn Disk, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.append(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
