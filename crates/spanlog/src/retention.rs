//! Deleting what is too old or too much, and putting together what is small.

mod bundling;
mod candidate;
mod closed;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use longshore_core::Timestamp;

use self::candidate::{Candidate, age, candidates, unshipped};
pub use self::closed::{Closed, closed, retire};
use crate::bundle::Bundles;
use crate::error::LogError;
use crate::folder::{self, Listing};
use crate::frame::{ByClass, Class, FrameHeader};
use crate::name::{FOLDER_LOCK, FileName, WriterId};

/// Most files, counting each in a bundle: what a reader has to know of a folder is bounded by it.
const MAX_FILES_IN_ALL: usize = 20_000;
/// So many entries more than the last sweep left are a reason for another one.
const MANY_ENTRIES: usize = 128;
/// Age after which a file that was not completed is taken for left behind.
const STALE_TEMPORARY: Duration = Duration::from_secs(600);

/// What a folder may hold.
///
/// The bounds are for closed files. The files that living writers append to are never deleted, so a
/// folder can hold [`max_file_bytes`](crate::WriterOptions::max_file_bytes) more for each class of
/// each living writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most bytes of all files; 1 GiB. What is beyond is deleted class by class, the least worthy
    /// first, and within a class the oldest first.
    pub max_bytes: u64,
    /// Most files; 4,096. Deleted in the same order. Many small ones count as one, since a sweep
    /// puts them together.
    pub max_files: usize,
    /// Age of the last write beyond which a file is deleted, for each class; 7 days, 30 days and,
    /// for what is pinned, never.
    pub max_age: ByClass<Option<Duration>>,
    /// Whether files go as soon as they are closed and shipped: for a folder that is a buffer for
    /// an exporter and nothing else. Off unless said.
    pub delete_shipped: bool,
    /// Flags of frames that nobody ships: deleting those is no loss. None unless said.
    pub unshipped_flags: u8,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            max_bytes: 1 << 30,
            max_files: 4096,
            max_age: ByClass {
                base: Some(DAY * 7),
                kept: Some(DAY * 30),
                pinned: None,
            },
            delete_shipped: false,
            unshipped_flags: 0,
        }
    }
}

/// Files and what was in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames in them.
    pub frames: u64,
    /// Spans in those frames.
    pub spans: u64,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that were deleted, with their bytes. Their frames are counted only where they are a
    /// loss.
    pub deleted: ByClass<Tally>,
    /// What was deleted and had not been shipped: files, and the bytes, frames and spans behind the
    /// place to which they were shipped. Where nothing is ever shipped, everything counts here.
    pub unshipped: ByClass<Tally>,
    /// What is left.
    pub left: ByClass<Tally>,
    /// Files that were put together with others into one. Each keeps its name to readers, and the
    /// places in it stay what they were.
    pub bundled: u64,
    /// Files that should have gone and could not be deleted.
    pub failed: u64,
    /// Whether somebody else was at it, so that nothing was done.
    pub busy: bool,
}

impl Swept {
    /// Bytes that are left, of all classes.
    #[must_use]
    pub fn left_bytes(&self) -> u64 {
        Class::ALL
            .iter()
            .map(|class| self.left.of(*class).bytes)
            .sum()
    }
}

/// What lies in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of frames that are to be shipped and were not yet.
    pub unshipped_bytes: u64,
}

/// Looks at what lies in `folder`. `ships` says of which frames it matters that they are shipped;
/// those behind the places to which files were shipped are read for it.
///
/// # Errors
/// [`LogError`] if the folder cannot be listed.
pub fn survey(folder: &Path, ships: impl Fn(&FrameHeader) -> bool) -> Result<Holdings, LogError> {
    let mut bundles = Bundles::default();
    let listing = folder::list(folder, &mut bundles)?;
    let mut holdings = Holdings::default();
    for file in candidates(folder, &listing, &bundles, Timestamp::UNIX_EPOCH) {
        holdings.files += 1;
        holdings.bytes += file.bytes;
        for part in &file.parts {
            unshipped(part, |header, bytes| {
                holdings.unshipped_bytes += if ships(header) { bytes } else { 0 };
            });
        }
    }
    Ok(holdings)
}

/// Bytes of all files in `folder`, looked up without reading any.
///
/// # Errors
/// [`LogError`] if the folder cannot be listed.
pub fn size(folder: &Path) -> Result<u64, LogError> {
    let mut bundles = Bundles::default();
    let listing = folder::list(folder, &mut bundles)?;
    let alone = listing.alone.iter().map(FileName::to_string);
    let bundled = bundles.iter().map(|(name, _)| name.to_string());
    let len = |name: String| fs::metadata(folder.join(name)).map_or(0, |found| found.len());
    Ok(alone.chain(bundled).map(len).sum())
}

/// [`sweep`], unless somebody has swept the folder less than `every` ago and not much was added
/// since: processes that live shorter than that need not each look at every file.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_if_due(
    folder: &Path,
    policy: &Policy,
    now: Timestamp,
    every: Duration,
) -> Result<Swept, LogError> {
    let marked = fs::metadata(folder.join(FOLDER_LOCK));
    let last = marked.map(|metadata| folder::modified(&metadata));
    let is_recent = last.is_ok_and(|last| last <= now && now.since(last) < every);
    if is_recent && !has_many_more(folder) {
        return Ok(Swept {
            busy: true,
            ..Swept::default()
        });
    }
    sweep(folder, policy, now)
}

