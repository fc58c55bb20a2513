//! The states of a job and the one table that says which follows which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a job is in its life.
///
/// ```text
///  enqueue ─► scheduled ─┐ promote                ┌─► completed
///     │                  ▼          claim         │
///     └───────────► available ─────────────► running ──► cancelled
///                        ▲                      │ │
///                        └── promote ── retryable │
///                                                 └─► discarded
/// ```
///
/// A person may also cancel or discard a job that waits, and make one that is over wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a time its producer, or a snooze, set.
    Scheduled,
    /// May be claimed now.
    Available,
    /// Held by a worker under a lease.
    Running,
    /// An attempt did not succeed; waits for the time its back-off set.
    Retryable,
    /// An attempt succeeded.
    Completed,
    /// A person, a program or its handler gave it up.
    Cancelled,
    /// It failed for good: its attempts are used up, or its handler said so.
    Discarded,
}

/// What moves a job from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its time came.
    Promote,
    /// A worker took it.
    Claim,
    /// The attempt succeeded.
    Complete,
    /// The attempt did not succeed and another will follow.
    Retry,
    /// The handler asked to run later; not a failure.
    Snooze,
    /// The worker gave it back unfinished; not a failure.
    HandBack,
    /// It is given up.
    Cancel,
    /// It failed for good, or is not to run any more and counts as failed.
    Discard,
    /// A person asked for it to run again now.
    RetryNow,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The state that `transition` leads to, or `None` if it is not allowed here.
    #[must_use]
    pub const fn after(self, transition: Transition) -> Option<Self> {
        use Transition as T;
        match (self, transition) {
            (Self::Scheduled | Self::Retryable, T::Promote) => Some(Self::Available),
            // A job whose time has come may be claimed before anyone wrote the promotion down.
            (Self::Scheduled | Self::Available | Self::Retryable, T::Claim) => Some(Self::Running),
            (Self::Running, T::Complete) => Some(Self::Completed),
            (Self::Running, T::Retry) => Some(Self::Retryable),
            (Self::Running, T::Snooze) => Some(Self::Scheduled),
            (Self::Running, T::HandBack) => Some(Self::Available),
            (Self::Scheduled | Self::Available | Self::Retryable | Self::Running, T::Cancel) => {
                Some(Self::Cancelled)
            }
            (Self::Scheduled | Self::Available | Self::Retryable | Self::Running, T::Discard) => {
                Some(Self::Discarded)
            }
            (
                Self::Scheduled
                | Self::Retryable
                | Self::Completed
                | Self::Cancelled
                | Self::Discarded,
                T::RetryNow,
            ) => Some(Self::Available),
            _ => None,
        }
    }

    /// Whether the job is over: nothing but a manual retry moves it again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }

    /// Whether the job waits to be claimed, now or later.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Available | Self::Retryable)
    }

    /// The state as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no state.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a job state: use scheduled, available, running, retryable, completed, cancelled or discarded"
)]
pub struct InvalidJobState(String);

impl FromStr for JobState {
    type Err = InvalidJobState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidJobState(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_job_moves_only_by_a_manual_retry() {
        use Transition as T;
        let all = [
            T::Promote,
            T::Claim,
            T::Complete,
            T::Retry,
            T::Snooze,
            T::HandBack,
            T::Cancel,
            T::Discard,
            T::RetryNow,
        ];
        for state in JobState::ALL.into_iter().filter(|state| state.is_final()) {
            let moves: Vec<T> = all
                .into_iter()
                .filter(|transition| state.after(*transition).is_some())
                .collect();
            assert_eq!(moves, [T::RetryNow], "{state}");
        }
    }

    #[test]
    fn text_round_trips() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), state);
        }
    }
}
