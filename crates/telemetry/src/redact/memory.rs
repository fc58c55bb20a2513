//! What was found out about keys, which are few and come again and again.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::Plan;

/// Most keys that are remembered; a program that makes up keys goes the long way for the others.
const MOST: usize = 1024;
/// Most bytes of a key that is remembered.
const LONGEST: usize = 128;

/// The plans for keys that hold nothing to hide.
#[derive(Debug, Default)]
pub(super) struct KeyMemory(RwLock<HashMap<Box<str>, Plan>>);

impl KeyMemory {
    pub(super) fn plan(&self, key: &str) -> Option<Plan> {
        let plans = self.0.read().unwrap_or_else(PoisonError::into_inner);
        plans.get(key).copied()
    }

    pub(super) fn note(&self, key: &str, plan: Plan) {
        if key.len() > LONGEST {
            return;
        }
        let mut plans = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() < MOST {
            plans.insert(key.into(), plan);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::key::KeyClass;

    const PLAN: Plan = Plan {
        refused: None,
        class: KeyClass::Secret,
        safe: false,
    };

    #[test]
    fn what_is_remembered_is_bounded() {
        let memory = KeyMemory::default();
        memory.note(&"k".repeat(LONGEST + 1), PLAN);
        for number in 0..2 * MOST {
            memory.note(&format!("key-{number}"), PLAN);
        }
        assert_eq!(memory.0.read().unwrap().len(), MOST);
        assert!(memory.plan("key-0").is_some());
        assert!(memory.plan("never seen").is_none());
    }
}