/// Whether many entries were added to a folder since it was swept.
fn has_many_more(folder: &Path) -> bool {
    let left = fs::read_to_string(folder.join(FOLDER_LOCK));
    let left: usize = left.ok().and_then(|left| left.parse().ok()).unwrap_or(0);
    let many = left.saturating_add(MANY_ENTRIES);
    folder::count_entries(folder, many) >= many
}

/// Deletes the closed files of `folder` that are beyond the bounds, whoever wrote them, and what
/// dead writers left beside them; puts small files together if there are many. `now` is the wall-clock time; ages are those of the last writes,
/// as the file system knows them.
///
/// Any process may sweep; two at the same time do not disturb each other.
///
/// # Errors
/// [`LogError`] if the folder cannot be listed or locked.
pub fn sweep(folder: &Path, policy: &Policy, now: Timestamp) -> Result<Swept, LogError> {
    if !folder.is_dir() {
        return Ok(Swept::default());
    }
    let Some(lock) = folder::try_lock_folder(folder)? else {
        return Ok(Swept {
            busy: true,
            ..Swept::default()
        });
    };
    let mut bundles = Bundles::default();
    let listing = folder::list(folder, &mut bundles)?;
    // Found out before it is read how far files were shipped: nobody takes a lease meanwhile.
    let unused = bundling::unused(folder, &listing);
    let mut candidates = candidates(folder, &listing, &bundles, now);
    // The order in which they go: the least worthy class first, and its oldest file first.
    candidates.sort_by_key(|file| (file.name.class(), file.name));
    let mut files = candidates.len();
    let mut in_all = listing.files.len();
    let mut bytes: u64 = candidates.iter().map(|file| file.bytes).sum();
    let mut swept = Swept::default();
    let mut left = Vec::with_capacity(candidates.len());
    for file in candidates {
        let beyond =
            files > policy.max_files || bytes > policy.max_bytes || in_all > MAX_FILES_IN_ALL;
        if file.closed && (beyond || file.is_expired(policy)) {
            if delete(&file, policy, &mut swept) {
                files -= 1;
                in_all -= file.parts.len();
                bytes -= file.bytes;
                continue;
            }
            swept.failed += 1;
        }
        left.push(file);
    }
    bundling::remove_doubles(folder, &listing, &bundles);
    let left = bundling::bundle(folder, left, &unused, policy, &mut swept);
    for file in left {
        let left = swept.left.of_mut(file.name.class());
        left.files += 1;
        left.bytes += file.bytes;
    }
    tidy(folder, &listing, now);
    mark(folder, lock.file(), now);
    Ok(swept)
}

/// Notes when the folder was swept, and how many entries were left. Without it the next process
/// sweeps again, which costs time and nothing else.
fn mark(folder: &Path, mut lock: &File, now: Timestamp) {
    let left = folder::count_entries(folder, usize::MAX);
    let _unmarked = lock.set_len(0).and_then(|()| {
        lock.write_all(left.to_string().as_bytes())?;
        lock.set_modified(SystemTime::UNIX_EPOCH + now.since(Timestamp::UNIX_EPOCH))
    });
}

/// Deletes a file, and counts what was in it and not shipped. Says whether it is gone.
fn delete(file: &Candidate, policy: &Policy, swept: &mut Swept) -> bool {
    let class = file.name.class();
    let mut lost = Tally::default();
    for part in &file.parts {
        unshipped(part, |header, bytes| {
            if header.flags & policy.unshipped_flags != 0 {
                return;
            }
            lost.frames += 1;
            lost.spans += u64::from(header.spans);
            lost.bytes += bytes;
        });
    }
    if folder::remove(&file.path).is_err() {
        return false;
    }
    let deleted = swept.deleted.of_mut(class);
    deleted.files += 1;
    deleted.bytes += file.bytes;
    // A file of which only the mark of its end was not shipped is no loss.
    if lost.bytes > 0 {
        let unshipped = swept.unshipped.of_mut(class);
        unshipped.files += 1;
        unshipped.bytes += lost.bytes;
        unshipped.frames += lost.frames;
        unshipped.spans += lost.spans;
    }
    true
}

/// Deletes the locks, leases and cursors of dead writers that have no files any more, and files
/// that were never completed. What cannot be deleted is left to the next sweep.
fn tidy(folder: &Path, listing: &Listing, now: Timestamp) {
    let Ok(after) = folder::list(folder, &mut Bundles::default()) else {
        return;
    };
    let with_files: BTreeSet<WriterId> = after.files.iter().map(|name| name.writer()).collect();
    for writer in listing.asides.difference(&with_files) {
        if after.cut_short || folder::is_live(folder, *writer) {
            continue;
        }
        let lease = folder.join(writer.lease_file());
        let Ok(Some(_lease)) = folder::try_lock(&lease) else {
            continue;
        };
        for left in [
            writer.live_file(),
            writer.cursor_file(),
            writer.lease_file(),
        ] {
            let _kept = folder::remove(&folder.join(left));
        }
    }
    for (writer, path) in &listing.temporaries {
        let stale = fs::metadata(path).is_ok_and(|found| age(&found, now) > STALE_TEMPORARY);
        if stale && !folder::is_live(folder, *writer) {
            let _kept = folder::remove(path);
        }
    }
}
