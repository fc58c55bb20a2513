//! The decision to keep a job's trace whatever the head sampler said, as the engine asks for it.
//!
//! The engine knows when an attempt ends, so nobody has to guess when a trace is complete: at that
//! moment, and before the outcome is stored, it asks a [`Keeper`]. What was decided travels in the
//! job's envelope ([`longshore_core::Keep`]), so that later attempts in other processes follow it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use longshore_core::{AttemptOutcome, Kind, Priority, QueueName};

use crate::span::Span;

/// Why a job's trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// An attempt failed.
    Error,
    /// A handler panicked.
    Panic,
    /// An attempt took longer than it was allowed to.
    Timeout,
    /// A worker vanished while it ran the job.
    LeaseExpired,
    /// An attempt ran longer than its objective, or than nearly all of its kind do.
    SlowRun,
    /// The job waited longer than its objective.
    SlowWait,
    /// The job needed many attempts.
    Attempts,
    /// A rule of the configuration says so.
    Rule,
    /// Someone asked for it.
    Pin,
}

impl KeepReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Error,
        Self::Panic,
        Self::Timeout,
        Self::LeaseExpired,
        Self::SlowRun,
        Self::SlowWait,
        Self::Attempts,
        Self::Rule,
        Self::Pin,
    ];

    /// The reason that a failure of this class (`error.type`) is.
    #[must_use]
    pub fn of_class(class: &str) -> Self {
        [Self::Panic, Self::Timeout, Self::LeaseExpired]
            .into_iter()
            .find(|reason| reason.as_str() == class)
            .unwrap_or(Self::Error)
    }

    /// The reason as a low-cardinality word: in the envelope, as a metric label, on spans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::LeaseExpired => "lease_expired",
            Self::SlowRun => "slow_run",
            Self::SlowWait => "slow_wait",
            Self::Attempts => "attempts",
            Self::Rule => "rule",
            Self::Pin => "pin",
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`Keeper`] may look at when an attempt has ended and is about to be settled.
#[derive(Clone, Copy, Debug)]
pub struct KeepFacts<'a> {
    /// The queue.
    pub queue: &'a QueueName,
    /// The kind.
    pub kind: &'a Kind,
    /// The priority.
    pub priority: Priority,
    /// The tenant.
    pub tenant_id: Option<&'a str>,
    /// The namespace.
    pub namespace: Option<&'a str>,
    /// Which claim of the job it was, from 1.
    pub claim: u32,
    /// How the attempt ends, as far as the worker knows.
    pub outcome: AttemptOutcome,
    /// `error.type`, if it failed.
    pub error_class: Option<&'a str>,
    /// From due to claimed.
    pub wait: Duration,
    /// How long the handler ran.
    pub run: Duration,
}

/// The spans of a batch of attempts that are held until their outcomes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldToken(pub u64);

/// Resolves once what was handed over is safe, or waiting for that took too long.
pub type Holding<'a> = Pin<Box<dyn Future<Output = HoldToken> + Send + 'a>>;

/// Decides which jobs' traces are kept, and puts their spans where a killed process leaves them.
///
/// Infallible to callers, as a [`Recorder`](crate::Recorder) is: no method blocks for longer than
/// the bound it states, fails or panics.
pub trait Keeper: fmt::Debug + Send + Sync {
    /// Whether the trace of this job is to be kept, and why. Asked once for every attempt that
    /// ends; implementations learn from the answers they give.
    fn decide(&self, facts: &KeepFacts<'_>) -> Option<KeepReason>;

    /// Takes the spans of kept attempts as they stand before the settle is sent. They leave in
    /// this form only if the process dies before [`Keeper::release`]. Waits at most 100 ms for
    /// them to be safe.
    fn hold(&self, spans: Vec<Span>) -> Holding<'_>;

    /// Takes the same attempts' spans in their final form, without those whose lease turned out
    /// to be lost: those are the rescuer's to write.
    fn release(&self, token: HoldToken, spans: Vec<Span>);
}
