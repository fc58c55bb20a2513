//! The sweep: what crashes and late requests have left is put in order. Nothing waits for it, and it
//! comes hours apart, from one process at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::{StoreError, Timestamp};

use super::ObjectStore;
use super::change::Haste;
use super::index::Entry;
use super::lines::Lines;
use super::load::At;
use super::survey::{Sighting, Summary};
use crate::batch_key::{BatchKey, BatchName, VOID_AFTER};
use crate::draft::Draft;
use crate::key::{Key, PointerKey};
use crate::mutation::Mutation;
use crate::objects::{Landing, Range};
use crate::sweep::Sweep;

/// What a sweep has put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pointers that no ledger names.
    pub pointers: u64,
    /// Batches that came too late to count, put aside.
    pub void_batches: u64,
    /// Args and results that nothing names.
    pub payloads: u64,
}

impl ObjectStore {
    /// How often a store is swept.
    const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3600);
    /// How often a process looks whether it is time.
    const LOOK_EVERY: Duration = Duration::from_secs(600);
    /// How long a void batch stays where it is, so that a mistaken clock can be set right.
    const VOID_FOR: Duration = Duration::from_secs(24 * 3600);
    /// Most entries of the index that a sweep looks at.
    const MAX_SWEPT: usize = 100_000;
    /// Most objects that a sweep reads of each kind.
    const MAX_SWEEP_READS: usize = 1000;

    /// Sweeps, if this process works and nobody has swept for long.
    pub(super) async fn sweep_in_turn(&self) -> Result<Swept, StoreError> {
        // That there was a sweep not long ago is to say that there were workers.
        if self.last_worker().is_none() {
            return Ok(Swept::default());
        }
        let now = self.bounds().least;
        {
            let mut next = self.next_look();
            if next.is_some_and(|next| now < next) {
                return Ok(Swept::default());
            }
            *next = Some(now.after(Self::LOOK_EVERY));
        }
        let key = Key::Sweep;
        let path = key.to_string();
        let found = self.objects.get(&path).await?;
        let last = match &found {
            Some(object) => Some(Sweep::decode(&object.bytes).map_err(|error| error.of(&key))?),
            None => None,
        };
        let at = last.as_ref().map(|last| last.at);
        if at.is_some_and(|at| now < at.after(Self::SWEEP_EVERY)) {
            return Ok(Swept::default());
        }
        let mut sweep = last.unwrap_or_default();
        // Follow-ups that are still to be made name args of their own, and whoever meets the entry
        // of the job that they follow makes them: only where workers were there not long ago has
        // that surely been done.
        let is_steady = at.is_some_and(|at| now < at.after(4 * Self::SWEEP_EVERY));
        sweep.at = now;
        sweep.writer = self.token();
        let bytes = sweep.encode().map_err(|error| error.of(&key))?;
        let landing = match &found {
            None => self.objects.create(&path, bytes).await?,
            Some(object) => self.objects.replace(&path, bytes, &object.version).await?,
        };
        let Landing::Landed(version) = landing else {
            return Ok(Swept::default());
        };
        let swept = self.sweep_all(&mut sweep, is_steady).await?;
        sweep.writer = self.token();
        let bytes = sweep.encode().map_err(|error| error.of(&key))?;
        // If this does not land, the next sweep begins where this one began.
        self.objects.replace(&path, bytes, &version).await?;
        Ok(swept)
    }

    async fn sweep_all(&self, sweep: &mut Sweep, is_steady: bool) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut names = BTreeSet::new();
        let mut reads = Self::MAX_SWEEP_READS;
        let mut after: Option<String> = None;
        let is_whole = loop {
            let range = Range {
                prefix: "i/",
                after: after.as_deref(),
                end: None,
                limit: Lines::PAGE,
            };
            let listed = self.objects.list(range).await?;
            for listed in &listed {
                let Ok(key) = listed.key.parse::<Key>() else {
                    continue;
                };
                names.extend(batch_of(&key));
                let entry = Entry {
                    key,
                    modified: listed.modified,
                };
                self.sweep_entry(&entry, &mut reads, &mut swept).await?;
            }
            match listed.last().filter(|_| listed.len() == Lines::PAGE) {
                Some(last) if names.len() < Self::MAX_SWEPT => after = Some(last.key.clone()),
                last => break last.is_none(),
            }
        };
        self.sweep_ledgers(&names).await?;
        if is_whole && (is_steady || Mutation::OrphanUnmade.is_on()) {
            for (prefix, after) in [("p/", &mut sweep.args), ("r/", &mut sweep.results)] {
                swept.payloads += self.sweep_payloads(prefix, after, &names).await?;
            }
        }
        Ok(swept)
    }

    async fn sweep_entry(
        &self,
        entry: &Entry,
        reads: &mut usize,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let least = self.bounds().least;
        let is_older = |than: Duration| entry.modified.after(than) < least;
        let is_ripe = match &entry.key {
            Key::Batch(key) => key.name.is_void(entry.modified) && is_older(Self::VOID_FOR),
            Key::Pointer(_) => is_older(VOID_AFTER),
            _ => false,
        };
        if !is_ripe || !take_one(reads) {
            return Ok(());
        }
        match &entry.key {
            Key::Batch(key) => swept.void_batches += u64::from(self.put_aside(*key).await?),
            Key::Pointer(pointer) => {
                swept.pointers += u64::from(self.sweep_pointer(pointer).await?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves a batch that came too late to where no clock can bring it back; whether it was so.
    async fn put_aside(&self, key: BatchKey) -> Result<bool, StoreError> {
        let found = self.get_ledger(At::batch(key)).await?;
        if found.is_some_and(|(ledger, ..)| ledger.generation > 0) {
            return Ok(false);
        }
        let path = Key::Batch(key).to_string();
        let Some(object) = self.objects.get(&path).await? else {
            return Ok(false);
        };
        let aside = Key::Void(key.name).to_string();
        if self.objects.create(&aside, object.bytes).await? == Landing::Unknown {
            return Ok(false);
        }
        self.objects.delete(&path).await?;
        Ok(true)
    }

    /// Deletes a pointer that its ledger does not name, and never will; whether it was one.
    async fn sweep_pointer(&self, pointer: &PointerKey) -> Result<bool, StoreError> {
        let at = At::pointer(pointer);
        for _ in 0..Self::TRIES {
            let Some((ledger, ..)) = self.get_ledger(at).await? else {
                break;
            };
            if ledger.entry == Some(*pointer) {
                return Ok(false);
            }
            if pointer.generation <= ledger.generation {
                break;
            }
            // A write that names it may be under way: with another before it, it is refused.
            self.cells.forget(at.name);
            let touch = |draft: &mut Draft, _| draft.touch();
            self.change(at, Haste::Now, touch).await?;
        }
        let path = Key::Pointer(*pointer).to_string();
        self.objects.delete(&path).await?;
        self.lines.remove(&path);
        Ok(true)
    }

    /// Looks at the ledgers to which no entry leads and which are not over: one that was made after
    /// its batch had gone is deleted by whoever looks.
    async fn sweep_ledgers(&self, names: &BTreeSet<BatchName>) -> Result<(), StoreError> {
        let mut walk = self.backwards(self.newest()).await?;
        let mut reads = Self::MAX_SWEEP_READS;
        let mut looked = 0;
        while reads > 0
            && looked < Self::MAX_SWEPT
            && let Some(ledgers) = self.next_ledgers(&mut walk).await?
        {
            looked += ledgers.len();
            let alone = ledgers
                .into_iter()
                .filter(|ledger| !names.contains(&ledger.at.name));
            let alone: Vec<Sighting> = alone.collect();
            for (at, summary) in self.summaries(&alone, true, &mut reads).await? {
                if matches!(summary, Summary::Open(_)) {
                    self.load(at).await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes args or results of batches of which there is nothing else; goes on after the last ones
    /// that were looked at.
    async fn sweep_payloads(
        &self,
        prefix: &str,
        after: &mut String,
        names: &BTreeSet<BatchName>,
    ) -> Result<u64, StoreError> {
        let least = self.bounds().least;
        let range = Range {
            prefix,
            after: Some(after.as_str()).filter(|after| !after.is_empty()),
            end: None,
            limit: Self::MAX_SWEEP_READS,
        };
        let listed = self.objects.list(range).await?;
        let mut gone: BTreeMap<BatchName, bool> = BTreeMap::new();
        let mut swept = 0;
        for listed in &listed {
            let (Ok(Key::Args { batch, .. }) | Ok(Key::Outcome { batch, .. })) =
                listed.key.parse::<Key>()
            else {
                continue;
            };
            let is_old = batch.has_expired(least) && listed.modified.after(Self::VOID_FOR) < least;
            let waits = names.contains(&batch) && !Mutation::OrphanWaiting.is_on();
            if waits || !is_old && !Mutation::OrphanYoung.is_on() {
                continue;
            }
            let is_gone = match gone.get(&batch) {
                Some(is_gone) => *is_gone,
                None if Mutation::OrphanPrune.is_on() => true,
                None => !self.has_ledger(batch).await?,
            };
            gone.insert(batch, is_gone);
            if is_gone {
                self.objects.delete(&listed.key).await?;
                swept += 1;
            }
        }
        let last = listed
            .last()
            .filter(|_| listed.len() == Self::MAX_SWEEP_READS);
        *after = last.map(|last| last.key.clone()).unwrap_or_default();
        Ok(swept)
    }

    async fn has_ledger(&self, name: BatchName) -> Result<bool, StoreError> {
        for shard in 0..self.shards().await? {
            let key = Key::Ledger { shard, batch: name };
            if self.objects.get(&key.to_string()).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_look(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        let next = self.next_look.lock();
        next.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The batch to which an entry leads.
const fn batch_of(key: &Key) -> Option<BatchName> {
    match key {
        Key::Batch(key) => Some(key.name),
        Key::Pointer(pointer) => Some(pointer.batch),
        _ => None,
    }
}

/// Takes one of what is left, if anything is.
fn take_one(left: &mut usize) -> bool {
    let had = *left;
    *left = had.saturating_sub(1);
    had > 0
}
