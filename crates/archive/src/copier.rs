//! Copying what is new.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use longshore_spanlog::{LogError, folder};
use longshore_tracestore::{SealedName, sealed_files, sealed_folder};

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
    /// Whether another process copies the files of this folder.
    pub busy: bool,
}

/// Copies the sealed files of a span log that the archive does not have. Of several for one folder,
/// in any processes, one does it, until its process ends.
#[derive(Debug)]
pub struct Copier {
    archive: Archive,
    sealed: PathBuf,
    lock: Option<File>,
    /// What is there, once it was listed.
    there: Option<BTreeSet<SealedName>>,
    /// Turns that failed, one after the other.
    failures: u64,
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
    /// then each file takes one request, and a turn with nothing new none.
    ///
    /// # Errors
    /// [`ArchiveError`] at the first file that cannot be copied. Those before it are, and the next
    /// turn goes on there.
    pub async fn turn(&mut self) -> Result<Copied, ArchiveError> {
        let copied = self.copy().await;
        self.failures = match copied {
            Ok(_) => 0,
            Err(_) => self.failures + 1,
        };
        copied
    }

    async fn copy(&mut self) -> Result<Copied, ArchiveError> {
        let mut copied = Copied::default();
        let unreadable = |path: &Path, source| ArchiveError::File {
            path: path.to_owned(),
            source,
        };
        let files = sealed_files(&self.sealed);
        let files = files.map_err(|source| unreadable(&self.sealed, source))?;
        if files.is_empty() {
            return Ok(copied);
        }
        if self.lock.is_none() {
            let lock = folder::try_lock(&self.sealed.join(LOCK));
            self.lock = lock.map_err(|error| unreadable(&self.sealed, io_of(error)))?;
        }
        if self.lock.is_none() {
            copied.busy = true;
            return Ok(copied);
        }
        if self.there.is_none() {
            let listed = self.archive.list().await?;
            self.there = Some(listed.into_iter().map(|file| file.name).collect());
        }
        let there = self.there.get_or_insert_default();
        // What is gone from here is not asked about again.
        there.retain(|name| files.contains(name));
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
                // Its time had come.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Ok(Err(source)) => return Err(unreadable(&path, source)),
                Err(error) => return Err(unreadable(&path, error.into())),
            };
            let bytes = body.len() as u64;
            self.archive.put(&name, body.into()).await?;
            there.insert(name);
            copied.files += 1;
            copied.bytes += bytes;
        }
        Ok(copied)
    }
}

fn io_of(error: LogError) -> std::io::Error {
    std::io::Error::other(error)
}
