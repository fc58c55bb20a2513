//! Sealing log files that are over, and keeping all within bounds.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_spanlog::{ByClass, Class, Closed, FileName, Lookup, closed, retire};

use super::TraceStore;
use crate::body;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::sealed::{Batch, SealedReader, TEMPORARY, folder_of, guarded, list, write};

/// The file whose lock the one who seals holds.
const LOCK: &str = "seal.lock";

/// When files are sealed, and how much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// A closed file is sealed no earlier than this after its last write; 1 minute.
    pub min_age: Duration,
    /// Files are sealed once there are so many bytes of a class; 8 MiB.
    pub min_bytes: u64,
    /// Files are sealed at this age even if they are few; 6 hours.
    pub max_wait: Duration,
    /// Most bytes of log files that one turn seals; 32 MiB, which takes some 250 MB of memory while
    /// it lasts. One file that is larger is sealed alone.
    pub max_bytes_per_turn: u64,
    /// Flags of frames that nobody ships. Files with other frames wait until those were shipped;
    /// nothing if nothing is ever shipped from these folders.
    pub local_flags: Option<u8>,
    /// Most bytes of log and sealed files together; 4 GiB. What is beyond is deleted among the
    /// sealed ones, the least worthy class first, its oldest file first. The log has bounds of its
    /// own.
    pub max_bytes: u64,
    /// Age of the newest span beyond which a sealed file is deleted, for each class; 7 days, 30 days
    /// and, for what is pinned, never.
    pub max_age: ByClass<Option<Duration>>,
}

impl Default for Upkeep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            min_age: Duration::from_secs(60),
            min_bytes: 8 << 20,
            max_wait: DAY / 4,
            max_bytes_per_turn: 32 << 20,
            local_flags: Some(0x80),
            max_bytes: 4 << 30,
            max_age: ByClass {
                base: Some(DAY * 7),
                kept: Some(DAY * 30),
                pinned: None,
            },
        }
    }
}

/// What a turn of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Spans that were sealed.
    pub sealed_spans: u64,
    /// Bytes of the log files that they came from.
    pub from_bytes: u64,
    /// Bytes of the sealed files that were made.
    pub sealed_bytes: u64,
    /// Sealed files that were deleted.
    pub deleted_files: u64,
    /// Spans in them, by class.
    pub deleted_spans: ByClass<u64>,
    /// Whether another process was at it in some folder, so that nothing was done there.
    pub busy: bool,
    /// Whether there is more to be sealed: call again.
    pub more: bool,
}

impl TraceStore {
    /// Seals log files that are over, at most so much as one turn may, and deletes sealed files
    /// beyond the bounds. Any process may call this, at any time; one at a time does it.
    ///
    /// A log file is deleted only once what it held is in a sealed file on the disk. What happens
    /// in between leaves spans in both, which count once, and the next turn mends it.
    ///
    /// # Errors
    /// [`TraceStoreError::Seal`] if sealed files cannot be written, as when the disk is full: nothing
    /// is lost then. [`TraceStoreError::Log`] and [`TraceStoreError::Sealed`] if a folder cannot be
    /// read.
    pub fn upkeep(&self, upkeep: &Upkeep, now: Timestamp) -> Result<Kept, TraceStoreError> {
        // What is sealed is what the index knows.
        self.refresh_all()?;
        let mut kept = Kept::default();
        for (number, log) in self.options.folders.iter().enumerate() {
            if !log.is_dir() {
                continue;
            }
            let folder = folder_of(log);
            let sealed = |source| TraceStoreError::Sealed { source };
            make(&folder).map_err(sealed)?;
            let Some(_lock) = try_lock(&folder.join(LOCK)).map_err(sealed)? else {
                kept.busy = true;
                continue;
            };
            remove_temporaries(&folder).map_err(sealed)?;
            let turn = Turn {
                store: self,
                number,
                log,
                folder: &folder,
                upkeep,
                now,
            };
            turn.seal(&mut kept)?;
            turn.delete(&mut kept).map_err(sealed)?;
        }
        // Else the spans would be neither in the log nor known to be sealed.
        self.refresh_all()?;
        Ok(kept)
    }
}

/// One turn in one folder, under its lock.
struct Turn<'a> {
    store: &'a TraceStore,
    number: usize,
    log: &'a Path,
    folder: &'a Path,
    upkeep: &'a Upkeep,
    now: Timestamp,
}

