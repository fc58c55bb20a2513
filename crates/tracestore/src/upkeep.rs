//! Sealing log files that are over, and keeping all within bounds.
//!
//! What is sealed is read from the log files themselves, whole: nothing that is known of them
//! elsewhere decides whether they may be deleted.

mod contents;
mod merging;
mod room;
mod turn;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_spanlog::{ByClass, FileName, folder};

use crate::error::TraceStoreError;
use crate::sealed::{SealedName, SealedReader, guarded, sealed_files, sealed_folder};
use turn::Turn;

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
    /// A sealed file with fewer spans is small: those of a class that lie side by side become one,
    /// of at most twice as many spans. 16,384; none is put together with others if this is 0.
    pub small_spans: u64,
    /// Flags of frames that nobody ships. Files with other frames wait until those were shipped;
    /// nothing if nothing is ever shipped from these folders.
    pub local_flags: Option<u8>,
    /// Most bytes of log and sealed files together; 4 GiB. What is beyond is deleted among the
    /// sealed ones: what is too old, and then the least worthy class first, its oldest file first.
    /// The log has bounds of its own.
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
            small_spans: 16 << 10,
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
    /// Small sealed files that were put together; their spans are in larger ones.
    pub merged_files: u64,
    /// Sealed files that were deleted.
    pub deleted_files: u64,
    /// Spans in them, by class.
    pub deleted_spans: ByClass<u64>,
    /// Whether another process was at it in some folder, so that nothing was done there.
    pub busy: bool,
    /// Whether there is more to be sealed or put together: call again.
    pub more: bool,
}

/// Seals log files that are over, and deletes sealed files beyond the bounds. It knows no traces, so
/// that any process can have one: it holds the names of files, and nothing else, between turns.
///
/// ```
/// use longshore_core::{Clock, SystemClock};
/// use longshore_tracestore::{Sealer, Upkeep};
///
/// # let folder = std::env::temp_dir().join(format!("longshore-sealer-doc-{}", std::process::id()));
/// let mut sealer = Sealer::new([&folder]);
/// let kept = sealer.turn(&Upkeep::default(), SystemClock::new().now())?;
/// assert_eq!(kept.sealed_spans, 0);
/// # Ok::<(), longshore_tracestore::TraceStoreError>(())
/// ```
#[derive(Debug)]
pub struct Sealer {
    logs: Vec<Log>,
}

/// A folder of the span log, and what is remembered of it from turn to turn.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// Files with something that this version does not know, which are not tried again.
    foreign: HashSet<FileName>,
    /// What the sealed files say of themselves.
    sealed: HashMap<SealedName, Known>,
}

/// What a sealed file says of itself.
#[derive(Debug, Default)]
struct Known {
    /// Its length when it said so.
    len: u64,
    /// The log files that it was made of.
    sources: Vec<String>,
    /// The sealed files that it was put together from.
    parts: Vec<SealedName>,
    /// Bytes of its columns once they are unpacked.
    unpacked: u64,
    /// Whether all of it can be read, as far as is known.
    is_sound: bool,
}

impl Sealer {
    /// For these folders of span logs. One that does not exist is empty.
    pub fn new(folders: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let log = |path: &Path| Log {
            path: path.to_owned(),
            foreign: HashSet::new(),
            sealed: HashMap::new(),
        };
        Self {
            logs: folders.into_iter().map(|path| log(path.as_ref())).collect(),
        }
    }

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
    pub fn turn(&mut self, upkeep: &Upkeep, now: Timestamp) -> Result<Kept, TraceStoreError> {
        let mut kept = Kept::default();
        for log in &mut self.logs {
            if log.path.is_dir() {
                log.turn(upkeep, now, &mut kept)?;
            }
        }
        Ok(kept)
    }
}

impl Log {
    fn turn(
        &mut self,
        upkeep: &Upkeep,
        now: Timestamp,
        kept: &mut Kept,
    ) -> Result<(), TraceStoreError> {
        let folder = sealed_folder(&self.path);
        let sealed = |source| TraceStoreError::Sealed { source };
        if !folder.is_dir() {
            folder::make(&folder)?;
            // Log files are deleted only after this name, too, is on the disk.
            folder::sync_names(&self.path).map_err(sealed)?;
        }
        let Some(_lock) = folder::try_lock(&folder.join(LOCK))? else {
            kept.busy = true;
            return Ok(());
        };
        room::remove_temporaries(&folder).map_err(sealed)?;
        let mut turn = Turn::new(self, &folder, upkeep, now);
        turn.seal(kept)?;
        room::make(&folder, &self.path, upkeep, now, kept)?;
        self.merge(&folder, upkeep, now, kept)
    }

    /// Learns what the sealed files say of themselves that are new.
    fn look_at_sealed(&mut self, folder: &Path) -> io::Result<()> {
        let names = sealed_files(folder)?;
        let known = &mut self.sealed;
        known.retain(|name, _| names.contains(name));
        for name in names {
            let path = folder.join(name.to_string());
            let len = fs::metadata(&path)?.len();
            if known.get(&name).is_some_and(|known| known.len == len) {
                continue;
            }
            let read = guarded(|| {
                let reader = SealedReader::open(&path)?;
                Ok(Known {
                    len,
                    sources: reader.sources().map(str::to_owned).collect(),
                    parts: reader.parts().collect(),
                    unpacked: reader.unpacked(),
                    is_sound: true,
                })
            });
            // Of one that is damaged the log files, if they are there, are sealed anew.
            let damaged = |_| Known {
                len,
                ..Known::default()
            };
            known.insert(name, read.unwrap_or_else(damaged));
        }
        Ok(())
    }
}
