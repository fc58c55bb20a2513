//! Who ships whose files, and how far they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cursor::{Cursor, Stored};
use crate::error::LogError;
use crate::folder::{self, Listing, Lock};
use crate::frame::{Class, Frame};
use crate::name::WriterId;
use crate::position::{Position, Progress};
use crate::reader::{Reader, ReaderCounts};
use crate::recent::Recent;

/// Most writers whose files one process ships at a time. Others have to wait, or are taken by
/// another process.
pub const MAX_CLAIMS: usize = 64;

/// Whose files an exporter ships, besides those of its own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of dead writers. For a process that writes: each ships what is its own, and the ones
    /// that are alive share what the dead have left.
    Orphans,
    /// Those of everyone whose files nobody ships. For one that ships on behalf of a machine.
    Unclaimed,
}

/// Ships frames: hands out each once, and remembers over restarts what was delivered.
///
/// For each writer there is a lease, held by one process at a time and free again the moment that
/// process ends, and a cursor, which says how far its files were delivered. So a file is shipped by
/// one process at a time, and whoever takes over goes on where the cursor stands. What was delivered
/// but not saved before a crash is handed out again.
///
/// An exporter does, about once a second and whenever it has finished a batch:
///
/// 1. [`Shipping::claim`] takes leases that are free, and gives back those of which all is done.
/// 2. [`Shipping::next_frame`] until it gives nothing, sending what it gives.
/// 3. [`Shipping::delivered`] with the end of each frame that was sent, or is given up.
/// 4. [`Shipping::save`].
#[derive(Debug)]
pub struct Shipping {
    folder: PathBuf,
    own: Option<WriterId>,
    scope: Scope,
    reader: Reader,
    claims: BTreeMap<WriterId, Claim>,
    /// Dead writers of whom everything was delivered. None of them ever writes again.
    done: BTreeSet<WriterId>,
    damaged_cursors: u64,
}

/// The files of a writer, leased.
#[derive(Debug)]
struct Claim {
    /// Holds the lock.
    _lease: Lock,
    cursor: Cursor,
    delivered: Progress,
    /// What the cursor's file says.
    saved: Progress,
    /// The end of the last frame of each class that was handed out.
    handed: BTreeMap<Class, Position>,
}

/// What a look for free leases brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Writers whose files this process ships from now on.
    pub taken: Vec<WriterId>,
    /// Dead writers of whom everything was delivered.
    pub finished: Vec<WriterId>,
    /// Cursors that could not be read: what they stood for is shipped again from the beginning.
    pub damaged_cursors: u64,
}

impl Shipping {
    /// Ships the files of `own`, which is the writer of this process if it has one, and of whom
    /// `scope` says. Nothing is claimed before [`Shipping::claim`].
    #[must_use]
    pub fn open(folder: impl AsRef<Path>, own: Option<WriterId>, scope: Scope) -> Self {
        let folder = folder.as_ref();
        Self {
            folder: folder.to_owned(),
            own,
            scope,
            reader: Reader::of_none(folder),
            claims: BTreeMap::new(),
            done: BTreeSet::new(),
            damaged_cursors: 0,
        }
    }

    /// The same, taking the frames of its own writer from memory where they are held there. They
    /// come in the same order and with the same positions; what is not held is read from the files,
    /// and memory gives nothing of a file that was deleted.
    #[must_use]
    pub fn with_recent(mut self, recent: Recent) -> Self {
        if let Some(own) = self.own {
            self.reader.with_recent(own, recent);
        }
        self
    }

    /// Takes the leases that are free, and gives back those of dead writers of whom everything was
    /// delivered. If another process is at it, nothing is taken until the next call.
    ///
    /// # Errors
    /// [`LogError`] if the folder, a lease or a cursor cannot be read. What could be claimed is
    /// claimed nevertheless.
    pub fn claim(&mut self) -> Result<Claimed, LogError> {
        let mut claimed = Claimed::default();
        if !self.folder.is_dir() {
            return Ok(claimed);
        }
        claimed.finished = self.release()?;
        let listing = self.reader.look_around()?;
        let wanted = self.wanted(&listing);
        if wanted.is_empty() {
            return Ok(claimed);
        }
        let Some(_lock) = folder::try_lock_folder(&self.folder)? else {
            return Ok(claimed);
        };
        let mut outcome = Ok(());
        // Its own comes before what others have left, however much that is.
        let own = self.own.filter(|own| wanted.contains(own));
        let others = wanted.iter().copied().filter(|writer| Some(*writer) != own);
        for writer in own.into_iter().chain(others) {
            if self.claims.len() >= MAX_CLAIMS {
                break;
            }
            match self.take(writer) {
                Ok(Some(damaged)) => {
                    claimed.taken.push(writer);
                    claimed.damaged_cursors += u64::from(damaged);
                }
                Ok(None) => {}
                // One that cannot be had does not keep the others from being shipped.
                Err(error) => outcome = Err(error),
            }
        }
        self.damaged_cursors += claimed.damaged_cursors;
        outcome.map(|()| claimed)
    }

