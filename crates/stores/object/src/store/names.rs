//! The batches of a store by their names, from new to old: those that hang on an entry of the index,
//! and those of which only the ledger is left.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{ErrorKind, JobFilter, StoreError, Timestamp};

use super::ObjectStore;
use super::lines::Lines;
use super::load::At;
use super::survey::Backwards;
use crate::batch_key::{BatchName, VOID_AFTER};
use crate::key::Key;
use crate::objects::Range;

/// The entries of the index: where each batch lies, and the line and due time of its entry.
pub(super) type Entries = BTreeMap<BatchName, (At, Key)>;

/// The index as it was listed for the page before, below this prefix.
pub(super) type Listed = Mutex<Option<(String, Timestamp, Arc<Entries>)>>;

/// A walk from new to old.
pub(super) struct Names {
    entries: Arc<Entries>,
    /// Those below this name are still to come.
    upper: Bound<BatchName>,
    ledgers: Option<Backwards>,
    /// Ledgers that were listed, from old to new.
    ready: Vec<At>,
    /// No batch was named before this time that is asked for.
    floor: Option<Timestamp>,
}

impl ObjectStore {
    /// For how long the pages that follow use the listing of the first.
    const LISTED_FOR: Duration = Duration::from_secs(10);
    /// How many batches are looked at together.
    const TOGETHER: usize = 32;

    /// The batches in which there may be jobs that match, below a name if there is one.
    pub(super) async fn newest_first(
        &self,
        filter: &JobFilter,
        below: Option<BatchName>,
    ) -> Result<Names, StoreError> {
        let asks = |is_final: bool| {
            let states = &filter.states;
            states.is_empty() || states.iter().any(|state| state.is_final() == is_final)
        };
        // A job that is not over hangs on an entry, and one that is over stands in a ledger.
        let entries = match asks(false) {
            true => self.entries_of(filter, below.is_some()).await?,
            false => Arc::default(),
        };
        let mut before = self.newest();
        if let Some(name) = below {
            before = before.min(name.stamp().after(Duration::from_millis(1)));
        }
        if let Some(end) = filter.enqueued_before {
            before = before.min(end.after(VOID_AFTER));
        }
        let ledgers = match asks(true) {
            true => Some(self.backwards(before).await?),
            false => None,
        };
        Ok(Names {
            entries,
            upper: below.map_or(Bound::Unbounded, Bound::Included),
            ledgers,
            ready: Vec::new(),
            floor: filter.enqueued_after.map(|from| from.before(VOID_AFTER)),
        })
    }

    /// The next batches, none twice. The batch that the walk begins with may be among them.
    pub(super) async fn next_names(
        &self,
        names: &mut Names,
        most: usize,
    ) -> Result<Vec<At>, StoreError> {
        let mut next: Vec<At> = Vec::new();
        while next.len() < most.min(Self::TOGETHER) {
            while let Some(walk) = names.ledgers.as_mut().filter(|_| names.ready.is_empty()) {
                match self.next_ledgers(walk).await? {
                    Some(ledgers) => {
                        let rest = (Bound::Unbounded, names.upper);
                        let ledgers = ledgers.into_iter().rev().map(|ledger| ledger.at);
                        names.ready = ledgers.filter(|at| rest.contains(&at.name)).collect();
                    }
                    None => names.ledgers = None,
                }
            }
            let rest = names.entries.range((Bound::Unbounded, names.upper));
            let entry = rest.map(|(_, (at, _))| *at).next_back();
            let ledger = names.ready.last().copied();
            let found = match (entry, ledger) {
                (Some(entry), Some(ledger)) if entry.name < ledger.name => Some(ledger),
                (entry, ledger) => entry.or(ledger),
            };
            let is_asked = |at: &At| names.floor.is_none_or(|floor| at.name.stamp() >= floor);
            let Some(found) = found.filter(is_asked) else {
                break;
            };
            if ledger.is_some_and(|ledger| ledger.name == found.name) {
                names.ready.pop();
            }
            names.upper = Bound::Excluded(found.name);
            next.push(found);
        }
        Ok(next)
    }

    async fn entries_of(
        &self,
        filter: &JobFilter,
        is_next_page: bool,
    ) -> Result<Arc<Entries>, StoreError> {
        let prefix = match &filter.queue {
            None => "i/".to_owned(),
            Some(name) => match self.queues().await?.get(name) {
                Some(queue) => format!("i/{}/", queue.code),
                None => return Ok(Arc::default()),
            },
        };
        let now = self.bounds().middle();
        let listed = {
            let listed = self.listed.lock();
            listed.unwrap_or_else(PoisonError::into_inner).clone()
        };
        if let Some((of, at, entries)) = listed.filter(|_| is_next_page)
            && of == prefix
            && now < at.after(Self::LISTED_FOR)
        {
            return Ok(entries);
        }
        let (entries, is_cut) = self.list_entries(&prefix, self.tuning.listings).await?;
        if is_cut {
            return Err(too_many(filter, entries.len()));
        }
        let entries = Arc::new(entries);
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        *listed = Some((prefix, now, Arc::clone(&entries)));
        Ok(entries)
    }

    /// The entries below a prefix of the index, at most so many listings of them; and whether there
    /// are more.
    pub(super) async fn list_entries(
        &self,
        prefix: &str,
        most: usize,
    ) -> Result<(Entries, bool), StoreError> {
        let mut entries = Entries::new();
        let mut after: Option<String> = None;
        for _ in 0..most {
            let range = Range {
                prefix,
                after: after.as_deref(),
                end: None,
                limit: Lines::PAGE,
            };
            let listed = self.objects.list(range).await?;
            for listed in &listed {
                let Ok(key) = listed.key.parse() else {
                    continue;
                };
                match &key {
                    // The batch knows where it lies, its pointer does not.
                    Key::Batch(batch) => entries.insert(batch.name, (At::batch(*batch), key)),
                    Key::Pointer(pointer) => {
                        let at = At::pointer(pointer);
                        entries.entry(at.name).or_insert((at, key));
                        None
                    }
                    _ => None,
                };
            }
            match listed.last().filter(|_| listed.len() == Lines::PAGE) {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok((entries, false)),
            }
        }
        Ok((entries, true))
    }
}

/// The error of a listing that would leave jobs out, which may be the newest.
fn too_many(filter: &JobFilter, batches: usize) -> StoreError {
    let how = match filter.queue {
        None => "list one queue at a time",
        Some(_) => "let workers run them first, or ask for jobs by their ids",
    };
    StoreError::new(
        ErrorKind::Invalid,
        format!(
            "more than {batches} batches of jobs wait, and a listing would leave some out: {how}"
        ),
    )
}
