//! Appending.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Random};

use crate::error::{AppendError, LogError};
use crate::file::{LogFile, MakeDisk, RealDisk};
use crate::folder::{self, Lock};
use crate::format::{FRAME_HEADER, MAX_BODY_BYTES};
use crate::frame::{ByClass, Class, FrameHeader};
use crate::name::{FileName, WriterId};
use crate::position::Position;
use crate::recent::Recent;
use crate::wake::Wake;

/// Bytes of memory that a writer keeps between appends; a larger frame gives back what it took.
const KEPT_SCRATCH: usize = 256 << 10;

/// When what was appended is forced onto the disk. A process that is killed loses nothing in any of
/// them: the system has what was written. They differ when the system or the power fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// The system decides, which is usually within half a minute.
    #[default]
    Never,
    /// By the first [`Writer::append`] or [`Writer::tick`] so long after the last time.
    Every(Duration),
    /// Before each append returns, which takes milliseconds on most disks.
    Always,
}

/// The bounds of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Bytes after which a file is closed and another begun; 16 MiB. Retention deletes whole files,
    /// so this is also the grain in which it deletes. A frame that is larger has a file to itself.
    pub max_file_bytes: u64,
    /// Age after which a file is closed, by the next append or [`Writer::tick`]; 15 minutes.
    pub max_file_age: Duration,
    /// Most bytes of a body; 4 MiB, which is also what most receivers take. [`MAX_BODY_BYTES`] is
    /// the limit of the limit.
    pub max_frame_bytes: usize,
    /// When what was appended is forced onto the disk.
    pub sync: SyncPolicy,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            max_file_bytes: 16 << 20,
            max_file_age: Duration::from_secs(15 * 60),
            max_frame_bytes: 4 << 20,
            sync: SyncPolicy::Never,
        }
    }
}

/// Appends frames to files of its own. Dropping it closes them.
///
/// It needs no thread, but someone to call [`Writer::tick`] from time to time if appends are rare.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    options: WriterOptions,
    clock: Arc<dyn Clock>,
    make: Box<dyn MakeDisk>,
    id: WriterId,
    /// Holds the lock that shows that this writer lives.
    _live: Lock,
    lanes: ByClass<Option<LogFile>>,
    last_created: u64,
    last_sync: Duration,
    scratch: Vec<u8>,
    recent: Option<Recent>,
    wake: Wake,
}

impl Writer {
    /// Opens the log in `folder`, which is made if it is not there, for this process. Files are
    /// made when there is something to put into them.
    ///
    /// The folder must be on a disk of this machine: on a network file system the locks that show
    /// who lives cannot be relied on.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be made or written to.
    pub fn open(
        folder: impl AsRef<Path>,
        options: WriterOptions,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
    ) -> Result<Self, LogError> {
        Self::open_on(folder.as_ref(), options, clock, random, Box::new(RealDisk))
    }

    fn open_on(
        folder: &Path,
        options: WriterOptions,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
        make: Box<dyn MakeDisk>,
    ) -> Result<Self, LogError> {
        folder::make(folder)?;
        let id = WriterId::mint(random);
        let live = folder::mark_live(folder, id)?;
        let last_sync = clock.monotonic();
        Ok(Self {
            folder: folder.to_owned(),
            options,
            clock,
            make,
            id,
            _live: live,
            lanes: ByClass::default(),
            last_created: 0,
            last_sync,
            scratch: Vec::new(),
            recent: None,
            wake: Wake::default(),
        })
    }

    /// Who this is, to those who ship what it writes.
    #[must_use]
    pub const fn id(&self) -> WriterId {
        self.id
    }

    /// Holds what is appended from now on in memory too, the newest up to so many bytes, until a
    /// reader in this process has taken it: it need not be read back then.
    pub fn remember(&mut self, max_bytes: usize) -> Recent {
        let recent = Recent::new(max_bytes);
        self.recent = Some(recent.clone());
        recent
    }

    /// What wakes readers of this process when something was appended.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Appends a frame, and says where it begins. Once this returns, readers see it and it survives
    /// the end of this process, however it ends.
    ///
    /// # Errors
    /// [`AppendError`] if the frame is too large or the disk is full or broken. Nothing of the frame
    /// is in the log then, but for [`AppendError::Sync`], and the next append starts afresh.
    pub fn append(&mut self, header: &FrameHeader, body: &[u8]) -> Result<Position, AppendError> {
        let limit = self.options.max_frame_bytes.min(MAX_BODY_BYTES);
        if body.len() > limit {
            return Err(AppendError::TooLarge {
                bytes: body.len(),
                limit,
            });
        }
        let adds = (FRAME_HEADER + body.len()) as u64;
        let mut file = self.file(header.class, adds)?;
        let appended = file.append(header, body, &mut self.scratch);
        self.scratch.shrink_to(KEPT_SCRATCH);
        if file.takes_more() {
            *self.lanes.of_mut(header.class) = Some(file);
        }
        let position = appended?;
        if let Some(recent) = &self.recent {
            recent.note(position, header, body);
        }
        self.wake.wake();
        match self.options.sync {
            SyncPolicy::Never => {}
            SyncPolicy::Always => self.sync()?,
            SyncPolicy::Every(_) => self.sync_if_due()?,
        }
        Ok(position)
    }

