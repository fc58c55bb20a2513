//! Why a producer was refused.

use std::time::Duration;

use super::rate::Rate;
use crate::error::{ErrorKind, StoreError};
use crate::name::QueueName;

/// Why a limit refused a job: the source of an error of the kind
/// [`Limited`](ErrorKind::Limited), for callers that go by more than its text.
///
/// ```
/// # use longshore_core::StoreError;
/// use longshore_core::limit::LimitRefused;
/// # fn example(error: StoreError) -> std::time::Duration {
/// match LimitRefused::of(&error) {
///     Some(LimitRefused::RateLimited { retry_after, .. }) => *retry_after,
///     _ => std::time::Duration::from_secs(1),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitRefused {
    /// The queue has as many unfinished jobs as it may.
    #[error(
        "the queue `{queue}` is full: it has {length} unfinished jobs and may have {limit}; send the job later, start more workers, or raise the limit"
    )]
    QueueFull {
        /// The queue.
        queue: QueueName,
        /// How many it may have.
        limit: u64,
        /// How many it has, as far as this producer knows.
        length: u64,
    },
    /// Producers have put as many jobs into the queue as they may for now.
    #[error(
        "the queue `{queue}` takes no more than {rate}: send the job again in {retry_after:?}, or raise the limit"
    )]
    RateLimited {
        /// The queue.
        queue: QueueName,
        /// How many it takes.
        rate: Rate,
        /// When it may take the next.
        retry_after: Duration,
    },
}

impl LimitRefused {
    /// What refused the job, if that is what this error says.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// The queue.
    #[must_use]
    pub const fn queue(&self) -> &QueueName {
        match self {
            Self::QueueFull { queue, .. } | Self::RateLimited { queue, .. } => queue,
        }
    }

    /// The reason as a word: the name of the event on the enqueue span, and a label of a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::RateLimited { .. } => "rate_limited",
        }
    }
}

impl From<LimitRefused> for StoreError {
    fn from(refused: LimitRefused) -> Self {
        Self::new(ErrorKind::Limited, refused.to_string()).with_source(refused)
    }
}
