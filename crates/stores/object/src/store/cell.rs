//! What this process remembers of batches: hints only, since every write is conditional on the
//! version that was read.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{StoreError, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::change::Try;
use super::load::State;
use crate::batch_key::BatchName;
use crate::draft::Draft;

/// What a call that was applied answers.
pub(super) type Answer = Box<dyn Any + Send>;

/// What a call does to a batch.
pub(super) type Apply = dyn FnMut(&mut Draft, Try) -> Answer + Send;

/// A call that changes jobs of a batch, until a write makes it true.
pub(super) struct Call {
    pub(super) apply: Box<Apply>,
    /// `None` if there is no such batch.
    pub(super) tell: oneshot::Sender<Result<Option<Answer>, StoreError>>,
}

/// What is known of a batch, and the calls that wait for its next write.
#[derive(Default)]
pub(super) struct Cell {
    /// Held by whoever reads or writes the batch's objects to change them.
    pub(super) turn: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: Option<State>,
    /// When a look found nothing to claim.
    missed_at: Option<Timestamp>,
    /// When it was seen that there is a ledger, which nobody has read here.
    taken_at: Option<Timestamp>,
    calls: Vec<Call>,
    wrote_at: Option<Instant>,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").finish_non_exhaustive()
    }
}

impl Cell {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last seen.
    pub(super) fn known(&self) -> Option<State> {
        self.inner().known.clone()
    }

    pub(super) fn learn(&self, state: Option<State>) {
        self.inner().known = state;
    }

    /// Changes what is known.
    pub(super) fn amend(&self, amend: impl FnOnce(&mut State)) {
        if let Some(state) = &mut self.inner().known {
            amend(state);
        }
    }

    /// Remembers that there is a ledger.
    pub(super) fn take(&self, now: Timestamp) {
        self.inner().taken_at = Some(now);
    }

    /// Whether there is a ledger, as was seen less than `within` ago.
    pub(super) fn was_taken(&self, now: Timestamp, within: Duration) -> bool {
        let taken_at = self.inner().taken_at;
        taken_at.is_some_and(|at| now < at.after(within))
    }

    /// Remembers that a look found nothing to claim.
    pub(super) fn miss(&self, now: Timestamp) {
        let mut inner = self.inner();
        inner.known = None;
        inner.missed_at = Some(now);
    }

    /// Whether a look found nothing to claim, less than `within` ago.
    pub(super) fn was_missed(&self, now: Timestamp, within: Duration) -> bool {
        let missed_at = self.inner().missed_at;
        missed_at.is_some_and(|at| now < at.after(within))
    }

    pub(super) fn push(&self, call: Call) {
        self.inner().calls.push(call);
    }

    /// The calls that wait. One that was given up meanwhile is not made: whoever gave it up may have
    /// called anew long ago, and have seen what became of that.
    pub(super) fn take_calls(&self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut self.inner().calls);
        calls.retain(|call| !call.tell.is_closed());
        calls
    }

    pub(super) fn wrote(&self) {
        self.inner().wrote_at = Some(Instant::now());
    }

    /// How long the next write may still wait for others, if the one before it is not long ago.
    pub(super) fn gathers_for(&self, gather: Duration) -> Option<Duration> {
        let since = self.inner().wrote_at?.elapsed();
        gather.checked_sub(since).filter(|left| !left.is_zero())
    }
}

/// The batches of which something is remembered.
#[derive(Debug, Default)]
pub(super) struct Cells(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    cells: BTreeMap<BatchName, Arc<Cell>>,
    jobs: usize,
}

impl Cells {
    /// Most batches, and most jobs of all of them.
    const MAX_CELLS: usize = 20_000;
    const MAX_JOBS: usize = 200_000;

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a batch, maybe nothing. The oldest are forgotten first.
    pub(super) fn of(&self, name: BatchName) -> Arc<Cell> {
        let mut kept = self.kept();
        if let Some(cell) = kept.cells.get(&name) {
            return Arc::clone(cell);
        }
        kept.jobs += usize::from(name.jobs());
        while kept.cells.len() >= Self::MAX_CELLS || kept.jobs > Self::MAX_JOBS {
            // Whoever holds one goes on with it, and what it writes is conditional.
            let Some((old, _)) = kept.cells.pop_first() else {
                break;
            };
            kept.jobs = kept.jobs.saturating_sub(usize::from(old.jobs()));
        }
        let cell = Arc::<Cell>::default();
        kept.cells.insert(name, Arc::clone(&cell));
        cell
    }

    /// What is known of a batch, if it is remembered.
    pub(super) fn known(&self, name: BatchName) -> Option<State> {
        self.kept().cells.get(&name)?.known()
    }

    pub(super) fn forget(&self, name: BatchName) {
        let mut kept = self.kept();
        if kept.cells.remove(&name).is_some() {
            kept.jobs = kept.jobs.saturating_sub(usize::from(name.jobs()));
        }
    }
}

/// Values by key of which the least useful go when there are too many.
#[derive(Debug)]
pub(super) struct Remembered<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + std::hash::Hash, V: Clone> Remembered<K, V> {
    const MAX: usize = 20_000;

    fn map(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut map = self.map();
        if map.len() >= Self::MAX {
            map.clear();
        }
        map.insert(key, value);
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.map().get(key).cloned()
    }

    pub(super) fn take<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.map().remove(key)
    }
}
