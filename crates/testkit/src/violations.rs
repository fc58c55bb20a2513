//! What must never happen and did, kept for the test to read: a panic in one of a worker's tasks
//! could be taken for a part of the simulated crash.

use std::sync::{Mutex, PoisonError};

/// The broken promises so far.
#[derive(Debug, Default)]
pub struct Violations(Mutex<Vec<String>>);

impl Violations {
    /// Keeps `what` unless the promise `holds`.
    pub fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(what());
        }
    }

    /// All of them, in the order they happened.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}
