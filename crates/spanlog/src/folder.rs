//! The folder of a log, and what those need as well who keep files of their own in it: private
//! folders and files, locks between processes, names that survive a power cut.
//!
//! Inside the crate: what lies in the folder, who of its writers lives, and the lock that claims and
//! sweeps take in turn.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_core::{Clock, SystemClock, Timestamp};

use crate::bundle::Bundles;
use crate::error::LogError;
use crate::name::{Aside, BundleName, Entry, FOLDER_LOCK, FileName, TEMPORARY, WriterId};

/// Most entries of a folder that are looked at in one listing.
const MAX_ENTRIES: usize = 100_000;
/// How often a folder is listed anew that changes while it is.
const MAX_LISTINGS: usize = 8;
/// More than the grain in which any file system keeps times.
const SETTLING: Duration = Duration::from_secs(5);

/// What lies in a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Complete files of the log, those in bundles included, the oldest first.
    pub(crate) files: Vec<FileName>,
    /// Those of them that lie alone.
    pub(crate) alone: BTreeSet<FileName>,
    /// Their writers.
    alone_of: BTreeSet<WriterId>,
    bundles: BTreeSet<BundleName>,
    /// Writers that left a lock, lease or cursor.
    pub(crate) asides: BTreeSet<WriterId>,
    /// Dead writers of whom everything was delivered: they have a cursor, and no lease any more; or
    /// neither, and bundles say it.
    pub(crate) delivered: BTreeSet<WriterId>,
    /// Files that were not completed, with their writers.
    pub(crate) temporaries: Vec<(WriterId, PathBuf)>,
    /// Whether there are more entries than were looked at, so that a file that is not listed may
    /// be there.
    pub(crate) cut_short: bool,
}

/// Lists a folder, and brings `bundles` up to what lies in it. A folder that does not exist is
/// empty.
///
/// A file may be put into a bundle meanwhile, so that a listing has neither: the file no more, and
/// the bundle not yet. Then it has another set of bundles than one that begins later.
pub(crate) fn list(folder: &Path, bundles: &mut Bundles) -> Result<Listing, LogError> {
    let mut listing = Listing::default();
    for _ in 0..MAX_LISTINGS {
        let settled = settled_at(folder);
        listing = list_names(folder)?;
        let are_there = bundles.look(folder, &listing.bundles);
        let are_there = are_there.map_err(LogError::on("read a bundle in", folder))?;
        let unchanged = settled.is_some() && settled == settled_at(folder);
        if are_there && (unchanged || list_names(folder)?.bundles == listing.bundles) {
            listing.add(bundles);
            return Ok(listing);
        }
    }
    listing.cut_short = true;
    listing.add(bundles);
    Ok(listing)
}

/// How many entries a folder has, as far as `limit`.
pub(crate) fn count_entries(folder: &Path, limit: usize) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.take(limit).count())
}

fn list_names(folder: &Path) -> Result<Listing, LogError> {
    let failed = |source| LogError::on("list", folder)(source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut listing = Listing::default();
    let mut leased = BTreeSet::new();
    for (number, entry) in entries.enumerate() {
        if number == MAX_ENTRIES {
            listing.cut_short = true;
            break;
        }
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name.to_str() else { continue };
        match Entry::of(name) {
            Entry::Log(file) => {
                listing.alone.insert(file);
            }
            Entry::Bundle(bundle) => {
                listing.bundles.insert(bundle);
            }
            Entry::Aside(writer, aside) => {
                listing.asides.insert(writer);
                match aside {
                    Aside::Live => {}
                    Aside::Lease => {
                        leased.insert(writer);
                    }
                    Aside::Cursor => {
                        listing.delivered.insert(writer);
                    }
                }
            }
            Entry::Temporary(writer) => listing.temporaries.push((writer, folder.join(name))),
            Entry::Foreign => {}
        }
    }
    listing.delivered.retain(|writer| !leased.contains(writer));
    Ok(listing)
}

impl Listing {
    /// Whether nothing of this writer is left but what lies in bundles.
    pub(crate) fn is_only_in_bundles(&self, writer: WriterId) -> bool {
        !self.asides.contains(&writer) && !self.alone_of.contains(&writer)
    }

    /// Adds what lies in bundles.
    fn add(&mut self, bundles: &Bundles) {
        self.files = self.alone.iter().copied().chain(bundles.files()).collect();
        self.files.sort_unstable();
        // A sweep that was cut short may have left one twice.
        self.files.dedup();
        self.alone_of = self.alone.iter().map(|name| name.writer()).collect();
        let is_certain = |writer: &WriterId| self.is_only_in_bundles(*writer);
        let delivered: Vec<WriterId> = bundles.delivered().filter(is_certain).collect();
        self.delivered.extend(delivered);
        if self.cut_short {
            // A lease may be among what was not looked at.
            self.delivered.clear();
        }
    }
}

/// When something was last written to a file, or a name was given in a folder.
pub(crate) fn modified(metadata: &fs::Metadata) -> Timestamp {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::UNIX_EPOCH.after(since)
}

/// When a name was last given or taken in a folder, if that is so long ago that any change from now
/// on is to be seen in that time. File systems keep it coarsely, and by the machine's own clock.
pub(crate) fn settled_at(folder: &Path) -> Option<Timestamp> {
    let modified = modified(&fs::metadata(folder).ok()?);
    let ago = SystemClock::new().now().since(modified);
    (ago >= SETTLING).then_some(modified)
}

/// Makes a folder, and those above it. Only its owner may look into one that is made here, since
/// spans can hold what is not for everyone. One that is there stays as it is.
///
/// # Errors
/// [`LogError`] if it cannot be made.
pub fn make(folder: &Path) -> Result<(), LogError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    private_folder(&mut builder);
    builder.create(folder).map_err(LogError::on("make", folder))
}

