//! One turn of sealing in one folder, under its lock.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use longshore_core::Timestamp;
use longshore_spanlog::{Class, Closed, FileName, Lookup, WriterId, closed, retire};

use super::contents::{Contents, Read};
use super::{Kept, Log, Upkeep};
use crate::error::TraceStoreError;
use crate::sealed::{Batch, write};

/// Files of one writer and class, which are sealed in their order: what releases a hold is in a
/// later one than what is held.
type Lane = (WriterId, Class);

pub(super) struct Turn<'a> {
    log: &'a mut Log,
    folder: &'a Path,
    upkeep: &'a Upkeep,
    now: Timestamp,
    contents: Contents,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        log: &'a mut Log,
        folder: &'a Path,
        upkeep: &'a Upkeep,
        now: Timestamp,
    ) -> Self {
        let contents = Contents::new(Lookup::new(&log.path));
        Self {
            log,
            folder,
            upkeep,
            now,
            contents,
        }
    }

    pub(super) fn seal(&mut self, kept: &mut Kept) -> Result<(), TraceStoreError> {
        self.log
            .look_at_sealed(self.folder)
            .map_err(|source| TraceStoreError::Sealed { source })?;
        let sources = self.log.sealed.values().flat_map(|known| &known.sources);
        let sources: HashSet<&str> = sources.map(String::as_str).collect();
        let is_sealed = |file: &Closed| {
            let mut names = file.files.iter().map(FileName::to_string);
            names.all(|name| sources.contains(name.as_str()))
        };
        let files = closed(&self.log.path, self.now)?;
        let (done, left): (Vec<_>, Vec<_>) = files.into_iter().partition(is_sealed);
        if !done.is_empty() {
            // A turn before died after sealing them.
            retire(&self.log.path, &done)?;
        }
        let is_there: HashSet<&FileName> = left.iter().flat_map(|file| &file.files).collect();
        self.log.foreign.retain(|file| is_there.contains(file));
        for class in Class::ALL {
            let of_class = left.iter().filter(|file| file.class == class);
            self.seal_class(class, &of_class.collect::<Vec<_>>(), kept)?;
        }
        Ok(())
    }

    /// Seals of the files of a class as much as a turn may.
    fn seal_class(
        &mut self,
        class: Class,
        files: &[&Closed],
        kept: &mut Kept,
    ) -> Result<(), TraceStoreError> {
        let (due, more) = self.choose(files);
        let mut batch = Batch {
            class,
            bodies: Vec::new(),
            sources: Vec::new(),
        };
        let mut read = Vec::with_capacity(due.len());
        let mut waiting: HashSet<Lane> = HashSet::new();
        for file in due {
            if lanes(file).any(|lane| waiting.contains(&lane)) {
                waiting.extend(lanes(file));
                continue;
            }
            match self.contents.read(&file.files)? {
                Read::All(bodies) => {
                    batch.bodies.extend(bodies);
                    batch
                        .sources
                        .extend(file.files.iter().map(FileName::to_string));
                    read.push(file.clone());
                    continue;
                }
                Read::Foreign => self.log.foreign.extend(&file.files),
                Read::Later => {}
            }
            waiting.extend(lanes(file));
        }
        if read.is_empty() {
            return Ok(());
        }
        kept.more |= more;
        self.seal_batch(&batch, &read, kept)
    }

    /// The files that this turn seals: the oldest that are ready, if there are enough of them; and
    /// whether there are more.
    fn choose<'f>(&self, files: &[&'f Closed]) -> (Vec<&'f Closed>, bool) {
        let mut chosen: Vec<&Closed> = Vec::new();
        let mut waiting: HashSet<Lane> = HashSet::new();
        let (mut bytes, mut waited, mut more) = (0, false, false);
        for file in files {
            if lanes(file).any(|lane| waiting.contains(&lane)) || !self.is_ready(file) {
                waiting.extend(lanes(file));
                continue;
            }
            if !chosen.is_empty() && bytes + file.bytes > self.upkeep.max_bytes_per_turn {
                more = true;
                break;
            }
            bytes += file.bytes;
            waited |= file.age >= self.upkeep.max_wait;
            chosen.push(file);
        }
        if bytes < self.upkeep.min_bytes && !waited && !more {
            chosen.clear();
        }
        (chosen, more)
    }

    fn is_ready(&self, file: &Closed) -> bool {
        let is_foreign = |name: &FileName| self.log.foreign.contains(name);
        let waits = |flags: u8| file.is_to_be_shipped(flags);
        file.age >= self.upkeep.min_age
            && !file.files.iter().any(is_foreign)
            && !self.upkeep.local_flags.is_some_and(waits)
    }

    /// Writes what was read, and deletes where it was read once it is on the disk. Files without
    /// any span that counts are deleted as well.
    fn seal_batch(
        &self,
        batch: &Batch,
        files: &[Closed],
        kept: &mut Kept,
    ) -> Result<(), TraceStoreError> {
        let made = write(self.folder, batch).map_err(|source| TraceStoreError::Seal {
            folder: self.folder.to_owned(),
            source: source.into(),
        })?;
        if let Some(name) = made {
            let path = self.folder.join(name.to_string());
            kept.sealed_spans += name.spans;
            kept.sealed_bytes += fs::metadata(path).map_or(0, |found| found.len());
            kept.from_bytes += files.iter().map(|file| file.bytes).sum::<u64>();
        }
        // If somebody else is at the files now, the next turn deletes them.
        retire(&self.log.path, files)?;
        Ok(())
    }
}

fn lanes(file: &Closed) -> impl Iterator<Item = Lane> {
    let lane = |name: &FileName| (name.writer(), name.class());
    file.files.iter().map(lane)
}