impl Turn<'_> {
    fn seal(&self, kept: &mut Kept) -> Result<(), TraceStoreError> {
        let sealed = self
            .sources()
            .map_err(|source| TraceStoreError::Sealed { source })?;
        let (done, open): (Vec<_>, Vec<_>) =
            closed(self.log, self.now)?.into_iter().partition(|file| {
                file.files
                    .iter()
                    .all(|name| sealed.contains(&name.to_string()))
            });
        if !done.is_empty() {
            // A turn before died after sealing them.
            retire(self.log, &done)?;
        }
        for class in Class::ALL {
            let of_class = open.iter().filter(|file| file.class == class);
            let due = self.choose(&of_class.collect::<Vec<_>>(), kept);
            if !due.is_empty() {
                self.seal_files(class, &due, kept)?;
            }
        }
        Ok(())
    }

    /// The log files that sealed files were made of.
    fn sources(&self) -> io::Result<HashSet<String>> {
        let mut sources = HashSet::new();
        for name in list(self.folder)? {
            let path = self.folder.join(name.to_string());
            let read = guarded(|| {
                let reader = SealedReader::open(&path)?;
                Ok(reader.sources().map(str::to_owned).collect::<Vec<_>>())
            });
            // Of one that is damaged the log files, if they are there, are sealed anew.
            sources.extend(read.unwrap_or_default());
        }
        Ok(sources)
    }

    /// The files that this turn seals: the oldest that are ready, if there are enough of them.
    fn choose(&self, files: &[&Closed], kept: &mut Kept) -> Vec<Closed> {
        let mut chosen: Vec<Closed> = Vec::new();
        let (mut bytes, mut waited) = (0, false);
        for file in files.iter().filter(|file| self.is_ready(file)) {
            if !chosen.is_empty() && bytes + file.bytes > self.upkeep.max_bytes_per_turn {
                kept.more = true;
                break;
            }
            bytes += file.bytes;
            waited |= file.age >= self.upkeep.max_wait;
            chosen.push((*file).clone());
        }
        if bytes < self.upkeep.min_bytes && !waited && !kept.more {
            chosen.clear();
        }
        chosen
    }

    fn is_ready(&self, file: &Closed) -> bool {
        let is_final = || {
            let hot = lock(&self.store.hot);
            let log = hot.get(self.number);
            log.is_some_and(|log| file.files.iter().all(|name| log.is_final(*name)))
        };
        let waits = |flags: u8| file.is_to_be_shipped(flags);
        file.age >= self.upkeep.min_age && is_final() && !self.upkeep.local_flags.is_some_and(waits)
    }

    fn seal_files(
        &self,
        class: Class,
        files: &[Closed],
        kept: &mut Kept,
    ) -> Result<(), TraceStoreError> {
        let names: Vec<FileName> = files.iter().flat_map(|file| &file.files).copied().collect();
        let batch = Batch {
            class,
            bodies: self.bodies(&names)?,
            sources: names.iter().map(FileName::to_string).collect(),
        };
        if batch.bodies.is_empty() {
            // Nothing in them is of this store: retention deletes them when their time has come.
            return Ok(());
        }
        let made = write(self.folder, &batch).map_err(|source| TraceStoreError::Seal {
            folder: self.folder.to_owned(),
            source: source.into(),
        })?;
        if let Some(name) = made {
            let path = self.folder.join(name.to_string());
            kept.sealed_spans += name.spans;
            kept.sealed_bytes += fs::metadata(path).map_or(0, |found| found.len());
            kept.from_bytes += files.iter().map(|file| file.bytes).sum::<u64>();
            // If somebody else is at the files now, the next turn deletes them.
            retire(self.log, files)?;
        }
        Ok(())
    }

    /// The spans of those frames that count.
    fn bodies(&self, files: &[FileName]) -> Result<Vec<Bytes>, TraceStoreError> {
        let places: Vec<_> = {
            let index = lock(&self.store.index);
            let of_file = |file: &FileName| index.frames_of(self.number, *file);
            files.iter().flat_map(of_file).collect()
        };
        let mut lookup = Lookup::new(self.log);
        let mut bodies = Vec::with_capacity(places.len());
        for (_, position) in places {
            let Some(frame) = lookup.frame(position)? else {
                continue;
            };
            if let Some(body) = body::read(&frame)
                && body.what != body::What::Open
            {
                bodies.push(Bytes::from(body.spans.into_owned()));
            }
        }
        Ok(bodies)
    }

    /// Deletes sealed files that are too old or too much.
    fn delete(&self, kept: &mut Kept) -> io::Result<()> {
        let mut files = Vec::new();
        for name in list(self.folder)? {
            let path = self.folder.join(name.to_string());
            let bytes = fs::metadata(&path)?.len();
            files.push((name, path, bytes));
        }
        files.sort_by_key(|(name, ..)| (name.class, name.last_millis));
        let mut bytes = files.iter().map(|(.., bytes)| bytes).sum::<u64>() + log_bytes(self.log)?;
        for (name, path, size) in files {
            let age = self.now.since(name.last());
            let limit = self.upkeep.max_age.of(name.class);
            let is_expired = limit.is_some_and(|limit| age > limit);
            if !is_expired && bytes <= self.upkeep.max_bytes {
                continue;
            }
            fs::remove_file(&path)?;
            bytes -= size;
            kept.deleted_files += 1;
            *kept.deleted_spans.of_mut(name.class) += name.spans;
        }
        Ok(())
    }
}

/// Bytes of the files of a log.
fn log_bytes(log: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(log)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".spans") || name.ends_with(".bundle") {
            bytes += entry.metadata().map_or(0, |found| found.len());
        }
    }
    Ok(bytes)
}

/// Deletes what a turn that died had not completed.
fn remove_temporaries(folder: &Path) -> io::Result<()> {
    let mut left: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(TEMPORARY) {
            left.push(path);
        }
    }
    left.into_iter().try_for_each(fs::remove_file)
}

/// Makes the folder, which its owner alone may look into.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Takes the lock of a file; nothing if somebody else has it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().append(true).create(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
