//! The requests of stores, read off the stores themselves when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::requests::{RequestCounts, RequestOutcome};

use super::table::REQUESTS;
use super::text::Text;

/// System, operation and outcome.
type Label = (&'static str, &'static str, RequestOutcome);

/// The counts of the stores that this process has, or had.
#[derive(Debug, Default)]
pub(super) struct Requested(Mutex<Stores>);

#[derive(Debug, Default)]
struct Stores {
    open: Vec<Arc<RequestCounts>>,
    /// What those had counted that are closed.
    closed: BTreeMap<Label, u64>,
}

fn add(counts: &RequestCounts, sums: &mut BTreeMap<Label, u64>) {
    for (operation, outcome, count) in counts.all() {
        *sums
            .entry((counts.system(), operation, outcome))
            .or_default() += count;
    }
}

impl Requested {
    /// Takes the counts of a store, if they are not known yet.
    pub(super) fn note(&self, counts: &Arc<RequestCounts>) {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Stores { open, closed } = &mut *stores;
        if open.iter().any(|known| Arc::ptr_eq(known, counts)) {
            return;
        }
        // One that nobody else has counts no more.
        open.retain(|known| {
            let is_open = Arc::strong_count(known) > 1;
            if !is_open {
                add(known, closed);
            }
            is_open
        });
        open.push(Arc::clone(counts));
    }

    pub(super) fn write(&self, text: &mut Text) {
        let stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = stores.closed.clone();
        for counts in &stores.open {
            add(counts, &mut sums);
        }
        drop(stores);
        let mut samples = text.metric(REQUESTS);
        for ((system, operation, outcome), count) in sums {
            samples.number(&[system, operation, outcome.as_str()], count);
        }
    }
}
