//! Copying what is new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use longshore_spanlog::LogError;
use longshore_spanlog::folder::{self, Lock};
use longshore_tracestore::{SealedName, sealed_files, sealed_folder, sealed_parts};

use crate::error::ArchiveError;
use crate::store::Archive;

/// The file whose lock the one who copies holds, as long as it lives.
const LOCK: &str = "archive.lock";

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files that were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Small files that were deleted there, since what they held is in a larger one that is there.
    pub deleted: u64,
    /// Whether another process copies the files of this folder.
    pub busy: bool,
}

/// Copies the sealed files of a span log that the archive does not have. Of several for one folder,
/// in any processes, one does it, until its process ends.
#[derive(Debug)]
pub struct Copier {
    archive: Archive,
    sealed: PathBuf,
    lock: Option<Lock>,
    /// What is there, once it was listed.
    there: Option<BTreeSet<SealedName>>,
    /// Turns that failed, one after the other.
    failures: u64,
    so_far: SoFar,
}

/// What a copier did in all its turns, those that failed included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Files that were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Small files that were deleted in the archive.
    pub deleted: u64,
    /// Turns that failed.
    pub failures: u64,
    /// Sealed files that are still to be copied, if this copier is the one that does it.
    pub waiting: u64,
}

impl Copier {
    /// For the sealed files of the span log in this folder.
    #[must_use]
    pub fn new(archive: Archive, log: &Path) -> Self {
        Self {
            archive,
            sealed: sealed_folder(log),
            lock: None,
            there: None,
            failures: 0,
            so_far: SoFar::default(),
        }
    }

    /// What it did in all its turns. It lists the sealed files.
    #[must_use]
    pub fn so_far(&self) -> SoFar {
        let waiting = match self.lock {
            Some(_) => self.waiting() as u64,
            None => 0,
        };
        SoFar {
            waiting,
            ..self.so_far
        }
    }

    /// How many turns have failed since one did not.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// How many sealed files wait to be copied, as far as is known what is there.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let files = sealed_files(&self.sealed).unwrap_or_default();
        let is_there = |file: &&SealedName| self.there.iter().any(|there| there.contains(file));
        files.len() - files.iter().filter(is_there).count()
    }

    /// Copies what is new, the oldest first. What is there is listed once in the life of a copier;
    /// then each file takes one request, and a turn with nothing new none. Small files that were put
    /// together are deleted there once the larger one is there.
    ///
    /// # Errors
    /// [`ArchiveError`] at the first file that cannot be copied. Those before it are, and the next
    /// turn goes on there. If all was copied, at the first small file that cannot be deleted; that is
    /// not tried again by this copier.
    pub async fn turn(&mut self) -> Result<Copied, ArchiveError> {
        let mut copied = Copied::default();
        let done = self.copy(&mut copied).await;
        self.failures = match done {
            Ok(()) => 0,
            Err(_) => self.failures + 1,
        };
        self.so_far.files += copied.files;
        self.so_far.bytes += copied.bytes;
        self.so_far.deleted += copied.deleted;
        self.so_far.failures += u64::from(done.is_err());
        done.map(|()| copied)
    }

    async fn copy(&mut self, copied: &mut Copied) -> Result<(), ArchiveError> {
        let files = sealed_files(&self.sealed);
        let files = files.map_err(|source| unreadable(&self.sealed, source))?;
        if files.is_empty() {
            return Ok(());
        }
        if self.lock.is_none() {
            let lock = folder::try_lock(&self.sealed.join(LOCK));
            self.lock = lock.map_err(|error| unreadable(&self.sealed, io_of(error)))?;
        }
        if self.lock.is_none() {
            copied.busy = true;
            return Ok(());
        }
        let mut larger: Vec<SealedName> = Vec::new();
        if self.there.is_none() {
            let listed = self.archive.list().await?;
            let there: BTreeSet<_> = listed.into_iter().map(|file| file.name).collect();
            // Whoever copied before may have died before it deleted their parts.
            larger.extend(files.intersection(&there));
            self.there = Some(there);
        }
        let there = self.there.get_or_insert_default();
        let mut new: Vec<SealedName> = files.difference(there).copied().collect();
        new.sort_by_key(SealedName::last);
        for name in new {
            let path = self.sealed.join(name.to_string());
            let body = match tokio::task::spawn_blocking({
                let path = path.clone();
                move || std::fs::read(path)
            })
            .await
            {
                Ok(Ok(body)) => body,
                // Its time had come, or it was put together with others.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Ok(Err(source)) => return Err(unreadable(&path, source)),
                Err(error) => return Err(unreadable(&path, error.into())),
            };
            let bytes = body.len() as u64;
            self.archive.put(&name, body.into()).await?;
            there.insert(name);
            larger.push(name);
            copied.files += 1;
            copied.bytes += bytes;
        }
        let deleted = self.delete_parts(larger, copied).await;
        // What is gone from here is not asked about again.
        self.there
            .get_or_insert_default()
            .retain(|name| files.contains(name));
        deleted
    }

    /// Deletes what these files were put together from. All is tried.
    async fn delete_parts(
        &mut self,
        larger: Vec<SealedName>,
        copied: &mut Copied,
    ) -> Result<(), ArchiveError> {
        let sealed = self.sealed.clone();
        let parts = tokio::task::spawn_blocking(move || {
            let paths = larger.into_iter().map(|name| sealed.join(name.to_string()));
            paths
                .flat_map(|path| sealed_parts(&path))
                .collect::<Vec<_>>()
        });
        // Of what could not be read nothing is deleted.
        let parts = parts.await.unwrap_or_default();
        let there = self.there.get_or_insert_default();
        let mut failed = None;
        for name in parts.iter().filter(|name| there.contains(name)) {
            match self.archive.delete(name).await {
                Ok(()) => copied.deleted += 1,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> ArchiveError {
    ArchiveError::File {
        path: path.to_owned(),
        source,
    }
}

fn io_of(error: LogError) -> std::io::Error {
    std::io::Error::other(error)
}