    /// The next frame to be shipped, or nothing if there is none now.
    ///
    /// # Errors
    /// [`LogError`] if the folder or a file cannot be read; the next call goes on elsewhere.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, LogError> {
        let frame = self.reader.next_frame()?;
        if let Some(frame) = &frame {
            let file = frame.end.file;
            if let Some(claim) = self.claims.get_mut(&file.writer()) {
                claim.handed.insert(file.class(), frame.end);
            }
        }
        Ok(frame)
    }

    /// Notes that the frames of this writer and class, up to the one that ends here, need not be
    /// handed out again.
    pub fn delivered(&mut self, end: Position) {
        if let Some(claim) = self.claims.get_mut(&end.file.writer()) {
            claim.delivered.advance(end);
        }
    }

    /// Stores what was delivered.
    ///
    /// # Errors
    /// [`LogError`] if a cursor cannot be written. What it said before still holds, and the next
    /// call tries again.
    pub fn save(&mut self) -> Result<(), LogError> {
        let reached = self.reader.progress();
        let mut outcome = Ok(());
        for (writer, claim) in &mut self.claims {
            claim.settle(*writer, &reached);
            if claim.delivered == claim.saved {
                continue;
            }
            match claim.cursor.store(&claim.delivered) {
                Ok(()) => claim.saved.clone_from(&claim.delivered),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Hands out again everything that was handed out and not delivered.
    pub fn rewind(&mut self) {
        let mut reader = self.reader.anew();
        for (writer, claim) in &mut self.claims {
            claim.handed.clear();
            reader.include(*writer, &claim.delivered);
        }
        self.reader = reader;
    }

    /// The writers whose files this process ships now.
    pub fn claims(&self) -> impl Iterator<Item = WriterId> {
        self.claims.keys().copied()
    }

    /// What was met that is not a frame.
    #[must_use]
    pub const fn counts(&self) -> ReaderCounts {
        self.reader.counts()
    }

    /// Cursors that could not be read, so far.
    #[must_use]
    pub const fn damaged_cursors(&self) -> u64 {
        self.damaged_cursors
    }

    /// Writers whose lease this process would like to have.
    fn wanted(&mut self, listing: &Listing) -> BTreeSet<WriterId> {
        let writers: BTreeSet<WriterId> = listing.files.iter().map(|name| name.writer()).collect();
        self.done.retain(|writer| writers.contains(writer));
        let concerns = |writer: &WriterId| {
            !self.done.contains(writer)
                && !listing.delivered.contains(writer)
                && !self.claims.contains_key(writer)
                && match self.scope {
                    Scope::Unclaimed => true,
                    Scope::Orphans => {
                        listing.is_only_in_bundles(*writer)
                            || !folder::is_live(&self.folder, *writer)
                    }
                }
        };
        let mut wanted: BTreeSet<WriterId> = writers.iter().copied().filter(concerns).collect();
        // Its own before it has written anything, so that nobody is faster.
        let mine =
            |own: &WriterId| !self.claims.contains_key(own) && folder::is_live(&self.folder, *own);
        wanted.extend(self.own.filter(mine));
        wanted
    }

    /// Takes the lease of a writer if it is free. Says whether the cursor was damaged.
    fn take(&mut self, writer: WriterId) -> Result<Option<bool>, LogError> {
        let lease = self.folder.join(writer.lease_file());
        let Some(lease) = folder::try_lock(&lease)? else {
            return Ok(None);
        };
        let cursor = Cursor::at(self.folder.join(writer.cursor_file()));
        let stored = cursor.load()?;
        let damaged = stored == Stored::Damaged;
        let mut delivered = stored.into_progress();
        for position in self.reader.bundled_progress(writer) {
            delivered.advance(position);
        }
        self.reader.include(writer, &delivered);
        let claim = Claim {
            _lease: lease,
            cursor,
            saved: delivered.clone(),
            delivered,
            handed: BTreeMap::new(),
        };
        self.claims.insert(writer, claim);
        Ok(Some(damaged))
    }

    /// Gives back the leases of dead writers of whom everything was delivered.
    fn release(&mut self) -> Result<Vec<WriterId>, LogError> {
        let dead = |writer: &WriterId| !folder::is_live(&self.folder, *writer);
        let dead: BTreeSet<WriterId> = self.claims().filter(dead).collect();
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        // Listed after they died, so that no file of theirs is missing.
        let listing = self.reader.look_around()?;
        if listing.cut_short {
            return Ok(Vec::new());
        }
        let unread: BTreeSet<WriterId> = listing
            .files
            .iter()
            .filter(|file| !self.reader.has_finished(**file))
            .map(|file| file.writer())
            .collect();
        let is_finished = |writer: &WriterId| {
            let claim = self.claims.get(writer);
            !unread.contains(writer) && claim.is_some_and(Claim::has_delivered_all)
        };
        let finished: Vec<WriterId> = dead.into_iter().filter(is_finished).collect();
        if finished.is_empty() {
            return Ok(finished);
        }
        self.save()?;
        // Without its lease a dead writer is known to be delivered by those who list the folder. The
        // lease goes where nobody takes it, and while it is still held.
        let lock = folder::try_lock_folder(&self.folder)?;
        for writer in &finished {
            if lock.is_some() {
                folder::remove(&self.folder.join(writer.lease_file()))?;
            }
            self.reader.exclude(*writer);
            self.claims.remove(writer);
            self.done.insert(*writer);
        }
        Ok(finished)
    }
}

impl Claim {
    /// Whether nothing that was handed out is on its way still.
    fn has_delivered_all(&self) -> bool {
        self.handed.values().all(|end| {
            let file = end.file;
            self.delivered.of(file.writer(), file.class()) >= Some(*end)
        })
    }

    /// Counts what is no frame, such as the mark at the end of a file, as delivered once all frames
    /// before it are.
    fn settle(&mut self, writer: WriterId, reached: &Progress) {
        for class in Class::ALL {
            let Some(reached) = reached.of(writer, class) else {
                continue;
            };
            let handed = self.handed.get(&class).copied();
            if handed.is_none_or(|end| self.delivered.of(writer, class) >= Some(end)) {
                self.delivered.advance(reached);
            }
        }
    }
}
