//! What was written lately, as far as it is remembered.

use std::collections::{BTreeSet, VecDeque};

/// The latest keys of what was written; the oldest are forgotten.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    keys: BTreeSet<K>,
    /// The oldest first.
    order: VecDeque<K>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            keys: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Ord> Recent<K> {
    /// Most keys that are remembered. What comes again later is written again, and whoever stores
    /// traces counts identical spans once; so it is with what another process has written.
    const MAX: usize = 1024;

    pub(crate) fn has(&self, key: &K) -> bool {
        self.keys.contains(key)
    }

    /// Remembers a key; whether it is new.
    pub(crate) fn add(&mut self, key: K) -> bool {
        if !self.keys.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > Self::MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        let most = Recent::<usize>::MAX;
        assert!((0..most).all(|number| recent.add(number)));
        assert!(!recent.add(0));
        assert!(recent.add(most));
        assert!(!recent.has(&0), "the oldest is forgotten");
        assert!(recent.add(0));
        assert_eq!((recent.keys.len(), recent.order.len()), (most, most));
    }
}