/// Opens a new file for appending that only its owner may read.
///
/// # Errors
/// What the system says, so if there is such a file.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    private_file(&mut options);
    options.open(path)
}

/// The path under which a file is made before it is complete.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Takes the lock that a living writer holds. Nobody sees the file before it is locked.
pub(crate) fn mark_live(folder: &Path, writer: WriterId) -> Result<Lock, LogError> {
    let path = folder.join(writer.live_file());
    let hidden = temporary(&path);
    let made = create(&hidden).and_then(|file| {
        file.try_lock()?;
        let lock = Lock(file);
        fs::rename(&hidden, &path)?;
        Ok(lock)
    });
    made.map_err(|source| {
        // What is left behind is swept away later.
        let _gone = fs::remove_file(&hidden);
        LogError::on("lock", &path)(source)
    })
}

/// Whether the writer's process is alive and has the log open. The kernel takes the lock away the
/// moment it is not. If it cannot be found out, the writer is taken to be alive.
pub(crate) fn is_live(folder: &Path, writer: WriterId) -> bool {
    is_locked(&folder.join(writer.live_file()))
}

/// Whether somebody ships the writer's files. If it cannot be found out, somebody does.
pub(crate) fn is_leased(folder: &Path, writer: WriterId) -> bool {
    is_locked(&folder.join(writer.lease_file()))
}

fn is_locked(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => {
            let shared = file.try_lock_shared();
            shared.map(|()| drop(Lock(file))).is_err()
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The lock of a file. It is given back when this is dropped, or its process dies.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// The file that is locked.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough while a process that is being started has it too, as each has
        // until its program runs.
        let _given_back = self.0.unlock();
    }
}

/// Takes the lock of a file, which is made if it is not there; nothing if somebody else has it.
///
/// # Errors
/// [`LogError`] if the file cannot be opened or locked.
pub fn try_lock(path: &Path) -> Result<Option<Lock>, LogError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private_file(&mut options);
    let file = options.open(path).map_err(LogError::on("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(LogError::on("lock", path)(error)),
    }
}

/// Takes the folder's own lock, under which leases are taken and files deleted; nothing if somebody
/// else is at it.
pub(crate) fn try_lock_folder(folder: &Path) -> Result<Option<Lock>, LogError> {
    try_lock(&folder.join(FOLDER_LOCK))
}

/// Removes a file; whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool, LogError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LogError::on("delete", path)(error)),
    }
}

#[cfg(unix)]
fn private_file(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private_file(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn private_folder(builder: &mut fs::DirBuilder) {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
}

#[cfg(not(unix))]
fn private_folder(_builder: &mut fs::DirBuilder) {}

/// Makes the names of new files survive a power cut. Where a folder cannot be opened, the file
/// system keeps its names by itself.
///
/// # Errors
/// What the system says.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_again_although_a_process_that_is_being_started_has_its_file() {
        let path = std::env::temp_dir().join(format!("longshore-lock-{}", std::process::id()));
        let lock = try_lock(&path).unwrap().unwrap();
        let started = lock.file().try_clone().unwrap();
        assert!(try_lock(&path).unwrap().is_none());
        assert!(is_locked(&path));
        drop(lock);
        assert!(!is_locked(&path));
        assert!(try_lock(&path).unwrap().is_some());
        drop(started);
        fs::remove_file(&path).unwrap();
    }
}
