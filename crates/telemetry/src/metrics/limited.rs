//! What limits refuse and send back, and what the workers of this process hold against them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use longshore_instrument::Measured;

use super::family::Family;
use super::meters::counters;
use super::series::Counter;
use super::table::{HAND_BACKS, LIMITS, Metric, OTHER, PERMITS, REFUSALS};
use super::text::Text;
use crate::redact::Redactor;

/// Most workers, and most limits of each, that are told apart.
const MOST: usize = 1000;

/// What is measured of limits.
#[derive(Debug)]
pub(super) struct Limited {
    hand_backs: Family<Counter, 1>,
    refusals: Family<Counter, 2>,
    held: Mutex<Held>,
}

/// What each worker holds, as it last said.
#[derive(Debug, Default)]
struct Held {
    in_force: usize,
    workers: BTreeMap<String, Vec<(String, u64)>>,
}

impl Limited {
    pub(super) fn new() -> Self {
        Self {
            hand_backs: Family::new(HAND_BACKS),
            refusals: Family::new(REFUSALS),
            held: Mutex::default(),
        }
    }

    /// Takes what is said of limits, and nothing else.
    pub(super) fn measure(&self, measured: &Measured<'_>, redactor: &Redactor) {
        match measured {
            Measured::OverLimit { queue, jobs } => {
                let labels = [queue.as_str()];
                (self.hand_backs).with(labels, redactor, |all| all.add(*jobs, None));
            }
            Measured::Refused {
                queue,
                reason,
                jobs,
            } => {
                let labels = [queue.as_str(), reason];
                (self.refusals).with(labels, redactor, |all| all.add(*jobs, None));
            }
            Measured::Permits {
                holder,
                in_force,
                held,
            } => self.note(holder, *in_force, held),
            _ => {}
        }
    }

    pub(super) fn overflowed(&self) -> [(&'static Metric, u64); 2] {
        [
            (HAND_BACKS, self.hand_backs.overflowed()),
            (REFUSALS, self.refusals.overflowed()),
        ]
    }

    /// A worker says what it holds; nothing, once it has ended.
    fn note(&self, holder: &str, in_force: usize, held: &[(String, u64)]) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() {
            all.workers.remove(holder);
        } else if all.workers.contains_key(holder) || all.workers.len() < MOST {
            let held = held.iter().take(MOST).cloned().collect();
            all.workers.insert(holder.to_owned(), held);
        }
        all.in_force = in_force;
    }

    pub(super) fn write(&self, text: &mut Text, redactor: &Redactor) {
        let all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
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
        counters(text, &self.hand_backs);
        counters(text, &self.refusals);
    }
}
