//! Files that are complete, for those who put what is in them elsewhere.

use std::path::Path;
use std::time::Duration;

use longshore_core::Timestamp;

use super::candidate::{Candidate, candidates, find_unshipped};
use crate::bundle::Bundles;
use crate::error::LogError;
use crate::folder;
use crate::frame::Class;
use crate::name::FileName;

/// A file of the log, or a bundle of them, to which nothing more is appended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The files in it, one unless it is a bundle.
    pub files: Vec<FileName>,
    /// How long they are worth keeping.
    pub class: Class,
    /// Its bytes.
    pub bytes: u64,
    /// How long ago it was written to last.
    pub age: Duration,
    candidate: Candidate,
}

impl Closed {
    /// Whether some of it is to be shipped and was not yet: frames without any of `local_flags`
    /// behind the place to which it was shipped. Reads of that part as much as it takes to know.
    #[must_use]
    pub fn is_to_be_shipped(&self, local_flags: u8) -> bool {
        let waits = |part| find_unshipped(part, |header, _| header.flags & local_flags == 0);
        self.candidate.parts.iter().any(waits)
    }
}

/// The closed files of a folder, the oldest of each class first.
///
/// # Errors
/// [`LogError`] if the folder cannot be listed.
pub fn closed(folder: &Path, now: Timestamp) -> Result<Vec<Closed>, LogError> {
    let mut bundles = Bundles::default();
    let listing = folder::list(folder, &mut bundles)?;
    let mut found = candidates(folder, &listing, &bundles, now);
    // Of a bundle that cannot be read nobody knows what is in it.
    let is_known = |candidate: &Candidate| !candidate.parts.is_empty();
    found.retain(|one| one.closed && !one.has_doubles && is_known(one));
    found.sort_by_key(|candidate| (candidate.name.class(), candidate.name));
    let closed = found.into_iter().map(|candidate| Closed {
        files: candidate.parts.iter().map(|part| part.name).collect(),
        class: candidate.name.class(),
        bytes: candidate.bytes,
        age: candidate.age,
        candidate,
    });
    Ok(closed.collect())
}

/// Deletes closed files whose contents are elsewhere. Whether it did: if somebody else is at the
/// folder's files at this moment, it does nothing. One that was put into a bundle meanwhile stays
/// in that bundle.
///
/// # Errors
/// [`LogError`] if the folder cannot be locked or a file not be deleted.
pub fn retire(folder: &Path, closed: &[Closed]) -> Result<bool, LogError> {
    let Some(_lock) = folder::try_lock_folder(folder)? else {
        return Ok(false);
    };
    for file in closed {
        folder::remove(&file.candidate.path)?;
    }
    Ok(true)
}
