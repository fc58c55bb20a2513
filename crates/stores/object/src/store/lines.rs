//! The lines of the index, as they were last listed, so that what a process knows itself needs no
//! listing, and a line without jobs is listed ever more rarely.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{StoreError, Timestamp};

use super::ObjectStore;
use super::index::Entry;
use crate::batch_key::{BatchKey, Line};
use crate::key::Key;
use crate::objects::Range;

/// What is known of lines.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<Line, Listing>>);

/// A line as it was listed.
#[derive(Debug, Default)]
struct Listing {
    /// Its entries from the cursor on, also those that are not due, by their keys.
    entries: BTreeMap<String, Entry>,
    /// After which key it was listed, since all before had nothing to claim, and since when.
    after: Option<(String, Timestamp)>,
    /// There is more after the last entry.
    is_cut: bool,
    listed_at: Option<Timestamp>,
    rest: Duration,
    /// Another was faster, so that a look at the ledgers saves vain tries.
    is_contended: bool,
    /// The ledgers were looked at since the last listing.
    is_marked: bool,
}

/// Entries of a line that are due, the longest due first.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// There may be more that are due.
    pub(super) is_cut: bool,
    /// They were listed just now.
    pub(super) is_fresh: bool,
}

/// How well a line must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// As its turn of being listed says.
    InTime,
    /// As long as it is never longer than the longest time between two listings.
    Roughly,
}

impl Lines {
    /// Most entries of a listing.
    pub(super) const PAGE: usize = 1000;
    /// Most lines that are remembered.
    const MAX: usize = 1000;
    /// For how long entries that had nothing to claim are passed over.
    const PASS_OVER: Duration = Duration::from_secs(30);

    fn map(&self) -> MutexGuard<'_, HashMap<Line, Listing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an entry that was made here.
    pub(super) fn add(&self, key: Key, modified: Timestamp) {
        let line = match &key {
            Key::Batch(batch) => batch.line,
            Key::Pointer(pointer) => pointer.line,
            _ => return,
        };
        let path = key.to_string();
        if let Some(listing) = self.map().get_mut(&line) {
            let last = listing.entries.last_key_value().map(|(path, _)| path);
            // Beyond what was listed, others may come before it.
            if listing.is_cut && last.is_none_or(|last| path > *last) {
                return;
            }
            let passed = listing.after.as_ref();
            if passed.is_some_and(|(after, _)| path <= *after) {
                listing.after = None;
                listing.listed_at = None;
            }
            listing.entries.insert(path, Entry { key, modified });
        }
    }

    /// Notes that an entry is gone.
    pub(super) fn remove(&self, path: &str) {
        let Ok(key) = path.parse::<Key>() else {
            return;
        };
        let line = match key {
            Key::Batch(batch) => batch.line,
            Key::Pointer(pointer) => pointer.line,
            _ => return,
        };
        if let Some(listing) = self.map().get_mut(&line) {
            listing.entries.remove(path);
        }
    }

    /// Says whether a line that was just listed had anything to claim: if not, it rests for longer
    /// before it is listed again.
    pub(super) fn rate(&self, line: Line, least: Duration, most: Duration, found: bool) {
        if let Some(listing) = self.map().get_mut(&line) {
            listing.rest = match found {
                true => least,
                false => (listing.rest * 2).clamp(least, most),
            };
        }
    }

    /// Says whether another was faster with a batch of this line.
    pub(super) fn contend(&self, line: Line, is_contended: bool) {
        if let Some(listing) = self.map().get_mut(&line) {
            listing.is_contended = is_contended;
        }
    }

    /// Whether the ledgers of this line's entries are worth a look: once a listing.
    pub(super) fn wants_marks(&self, line: Line) -> bool {
        let mut map = self.map();
        let listing = map.get_mut(&line);
        listing.is_some_and(|listing| {
            listing.is_contended && !std::mem::replace(&mut listing.is_marked, true)
        })
    }

