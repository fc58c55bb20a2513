//! Which jobs that are over may be deleted.

use crate::error::{ErrorKind, StoreError};
use crate::state::JobState;
use crate::time::Timestamp;

/// Which jobs to delete: those that are too old, and those that are too many. What is not set
/// deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneRequest {
    /// In these states, which must be final; in any final state if empty.
    pub states: Vec<JobState>,
    /// Those that were over before this time.
    pub before: Option<Timestamp>,
    /// Of each of the states, those that are not among so many that were over last.
    pub keep_newest: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl PruneRequest {
    /// Whatever was over before `before`, at most `limit` jobs.
    #[must_use]
    pub const fn before(before: Timestamp, limit: usize) -> Self {
        Self {
            states: Vec::new(),
            before: Some(before),
            keep_newest: None,
            limit,
        }
    }

    /// The states that are asked for, each once.
    ///
    /// # Errors
    /// `Invalid` if one is not final.
    pub fn final_states(&self) -> Result<Vec<JobState>, StoreError> {
        if let Some(state) = self.states.iter().find(|state| !state.is_final()) {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!(
                    "jobs that are {state} cannot be pruned, only those that are over: \
                     completed, cancelled or discarded"
                ),
            ));
        }
        let wanted = |state: &JobState| {
            state.is_final() && (self.states.is_empty() || self.states.contains(state))
        };
        Ok(JobState::ALL.into_iter().filter(wanted).collect())
    }
}
