//! Deleting what is too old or too much.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_core::Timestamp;
use longshore_spanlog::size;

use super::{Kept, Upkeep};
use crate::error::TraceStoreError;
use crate::sealed::{SealedName, TEMPORARY, sealed_files};

/// Deletes sealed files that are too old, and then those that are too much.
pub(super) fn make(
    folder: &Path,
    log: &Path,
    upkeep: &Upkeep,
    now: Timestamp,
    kept: &mut Kept,
) -> Result<(), TraceStoreError> {
    let sealed = |source| TraceStoreError::Sealed { source };
    let files = files(folder).map_err(sealed)?;
    let is_expired = |(name, ..): &(SealedName, PathBuf, u64)| {
        let limit = upkeep.max_age.of(name.class);
        limit.is_some_and(|limit| now.since(name.last()) > limit)
    };
    let (expired, left): (Vec<_>, Vec<_>) = files.into_iter().partition(is_expired);
    let mut bytes = left.iter().map(|(.., bytes)| bytes).sum::<u64>() + size(log)?;
    let too_much = left.into_iter().take_while(|(.., size)| {
        let is_too_much = bytes > upkeep.max_bytes;
        bytes = bytes.saturating_sub(*size);
        is_too_much
    });
    for (name, path, _) in expired.into_iter().chain(too_much) {
        fs::remove_file(&path).map_err(sealed)?;
        kept.deleted_files += 1;
        *kept.deleted_spans.of_mut(name.class) += name.spans;
    }
    Ok(())
}

/// The sealed files with their bytes, in the order in which they go.
fn files(folder: &Path) -> io::Result<Vec<(SealedName, PathBuf, u64)>> {
    let mut files = Vec::new();
    for name in sealed_files(folder)? {
        let path = folder.join(name.to_string());
        let bytes = fs::metadata(&path)?.len();
        files.push((name, path, bytes));
    }
    files.sort_by_key(|(name, ..)| (name.class, name.last_millis));
    Ok(files)
}

/// Deletes what a turn that died had not completed.
pub(super) fn remove_temporaries(folder: &Path) -> io::Result<()> {
    let mut left: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(TEMPORARY) {
            left.push(path);
        }
    }
    left.into_iter().try_for_each(fs::remove_file)
}