    /// Goes on after the entries with nothing to claim with which a line begins.
    pub(super) fn pass_over(&self, line: Line, after: &Key, now: Timestamp) {
        if let Some(listing) = self.map().get_mut(&line) {
            let since = listing.after.as_ref().map_or(now, |(_, since)| *since);
            listing.after = Some((after.to_string(), since));
            listing.listed_at = None;
        }
    }

    /// When the line is to be listed again, and when the next of its entries is due.
    pub(super) fn next(
        &self,
        line: Line,
        now: Timestamp,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let map = self.map();
        let Some(listing) = map.get(&line) else {
            return (None, None);
        };
        let due = BatchKey::due_millis(now);
        let mut later = listing.entries.values().filter_map(Entry::due);
        let next_due = later.find(|next| *next > due);
        let next_due = next_due.and_then(|due| i64::try_from(due).ok());
        let listed = listing.listed_at.map(|at| at.after(listing.rest));
        (listed, next_due.map(Timestamp::from_unix_millis))
    }

    fn page(&self, line: Line, known: Known, most: Duration, now: Timestamp) -> Option<Page> {
        let mut map = self.map();
        let listing = map.get_mut(&line)?;
        let rest = match known {
            Known::InTime => listing.rest,
            Known::Roughly => most,
        };
        let listed_at = listing.listed_at?;
        if now < listed_at || now >= listed_at.after(rest) {
            return None;
        }
        Some(listing.due(now, false))
    }

    fn cursor(&self, line: Line, known: Known, now: Timestamp) -> Option<String> {
        let mut map = self.map();
        let listing = map.get_mut(&line)?;
        let is_old = |since: Timestamp| now >= since.after(Self::PASS_OVER) || now < since;
        if listing
            .after
            .as_ref()
            .is_some_and(|(_, since)| is_old(*since))
        {
            listing.after = None;
        }
        let after = listing.after.as_ref().filter(|_| known == Known::InTime);
        after.map(|(after, _)| after.clone())
    }

    fn learn(
        &self,
        line: Line,
        entries: BTreeMap<String, Entry>,
        is_cut: bool,
        now: Timestamp,
    ) -> Page {
        let mut map = self.map();
        if map.len() >= Self::MAX && !map.contains_key(&line) {
            map.clear();
        }
        let listing = map.entry(line).or_default();
        listing.entries = entries;
        listing.is_cut = is_cut;
        listing.listed_at = Some(now);
        listing.is_marked = false;
        listing.due(now, true)
    }
}

impl Listing {
    fn due(&self, now: Timestamp, is_fresh: bool) -> Page {
        let due = BatchKey::due_millis(now);
        let entries = self.entries.values();
        let entries: Vec<Entry> = entries
            .take_while(|entry| entry.due().is_some_and(|at| at <= due))
            .cloned()
            .collect();
        let is_cut = self.is_cut && entries.len() == self.entries.len();
        Page {
            entries,
            is_cut,
            is_fresh,
        }
    }
}

impl ObjectStore {
    /// The entries of a line that are due: as they are known, or listed anew if it is time.
    pub(super) async fn due_in(&self, line: Line, known: Known) -> Result<Page, StoreError> {
        let now = self.bounds().middle();
        if let Some(page) = self.lines.page(line, known, self.tuning.poll_most, now) {
            return Ok(page);
        }
        let prefix = Key::index(line);
        let after = self.lines.cursor(line, known, now);
        let range = Range {
            prefix: &prefix,
            after: after.as_deref(),
            end: None,
            limit: Lines::PAGE,
        };
        let listed = self.objects.list(range).await?;
        let is_cut = listed.len() == Lines::PAGE;
        let mut entries = BTreeMap::new();
        for listed in listed {
            // What else lies there is not ours, and left alone.
            if let Ok(key) = listed.key.parse() {
                let modified = listed.modified;
                entries.insert(listed.key, Entry { key, modified });
            }
        }
        Ok(self.lines.learn(line, entries, is_cut, now))
    }
}
