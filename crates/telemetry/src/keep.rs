//! Keeping: which jobs' traces leave although the head sampler did not choose them, and where
//! their spans wait until that is known.

pub(crate) mod job_spans;
mod outside;
mod policy;
mod slowness;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_instrument::keep::Holding;
use longshore_instrument::{HoldToken, KeepFacts, KeepReason, Keeper, Span};

pub use policy::{KeepPolicy, KeepRule, KeepSettings};
pub use slowness::Slowness;

use crate::processor::Gate;
use crate::queue::Queue;
use crate::sampler::Budget;

/// How long a settle waits until the spans of its attempts are safe.
const PATIENCE: Duration = Duration::from_millis(100);

/// The [`Keeper`] of this process.
#[derive(Debug)]
pub(crate) struct JobKeeper {
    policy: KeepPolicy,
    queue: Arc<Queue<Span>>,
    gate: Arc<Gate>,
    /// What wants to know which queues' jobs fail.
    budget: Option<Arc<Budget>>,
    holds: AtomicU64,
}

impl JobKeeper {
    pub(crate) fn new(policy: KeepPolicy, queue: Arc<Queue<Span>>, gate: Arc<Gate>) -> Self {
        Self {
            policy,
            queue,
            gate,
            budget: None,
            holds: AtomicU64::new(0),
        }
    }

    /// The same, telling a budget which attempts fail.
    pub(crate) fn with_budget(self, budget: Option<Arc<Budget>>) -> Self {
        Self { budget, ..self }
    }
}

impl Keeper for JobKeeper {
    fn decide(&self, facts: &KeepFacts<'_>) -> Option<KeepReason> {
        if let Some(budget) = &self.budget {
            budget.ended(facts.queue, facts.outcome.is_failure());
        }
        let reason = self.policy.decide(facts);
        if let Some(reason) = reason {
            self.queue.tally.kept(reason);
        }
        reason
    }

    fn hold(&self, mut spans: Vec<Span>) -> Holding<'_> {
        self.gate.pass_engine_spans(&mut spans);
        let token = HoldToken(self.holds.fetch_add(1, Ordering::Relaxed));
        let written = self.queue.hold(token, spans);
        Box::pin(async move {
            if tokio::time::timeout(PATIENCE, written).await.is_err() {
                self.queue.tally.unsafe_settle();
            }
            token
        })
    }

    fn release(&self, token: HoldToken, mut spans: Vec<Span>) {
        self.gate.pass_engine_spans(&mut spans);
        self.queue.release(token, spans);
    }
}
