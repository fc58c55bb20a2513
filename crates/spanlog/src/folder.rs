//! The folder: what lies in it, who of its writers lives, and the lock that claims and sweeps take
//! in turn.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use longshore_core::{Clock, SystemClock, Timestamp};

use crate::error::LogError;
use crate::name::{Aside, Entry, FOLDER_LOCK, FileName, TEMPORARY, WriterId};

/// Most entries of a folder that are looked at in one listing.
const MAX_ENTRIES: usize = 100_000;
/// More than the grain in which any file system keeps times.
const SETTLING: Duration = Duration::from_secs(5);

/// What lies in a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Complete files of the log, the oldest first.
    pub(crate) files: Vec<FileName>,
    /// Writers that left a lock, lease or cursor.
    pub(crate) asides: BTreeSet<WriterId>,
    /// Dead writers of whom everything was delivered: they have a cursor, and no lease any more.
    pub(crate) delivered: BTreeSet<WriterId>,
    /// Files that were not completed, with their writers.
    pub(crate) temporaries: Vec<(WriterId, PathBuf)>,
    /// Whether there are more entries than were looked at, so that a file that is not listed may
    /// be there.
    pub(crate) cut_short: bool,
}

/// Lists a folder. One that does not exist is empty.
pub(crate) fn list(folder: &Path) -> Result<Listing, LogError> {
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
            Entry::Log(file) => listing.files.push(file),
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
    listing.files.sort_unstable();
    if listing.cut_short {
        // A lease may be among what was not looked at.
        listing.delivered.clear();
    }
    listing.delivered.retain(|writer| !leased.contains(writer));
    Ok(listing)
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

/// Makes the folder. Only its owner may look into one that is made here, since spans can hold what
/// is not for everyone.
pub(crate) fn make(folder: &Path) -> Result<(), LogError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    private_folder(&mut builder);
    builder.create(folder).map_err(LogError::on("make", folder))
}

/// Opens a new file for appending that only its owner may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
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
pub(crate) fn mark_live(folder: &Path, writer: WriterId) -> Result<File, LogError> {
    let path = folder.join(writer.live_file());
    let hidden = temporary(&path);
    let made = create(&hidden).and_then(|file| {
        file.try_lock()?;
        fs::rename(&hidden, &path)?;
        Ok(file)
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
    match File::open(folder.join(writer.live_file())) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Takes the lock of a file, which is made if it is not there; nothing if somebody else has it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, LogError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private_file(&mut options);
    let file = options.open(path).map_err(LogError::on("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(LogError::on("lock", path)(error)),
    }
}

/// Takes the folder's own lock, under which leases are taken and files deleted; nothing if somebody
/// else is at it.
pub(crate) fn try_lock_folder(folder: &Path) -> Result<Option<File>, LogError> {
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

/// Makes the names of new files survive a power cut.
#[cfg(unix)]
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where a folder cannot be opened, the file system keeps its names by itself.
#[cfg(not(unix))]
pub(crate) fn sync_names(_folder: &Path) -> io::Result<()> {
    Ok(())
}
