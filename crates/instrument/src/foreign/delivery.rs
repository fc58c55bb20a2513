//! What the foreign queue and its handler say of an attempt.

use longshore_core::{AttemptOutcome, Timestamp};

/// What the foreign queue says of one delivery of a job.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Which attempt, from 1. Deliveries of one job must differ in it, since ids follow from it.
    pub attempt: u32,
    /// When it could have run first; `None` if the queue does not say: then a first attempt counts
    /// from its enqueueing, and a later one tells no wait.
    pub available_at: Option<Timestamp>,
    /// Whether the job's trace is kept already, as far as the caller knows. For a queue whose
    /// headers cannot be changed, and which delivers again only what has failed, that is so from
    /// the second attempt on. Where the headers carry [`KEEP`](super::header::KEEP) it need not be
    /// said.
    pub kept: bool,
    /// The worker.
    pub worker: Option<String>,
}

impl Delivery {
    /// The first attempt at a job.
    #[must_use]
    pub fn first() -> Self {
        Self::nth(1)
    }

    /// The attempt of this number, from 1.
    #[must_use]
    pub fn nth(attempt: u32) -> Self {
        Self {
            attempt,
            ..Self::default()
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// How.
    pub outcome: AttemptOutcome,
    /// `error.type`, if it failed: a word of low cardinality, never the error's text.
    pub error_class: Option<&'a str>,
    /// The error's text, if it may leave. It may hold anything: what exports it redacts it first.
    pub error_message: Option<&'a str>,
}

impl<'a> Ending<'a> {
    /// The handler succeeded.
    #[must_use]
    pub const fn completed() -> Self {
        Self {
            outcome: AttemptOutcome::Completed,
            error_class: None,
            error_message: None,
        }
    }

    /// The handler failed: [`AttemptOutcome::Retried`] if another attempt follows,
    /// [`AttemptOutcome::Discarded`] if none does.
    #[must_use]
    pub const fn failed(outcome: AttemptOutcome, error_class: &'a str) -> Self {
        Self {
            outcome,
            error_class: Some(error_class),
            error_message: None,
        }
    }

    /// The same with the error's text.
    #[must_use]
    pub const fn with_message(mut self, message: &'a str) -> Self {
        self.error_message = Some(message);
        self
    }
}
