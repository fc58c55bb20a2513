//! All sealed files.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::TraceId;

use super::file::{SealedFile, hash_of};
use super::name::SealedName;
use super::read::{SealedReader, guarded};
use crate::index::Index;

/// Most files that one look reads, so that it does not take long.
const FILES_PER_LOOK: usize = 16;
/// Most spans of which outlines are remembered, which take about 100 bytes each.
const MAX_OUTLINED: usize = 512 << 10;

/// The folder of the sealed files of the span log in a folder.
#[must_use]
pub fn sealed_folder(log: &Path) -> PathBuf {
    log.join("sealed")
}

/// The sealed files of a folder, by name; none if there is no such folder.
///
/// # Errors
/// What the system says if it cannot be listed.
pub fn sealed_files(folder: &Path) -> io::Result<BTreeSet<SealedName>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|name| name.parse::<SealedName>().ok()),
        );
    }
    Ok(names)
}

/// The sealed files that this one was put together from; none if it was not, or cannot be read.
#[must_use]
pub fn sealed_parts(path: &Path) -> Vec<SealedName> {
    let parts = guarded(|| Ok(SealedReader::open(path)?.parts().collect()));
    parts.unwrap_or_default()
}

/// Sealed files, and the outlines of those that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Tier {
    folders: Vec<PathBuf>,
    files: HashMap<PathBuf, Arc<SealedFile>>,
    /// Files that cannot be read, which are not tried again.
    pub(crate) damaged: BTreeSet<PathBuf>,
    /// The outlines of a file.
    outlines: HashMap<PathBuf, Arc<Index>>,
    turns: VecDeque<(PathBuf, usize)>,
    outlined: usize,
}

impl Tier {
    pub(crate) fn new(logs: &[PathBuf]) -> Self {
        Self {
            folders: logs.iter().map(|log| sealed_folder(log)).collect(),
            ..Self::default()
        }
    }

    /// Takes note of files that are new, the newest ones first, and of those that are gone. Whether
    /// there are more.
    pub(crate) fn look(&mut self) -> io::Result<bool> {
        let mut there = self.list()?;
        if !self.files.keys().all(|path| there.contains_key(path)) {
            // A folder is not listed in one moment: what a file was put together with may be missed
            // by a listing that misses the file. One that begins later does not.
            there = self.list()?;
        }
        self.files.retain(|path, _| there.contains_key(path));
        self.damaged.retain(|path| there.contains_key(path));
        let is_new = |(path, _): &(PathBuf, SealedName)| {
            !self.files.contains_key(path) && !self.damaged.contains(path)
        };
        let new = there.into_iter().filter(is_new);
        let mut new: Vec<_> = new.map(|(path, name)| (name, path)).collect();
        new.sort_by_key(|(name, _)| std::cmp::Reverse(name.last_millis));
        let more = new.len() > FILES_PER_LOOK;
        for (name, path) in new.into_iter().take(FILES_PER_LOOK) {
            match SealedFile::open(&path, name) {
                Ok(file) => drop(self.files.insert(path, Arc::new(file))),
                Err(_) if !path.exists() => {}
                Err(_) => drop(self.damaged.insert(path)),
            }
        }
        Ok(more)
    }

    /// The files that lie in the folders, with their names.
    fn list(&self) -> io::Result<BTreeMap<PathBuf, SealedName>> {
        let mut there = BTreeMap::new();
        for folder in &self.folders {
            let names = sealed_files(folder)?.into_iter();
            there.extend(names.map(|name| (folder.join(name.to_string()), name)));
        }
        Ok(there)
    }

    /// All files, those that end last first.
    pub(crate) fn files(&self) -> Vec<Arc<SealedFile>> {
        let mut files: Vec<_> = self.files.values().cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.name.last_millis));
        files
    }

    /// The files in which a trace is.
    pub(crate) fn with(&self, trace: TraceId) -> Vec<Arc<SealedFile>> {
        let hash = hash_of(trace);
        let files = self.files.values();
        files
            .filter(|file| file.may_mention(hash) && file.rows_of(trace).is_some())
            .cloned()
            .collect()
    }

    pub(crate) fn of_job(&self, job: &str) -> Vec<TraceId> {
        let files = self.files.values();
        files.flat_map(|file| file.of_job(job)).collect()
    }

    pub(crate) fn linked_from(&self, trace: TraceId) -> Vec<TraceId> {
        let hash = hash_of(trace);
        let files = self.files.values().filter(|file| file.may_mention(hash));
        files.flat_map(|file| file.linked_from(hash)).collect()
    }

    /// The outlines of the spans in a file; nothing if it is gone or damaged.
    pub(crate) fn outlines(&mut self, file: &SealedFile) -> Option<Arc<Index>> {
        if let Some(known) = self.outlines.get(&file.path) {
            return Some(Arc::clone(known));
        }
        let Ok(index) = file.outlines() else {
            self.give_up(&file.path);
            return None;
        };
        let index = Arc::new(index);
        self.outlined += index.spans();
        self.turns.push_back((file.path.clone(), index.spans()));
        self.outlines.insert(file.path.clone(), Arc::clone(&index));
        while self.outlined > MAX_OUTLINED && self.turns.len() > 1 {
            let Some((oldest, spans)) = self.turns.pop_front() else {
                break;
            };
            self.outlined -= spans;
            self.outlines.remove(&oldest);
        }
        Some(index)
    }

    /// The outlines of a file if they are in memory.
    pub(crate) fn remembered(&self, file: &SealedFile) -> Option<Arc<Index>> {
        self.outlines.get(&file.path).cloned()
    }

    /// The outlines that are in memory.
    pub(crate) fn in_memory(&self) -> Vec<Arc<Index>> {
        self.outlines.values().cloned().collect()
    }

    /// Leaves out a file that cannot be read, and notes that unless it is only gone.
    pub(crate) fn give_up(&mut self, path: &Path) {
        self.files.remove(path);
        if path.exists() {
            self.damaged.insert(path.to_owned());
        }
    }
}
