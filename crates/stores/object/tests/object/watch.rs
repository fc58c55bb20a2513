//! Sees every version of every ledger, and notices what must never happen between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use longshore_core::{JobState, LeaseToken};
use longshore_object::{BatchName, Hold, JobRow, Key, Ledger};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    wrong: Mutex<Vec<String>>,
    completed: Mutex<BTreeMap<(BatchName, u16), u32>>,
    leased: Mutex<BTreeSet<i64>>,
}

impl Watch {
    pub(crate) fn wrong(&self) -> Vec<String> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.clone()
    }

    pub(crate) fn tell(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.push(what);
    }

    /// Whether a lease was stored, be it that it has ended.
    pub(crate) fn was_leased(&self, token: LeaseToken) -> bool {
        let leased = self.leased.lock().unwrap_or_else(PoisonError::into_inner);
        leased.contains(&token.get())
    }

    /// How often a job was completed.
    pub(crate) fn completed(&self, name: BatchName, index: u16) -> u32 {
        let completed = self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        completed.get(&(name, index)).copied().unwrap_or_default()
    }

    /// How many jobs were completed, whatever became of them later.
    pub(crate) fn all_completed(&self) -> usize {
        let completed = self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        completed.len()
    }

    /// A version lands on another, or on nothing.
    pub(crate) fn see(&self, old: Option<&Bytes>, new: &Bytes, is_there: impl Fn(&Key) -> bool) {
        let new = Ledger::decode(new).unwrap();
        let old = match old {
            Some(old) => Ledger::decode(old).unwrap(),
            // Made after its batch had gone, it is not true, and says nothing.
            None if !is_there(&Key::Batch(new.key)) => return,
            None => Ledger::blank(new.key, 0),
        };
        for index in 0..new.key.name.jobs() {
            self.compare(&new, index, old.row(index), new.row(index));
        }
    }

    fn compare(&self, ledger: &Ledger, index: u16, old: Option<&JobRow>, new: Option<&JobRow>) {
        let state = |row: Option<&JobRow>| row.map_or(JobState::Available, |row| row.state);
        let token = |row: Option<&JobRow>| row?.hold.as_ref().map(|hold: &Hold| hold.token);
        let claim = |row: Option<&JobRow>| row.map_or(0, |row| row.claim);
        let ended = |row: Option<&JobRow>| row.map_or(0, |row| row.history.len());
        let mut leased = self.leased.lock().unwrap_or_else(PoisonError::into_inner);
        leased.extend(token(new).map(LeaseToken::get));
        drop(leased);
        let job = format!("job {index} in generation {}", ledger.generation);
        let (before, after) = (state(old), state(new));
        if token(old).is_some() && token(new).is_some() && token(old) != token(new) {
            self.tell(format!("{job}: a live lease was replaced by another"));
        }
        if token(old).is_some() && token(new).is_none() && ended(new) != ended(old) + 1 {
            self.tell(format!("{job}: a lease ended without a record"));
        }
        if before.is_final() && after == JobState::Running {
            self.tell(format!("{job}: a job that was over is leased"));
        }
        if before.is_final() && after.is_final() && before != after {
            self.tell(format!(
                "{job}: it was over as {before}, and is now {after}"
            ));
        }
        if claim(new) < claim(old) || ended(new) < ended(old) {
            self.tell(format!("{job}: what was written is gone"));
        }
        if before.is_final() && !after.is_final() {
            // Someone asked for it to run again.
            let mut completed = self
                .completed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            completed.remove(&(ledger.key.name, index));
        }
        if before != JobState::Completed && after == JobState::Completed {
            let mut completed = self
                .completed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let count = completed.entry((ledger.key.name, index)).or_default();
            *count += 1;
            if *count > 1 {
                self.tell(format!("{job}: completed twice"));
            }
            if token(old).is_none() {
                self.tell(format!("{job}: completed by nobody who had a lease"));
            }
        }
    }
}
