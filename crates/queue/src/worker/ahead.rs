//! Claimed jobs that wait for a slot of their worker, the longest claimed first.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep_until};

use super::attempt::Claim;
use super::pace::LONGEST_WAIT;
use crate::limits::holdings::Permits;

/// The jobs that wait.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    jobs: VecDeque<Waiting>,
    /// Whether the last claim brought as many as it asked for, so that there may be more.
    pub(super) is_more: bool,
}

#[derive(Debug)]
struct Waiting {
    claim: Claim,
    permits: Permits,
    /// Until when it may start; then others are to have it.
    until: Instant,
}

impl Ahead {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes in what a claim brought by now.
    pub(super) fn add(&mut self, claims: Vec<Claim>, permits: Vec<Permits>, now: Instant) {
        let waiting = |(claim, permits)| Waiting {
            claim,
            permits,
            until: now + LONGEST_WAIT,
        };
        let claimed = claims.into_iter().zip(permits);
        self.jobs.extend(claimed.map(waiting));
    }

    /// Returns once a job has waited for too long; never, if there is none.
    pub(super) async fn is_late(&self) {
        match self.jobs.front() {
            Some(first) => sleep_until(first.until).await,
            None => std::future::pending().await,
        }
    }

    /// The next to start, if it still may.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Claim, Permits)> {
        let first = self.jobs.pop_front_if(|first| now <= first.until)?;
        Some((first.claim, first.permits))
    }

    /// One that has waited for too long.
    pub(super) fn next_late(&mut self, now: Instant) -> Option<(Claim, Permits)> {
        let first = self.jobs.pop_front_if(|first| now >= first.until)?;
        Some((first.claim, first.permits))
    }

    /// One of those that will not start.
    pub(super) fn next_left(&mut self) -> Option<(Claim, Permits)> {
        let first = self.jobs.pop_front()?;
        Some((first.claim, first.permits))
    }
}