    /// Makes the folder and this writer's mark in it anew if somebody has removed them: else what
    /// is appended goes into files that nobody finds. Says whether that was so; then what was
    /// appended and not read by then is lost. It costs one look at the folder.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be made or written to. The next call tries again.
    pub fn revive(&mut self) -> Result<bool, LogError> {
        let mark = self.folder.join(self.id.live_file());
        let is_there = match mark.try_exists() {
            Ok(is_there) => is_there,
            // A file took the folder's place. Where it cannot be found out, it is taken to be there.
            Err(error) => error.kind() != std::io::ErrorKind::NotADirectory,
        };
        if is_there {
            return Ok(false);
        }
        folder::make(&self.folder)?;
        self._live = folder::mark_live(&self.folder, self.id)?;
        self.lanes = ByClass::default();
        if let Some(recent) = &self.recent {
            recent.clear();
        }
        Ok(true)
    }

    /// Closes files that are past their age, and forces onto the disk what is due. Call it about
    /// once a second if appends are rarer than that.
    ///
    /// # Errors
    /// [`AppendError::Sync`] if the disk did not confirm.
    pub fn tick(&mut self) -> Result<(), AppendError> {
        for class in Class::ALL {
            let file = self.lanes.of_mut(class);
            let too_old = |file: &mut LogFile| is_too_old(file, &self.options, &*self.clock);
            if let Some(file) = file.take_if(too_old) {
                self.close(file);
            }
        }
        self.sync_if_due()
    }

    /// Forces everything that was appended onto the disk.
    ///
    /// # Errors
    /// [`AppendError::Sync`] if the disk did not confirm. What was appended stays visible.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        self.last_sync = self.clock.monotonic();
        let mut outcome = Ok(());
        for class in Class::ALL {
            let lane = self.lanes.of_mut(class);
            let Some(file) = lane else { continue };
            if let Err(error) = file.sync() {
                *lane = None;
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Closes every file, so that readers need not wait for more. The next append begins new ones.
    pub fn rotate(&mut self) {
        for class in Class::ALL {
            if let Some(file) = self.lanes.of_mut(class).take() {
                self.close(file);
            }
        }
    }

    fn sync_if_due(&mut self) -> Result<(), AppendError> {
        let SyncPolicy::Every(interval) = self.options.sync else {
            return Ok(());
        };
        if self.clock.monotonic().saturating_sub(self.last_sync) < interval {
            return Ok(());
        }
        self.sync()
    }

    /// Takes the file that so many bytes go to out of its lane.
    fn file(&mut self, class: Class, adds: u64) -> Result<LogFile, AppendError> {
        if let Some(file) = self.lanes.of_mut(class).take() {
            let fits = file.is_empty() || file.end().offset + adds <= self.options.max_file_bytes;
            if fits && !is_too_old(&file, &self.options, &*self.clock) {
                return Ok(file);
            }
            self.close(file);
        }
        // Later than every earlier file, so that names sort as files follow each other, whatever
        // the clock does.
        let now = u64::try_from(self.clock.now().unix_millis()).unwrap_or(0);
        let created = now.max(self.last_created + 1);
        let name = FileName::new(created, self.id, class);
        let file = LogFile::create(&self.folder, name, self.clock.monotonic(), &*self.make)?;
        self.last_created = created;
        if self.options.sync != SyncPolicy::Never {
            folder::sync_names(&self.folder)
                .map_err(|error| AppendError::new("keep the name of", file.path(), error))?;
        }
        Ok(file)
    }

    fn close(&mut self, mut file: LogFile) {
        if self.options.sync != SyncPolicy::Never {
            // A disk that does not confirm says so to the next append, too.
            let _unconfirmed = file.sync();
        }
        let class = file.end().file.class();
        file.finish(self.clock.now(), &mut self.scratch);
        if let Some(recent) = &self.recent {
            recent.closed(class);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.rotate();
        // A writer without the file is as dead as one whose lock is free.
        let _left = fs::remove_file(self.folder.join(self.id.live_file()));
    }
}

fn is_too_old(file: &LogFile, options: &WriterOptions, clock: &dyn Clock) -> bool {
    clock.monotonic().saturating_sub(file.begun) >= options.max_file_age
}

#[cfg(test)]
mod tests;
