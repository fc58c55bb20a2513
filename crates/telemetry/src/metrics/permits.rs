//! What the workers of this process hold against limits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::table::{LIMITS, OTHER, PERMITS};
use super::text::Text;
use crate::redact::Redactor;

/// Most workers, and most limits of each, that are told apart.
const MOST: usize = 1000;

/// What each worker holds, as it last said.
#[derive(Debug, Default)]
pub(super) struct Permits(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    in_force: usize,
    workers: BTreeMap<String, Vec<(String, u64)>>,
}

impl Permits {
    /// A worker says what it holds; nothing, once it has ended.
    pub(super) fn note(&self, holder: &str, in_force: usize, held: &[(String, u64)]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() {
            all.workers.remove(holder);
        } else if all.workers.contains_key(holder) || all.workers.len() < MOST {
            let held = held.iter().take(MOST).cloned().collect();
            all.workers.insert(holder.to_owned(), held);
        }
        all.in_force = in_force;
    }

    pub(super) fn write(&self, text: &mut Text, redactor: &Redactor) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples = text.metric(LIMITS);
        samples.number(&[], all.in_force as u64);
        let attribute = longshore_instrument::table::key::QUEUE;
        let mut permits: BTreeMap<String, u64> = BTreeMap::new();
        for (scope, count) in all.workers.values().flatten() {
            let shown = redactor.pair(attribute, scope).map(String::from);
            let shown = match permits.len() < MOST {
                true => shown.unwrap_or_default(),
                false => OTHER.to_owned(),
            };
            *permits.entry(shown).or_default() += count;
        }
        drop(all);
        let mut samples = text.metric(PERMITS);
        for (scope, count) in permits {
            samples.number(&[&scope], count);
        }
    }
}
